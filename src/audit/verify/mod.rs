//! Whether the audit is what was written: every digest, count, id and link of the chain, read again.
//!
//! Nothing is written and no lock is taken; memory does not grow with the number of records. In reading order: a
//! [`Finding`] says which file and what is wrong with it, one for each cause where that can be told; `sequence.rs`
//! follows the ids of one log, `log.rs` reads it, `batch.rs` holds it to its manifest, and `chain.rs` walks from the
//! oldest batch to the newest. What the state knows of both ends comes in as [`Known`].

mod batch;
mod chain;
mod finding;
mod log;
mod sequence;

pub use chain::{Known, OpenLog, Report, verify};
pub use finding::{Fault, Finding};
