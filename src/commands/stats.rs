//! `stats`: figures over audit files, read back.

use super::Failure;
use crate::audit::{Folder, ReadError, Tail, read_records};
use crate::config::{Config, Environment, Secrets};
use crate::exit::Exit;
use crate::metrics::{Buckets, Statistics, Tally};
use crate::record::Outcome;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Over which files, in which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Audit files: open, sealed or compressed; without any, all in the audit folder of the configuration
    pub files: Vec<PathBuf>,
    /// One JSON object with the given field names; null where there is nothing to say
    #[arg(long)]
    pub json: bool,
}

/// Reads the files in the order given and prints the figures.
pub fn run(path: &Path, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let files = if args.files.is_empty() { audit_files(path)? } else { args.files.clone() };
    let mut tally = Tally::new(Buckets::default());
    for file in &files {
        let tail = read_records(&meant(file), |record, _| tally.add(record)).map_err(|error| {
            let exit = match &error {
                ReadError::Disk(error) if error.is_permission() => Exit::Permission,
                ReadError::Disk(_) => Exit::Io,
                ReadError::Line { .. } | ReadError::TooLong { .. } => Exit::NoStrategy,
            };
            Failure::new(exit, &error)
        })?;
        if let Tail::Torn { bytes } = tail {
            tracing::warn!(file = %file.display(), bytes, "ends in an unfinished line, left out");
        }
    }
    if args.json {
        let statistics = serde_json::to_string(&Statistics::of(&tally))
            .map_err(|error| Failure::new(Exit::Internal, &error))?;
        writeln!(out, "{statistics}")?;
    } else {
        let plural = if files.len() == 1 { "" } else { "s" };
        writeln!(out, "{} audit file{plural}", files.len())?;
        write_table(&tally, out)?;
    }
    Ok(Exit::Done)
}

/// Where a link leads, such as our own `latest.jsonl`: files of ours are never reached through links,
/// but whoever names one here means what it leads to.
fn meant(file: &Path) -> PathBuf {
    let target = if file.is_symlink() { file.canonicalize().ok() } else { None };
    target.unwrap_or_else(|| file.to_owned())
}

fn audit_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let config = Config::load(path, &Environment::read(), Secrets::Unneeded)?;
    let folder = Folder::new(config.audit.dir);
    let batches = folder.batches().map_err(|error| Failure::new(Exit::Io, &error))?;
    let files = batches.iter().filter_map(|(id, files)| {
        // While a log is compressed it is there twice for a moment; the plain one goes last.
        match (files.plain, files.compressed, files.open) {
            (true, _, _) => Some(folder.sealed(id)),
            (_, true, _) => Some(folder.compressed(id)),
            (_, _, true) => Some(folder.open_journal(id)),
            (false, false, false) => None,
        }
    });
    Ok(files.collect())
}

/// The figures for people.
pub(super) fn write_table(tally: &Tally, out: &mut dyn Write) -> Result<(), Failure> {
    let statistics = Statistics::of(tally);
    let percent =
        statistics.success_percentage.map_or("-".to_owned(), |rate| format!("{rate:.1} %"));
    let spread = &statistics.duration_statistics;
    writeln!(out, "  mutations        {:>12}", statistics.total)?;
    writeln!(out, "  successes        {:>12}   {percent}", statistics.successes)?;
    writeln!(out, "  failures         {:>12}", statistics.failures)?;
    for (name, seconds) in [
        ("mean duration", statistics.avg_duration_seconds),
        ("  of the last 10", statistics.recent_avg_duration_seconds),
        ("  shortest", spread.min),
        ("  median", spread.p50),
        ("  95th percentile", spread.p95),
        ("  99th percentile", spread.p99),
        ("  longest", spread.max),
    ] {
        writeln!(out, "  {name:<17}{:>12}", human(seconds))?;
    }
    if tally.parameters().is_empty() {
        return Ok(());
    }
    let widest =
        tally.parameters().keys().map(|name| name.chars().count()).max().unwrap_or(0).max(9);
    writeln!(out)?;
    writeln!(
        out,
        "  {:<widest$}  {:<15} {:>10} {:>10} {:>10} {:>8}",
        "parameter", "operator", "attempts", "successes", "no change", "clamped"
    )?;
    for (name, parameter) in tally.parameters() {
        let clamped = parameter.clamped as f64 / parameter.attempts() as f64 * 100.0;
        for (operator, counts) in parameter.operators() {
            writeln!(
                out,
                "  {name:<widest$}  {:<15} {:>10} {:>10} {:>10} {:>6.1} %",
                operator.as_str(),
                counts.total(),
                counts.get(Outcome::Success),
                counts.get(Outcome::NoChange),
                clamped,
            )?;
        }
    }
    Ok(())
}

fn human(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        Some(seconds) if seconds < 1e-3 => format!("{:.2} µs", seconds * 1e6),
        Some(seconds) if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}
