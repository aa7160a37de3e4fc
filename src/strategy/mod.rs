//! Python strategies: finding a parameter's number literal, and writing another value in its place.
//!
//! A [`Source`] is a file that Python would accept. A [`Selector`] names a binding in it; what it
//! leads to is a [`Site`], one number literal, or the reason why there is none ([`Unusable`]).
//! A site renders other values in the style of its literal, and [`Original::rewrite`] puts them in:
//! every other byte stays as it was, and the result has been parsed again.
//!
//! Everything is found in the syntax tree, never by regular expression. Nothing here reads a file.

mod version;
pub use version::{PythonVersion, PythonVersionError};

mod selector;
pub use selector::{Selector, SelectorError};

mod refusal;
pub use refusal::{SourceError, SourceProblem};

mod source;
pub use source::{Original, Source};

mod encoding;
mod nesting;
mod position;

mod binding;
mod container;
mod path;
mod walk;

mod literal;

mod site;
pub use site::{Site, check};

mod unusable;
pub use unusable::Unusable;

mod find;
pub use find::Bindings;

mod rewrite;
pub use rewrite::RewriteError;

#[cfg(test)]
mod tests;
