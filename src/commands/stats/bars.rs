//! Durations as a picture of text.

use super::table::human;
use crate::commands::Failure;
use crate::metrics::{Histogram, Tally};
use std::io::Write;

/// Characters of the longest bar.
const WIDEST: u64 = 40;
/// More rows are more than a look.
const MOST_ROWS: usize = 18;
/// Eighths of a character.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Of the mutations, and of the evaluations where there are any; nothing where there is nothing.
pub(super) fn write(tally: &Tally, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some((shortest, longest)) = tally.durations().extremes() {
        let bounds = bounds(shortest, longest);
        let counts = tally.durations().counts(&bounds);
        draw("durations of mutations, up to", bounds.into_iter().zip(counts), out)?;
    }
    let evaluations = tally.evaluation_histogram();
    if evaluations.count() > 0 {
        draw("durations of evaluations, up to", alone(evaluations).into_iter(), out)?;
    }
    Ok(())
}

/// Preferred numbers (ISO 3: R10, then R5), 1, 2, 5, or 1 and 10 alone: the finest that do not make too many rows.
const STEPS: [&[f64]; 4] = [
    &[1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0],
    &[1.0, 1.6, 2.5, 4.0, 6.3],
    &[1.0, 2.0, 5.0],
    &[1.0],
];

/// From the first bound that is not below `shortest` to the first that is not below `longest`.
fn bounds(shortest: f64, longest: f64) -> Vec<f64> {
    let rising = |steps: &'static [f64]| {
        let powers = (-9..=7).map(|power| 10_f64.powi(power));
        powers.flat_map(move |power| steps.iter().map(move |step| step * power))
    };
    let between = |steps: &'static [f64]| {
        let all: Vec<f64> = rising(steps).collect();
        let begin = all.partition_point(|bound| *bound < shortest);
        let end = all.partition_point(|bound| *bound < longest);
        all[begin.min(all.len() - 1)..=end.min(all.len() - 1)].to_vec()
    };
    let few = STEPS.into_iter().map(between).find(|bounds| bounds.len() <= MOST_ROWS);
    few.unwrap_or_default()
}

/// What is in each bucket alone, without the empty ones at both ends.
fn alone(histogram: &Histogram) -> Vec<(f64, u64)> {
    let mut before = 0;
    let mut rows = Vec::new();
    for (bound, cumulative) in histogram.cumulative() {
        rows.push((bound, cumulative - before));
        before = cumulative;
    }
    let end = rows.iter().rposition(|(_, count)| *count > 0).map_or(0, |last| last + 1);
    let begin = rows.iter().position(|(_, count)| *count > 0).unwrap_or(0);
    rows[begin..end].to_vec()
}

fn draw(
    title: &str,
    rows: impl Iterator<Item = (f64, u64)> + Clone,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let most = rows.clone().map(|(_, count)| count).max().unwrap_or(0).max(1);
    writeln!(out, "\n  {title}")?;
    for (bound, count) in rows {
        let bound = if bound.is_finite() { human(Some(bound)) } else { "longer".to_owned() };
        writeln!(out, "  {bound:>10}  {:<width$} {count}", bar(count, most), width = 40)?;
    }
    Ok(())
}

/// Of a length that is the share of `count` in `most`; what is there at all has some.
fn bar(count: u64, most: u64) -> String {
    let eighths = u128::from(count) * u128::from(WIDEST) * 8 / u128::from(most);
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(count > 0));
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Buckets;
    use crate::record::Millis;

    fn drawn(nanos: impl IntoIterator<Item = u64>) -> String {
        let mut tally = Tally::new(Buckets::default());
        nanos.into_iter().for_each(|one| tally.observe(true, Some(Millis::from_nanos(one))));
        let mut out = Vec::new();
        write(&tally, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_is_as_long_as_its_share_and_what_is_there_is_seen() {
        let nanos = [vec![9_000; 1_000], vec![15_000; 500], vec![40_000; 1]].concat();
        let bars = drawn(nanos);
        let rows: Vec<&str> = bars.lines().skip(2).map(str::trim).collect();
        let expected = [
            format!("10.00 µs  {} 1000", "█".repeat(40)),
            format!("16.00 µs  {:<40} 500", "█".repeat(20)),
            format!("40.00 µs  {:<40} 1", "▏"),
        ];
        let rows: Vec<&str> = rows.into_iter().filter(|row| !row.ends_with("  0")).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_duration_is_in_a_row_and_rows_are_few() {
        for nanos in [vec![0], vec![1], vec![10_000], vec![1, 1 << 51], vec![0, 3, 999_999_999_999]]
        {
            let bars = drawn(nanos.clone());
            let counts = bars.lines().skip(2).map(|row| row.rsplit(' ').next().unwrap());
            let counts: Vec<usize> = counts.map(|count| count.parse().unwrap()).collect();
            assert_eq!(counts.iter().sum::<usize>(), nanos.len(), "{bars}");
            assert!(counts.len() <= MOST_ROWS, "{bars}");
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(drawn([]), "");
    }
}
