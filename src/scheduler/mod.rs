//! The process that keeps a schedule: it waits, starts each batch as a process of its own, and outlives it.
//!
//! In reading order: a [`Launch`] is how a batch is started, and `child.rs` the one that runs; `events.rs` is what wakes
//! us; `in_force.rs` the config as it was last read well; [`keep`] is the story from the lock to the exit code. What is to be
//! done when is `schedule/`'s to say.

mod child;
mod events;
mod in_force;
mod keeper;

pub use child::Launch;
pub use in_force::SchedulerError;
pub use keeper::keep;
