//! Times of day without a zone, as Python's `datetime.now()` gives them.

use super::When;
use crate::units::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::time::Duration;

/// Several processes write in one log, so a record may be this much older than the one before it.
const JITTER: Duration = Duration::from_mins(5);

/// Makes moments of the times in one log, which stand there about in their order.
#[derive(Clone, Debug)]
pub struct LocalTime {
    zone: TimeZone,
    last: Option<Timestamp>,
}

impl LocalTime {
    /// For a log that was written in `zone`.
    pub const fn new(zone: TimeZone) -> Self {
        Self { zone, last: None }
    }

    /// The moment that is meant. In the hour that a clock goes through twice it is the first time, unless that lies
    /// before the record before it; in the hour that a clock leaves out it is by the offset of before, as for Python.
    pub fn moment(&mut self, when: When) -> Timestamp {
        let moment = match when {
            When::At(moment) => moment,
            When::Local(local) => {
                let ambiguous = self.zone.to_ambiguous_timestamp(local);
                let is_fold = matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. });
                let later = ambiguous.later();
                let earlier = ambiguous.compatible();
                // Out of range are the first and the last day of what can be written.
                let end = if local.year() < 1970 { i64::MIN } else { i64::MAX };
                let ours = |moment: Result<jiff::Timestamp, jiff::Error>| {
                    moment.map_or(end, jiff::Timestamp::as_microsecond)
                };
                let (earlier, later) =
                    (Timestamp::from_micros(ours(earlier)), Timestamp::from_micros(ours(later)));
                let is_past = self.last.is_some_and(|last| last.since(earlier) > JITTER);
                if is_fold && is_past { later } else { earlier }
            }
        };
        self.last = Some(moment);
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's rules, without the machine's time-zone database.
    fn berlin() -> LocalTime {
        let rules = "CET-1CEST,M3.5.0,M10.5.0/3";
        LocalTime::new(TimeZone::posix(rules).unwrap())
    }

    fn local(text: &str) -> When {
        When::Local(text.parse().unwrap())
    }

    #[test]
    fn local_times_are_moments_of_their_zone() {
        let mut berlin = berlin();
        for (text, moment) in [
            ("2026-07-01T02:00:00", "2026-07-01T00:00:00Z"),
            ("2026-11-23T02:00:00.123456", "2026-11-23T01:00:00.123456Z"),
            // Left out by the clock.
            ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(berlin.moment(local(text)), moment.parse().unwrap(), "{text}");
        }
        let zoned = "2026-11-23T02:00:00Z".parse().unwrap();
        assert_eq!(berlin.moment(When::At(zoned)), zoned);
    }

    #[test]
    fn the_hour_that_comes_twice_is_told_by_the_order_of_the_records() {
        let mut berlin = berlin();
        for (text, moment) in [
            ("2026-10-25T02:50:00", "2026-10-25T00:50:00Z"),
            // Another process, a moment ago.
            ("2026-10-25T02:49:59", "2026-10-25T00:49:59Z"),
            ("2026-10-25T02:10:00", "2026-10-25T01:10:00Z"),
            ("2026-10-25T02:50:00", "2026-10-25T01:50:00Z"),
            ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        ] {
            assert_eq!(berlin.moment(local(text)), moment.parse().unwrap(), "{text}");
        }
    }
}
