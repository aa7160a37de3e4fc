//! The figures for people.

use crate::commands::Failure;
use crate::metrics::{Dimension, Group, Key, Statistics, Tally};
use crate::record::Outcome;
use crate::units::{printable, seconds};
use std::io::Write;
use unicode_width::UnicodeWidthStr as _;

/// The figures for people.
pub(in crate::commands) fn write_table(tally: &Tally, out: &mut dyn Write) -> Result<(), Failure> {
    let statistics = Statistics::of(tally);
    let percent =
        statistics.success_percentage.map_or("-".to_owned(), |rate| format!("{rate:.1} %"));
    let spread = &statistics.duration_statistics;
    writeln!(out, "  mutations        {:>12}", statistics.total)?;
    writeln!(out, "  successes        {:>12}   {percent}", statistics.successes)?;
    writeln!(out, "  failures         {:>12}", statistics.failures)?;
    for (outcome, count) in statistics.outcomes.iter().filter(|(one, _)| !one.is_success()) {
        // Some names are longer than the column, and leave what they take to the number.
        let name = outcome.as_str();
        writeln!(out, "    {name} {count:>rest$}", rest = 26_usize.saturating_sub(name.len()))?;
    }
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
        "  {}  {:<15} {:>10} {:>10} {:>10} {:>8}",
        padded("parameter", widest),
        "operator",
        "attempts",
        "successes",
        "failures",
        "clamped"
    )?;
    for (name, parameter) in tally.parameters() {
        let name = printable(name);
        let clamped = parameter.clamped as f64 / parameter.draws() as f64 * 100.0;
        for (operator, counts) in parameter.operators() {
            writeln!(
                out,
                "  {}  {:<15} {:>10} {:>10} {:>10} {:>6.1} %",
                padded(&name, widest),
                operator.as_str(),
                counts.total(),
                counts.get(Outcome::Success),
                counts.total() - counts.get(Outcome::Success),
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
        "  {}  {:<15} {:>10} {:>10} {:>10} {:>8}",
        padded("variant", widest),
        "",
        "attempts",
        "successes",
        "failures",
        "rate"
    )?;
    for (name, one) in &statistics.variants {
        let name = printable(name);
        writeln!(
            out,
            "  {}  {:<15} {:>10} {:>10} {:>10} {:>6.1} %",
            padded(&name, widest),
            "",
            one.total,
            one.successes,
            one.failures,
            one.success_rate * 100.0,
        )?;
    }
    Ok(())
}

/// A row for each group.
pub(super) fn write_groups(
    by: &[Dimension],
    groups: &[Group],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let names: Vec<String> = by.iter().map(|one| one.as_str().to_owned()).collect();
    let rows: Vec<Vec<String>> =
        groups.iter().map(|group| group.keys.iter().map(in_words).collect()).collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|row| &row[at]).chain([&names[at]]);
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let keys = |cells: &[String]| {
        let padded =
            cells.iter().zip(&widths).map(|(cell, width)| format!("  {}", padded(cell, *width)));
        padded.collect::<String>()
    };
    writeln!(out)?;
    writeln!(
        out,
        "{} {:>10} {:>10} {:>8} {:>10} {:>10} {:>10} {:>10}",
        keys(&names),
        "attempts",
        "successes",
        "rate",
        "mean",
        "median",
        "95 %",
        "longest"
    )?;
    for (row, group) in rows.iter().zip(groups) {
        let figures = Statistics::of(&group.tally);
        let percent =
            figures.success_percentage.map_or(String::new(), |rate| format!("{rate:.1} %"));
        let spread = &figures.duration_statistics;
        writeln!(
            out,
            "{} {:>10} {:>10} {percent:>8} {:>10} {:>10} {:>10} {:>10}",
            keys(row),
            figures.total,
            figures.successes,
            human(figures.avg_duration_seconds),
            human(spread.p50),
            human(spread.p95),
            human(spread.max),
        )?;
    }
    Ok(())
}

/// A key as people read it.
fn in_words(key: &Key) -> String {
    match key {
        Key::None => "-".to_owned(),
        Key::Number(number) => number.to_string(),
        Key::Text(text) => printable(text),
    }
}

/// With blanks up to so many columns of a terminal, of which CJK characters take two.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{:1$}", "", width.saturating_sub(text.width()))
}

/// Columns of the longest name, or of the heading.
fn widest<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.map(|name| name.width()).max().unwrap_or(0).max("parameter".len())
}

pub(super) fn human(duration: Option<f64>) -> String {
    duration.map_or("-".to_owned(), seconds)
}
