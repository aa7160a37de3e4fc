//! `ingest`: what another program logged, taken into the audit and shown to the gateways.

use super::run::{as_json, as_text, delivered};
use super::{Configuration, Failure, check};
use crate::batch::{Ingested, Ingestion};
use crate::config::{Config, Secrets};
use crate::exit::Exit;
use crate::ingest::{LogError, OldLog, Standing, Survey, by_age, look_through};
use crate::metrics::KnownLogs;
use crate::notify::Notifier;
use crate::state::Store;
use crate::units::printable;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Which logs, and how they are to be read.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Logs, plain or packed by gzip or zstd; with `--follow` they need not be there yet
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the clock stood whose times have no zone: a name such as Europe/Berlin, or +02:00; without it, here
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,
    /// Go on with what is written, until told to stop
    #[arg(long)]
    follow: bool,
    /// With `--follow`: seal a batch when nothing came for so long
    #[arg(
        long, value_name = "DURATION", default_value = "10m", requires = "follow",
        value_parser = humantime::parse_duration
    )]
    idle: Duration,
    /// Say what would be taken and write nothing
    #[arg(long, conflicts_with = "follow")]
    dry_run: bool,
}

fn zone(name: &str) -> Result<TimeZone, jiff::Error> {
    DateTimeParser::new().parse_time_zone(name)
}

/// Takes in what is new in the logs.
pub fn run(
    source: &Configuration,
    args: &Args,
    json: bool,
    notifier: &Notifier,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let secrets = if args.dry_run { Secrets::Unneeded } else { Secrets::Needed };
    let config = source.load(secrets)?;
    if let Some(shard) = config.shard {
        let text = format!(
            "a log of another program belongs to no shard, and each of them would count it: give `--shard none`, in one \
             place alone (this is shard {shard})"
        );
        return Err(Failure::said(Exit::Usage, text));
    }
    let zone = args.timezone.clone().unwrap_or_else(here);
    if args.dry_run {
        return dry_run(&config, &open(&args.files, &zone)?, out);
    }
    let clients = check::clients(&config.gateways)?;
    if args.follow {
        let ingestion = Ingestion::new(&config, zone, clients, notifier)?;
        let exit = ingestion.follow(&args.files, args.idle, |end| {
            let line = if json { as_json(end).to_string() } else { as_text(end) };
            // Standard output may be gone; what is done is done all the same.
            if let Err(unread) = writeln!(out, "{line}").and_then(|()| out.flush()) {
                tracing::debug!("{unread}");
            }
        })?;
        return Ok(exit);
    }
    let logs = open(&args.files, &zone)?;
    let ingestion = Ingestion::new(&config, zone, clients, notifier)?;
    let ingested = ingestion.once(&logs)?;
    // The exit code says what became of it, even to a reader that went away.
    if let Err(unread) = say(&logs, &ingested, json, out) {
        tracing::debug!("{unread}");
    }
    Ok(ingested.exit)
}

/// The zone of this machine, as Python's `datetime.now()` knows it.
fn here() -> TimeZone {
    TimeZone::try_system().unwrap_or_else(|error| {
        tracing::warn!(%error, "this machine does not say in which time zone it is: taken for UTC");
        TimeZone::UTC
    })
}

fn open(files: &[PathBuf], zone: &TimeZone) -> Result<Vec<OldLog>, Failure> {
    let logs = files.iter().map(|file| OldLog::open(file));
    let logs = logs.collect::<Result<_, _>>().map_err(LogError::from)?;
    Ok(by_age(logs, zone)?)
}

fn dry_run(config: &Config, logs: &[OldLog], out: &mut dyn Write) -> Result<Exit, Failure> {
    let store = Store::new(&config.data_dir);
    let state = store.look().map_err(|error| Failure::new(Exit::Config, &error))?;
    let known = match state {
        Some(Ok(state)) => state.totals.ingested().clone(),
        None => KnownLogs::default(),
        Some(Err(error)) => {
            let path = store.path().display();
            let told = format!(
                "{path} is corrupt ({error}): what is new is known when the next start has rebuilt it"
            );
            return Err(Failure::said(Exit::Io, told));
        }
    };
    let surveys = look_through(logs, &known, &config.parameter_names())?;
    for (log, survey) in logs.iter().zip(&surveys) {
        writeln!(out, "{}: {}", printable(log.name()), found(survey, "would be taken"))?;
    }
    writeln!(out, "nothing was written or sent")?;
    Ok(Exit::Done)
}

