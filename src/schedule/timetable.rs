//! What is to be done now, from the times, what was considered last, and the clock.

use super::Times;
use crate::units::{Digest, Timestamp};
use std::fmt;
use std::time::Duration;

/// A start that is no older than this simply is late: the machine was busy, or slept for a moment.
const SLACK: Duration = Duration::from_mins(1);
/// A clock that is set back over more than this was wrong before, and what was considered then says nothing.
const FARTHEST_BACK: Duration = Duration::from_hours(24);
/// Missed starts are counted up to here.
const MOST_COUNTED: usize = 1000;

/// What becomes of starts that were missed: the machine was off or asleep, or a batch took longer than the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// Nothing; the next start is the next one.
    Skip,
    /// One batch for all of them, if the newest is no older than this.
    Once(Duration),
}

impl CatchUp {
    /// Its word in the config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once(_) => "once",
        }
    }
}

/// When batches begin.
#[derive(Clone, Debug)]
pub struct Timetable {
    times: Times,
    delay: Duration,
    catch_up: CatchUp,
}

/// How many starts there was no batch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed(pub(super) usize);

impl Missed {
    /// Whether there was any.
    pub const fn is_any(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.0 < MOST_COUNTED { "" } else { " or more" };
        write!(f, "{}{more}", self.0.min(MOST_COUNTED))
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is due before this; `None` only where the calendar ends.
    Wait(Option<Timestamp>),
    /// A batch for `start`, which is considered with that.
    Begin {
        /// The start.
        start: Timestamp,
        /// Older ones for which there was none.
        missed: Missed,
    },
    /// No batch, although starts were due; all until `newest` are considered with that.
    Pass {
        /// The newest of them.
        newest: Timestamp,
        /// How many there were.
        missed: Missed,
    },
    /// What was considered last lies ahead: the clock was set back. Starts count from this moment on, but none that had a
    /// batch begins again.
    SetBack {
        /// The moment.
        to: Timestamp,
    },
}

impl Timetable {
    /// At `times`, each `delay` later.
    pub const fn new(times: Times, delay: Duration, catch_up: CatchUp) -> Self {
        Self { times, delay, catch_up }
    }

    /// What becomes of missed starts.
    pub const fn catch_up(&self) -> CatchUp {
        self.catch_up
    }

    /// How much later than its times this host begins.
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// The first start after `moment`. The delay does not move the day on which clocks are set.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        Some(self.times.next_after(moment.minus(self.delay))?.plus(self.delay))
    }

    /// `moment` with the offset of the zone, to the second, as RFC 3339.
    pub fn local_text(&self, moment: Timestamp) -> String {
        self.times.local_text(moment)
    }

    /// What is to be done at `now`, if all starts until `considered` have been considered, and the newest that had a batch
    /// was `begun`.
    pub fn turn(&self, considered: Timestamp, begun: Option<Timestamp>, now: Timestamp) -> Turn {
        // One that lies farther ahead was begun by a clock that was wrong then, or is wrong now: starts count from now on, and
        // once its time has come it does not come again.
        let is_near = |begun: Timestamp| considered > now && begun.since(now) <= FARTHEST_BACK;
        let begun = begun.filter(|begun| *begun <= now || is_near(*begun));
        let to = begun.map_or(now, |begun| begun.max(now));
        if considered.since(now) > SLACK && to < considered {
            return Turn::SetBack { to };
        }
        let considered = begun.map_or(considered, |begun| begun.max(considered));
        let next = self.next_after(considered);
        let Some(oldest) = next.filter(|start| *start <= now) else { return Turn::Wait(next) };
        let newest = self.newest(oldest, now);
        let age = now.since(newest);
        let begins = age <= SLACK
            || match self.catch_up {
                CatchUp::Skip => false,
                CatchUp::Once(deadline) => age <= deadline,
            };
        let due = self.count(oldest, newest);
        if begins {
            Turn::Begin { start: newest, missed: Missed(due - 1) }
        } else {
            Turn::Pass { newest, missed: Missed(due) }
        }
    }

    /// The last start until `now`, of which `oldest` is one. Looks back farther and farther, since between the two may lie
    /// a minute or the years that a clock was wrong.
    fn newest(&self, oldest: Timestamp, now: Timestamp) -> Timestamp {
        let until_now = |start: &Timestamp| *start <= now;
        let mut back = SLACK;
        let mut newest = loop {
            let from = now.minus(back);
            if from <= oldest {
                break oldest;
            }
            if let Some(start) = self.next_after(from).filter(until_now) {
                break start;
            }
            back = back.saturating_mul(2);
        };
        while let Some(later) = self.next_after(newest).filter(until_now) {
            newest = later;
        }
        newest
    }

    /// How many starts there are from `oldest` to `newest`, both with it.
    fn count(&self, oldest: Timestamp, newest: Timestamp) -> usize {
        let starts = std::iter::successors(Some(oldest), |start| self.next_after(*start));
        starts.take_while(|start| *start <= newest).take(MOST_COUNTED + 1).count()
    }
}

/// How much later than the others this host begins: always the same whole seconds, less than `within`.
///
/// The host's name and the data folder choose, so that a fleet with one config does not begin all at once.
pub fn splay(host_name: &str, data_dir: &str, within: Duration) -> Duration {
    let digest = Digest::of(format!("{host_name}\0{data_dir}").as_bytes());
    let number = digest.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    Duration::from_secs(number.unwrap_or(0).checked_rem(within.as_secs()).unwrap_or(0))
}
