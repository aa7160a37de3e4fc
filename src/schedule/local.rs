//! Times of a place as croner sees them. It knows an older jiff than ours, and takes whatever has this trait.

use croner::errors::CronError;
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, ZonedDateTime};
use std::cmp::Ordering;

/// A moment and what clocks show then.
#[derive(Clone, Debug)]
pub(super) struct Local(pub(super) ZonedDateTime);

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let (date, time) = (self.0.date(), self.0.time());
        let [month, day, hour, minute, second] =
            [date.month(), date.day(), time.hour(), time.minute(), time.second()]
                .map(|part| u32::from(part.unsigned_abs()));
        // Of a calendar's own parts, nothing is left to be checked.
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(date.year()), month, day),
            CivilTime::from_parts_unchecked(hour, minute, second),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(
            self.0.weekday().to_sunday_zero_offset().unsigned_abs(),
        ))
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

fn to_jiff(civil: CivilDateTime) -> Result<jiff::civil::DateTime, CronError> {
    let small = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidTime);
    let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
    let date = (year, small(civil.month())?, small(civil.day())?);
    let time = (small(civil.hour())?, small(civil.minute())?, small(civil.second())?);
    jiff::civil::DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, 0)
        .map_err(|_| CronError::InvalidDate)
}
