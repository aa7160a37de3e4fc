//! A comparison for people: the sentences first, then the figures.

use crate::commands::Failure;
use crate::comparison::{
    Comparison, Interval, Method, RankFigures, SetFigures, Spread, p_value, points,
};
use crate::units::{plain, seconds};
use std::io::Write;

/// How a number is shown.
type Show = fn(f64) -> String;

/// All of it.
pub(super) fn write(found: &Comparison, out: &mut dyn Write) -> Result<(), Failure> {
    for sentence in &found.sentences {
        writeln!(out, "{sentence}")?;
    }
    writeln!(out)?;
    write_sets(found, out)?;
    write_success(found, out)?;
    let (a, b) = (&found.a, &found.b);
    for (name, ranks, a, b, show) in [
        (
            "duration",
            &found.duration_seconds,
            &a.duration_seconds,
            &b.duration_seconds,
            seconds as Show,
        ),
        (
            "evaluation",
            &found.evaluation_seconds,
            &a.evaluation_seconds,
            &b.evaluation_seconds,
            seconds,
        ),
        ("fitness", &found.fitness, &a.fitness, &b.fitness, plain),
    ] {
        if let Some(ranks) = ranks {
            write_ranks(name, ranks, (a, b), show, out)?;
        }
    }
    if !found.caveats.is_empty() {
        writeln!(out)?;
    }
    for caveat in &found.caveats {
        writeln!(out, "note: {caveat}")?;
    }
    Ok(())
}

fn write_sets(found: &Comparison, out: &mut dyn Write) -> Result<(), Failure> {
    for (name, set) in [("A", &found.a), ("B", &found.b)] {
        let plural = if set.batches == 1 { "" } else { "es" };
        writeln!(
            out,
            "  {name}  {}: {} attempts in {} batch{plural}",
            set.selector, set.attempts, set.batches
        )?;
    }
    // As wide as what the rows below it have.
    writeln!(out, "\n  {:<22}{:>14}{:>14}{:>14}  {}", "", "A", "B", "B - A", interval_name(found))?;
    Ok(())
}

fn interval_name(found: &Comparison) -> String {
    format!("{} % interval", (found.confidence * 1e4).round() / 100.0)
}

fn write_success(found: &Comparison, out: &mut dyn Write) -> Result<(), Failure> {
    let rates = &found.success_rate;
    let share = |set: &SetFigures| format!("{:.1} %", set.success_rate * 100.0);
    row(
        "success rate",
        &share(&found.a),
        &share(&found.b),
        &points(rates.difference),
        Some(rates.interval),
        points,
        out,
    )?;
    let own = |set: &SetFigures| {
        let Interval(from, to) = set.success_rate_interval;
        format!("{:.1}..{:.1}", from * 100.0, to * 100.0)
    };
    row("  its interval", &own(&found.a), &own(&found.b), "", None, points, out)?;
    if let Some(interval) = rates.interval_over_batches {
        row("  over batches", "", "", "", Some(interval), points, out)?;
    }
    writeln!(
        out,
        "  {:<22}Cohen's h {:+.3}, {}",
        "  effect",
        rates.cohens_h,
        rates.effect.as_str()
    )?;
    Ok(())
}

fn write_ranks(
    name: &str,
    ranks: &RankFigures,
    (a, b): (&Spread, &Spread),
    show: Show,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), show);
    let (median, p95) = (format!("{name}, median"), "  95th percentile");
    row(
        &median,
        &shown(a.median),
        &shown(b.median),
        &show(ranks.median_difference),
        ranks.median_difference_interval,
        show,
        out,
    )?;
    row(
        p95,
        &shown(a.p95),
        &shown(b.p95),
        &show(ranks.p95_difference),
        ranks.p95_difference_interval,
        show,
        out,
    )?;
    let method = match ranks.method {
        Method::Exact => "exact",
        Method::Asymptotic => "asymptotic",
    };
    writeln!(
        out,
        "  {:<22}Cliff's delta {:+.3}, {}; Mann-Whitney {} ({method})",
        "  effect",
        ranks.cliffs_delta,
        ranks.effect.as_str(),
        p_value(ranks.p_value)
    )?;
    Ok(())
}

fn row(
    name: &str,
    a: &str,
    b: &str,
    difference: &str,
    interval: Option<Interval>,
    show: Show,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let interval =
        interval.map_or(String::new(), |one| format!("  {} to {}", show(one.0), show(one.1)));
    let line = format!("  {name:<22}{a:>14}{b:>14}{difference:>14}{interval}");
    writeln!(out, "{}", line.trim_end())?;
    Ok(())
}
