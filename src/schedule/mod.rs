//! When batches begin, for `mutation-agent schedule`: pure, so that every clock can be tried.
//!
//! In reading order: [`Times`] are a crontab's five fields in a time zone, right on the days on which clocks are put
//! forward and back (`local.rs` hands croner our own times); a [`Timetable`] adds the delay and what becomes of missed starts,
//! and says as a [`Turn`] what is to be done now.

mod local;
mod times;
mod timetable;

#[cfg(test)]
mod tests;

pub use times::{Times, TimesError};
pub use timetable::{CatchUp, Missed, Timetable, Turn, splay};
