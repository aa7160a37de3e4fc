//! Points in time as people type them: a day, a moment, an age.

use super::Timestamp;
use std::str::FromStr;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// `2026-11-23` (UTC), `2026-11-23T02:00:00Z`, or `7d` for seven days ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A whole day, by its first moment.
    Day(Timestamp),
    /// One moment.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

/// What is no moment.
#[derive(Debug, thiserror::Error)]
#[error("expected a day (2026-11-23), a moment (2026-11-23T02:00:00Z) or an age (7d, 12h)")]
pub struct MomentError;

impl Moment {
    /// Its first moment, where it is `now`.
    pub fn begin(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Day(begin) => begin,
            Self::At(moment) => moment,
            Self::Ago(age) => now.minus(age),
        }
    }

    /// The first moment that comes after it: a day is meant whole.
    pub fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Day(begin) => begin.plus(DAY),
            Self::At(_) | Self::Ago(_) => self.begin(now),
        }
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_day = text.len() == "2026-11-23".len() && text.contains('-');
        if is_day {
            return format!("{text}T00:00:00Z").parse().map(Self::Day).map_err(|_| MomentError);
        }
        if let Ok(moment) = text.parse() {
            return Ok(Self::At(moment));
        }
        humantime::parse_duration(text).map(Self::Ago).map_err(|_| MomentError)
    }
}

/// A stretch of time: from one moment on, before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Its first moment; `None` has none.
    pub since: Option<Timestamp>,
    /// The first moment after it; `None` has none.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether it ends before it begins, so that no moment is in it.
    pub fn is_backwards(&self) -> bool {
        self.since.zip(self.until).is_some_and(|(since, until)| since >= until)
    }

    /// Whether `moment` is in it.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= moment) && self.until.is_none_or(|end| moment < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_moments_and_ages_are_understood() {
        let now = at("2026-11-25T07:00:00Z");
        for (text, begin, end) in [
            ("2026-11-23", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
            ("2026-11-23T02:00:00Z", "2026-11-23T02:00:00Z", "2026-11-23T02:00:00Z"),
            ("2026-11-23T02:00:00+01:00", "2026-11-23T01:00:00Z", "2026-11-23T01:00:00Z"),
            ("2days 1h", "2026-11-23T06:00:00Z", "2026-11-23T06:00:00Z"),
            ("7d", "2026-11-18T07:00:00Z", "2026-11-18T07:00:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!((moment.begin(now), moment.end(now)), (at(begin), at(end)), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "2026-11-23T02:00:00", "-3d", "23/11/2026"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_has_its_first_moment_and_not_the_one_after_it() {
        let period = Period {
            since: Some(at("2026-11-23T00:00:00Z")),
            until: Some(at("2026-11-24T00:00:00Z")),
        };
        assert!(period.contains(at("2026-11-23T00:00:00Z")));
        assert!(period.contains(at("2026-11-23T23:59:59.999999Z")));
        assert!(!period.contains(at("2026-11-24T00:00:00Z")));
        assert!(!period.contains(at("2026-11-22T23:59:59Z")));
        assert!(Period::default().contains(at("1970-01-01T00:00:00Z")));
    }
}
