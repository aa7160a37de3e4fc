//! What is known of many attempts: pure folds over records, and how Prometheus is shown them.
//!
//! In reading order: a [`Histogram`] and [`Durations`] hold times in constant memory (`quantiles.rs`); a [`Tally`]
//! is the fold over records, the only one there is; [`Totals`] are tallies of batches and what
//! became of the batches, and [`Recent`] ones say what is usual; [`Statistics`] and [`Exposition`] are two views of them; a [`Breakdown`] is tallies by what attempts have in common. The names of
//! all metrics stand in `families.rs`; [`Samples`] are for comparing two views. [`MetricsCollector`] is the same for programs that embed us.

mod baseline;
mod breakdown;
mod collector;
mod durations;
mod exposition;
mod families;
mod histogram;
mod ingested;
mod quantiles;
mod series;
mod statistics;
mod tally;
mod totals;

pub use baseline::{Baseline, BatchFigures, Range, Recent};
pub use breakdown::{Breakdown, Dimension, Group, Key, TooManyGroups};
pub use collector::MetricsCollector;
pub use durations::Durations;
pub use exposition::{BuildInfo, Exposition, OutcomeSeries, encode_text};
pub use families::{FAMILIES, Family, FamilyKind, LABELS};
pub use histogram::{Buckets, BucketsError, Histogram};
pub use ingested::{Ingest, IngestedLog, KnownLog, KnownLogs, Position};
pub use series::{
    Difference, Samples, Series, differences, folded_samples, is_fold, same, samples,
};
pub use statistics::{DurationStatistics, EvaluationStatistics, Statistics, VariantStatistics};
pub use tally::{Extremes, OutcomeCounts, ParameterTally, Tally};
pub use totals::{BatchSummary, PushResult, SearchSummary, Status, StrategySearch, Totals};
