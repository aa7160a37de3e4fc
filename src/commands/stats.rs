//! `stats`: figures over audit files, read back.

use super::Failure;
use super::selection::{Selection, read};
use crate::exit::Exit;
use crate::metrics::{Buckets, Statistics, Tally};
use crate::record::Outcome;
use std::io::Write;
use std::path::Path;

/// Over which records, in which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// One JSON object with the given field names; null where there is nothing to say
    #[arg(long)]
    pub json: bool,
}

/// Reads the logs one after the other and prints the figures.
pub fn run(path: &Path, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut tally = Tally::new(Buckets::default());
    let period = args.selection.period();
    let mut files = 0;
    for log in args.selection.logs(path)?.iter() {
        files += usize::from(read(log, |record| {
            if period.contains(record.timestamp) {
                tally.add(record);
            }
        })?);
    }
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
