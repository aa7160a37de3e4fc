//! Facts about sources, sites and rewriting, as the floors above see them.

mod bindings;
mod formats;
mod laws;
mod rewriting;
mod selecting;

use super::*;
use crate::units::Decimal;
use std::num::NonZeroUsize;

fn source(text: &str) -> Source {
    Source::parse(text.into(), PythonVersion::default()).unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn find(text: &str, selector: &str, occurrence: usize) -> Result<Site, Unusable> {
    source(text).site(&selector.parse().unwrap(), NonZeroUsize::new(occurrence))
}

/// What `selector` leads to, in one word: the literal with its line, or why there is none.
fn outcome(text: &str, selector: &str) -> String {
    match find(text, selector, 0) {
        Ok(site) => format!("{}:{} {}", site.line(), site.column(), site.text()),
        Err(Unusable::Ambiguous { lines }) => format!("ambiguous {lines:?}"),
        Err(Unusable::NotNumericLiteral { line, text }) => format!("not_numeric {line} {text}"),
        Err(error) => error.as_str().to_owned(),
    }
}

/// The text with another value for the one site of `selector`.
fn rewritten(text: &str, selector: &str, value: &str) -> String {
    let site = find(text, selector, 0).unwrap();
    source(text).rewrite(&[(&site, decimal(value))]).unwrap()
}