fn say(
    logs: &[OldLog],
    ingested: &Ingested,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if json {
        return Ok(writeln!(out, "{}", in_json(logs, ingested))?);
    }
    write_logs(logs, ingested, out)?;
    if let Some(end) = &ingested.batch {
        writeln!(out, "{}", as_text(end))?;
    }
    for one in &ingested.delivered {
        match &one.result {
            Ok(()) => writeln!(out, "{}: delivered", one.gateway)?,
            Err(why) => writeln!(out, "{}: undelivered: {why}", one.gateway)?,
        }
    }
    Ok(())
}

/// The batch as of `run`, and the logs.
fn in_json(logs: &[OldLog], ingested: &Ingested) -> serde_json::Value {
    let mut all = match &ingested.batch {
        Some(end) => as_json(end),
        None => serde_json::json!({
            "batch_id": null,
            "delivered": delivered(&ingested.delivered),
            "exit_code": ingested.exit.code(),
        }),
    };
    let logs = logs.iter().zip(&ingested.surveys).map(|(log, survey)| {
        let left_out = survey.left_out.iter().map(|(why, seen)| (why.as_str(), seen.count));
        serde_json::json!({
            "log": log.name(),
            "records": taken(log, ingested),
            "left_out": left_out.collect::<BTreeMap<_, _>>(),
        })
    });
    all["logs"] = logs.collect();
    all
}

/// A line for each log of which there is something to tell, or one for all.
fn write_logs(logs: &[OldLog], ingested: &Ingested, out: &mut dyn Write) -> Result<(), Failure> {
    let mut told = 0;
    for (log, survey) in logs.iter().zip(&ingested.surveys) {
        if survey.records > 0 || !survey.left_out.is_empty() || survey.standing == Standing::Shorter
        {
            let taken = taken(log, ingested);
            let verb = if taken == survey.records {
                "taken".to_owned()
            } else {
                format!("found, {taken} taken")
            };
            writeln!(out, "{}: {}", printable(log.name()), found(survey, &verb))?;
            told += 1;
        }
    }
    match logs {
        _ if told > 0 => {}
        [log] => writeln!(out, "{}: nothing new", printable(log.name()))?,
        _ => writeln!(out, "nothing new in {} logs", logs.len())?,
    }
    Ok(())
}

/// How many records of a log the batch took: one that was stopped did not come to all.
fn taken(log: &OldLog, ingested: &Ingested) -> u64 {
    let ingest = ingested.batch.as_ref().and_then(|end| end.summary.ingest.as_ref());
    let mut sources = ingest.into_iter().flat_map(|ingest| &ingest.sources);
    sources.find(|source| source.path == log.name()).map_or(0, |source| source.records)
}

/// What a log has that is new.
fn found(survey: &Survey, taken: &str) -> String {
    match survey.standing {
        Standing::Shorter => return "shorter than what was taken of it before: nothing".to_owned(),
        Standing::Differs | Standing::Fits => {}
    }
    let plural = if survey.records == 1 { "" } else { "s" };
    let mut text = if survey.records == 0 {
        "nothing new".to_owned()
    } else {
        format!(
            "{} record{plural} {taken}, from line {} to {}",
            survey.records,
            survey.from.lines + 1,
            survey.last_line
        )
    };
    let left_out: u64 = survey.left_out.values().map(|seen| seen.count).sum();
    if left_out > 0 {
        let reasons = survey.left_out.iter().map(|(why, seen)| {
            format!("{} {} (first in line {})", seen.count, why.in_words(), seen.line)
        });
        let reasons: Vec<String> = reasons.collect();
        text = format!("{text}; left out: {}", reasons.join(", "));
    }
    text
}
