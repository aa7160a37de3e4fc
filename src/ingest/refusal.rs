//! Logs that must not be counted, found out before anything is written.

use super::{LogError, OldLog, Seen, Standing, Survey, survey};
use crate::metrics::KnownLogs;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

/// More names than these are counted and not listed.
const MOST_NAMES: usize = 10;

/// Why logs are not taken in. Nothing of them was.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// One that cannot be read to its end.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Names that would become labels, which only the configuration may bring about.
    #[error(
        "the configuration has no parameter {names}: a [[parameter]] with that name, min and max lets it be counted; \
         nothing new is taken until then"
    )]
    Unknown {
        /// Each in words, with its count and its first place.
        names: String,
    },
    /// One that is none of those that are known, and begins as one of them.
    #[error(
        "{} begins as a log that was taken in before and goes on otherwise: lines of it were changed, or taken away; as \
         it is, nobody can tell what of it is counted already: give what is new in a file of its own (tail -n +LINE)",
        .0.display()
    )]
    Differs(PathBuf),
    /// None has a record.
    #[error("{}:{line}: {why}, and no other line is a record of a mutation: nothing was taken", path.display())]
    NoRecord {
        /// The first that has anything.
        path: PathBuf,
        /// A line of it.
        line: u64,
        /// What that is.
        why: &'static str,
    },
}

/// Looks through finished logs, of which `known` are on record; `parameters` are the names that may be counted.
pub fn look_through(
    logs: &[OldLog],
    known: &KnownLogs,
    parameters: &BTreeSet<&str>,
) -> Result<Vec<Survey>, Refusal> {
    let surveys = survey(logs, known, parameters, true)?;
    refuse(logs, &surveys)?;
    if surveys.iter().all(|one| one.known.is_none() && one.standing == Standing::Fits) {
        refuse_prose(logs, &surveys)?;
    }
    Ok(surveys)
}

/// Looks through logs that are still written.
pub fn look_at_growing<'l>(
    logs: impl IntoIterator<Item = &'l OldLog> + Clone,
    known: &KnownLogs,
    parameters: &BTreeSet<&str>,
) -> Result<Vec<Survey>, Refusal> {
    let surveys = survey(logs.clone(), known, parameters, false)?;
    refuse(logs, &surveys)?;
    Ok(surveys)
}

fn refuse<'l>(
    logs: impl IntoIterator<Item = &'l OldLog>,
    surveys: &[Survey],
) -> Result<(), Refusal> {
    let mut unknown = BTreeMap::new();
    for (log, survey) in logs.into_iter().zip(surveys) {
        match survey.standing {
            Standing::Differs => return Err(Refusal::Differs(log.path().to_owned())),
            Standing::Shorter => tracing::warn!(
                log = log.name(),
                "begins as a log that was taken in before, and is shorter than that was: nothing is taken of it"
            ),
            Standing::Fits if survey.last_line < survey.from.lines => tracing::warn!(
                log = log.name(),
                lines = survey.last_line,
                taken = survey.from.lines,
                "has lost lines that are on record; as many that are written in their place will be passed over"
            ),
            Standing::Fits => {}
        }
        for (name, seen) in &survey.unknown {
            let first = unknown.entry(name.as_str()).or_insert((0, log.name(), seen.line));
            first.0 += seen.count;
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::Unknown { names: list(&unknown) }) }
}

fn list(unknown: &BTreeMap<&str, (u64, &str, u64)>) -> String {
    let mut text = String::new();
    for (name, (count, log, line)) in unknown.iter().take(MOST_NAMES) {
        let comma = if text.is_empty() { "" } else { ", " };
        let plural = if *count == 1 { "" } else { "s" };
        // Writing to memory cannot fail.
        let _ = write!(text, "{comma}{name:?} ({count} record{plural}, first at {log}:{line})");
    }
    if unknown.len() > MOST_NAMES {
        let _ = write!(text, " and {} more", unknown.len() - MOST_NAMES);
    }
    text
}

/// None of the logs has a record: the first that has anything says why not. One that is empty is no offence.
fn refuse_prose(logs: &[OldLog], surveys: &[Survey]) -> Result<(), Refusal> {
    for (log, survey) in logs.iter().zip(surveys) {
        let path = log.path().to_owned();
        let first = survey.left_out.iter().min_by_key(|(_, seen)| seen.line);
        if let Some((why, Seen { line, .. })) = first {
            let why = why.in_words();
            return Err(Refusal::NoRecord { path, line: *line, why });
        }
        if survey.unfinished > 0 {
            let why = "an unfinished line";
            return Err(Refusal::NoRecord { path, line: survey.last_line + 1, why });
        }
    }
    Ok(())
}
