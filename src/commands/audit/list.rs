//! `audit list`: a row per batch, oldest first.

use super::look::{batches, bytes, state_of};
use crate::audit::{BatchFiles, Folder, Manifest, Order, look_at_open};
use crate::commands::failure::unread;
use crate::commands::{Configuration, Failure};
use crate::config::Secrets;
use crate::exit::Exit;
use crate::metrics::{Buckets, Tally};
use crate::state::State;
use crate::units::{BatchId, Shard, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

/// In which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// One JSON object for each batch; null where there is nothing to say
    #[arg(long)]
    pub json: bool,
}

/// A batch as it stands in the folder.
#[derive(Debug, Serialize)]
struct Row {
    batch_id: BatchId,
    /// `None` where no manifest says so.
    status: Option<&'static str>,
    started: Timestamp,
    duration_seconds: Option<f64>,
    records: u64,
    successes: u64,
    success_percentage: Option<f64>,
    /// Of all its files, as they are.
    bytes: u64,
    /// `open`, `plain`, `zst`, `missing`.
    form: &'static str,
    /// Whether its records are in the totals; `None` where there is no state.
    counted: Option<bool>,
    /// Which of the strategies were its; null where all were.
    shard: Option<Shard>,
    /// What is wrong with its manifest.
    problem: Option<String>,
}

/// Looks, takes no lock, and prints.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut all = BTreeMap::new();
    for config in source.load_all(Secrets::Unneeded)? {
        let state = Rc::new(state_of(&config)?);
        let folder = Folder::new(config.audit.dir);
        for (id, files) in folder.batches().map_err(|error| unread(&error))? {
            all.insert((id, folder.path().to_owned()), (files, Rc::clone(&state)));
        }
    }
    let mut sums = Sums::default();
    if !args.json && !all.is_empty() {
        writeln!(out, "{}", heading())?;
    }
    for ((id, folder), (files, state)) in all {
        let row = row(&Folder::new(folder), id, files, state.as_ref().as_ref());
        sums.add(&row);
        if args.json {
            let line = serde_json::to_string(&row);
            writeln!(out, "{}", line.map_err(|error| Failure::new(Exit::Internal, &error))?)?;
        } else {
            writeln!(out, "{}", in_columns(&row))?;
        }
    }
    if !args.json {
        writeln!(out, "{}", sums.in_words())?;
    }
    Ok(Exit::Done)
}

fn row(folder: &Folder, id: BatchId, files: BatchFiles, state: Option<&State>) -> Row {
    let read = Manifest::read(folder, &id);
    let (shard, summary, problem) = match read {
        Ok((manifest, _)) => (manifest.shard, Some(manifest.summary), None),
        Err(error) => (None, None, Some(error.to_string())),
    };
    let mut tally = summary.as_ref().map(|summary| summary.tally.clone());
    // The manifest of an open batch says only what was planned.
    if files.open {
        tally = Some(whole_lines(folder, &id));
    }
    let (records, successes) = tally.map_or((0, 0), |tally| (tally.attempts(), tally.successes()));
    let last = state.map(|state| state.last_batch.as_ref());
    Row {
        status: summary.as_ref().map(|summary| summary.status.as_str()),
        started: summary.as_ref().map_or(id.start(), |summary| summary.started),
        duration_seconds: summary.and_then(|summary| summary.duration_seconds),
        records,
        successes,
        success_percentage: (records > 0).then(|| successes as f64 / records as f64 * 100.0),
        bytes: folder.bytes(&id, files),
        form: match (files.open, files.plain, files.compressed) {
            (true, _, _) => "open",
            (_, true, _) => "plain",
            (_, _, true) => "zst",
            (false, false, false) => "missing",
        },
        counted: last.map(|last| !files.open && last.is_some_and(|last| id <= last.batch_id)),
        shard,
        problem,
        batch_id: id,
    }
}

/// What the next start would count of an open journal; what it would cut off is for `audit verify` to say.
fn whole_lines(folder: &Folder, id: &BatchId) -> Tally {
    match look_at_open(folder, id, &Buckets::default(), &Order::Any) {
        Ok((log, _)) => log.tally,
        Err(error) => {
            tracing::debug!(%error, "the open journal is not read");
            Tally::new(Buckets::default())
        }
    }
}

fn heading() -> String {
    format!(
        "{:<23}  {:<11}  {:<20}  {:>10}  {:>9}  {:>9}  {:>7}  {:>9}  {:<7}  counted",
        "batch", "status", "started", "duration", "records", "successes", "%", "size", "form"
    )
}

fn in_columns(row: &Row) -> String {
    let started = row.started.to_string();
    let started = format!("{}Z", &started[..started.find('.').unwrap_or(started.len())]);
    let duration = row.duration_seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"));
    let percent = row.success_percentage.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
    let counted = match row.counted {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    let shard = row.shard.map_or(String::new(), |shard| format!("  shard {shard}"));
    let problem = row.problem.as_ref().map_or(String::new(), |problem| format!("  {problem}"));
    format!(
        "{:<23}  {:<11}  {started:<20}  {duration:>10}  {:>9}  {:>9}  {percent:>7}  {:>9}  {:<7}  {counted}{shard}{problem}",
        row.batch_id.as_str(),
        row.status.unwrap_or("-"),
        row.records,
        row.successes,
        bytes(row.bytes),
        row.form,
    )
}

#[derive(Default)]
struct Sums {
    batches: u64,
    records: u64,
    bytes: u64,
    open: u64,
    uncounted: u64,
    problems: u64,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        self.batches += 1;
        self.records = self.records.saturating_add(row.records);
        self.bytes = self.bytes.saturating_add(row.bytes);
        self.open += u64::from(row.form == "open");
        self.uncounted += u64::from(row.form != "open" && row.counted == Some(false));
        self.problems += u64::from(row.problem.is_some() || row.form == "missing");
    }

    fn in_words(&self) -> String {
        let mut words =
            format!("{}, {} records, {}", batches(self.batches), self.records, bytes(self.bytes));
        for (count, what) in [
            (self.open, "open"),
            (self.uncounted, "not counted yet"),
            (self.problems, "with a problem: `mutation-agent audit verify` says more"),
        ] {
            if count > 0 {
                words.push_str("; ");
                words.push_str(&count.to_string());
                words.push(' ');
                words.push_str(what);
            }
        }
        words
    }
}
