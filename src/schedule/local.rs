//! Times of a place as croner sees them. It knows an older jiff than ours, and takes whatever has this trait.

use croner::errors::CronError;
use croner::time::{
    CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday as CronWeekday,
};
use jiff::civil::{DateTime, Weekday};
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, ZonedDateTime};
use std::cmp::Ordering;

/// What a clock shows that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Civil(pub(super) DateTime);

/// A moment, and what clocks show then.
#[derive(Clone, Debug)]
pub(super) struct Local(pub(super) ZonedDateTime);

impl CronDateTime for Civil {
    fn to_civil(&self) -> CivilDateTime {
        from_jiff(self.0)
    }

    fn civil_weekday(&self) -> CronWeekday {
        weekday(self.0.weekday())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        to_jiff(civil).map(Self).map(Resolution::Single)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        from_jiff(self.0.datetime())
    }

    fn civil_weekday(&self) -> CronWeekday {
        weekday(self.0.weekday())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(to_jiff(civil)?);
        let wrong = |_| CronError::InvalidTime;
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(Self(ambiguous.unambiguous().map_err(wrong)?))
            }
            AmbiguousOffset::Fold { .. } => {
                let earlier = ambiguous.clone().earlier().map_err(wrong)?;
                Resolution::Ambiguous(Self(earlier), Self(ambiguous.later().map_err(wrong)?))
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

fn from_jiff(time: DateTime) -> CivilDateTime {
    let [month, day, hour, minute, second] =
        [time.month(), time.day(), time.hour(), time.minute(), time.second()]
            .map(|part| u32::from(part.unsigned_abs()));
    // Of a calendar's own parts, nothing is left to be checked.
    CivilDateTime::new(
        CivilDate::from_parts_unchecked(i32::from(time.year()), month, day),
        CivilTime::from_parts_unchecked(hour, minute, second),
    )
}

fn to_jiff(civil: CivilDateTime) -> Result<DateTime, CronError> {
    let small = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidTime);
    let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
    let date = (year, small(civil.month())?, small(civil.day())?);
    let time = (small(civil.hour())?, small(civil.minute())?, small(civil.second())?);
    DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, 0)
        .map_err(|_| CronError::InvalidDate)
}

fn weekday(day: Weekday) -> CronWeekday {
    CronWeekday::from_days_from_sunday(u32::from(day.to_sunday_zero_offset().unsigned_abs()))
}
