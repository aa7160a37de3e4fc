//! A crontab's five fields in a time zone.

use super::local::{Civil, Local};
use crate::units::{Timestamp, printable};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::CronParser;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Times that come again: `0 2 * * *` in `Europe/Berlin`.
///
/// A time that clocks pass over when they are put forward is once, right after the gap; one that comes twice when they
/// are put back is once, the first time. Where minute or hour have a `*` it is neither, but croner's: every half hour is
/// every half hour. So it is with Vixie cron (`cron(8)`, "Daylight Saving Time"), while croner takes `0 2,14 * * *` for an
/// interval as well.
#[derive(Clone, Debug)]
pub struct Times {
    pattern: Cron,
    is_interval: bool,
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
        let &[minute, hour, _, _, _] = fields.as_slice() else {
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
        let text = fields.join(" ");
        let is_interval = minute.contains('*') || hour.contains('*');
        // Any year will do: there is no year in it, and leap years are at most eight years apart.
        let some_day = Civil(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        match parse(&text) {
            Ok(pattern) if pattern.find_next_occurrence(&some_day, false).is_ok() => {
                Ok(Self { pattern, is_interval, zone })
            }
            Ok(_) | Err(_) => Err(TimesError::Never(text)),
        }
    }

    /// The first one after `moment`; `None` only where the calendar ends.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let local = self.in_zone(moment);
        let mut civil = Civil(local.datetime());
        if self.is_interval {
            let next = self.pattern.find_next_occurrence(&Local(local), false).ok()?;
            return Some(from_jiff(next.0.timestamp()));
        }
        // The order of moments is that of what clocks show, but for what they show a second time.
        loop {
            civil = self.pattern.find_next_occurrence(&civil, false).ok()?;
            let start = from_jiff(self.first_at(civil.0)?);
            if start > moment {
                return Some(start);
            }
        }
    }

    /// The first moment at which clocks show `civil`, or the end of the gap that it lies in.
    fn first_at(&self, civil: DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                let before_gap = after.to_timestamp(civil).ok()?;
                self.zone.following(before_gap).next().map(|transition| transition.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().ok()
            }
        }
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

/// Of day of month and day of week either will do, and both must where one of them has a `*` (`crontab(5)`).
fn parse(text: &str) -> Result<Cron, CronError> {
    let mut days = text.split_whitespace().skip(2).step_by(2);
    let both = days.any(|field| field.contains('*'));
    CronParser::builder().dom_and_dow(both).build().parse(text)
}

/// Croner knows more, such as `@daily` in any place and lists with nothing in them.
fn is_clean(field: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "*,-/#".contains(c);
    field.chars().all(known) && field.split(',').all(|one| !one.is_empty())
}

fn from_jiff(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.as_microsecond())
}
