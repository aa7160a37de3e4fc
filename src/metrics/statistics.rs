//! The figures of `stats`, under the names that the Python system gave them.

use super::{Extremes, OutcomeCounts, Tally};
use crate::record::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// Figures over a set of attempts; durations in seconds, `None` (JSON `null`) where there is nothing to take them from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Attempts.
    pub total: u64,
    /// Attempts that gave a candidate.
    pub successes: u64,
    /// Attempts that did not.
    pub failures: u64,
    /// `successes / total`, 0..=1.
    pub success_rate: Option<f64>,
    /// The same, 0..=100.
    pub success_percentage: Option<f64>,
    /// Mean over all durations.
    pub avg_duration_seconds: Option<f64>,
    /// Mean over the last ten.
    pub recent_avg_duration_seconds: Option<f64>,
    /// Spread of the durations.
    pub duration_statistics: DurationStatistics,
    /// How many attempts had a duration.
    pub total_duration_samples: u64,
    /// Attempts by outcome, for the outcomes that there were; empty where outcomes are not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Values that were brought back into their bounds; `None` where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamped: Option<u64>,
    /// What evaluations came to, where there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<EvaluationStatistics>,
    /// By variant, where there are any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, VariantStatistics>,
}

/// Figures over evaluations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluationStatistics {
    /// How many.
    pub total: u64,
    /// Mean, in seconds.
    pub avg_duration_seconds: f64,
    /// The least and the greatest fitness, over all strategies; `None` where no evaluation gave any.
    pub fitness: Option<Extremes>,
}

/// Figures over one variant's attempts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantStatistics {
    /// Attempts.
    pub total: u64,
    /// Attempts that gave a candidate.
    pub successes: u64,
    /// Attempts that did not.
    pub failures: u64,
    /// `successes / total`, 0..=1.
    pub success_rate: f64,
}

/// Seconds; `min` and `max` are exact, percentiles over all samples right to three digits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DurationStatistics {
    /// Shortest.
    pub min: Option<f64>,
    /// Longest.
    pub max: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl VariantStatistics {
    fn of(counts: &OutcomeCounts) -> Self {
        let (total, successes) = (counts.total(), counts.get(Outcome::Success));
        let failures = total.saturating_sub(successes);
        Self { total, successes, failures, success_rate: successes as f64 / total as f64 }
    }
}

impl EvaluationStatistics {
    fn of(tally: &Tally) -> Option<Self> {
        let evaluations = tally.evaluation_histogram();
        let total = evaluations.count();
        let fitness = tally.best_fitness().values().copied().reduce(Extremes::with);
        (total > 0).then(|| {
            let avg_duration_seconds = evaluations.sum_seconds() / total as f64;
            Self { total, avg_duration_seconds, fitness }
        })
    }
}

impl Statistics {
    /// The figures of a tally.
    pub fn of(tally: &Tally) -> Self {
        let rate = (tally.attempts() > 0).then(|| tally.success_rate());
        let durations = tally.durations();
        let samples = durations.count();
        let extremes = durations.extremes();
        Self {
            total: tally.attempts(),
            successes: tally.successes(),
            failures: tally.attempts().saturating_sub(tally.successes()),
            success_rate: rate,
            success_percentage: rate.map(|rate| rate * 100.0),
            avg_duration_seconds: durations.average(),
            recent_avg_duration_seconds: durations.recent_average(),
            duration_statistics: DurationStatistics {
                min: extremes.map(|(min, _)| min),
                max: extremes.map(|(_, max)| max),
                p50: durations.quantile(0.50),
                p95: durations.quantile(0.95),
                p99: durations.quantile(0.99),
            },
            total_duration_samples: samples,
            outcomes: tally.outcomes().into(),
            clamped: Some(tally.clamped()).filter(|clamped| *clamped > 0),
            evaluations: EvaluationStatistics::of(tally),
            variants: tally
                .variants()
                .into_iter()
                .map(|(name, counts)| (name.to_owned(), VariantStatistics::of(&counts)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Buckets;
    use crate::record::Millis;

    #[test]
    fn field_names_are_the_given_ones() {
        let mut tally = Tally::new(Buckets::default());
        tally.observe(true, Some(Millis::from_nanos(2_000_000)));
        tally.observe(false, None);
        let value = serde_json::to_value(Statistics::of(&tally)).unwrap();
        let expected = serde_json::json!({
            "total": 2, "successes": 1, "failures": 1,
            "success_rate": 0.5, "success_percentage": 50.0,
            "avg_duration_seconds": 0.002, "recent_avg_duration_seconds": 0.002,
            "duration_statistics": {"min": 0.002, "max": 0.002, "p50": 0.002, "p95": 0.002, "p99": 0.002},
            "total_duration_samples": 1,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn nothing_attempted_is_null_and_not_zero() {
        let statistics = Statistics::of(&Tally::new(Buckets::default()));
        assert_eq!((statistics.total, statistics.success_rate), (0, None));
        assert_eq!(statistics.avg_duration_seconds, None);
    }
}
