//! `[schedule]`: when `mutation-agent schedule` starts batches.

use super::checks::Reader;
use super::diagnosis::nearest;
use super::model::Schedule;
use super::source::printable;
use super::{ConfigError, raw};
use crate::schedule::{CatchUp, Times, Timetable, splay};
use jiff::tz::{TimeZone, TimeZoneName};
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

pub(super) fn schedule(
    reader: &Reader<'_>,
    typed: Option<&Spanned<raw::Schedule>>,
    data_dir: &Path,
) -> Result<Option<Schedule>, ConfigError> {
    let Some(typed) = typed else { return Ok(None) };
    let raw = typed.get_ref();
    let cron = reader.required(("[schedule]", &typed.span()), "cron", raw.cron.as_ref())?;
    let (time_zone, zone) = zone(reader, raw.time_zone.as_ref())?;
    let times = Times::new(cron.get_ref(), zone)
        .map_err(|error| reader.invalid(&cron.span(), format!("`cron`: {error}")))?;
    let default_deadline = Duration::from_hours(6);
    let catch_up_deadline = reader.duration(
        "catch_up_deadline",
        raw.catch_up_deadline.as_ref(),
        default_deadline,
        Duration::from_secs(1),
    )?;
    let words = [("skip", CatchUp::Skip), ("once", CatchUp::Once(catch_up_deadline))];
    let catch_up = reader.choice("catch_up", raw.catch_up.as_ref(), &words)?;
    let within = reader.duration("splay", raw.splay.as_ref(), Duration::ZERO, Duration::ZERO)?;
    // However the config is named and from wherever it is started, the folder is the same.
    let folder = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let delay = splay(&reader.environment.host_name, &folder.to_string_lossy(), within);
    Ok(Some(Schedule {
        cron: cron.get_ref().split_whitespace().collect::<Vec<_>>().join(" "),
        time_zone,
        catch_up_deadline,
        splay: within,
        timetable: Timetable::new(times, delay, catch_up.unwrap_or(CatchUp::Skip)),
    }))
}

fn zone(
    reader: &Reader<'_>,
    typed: Option<&Spanned<String>>,
) -> Result<(String, TimeZone), ConfigError> {
    let Some(typed) = typed else { return Ok(("UTC".to_owned(), TimeZone::UTC)) };
    let name = typed.get_ref();
    // A name and no path to a file.
    let known = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
    let zone = name.chars().all(known).then(|| TimeZone::get(name).ok()).flatten();
    let zone = zone.ok_or_else(|| {
        let all: Vec<TimeZoneName> = jiff::tz::db().available().collect();
        let hint = nearest(name, all.iter().map(TimeZoneName::as_str));
        let hint = hint.map_or_else(
            || "write its IANA name, as \"Europe/Berlin\" or \"UTC\"".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("`time_zone` cannot be `{}`: {hint}", printable(name));
        reader.invalid(&typed.span(), message)
    })?;
    Ok((name.clone(), zone))
}
