//! The logs that another program writes, line by line in JSON: how they are read, and what of them is new.
//!
//! An [`OldRecord`] is what stands in a line, [`LocalTime`] makes moments of its times of day. An [`OldLog`] is an open
//! log, a [`survey`] says what of it is on record already and what is not, a
//! [`Refusal`] why it must not be counted, and [`Taking`] hands that over, also while
//! the other program still writes. [`Watch`] sees logs grow, and what takes their place.

mod line;
mod local_time;
mod log;
mod refusal;
mod survey;
mod taking;
mod watch;

pub use line::{LeftOut, OldRecord, Piece, When, pieces};
pub use local_time::LocalTime;
pub use log::{LogError, OldLog, by_age};
pub use refusal::{Refusal, look_at_growing, look_through};
pub use survey::{Seen, Standing, Survey, survey};
pub use taking::{Taken, Taking};
pub use watch::{Place, Watch};
