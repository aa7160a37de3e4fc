//! `audit`: what there is, what may go, and whether it is what was written.

pub mod list;
pub mod prune;
pub mod verify;

mod comparison;
mod look;
