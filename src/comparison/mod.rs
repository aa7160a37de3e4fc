//! Two sets of attempts held against each other: what differs, by how much, and how sure that is.
//!
//! In reading order: a [`Selector`] says which attempts are meant, over the names that a [`Vocabulary`] has seen; a [`Set`]
//! is a fold over records, and its [`Sample`]s keep what ranks are taken of. [`Rate`] and [`Ranks`] are the statistics,
//! `clusters.rs`, `resampling.rs` and `power.rs` what they lean on, `normal.rs` the one distribution. A [`Comparison`] has all figures, the
//! sentences that say them, and the [`caveats`] that go with them.
//!
//! The floor is pure. Random numbers for the bootstrap come in as a generator. tests/e2e/compare.py holds every figure to
//! scipy and statsmodels.

mod caveats;
mod clusters;
mod effect;
mod figures;
mod normal;
mod power;
mod ranks;
mod rate;
mod resampling;
mod sample;
mod selector;
mod sentences;
mod set;
mod vocabulary;

pub use caveats::{Context, caveats};
pub use effect::Effect;
pub use figures::{Comparison, Labels, RankFigures, RateFigures, SetFigures, Spread, Verdict};
pub use power::{Basis, Needed};
pub use ranks::{Method, Ranks};
pub use rate::{Interval, Rate};
pub use sample::{Ordered, Sample};
pub use selector::{Selector, SelectorError};
pub use sentences::{p_value, points, sentences};
pub use set::Set;
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod tests;
