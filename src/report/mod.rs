//! What somebody should know in the morning: facts about batches, a verdict over them, one page that says both.
//!
//! In reading order: [`Facts`] are a fold over records, batch by batch, in memory that does not grow with them, with
//! [`Values`], [`Errors`] and [`Slowest`] in it; [`Surroundings`] is what stands in no record; a [`Verdict`] is made of
//! both; [`page`] draws it all, with the pictures of `charts.rs`. Nothing here reads a file or a clock.

mod charts;
mod errors;
mod facts;
mod kind;
mod page;
mod sections;
mod slowest;
mod surroundings;
#[cfg(test)]
mod tests;
mod values;
mod verdict;

pub use errors::Errors;
pub use facts::{Batch, Facts, Night, Reading};
pub use page::page;
pub use slowest::{Slow, Slowest};
pub use surroundings::{Bounds, Champion, Change, Delivery, Surroundings};
pub use values::Values;
pub use verdict::{Grade, Reason, Verdict};
