//! The search: which individuals survive, from which of them the next attempts go on, and how far they step.
//!
//! A [`Search`] is a fold over records, like the tally: the live batch, recovery after a kill and a
//! replay feed the same records to the same type and come to the same state. It never looks at the
//! order of the records within a round. [`Searches`] are those of all strategies, carried from
//! night to night.
//!
//! The floor is pure. Random numbers come in as a generator, one for each attempt.

mod constraint;
mod direction;
mod generation;
mod individual;
mod matrix;
mod memory;
mod model;
mod origin;
mod proposing;
mod search;
mod searches;
mod settings;
mod shape;
mod step_size;
mod trial;
mod values;

pub use constraint::{Constraint, ConstraintError};
pub use direction::Direction;
pub use individual::{Change, Individual, Step};
pub use memory::Memory;
pub use origin::{Origin, OriginError};
pub use proposing::{Draft, Fate, Gene, Move, Proposing, moves};
pub use search::{Search, Start};
pub use searches::Searches;
pub use settings::Settings;
pub use step_size::StepSize;
pub use trial::Trial;
pub use values::{Fingerprint, Values};

#[cfg(test)]
mod tests;
