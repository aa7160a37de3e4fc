//! The metrics of mutation-agent in a program that mutates by its own means.
//!
//! ```sh
//! cargo run --example embed
//! ```
//!
//! No configuration, no file, no gateway: the program counts in memory and decides for itself who
//! is shown the text. What a `mutation-agent run` has beside it, an audit log and totals that
//! survive the process, this has not: its counters begin at 0 with each start.

use mutation_agent::metrics::MetricsCollector;
use std::io::{self, Write};
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    let metrics = MetricsCollector::new();

    // It can be shared: threads need no more than a reference.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (1..=50).for_each(|number| mutate(&metrics, number)));
        }
    });
    // An attempt whose time nobody took is counted all the same, but not in the histogram.
    metrics.record_exit_mutation(false, None);

    let mut out = io::stdout().lock();
    let statistics = metrics.exit_mutation_statistics();
    writeln!(out, "attempts   {}", statistics.total)?;
    writeln!(out, "successes  {}", statistics.successes)?;
    // `None` where there is nothing to take a figure from: never 0, never NaN.
    if let (Some(percent), Some(p95)) =
        (statistics.success_percentage, statistics.duration_statistics.p95)
    {
        writeln!(out, "that is    {percent:.1} %, 95 of 100 within {:.1} µs", p95 * 1e6)?;
    }

    // For an answer to a scrape, a push, or a file for node_exporter.
    let text = metrics.export_prometheus();
    writeln!(out, "\n{text}")?;

    assert_eq!((statistics.total, statistics.successes), (101, 80));
    assert_eq!(statistics.total_duration_samples, 100);
    assert!(text.contains("exit_mutations_total 101\n"));
    assert!(text.contains("exit_mutation_duration_seconds_count 100\n"));
    Ok(())
}

/// One attempt of yours: propose a value, look whether it will do, say what became of it.
fn mutate(metrics: &MetricsCollector, number: u32) {
    let started = Instant::now();
    let proposed = 0.10 * (1.0 + f64::from(number % 5) * 0.04);
    let success = (0.01..0.115).contains(&proposed);
    let took = started.elapsed().max(Duration::from_nanos(1));
    metrics.record_exit_mutation(success, Some(took));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_does_what_it_says() {
        super::main().unwrap();
    }
}
