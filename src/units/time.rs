//! Points in time, UTC, to the microsecond, as RFC 3339 text.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A duration in whole nanoseconds, saturating after 584 years.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch, cut to the years 1 to 9999 that RFC 3339 can write.
    pub fn from_micros(micros: i64) -> Self {
        const YEAR_1: i64 = -62_135_596_800_000_000;
        const YEAR_9999: i64 = 253_402_300_799_000_000 - 86_400_000_000 * 2;
        Self(micros.clamp(YEAR_1, YEAR_9999))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds since the epoch with fractions, as Prometheus wants them.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This moment and `duration` less.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }

    /// The time since `earlier`, never negative: a clock can be set back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// `20261123T020000Z`, the basic format of ISO 8601 to the second.
    pub fn to_compact(self) -> String {
        let text = format!(
            "{:.0}",
            jiff::Timestamp::from_second(self.seconds()).unwrap_or(self.to_jiff())
        );
        text.chars().filter(|c| !matches!(c, '-' | ':')).collect()
    }

    /// Back from [`Self::to_compact`]; `None` where no moment is written so.
    pub(super) fn from_compact(text: &str) -> Option<Self> {
        let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
        let [y0, y1, y2, y3, m0, m1, d0, d1, b'T', h0, h1, n0, n1, s0, s1, b'Z'] = bytes else {
            return None;
        };
        let two = |tens: &u8, ones: &u8| {
            let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
            digits.then(|| (tens - b'0') * 10 + (ones - b'0')).and_then(|n| i8::try_from(n).ok())
        };
        let year = i16::from(two(y0, y1)?) * 100 + i16::from(two(y2, y3)?);
        let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
        let civil =
            jiff::civil::DateTime::new(year, two(m0, m1)?, two(d0, d1)?, hour, minute, second, 0);
        let seconds = jiff::tz::Offset::UTC.to_timestamp(civil.ok()?).ok()?.as_second();
        let moment = Self::from_micros(seconds.checked_mul(1_000_000)?);
        // Years that `Timestamp` has not are cut.
        (moment.seconds() == seconds).then_some(moment)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.to_jiff())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|time| Self::from_micros(time.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_six_decimals_and_reads_back() {
        let time = Timestamp::from_micros(1_795_399_200_123_456);
        assert_eq!(time.to_string(), "2026-11-23T02:00:00.123456Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        assert_eq!(time.to_compact(), "20261123T020000Z");
        assert_eq!(
            Timestamp::from_compact("20261123T020000Z"),
            Some(Timestamp::from_micros(1_795_399_200_000_000))
        );
    }

    #[test]
    fn whole_seconds_keep_their_zeros() {
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn no_time_has_passed_since_a_later_moment() {
        let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(5));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_micros(4));
    }

    #[test]
    fn absurd_times_are_cut_and_still_written() {
        for micros in [i64::MIN, i64::MAX] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }
}
