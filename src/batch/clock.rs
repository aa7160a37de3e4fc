//! The only place where the time of day and the system's random numbers are read.

use crate::units::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = SystemTime::now();
    let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(match now.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    })
}

/// A random number from the operating system: a seed, or the suffix of an id.
pub fn random() -> u64 {
    use rand::TryRng as _;
    // Linux has always some. Without, the clock still tells batches apart.
    rand::rngs::SysRng.try_next_u64().unwrap_or_else(|_| now().micros().unsigned_abs())
}

/// Times of day from a clock that nobody sets: one reading of the day, then the monotonic clock.
///
/// So durations are never negative and no timestamp of a round jumps, whatever NTP does.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    monotonic: Instant,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self { wall: now(), monotonic: Instant::now() }
    }

    /// The time of day at `instant`.
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.wall.plus(instant.saturating_duration_since(self.monotonic))
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }

    /// When it was started.
    pub const fn started(&self) -> Timestamp {
        self.wall
    }
}
