//! The same metrics for programs that embed this crate and mutate by their own means.

use super::{BatchSummary, Buckets, Exposition, Statistics, Tally, Totals, encode_text};
use crate::record::Millis;
use crate::units::{BatchId, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counts mutations and shows them; can be shared between threads.
///
/// ```
/// use mutation_agent::metrics::MetricsCollector;
/// use std::time::Duration;
///
/// let metrics = MetricsCollector::new();
/// metrics.record_exit_mutation(true, Some(Duration::from_micros(250)));
/// metrics.record_exit_mutation(false, None);
/// let statistics = metrics.exit_mutation_statistics();
/// assert_eq!((statistics.total, statistics.success_percentage), (2, Some(50.0)));
/// assert!(metrics.export_prometheus().contains("exit_mutations_total 2\n"));
/// ```
#[derive(Debug)]
pub struct MetricsCollector {
    tally: Mutex<Tally>,
}

impl Default for MetricsCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl MetricsCollector {
    /// Nothing recorded yet; the default buckets, 1 µs to 10 s.
    pub fn new() -> Self {
        Self::with_buckets(Buckets::default())
    }

    /// Nothing recorded yet; other buckets for the durations.
    pub fn with_buckets(buckets: Buckets) -> Self {
        Self { tally: Mutex::new(Tally::new(buckets)) }
    }

    /// Records one attempt; `duration` (exact up to 26 days) is left out of the histogram where it is not known.
    pub fn record_exit_mutation(&self, success: bool, duration: Option<Duration>) {
        self.with(|tally| tally.observe(success, duration.map(Millis::from)));
    }

    /// The figures over all attempts so far.
    pub fn exit_mutation_statistics(&self) -> Statistics {
        self.with(|tally| Statistics::of(tally))
    }

    /// The metrics in the text exposition format, as a scrape or a push takes them.
    pub fn export_prometheus(&self) -> String {
        let tally = self.with(|tally| tally.clone());
        let mut totals = Totals::new(tally.duration_histogram().buckets().clone());
        let id = BatchId::next(Timestamp::from_micros(0), 0, None);
        totals.fold(&BatchSummary::new(id, tally));
        let mut families = Exposition::new(&totals).gather();
        // An embedding program has mutations, and no batches or audit of ours.
        families.retain(|family| family.name().starts_with("exit_mutation"));
        // Gathered families can be encoded, and text is UTF-8.
        let text = encode_text(&families).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A panic elsewhere leaves a tally that is whole: every change to it is an addition.
    fn with<R>(&self, use_it: impl FnOnce(&mut Tally) -> R) -> R {
        use_it(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_speaks_of_mutations_only() {
        let metrics = MetricsCollector::new();
        metrics.record_exit_mutation(true, Some(Duration::from_millis(3)));
        let text = metrics.export_prometheus();
        assert!(text.contains("exit_mutation_success_rate 1\n"), "{text}");
        assert!(!text.contains("mutation_batch"), "{text}");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn threads_lose_no_attempt() {
        let metrics = MetricsCollector::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| metrics.record_exit_mutation(true, None)));
            }
        });
        assert_eq!(metrics.exit_mutation_statistics().total, 4000);
    }
}
