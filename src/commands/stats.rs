//! `stats`: figures over audit files, read back.

use super::Failure;
use crate::audit::{Folder, ReadError, Tail, read_records};
use crate::config::{Config, Environment, Secrets};
use crate::exit::Exit;
use crate::metrics::{Buckets, Statistics, Tally};
use crate::record::Outcome;
use crate::units::BatchId;
use std::io::{self, Write};
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
    let mut tally = Tally::new(Buckets::default());
    let files = if args.files.is_empty() {
        add_all(path, &mut tally)?
    } else {
        for file in &args.files {
            add(&meant(file), &mut tally).map_err(|error| failure(&error))?;
        }
        args.files.len()
    };
    if args.json {
        let statistics = serde_json::to_string(&Statistics::of(&tally))
            .map_err(|error| Failure::new(Exit::Internal, &error))?;
        writeln!(out, "{statistics}")?;
    } else {
        let plural = if files == 1 { "" } else { "s" };
        writeln!(out, "{files} audit file{plural}")?;
        write_table(&tally, out)?;
    }
    Ok(Exit::Done)
}

fn failure(error: &ReadError) -> Failure {
    let exit = match error {
        ReadError::Disk(error) if error.is_permission() => Exit::Permission,
        ReadError::Disk(_) => Exit::Io,
        ReadError::Line { .. } | ReadError::TooLong { .. } => Exit::NoStrategy,
    };
    Failure::new(exit, error)
}

fn add(file: &Path, tally: &mut Tally) -> Result<(), ReadError> {
    if let Tail::Torn { bytes } = read_records(file, |record, _| tally.add(record))? {
        tracing::warn!(file = %file.display(), bytes, "ends in an unfinished line, left out");
    }
    Ok(())
}

/// Where a link leads, such as our own `latest.jsonl`: files of ours are never reached through links,
/// but whoever names one here means what it leads to.
fn meant(file: &Path) -> PathBuf {
    let target = if file.is_symlink() { file.canonicalize().ok() } else { None };
    target.unwrap_or_else(|| file.to_owned())
}

/// Adds the logs of the audit folder, and gives how many there are.
fn add_all(path: &Path, tally: &mut Tally) -> Result<usize, Failure> {
    let config = Config::load(path, &Environment::read(), Secrets::Unneeded)?;
    let folder = Folder::new(config.audit.dir);
    let batches = folder.batches().map_err(|error| Failure::new(Exit::Io, &error))?;
    let mut read = 0;
    for (id, files) in batches {
        if files.open || files.is_sealed() {
            read += usize::from(add_one(&folder, &id, tally).map_err(|error| failure(&error))?);
        }
    }
    Ok(read)
}

/// Adds a batch's log, whose name changes when it is sealed and when it is packed; false where it is
/// pruned by now.
fn add_one(folder: &Folder, id: &BatchId, tally: &mut Tally) -> Result<bool, ReadError> {
    // In the order of its life: what is not there under one name is there under the next.
    // While it is packed it is there twice for a moment, and only one is read.
    for file in [folder.open_journal(id), folder.sealed(id), folder.compressed(id)] {
        match add(&file, tally) {
            Err(ReadError::Disk(error)) if error.source.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(|()| true),
        }
    }
    tracing::warn!(batch = %id, "was pruned meanwhile, left out");
    Ok(false)
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
    write_parameters(tally, out)?;
    write_variants(&statistics, out)
}

fn write_parameters(tally: &Tally, out: &mut dyn Write) -> Result<(), Failure> {
    if tally.parameters().is_empty() {
        return Ok(());
    }
    let widest = widest(tally.parameters().keys());
    writeln!(out)?;
    writeln!(
        out,
        "  {:<widest$}  {:<15} {:>10} {:>10} {:>10} {:>8}",
        "parameter", "operator", "attempts", "successes", "no change", "clamped"
    )?;
    for (name, parameter) in tally.parameters() {
        let clamped = parameter.clamped as f64 / parameter.draws() as f64 * 100.0;
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

/// Nothing where there are none.
fn write_variants(statistics: &Statistics, out: &mut dyn Write) -> Result<(), Failure> {
    if statistics.variants.is_empty() {
        return Ok(());
    }
    let widest = widest(statistics.variants.keys());
    writeln!(out)?;
    writeln!(
        out,
        "  {:<widest$}  {:<15} {:>10} {:>10} {:>10}",
        "variant", "", "attempts", "successes", "failures"
    )?;
    for (name, one) in &statistics.variants {
        writeln!(
            out,
            "  {name:<widest$}  {:<15} {:>10} {:>10} {:>10}   {:.1} %",
            "",
            one.total,
            one.successes,
            one.failures,
            one.success_rate * 100.0,
        )?;
    }
    Ok(())
}

/// Characters of the longest name, or of the heading.
fn widest<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).max("parameter".len())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk;
    use crate::record::tests::sample;
    use std::borrow::Cow;

    #[test]
    fn a_log_that_is_sealed_or_packed_while_it_is_looked_for_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let id: BatchId = "20261123T020000Z-7f3a9c".parse().unwrap();
        let line = serde_json::to_string(&sample(Cow::Borrowed(&id))).unwrap() + "\n";
        let packed = zstd::encode_all(line.as_bytes(), 3).unwrap();
        let mut tally = Tally::new(Buckets::default());
        for (file, content) in [
            (folder.compressed(&id), packed.as_slice()),
            (folder.sealed(&id), line.as_bytes()),
            (folder.open_journal(&id), line.as_bytes()),
        ] {
            assert!(!add_one(&folder, &id, &mut tally).unwrap(), "nothing is there yet");
            disk::replace(&file, content, disk::Mode::Private).unwrap();
            assert!(add_one(&folder, &id, &mut tally).unwrap(), "{}", file.display());
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(tally.attempts(), 3);
    }
}
