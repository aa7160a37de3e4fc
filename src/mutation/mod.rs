//! How a new value is proposed: the grid it lives on, the operators, the bound rules, the random
//! streams, and whose turn it is.
//!
//! The floor is pure. Random numbers come in as a generator, and [`Streams`] makes generators from
//! a seed, so that the same seed proposes the same values whatever the number of workers.
//! `exp`, `ln` and `powf` are the platform's: another libm may differ in the last bit, which rounding
//! to the grid hides all but once in some 10^12 proposals.
//!
//! In the hot path nothing is allocated, and what depends on the configuration alone is computed
//! once, in the constructors.

mod bounds;
mod circle;
mod domain;
mod grid;
mod law;
mod mutator;
mod openings;
mod operator;
mod streams;
mod weights;

pub use bounds::BoundRule;
pub use circle::Circle;
pub use domain::{Domain, DomainError};
pub use mutator::{Mutator, MutatorError, Proposal};
pub use openings::{LANES, Openings};
pub use operator::Operator;
pub use streams::{Streams, evaluation_seed};
pub use weights::{Weights, WeightsError};

#[cfg(test)]
mod tests;
