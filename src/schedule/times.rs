//! A crontab's five fields in a time zone.

use super::local::Local;
use crate::units::{Timestamp, printable};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::CronParser;
use jiff::tz::TimeZone;

/// Times that come again: `0 2 * * *` in `Europe/Berlin`.
///
/// A time that clocks pass over when they are put forward is once, right after the gap; one that comes twice when they
/// are put back is once, the first time. Where minute or hour have a `*` that is so neither way: every half hour is
/// every half hour, as with Vixie cron (`cron(8)`, "Daylight Saving Time").
#[derive(Clone, Debug)]
pub struct Times {
    /// One, or each hour and minute on its own where both are fixed: croner takes `0 2,14` for an interval.
    patterns: Vec<Cron>,
    zone: TimeZone,
}

/// What is no cron expression of five fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// More or fewer fields.
    #[error(
        "needs five fields (minute, hour, day of month, month, day of week), as in \"0 2 * * *\", not {0}"
    )]
    Fields(usize),
    /// A field that says nothing.
    #[error(
        "the {field} cannot be `{text}`: it takes {range}, lists like `1,5`, ranges like `1-5`, steps like `*/5`, or `*`"
    )]
    Field {
        /// Which one.
        field: &'static str,
        /// As typed.
        text: String,
        /// What it may be.
        range: &'static str,
    },
    /// Nobody types that much.
    #[error("is longer than {LONGEST} bytes")]
    TooLong,
    /// Such as the 31st of February.
    #[error("`{0}` never comes: no such month has such a day")]
    Never(String),
}

/// Nobody types more.
const LONGEST: usize = 200;

const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of week", "0 to 7 or SUN to SAT"),
];

impl Times {
    /// Reads the five fields.
    pub fn new(text: &str, zone: TimeZone) -> Result<Self, TimesError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(TimesError::Fields(fields.len()));
        };
        if text.len() > LONGEST {
            return Err(TimesError::TooLong);
        }
        for (at, (field, range)) in FIELDS.into_iter().enumerate() {
            let alone = std::array::from_fn::<_, 5, _>(|n| if n == at { fields[n] } else { "*" });
            if !is_clean(fields[at]) || parse(&alone.join(" ")).is_err() {
                return Err(TimesError::Field { field, text: printable(fields[at]), range });
            }
        }
        let never = || TimesError::Never(text.to_owned());
        let whole = parse(&fields.join(" ")).map_err(|_| never())?;
        let is_fixed = !minute.contains('*') && !hour.contains('*');
        let patterns = if is_fixed {
            let (hours, minutes) = (whole.pattern.hours.values(), whole.pattern.minutes.values());
            let each = hours.iter().flat_map(|hour| {
                minutes.iter().map(move |minute| format!("{minute} {hour} {day} {month} {weekday}"))
            });
            each.map(|one| parse(&one)).collect::<Result<_, _>>().map_err(|_| never())?
        } else {
            vec![whole]
        };
        // Any year will do: there is no year in it, and leap years are at most eight years apart.
        let anywhen = Self { patterns, zone: TimeZone::UTC };
        if anywhen.next_after(Timestamp::from_micros(0)).is_none() {
            return Err(never());
        }
        Ok(Self { zone, ..anywhen })
    }

    /// The first one after `moment`; `None` only where the calendar ends.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let local = Local(self.in_zone(moment));
        let next = |pattern: &Cron| pattern.find_next_occurrence(&local, false).ok();
        let nexts = self.patterns.iter().filter_map(next);
        nexts.map(|Local(zoned)| from_second(zoned.timestamp().as_second())).min()
    }

    /// `moment` with the offset of the zone, to the second, as RFC 3339.
    pub fn local_text(&self, moment: Timestamp) -> String {
        let zoned = self.in_zone(moment);
        zoned.timestamp().display_with_offset(zoned.offset()).to_string()
    }

    fn in_zone(&self, moment: Timestamp) -> jiff::ZonedDateTime {
        let whole = jiff::Timestamp::from_second(moment.seconds()).unwrap_or_default();
        whole.to_zoned_datetime(self.zone.clone())
    }
}

fn parse(text: &str) -> Result<Cron, CronError> {
    CronParser::new().parse(text)
}

/// Croner knows more, such as `@daily` in any place and lists with nothing in them.
fn is_clean(field: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "*,-/#".contains(c);
    field.chars().all(known) && field.split(',').all(|one| !one.is_empty())
}

fn from_second(second: i64) -> Timestamp {
    Timestamp::from_micros(second.saturating_mul(1_000_000))
}
