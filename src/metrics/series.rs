//! Metrics as plain numbers by series, so that two views of them can be compared.

use super::families as f;
use super::{Exposition, Totals};
use prometheus::proto::{Metric, MetricFamily, MetricType};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A metric's name and labels, as a query selects them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The name, with `_bucket`, `_sum` or `_count` for the parts of a histogram.
    pub name: String,
    /// By name. An empty value is the same as no label, and is left out.
    pub labels: BTreeMap<String, String>,
}

impl Series {
    /// From a name and its labels. The bounds of buckets are written in one way: `1e-06` is `0.000001`.
    pub fn new(name: &str, labels: impl IntoIterator<Item = (String, String)>) -> Self {
        let bound = |name: &str, value: String| match value.parse::<f64>() {
            Ok(number) if name == "le" && number.is_finite() => number.to_string(),
            _ => value,
        };
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| (name.clone(), bound(&name, value)));
        Self { name: name.to_owned(), labels: labels.collect() }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (at, (name, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if at == 0 { "{" } else { "," })?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// Values by series.
pub type Samples = BTreeMap<Series, f64>;

/// A series that is not the same in two views.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which one.
    pub series: Series,
    /// What it should be; `None` where it should not be there.
    pub expected: Option<f64>,
    /// What it is; `None` where it is not there.
    pub found: Option<f64>,
}

/// Families that are no fold over records: push attempts are kept by the state alone, the exit code is corrected
/// after a push, and the version is the program's.
const NO_FOLDS: [&str; 3] = [f::PUSHES.name, f::LAST_EXIT_CODE.name, f::BUILD_INFO.name];

/// Whether a family can be counted again from the audit.
pub fn is_fold(family: &str) -> bool {
    !NO_FOLDS.contains(&family)
}

/// All samples of some families.
pub fn samples(families: &[MetricFamily]) -> Samples {
    let mut samples = Samples::new();
    for family in families {
        for metric in family.get_metric() {
            collect(family, metric, &mut samples);
        }
    }
    samples
}

/// The samples that a fold over records gives.
pub fn folded_samples(totals: &Totals) -> Samples {
    let mut families = Exposition::new(totals).gather();
    families.retain(|family| is_fold(family.name()));
    samples(&families)
}

/// What differs. A series that is not there is the same as one with 0.
pub fn differences(expected: &Samples, found: &Samples) -> Vec<Difference> {
    let all: BTreeSet<&Series> = expected.keys().chain(found.keys()).collect();
    let both = all.into_iter().map(|series| Difference {
        series: series.clone(),
        expected: expected.get(series).copied(),
        found: found.get(series).copied(),
    });
    both.filter(|one| !same(one.expected.unwrap_or(0.0), one.found.unwrap_or(0.0))).collect()
}

/// Equal to the last bit, signs of zero aside: the same fold gives the same number.
pub fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
        || one.abs() + other.abs() == 0.0
        || one.is_nan() && other.is_nan()
}

fn collect(family: &MetricFamily, metric: &Metric, samples: &mut Samples) {
    let labels = || {
        let pairs = metric.get_label().iter();
        pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
    };
    let name = family.name();
    if family.get_field_type() != MetricType::HISTOGRAM {
        let value = match family.get_field_type() {
            MetricType::COUNTER => metric.get_counter().value(),
            _ => metric.get_gauge().value(),
        };
        samples.insert(Series::new(name, labels()), value);
        return;
    }
    let histogram = metric.get_histogram();
    let count = histogram.get_sample_count();
    let bounds = histogram.get_bucket().iter();
    let bounds = bounds.map(|one| (one.upper_bound().to_string(), one.cumulative_count()));
    for (bound, count) in bounds.chain([("+Inf".to_owned(), count)]) {
        let labels = labels().chain([("le".to_owned(), bound)]);
        samples.insert(Series::new(&format!("{name}_bucket"), labels), count as f64);
    }
    samples.insert(Series::new(&format!("{name}_count"), labels()), count as f64);
    samples.insert(Series::new(&format!("{name}_sum"), labels()), histogram.get_sample_sum());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{BatchSummary, Status};
    use crate::metrics::{Buckets, FAMILIES, Tally, tally::tests::record};
    use crate::record::Outcome;
    use crate::units::Timestamp;

    fn totals(outcomes: &[Outcome]) -> Totals {
        let mut tally = Tally::new(Buckets::default());
        for outcome in outcomes {
            tally.add(&record(*outcome, 2_000));
        }
        let mut totals = Totals::new(Buckets::default());
        totals.fold(&BatchSummary {
            batch_id: "20261123T020000Z-7f3a9c".parse().unwrap(),
            status: Status::Completed,
            started: Timestamp::from_micros(1_000_000),
            ended: Some(Timestamp::from_micros(2_000_000)),
            duration_seconds: Some(1.5),
            exit_code: Some(0),
            rounds_completed: 1,
            targets: BTreeMap::new(),
            search: None,
            ingest: None,
            tally,
        });
        totals
    }

    #[test]
    fn equal_totals_differ_in_nothing_and_one_more_is_seen_everywhere() {
        let (one, two) = (totals(&[Outcome::Success]), totals(&[Outcome::Success; 2]));
        assert_eq!(differences(&folded_samples(&one), &folded_samples(&one)), []);
        let differing = differences(&folded_samples(&one), &folded_samples(&two));
        let named = |name: &str| differing.iter().find(|one| one.series.name == name).unwrap();
        let attempts = named("exit_mutations_total");
        assert_eq!((attempts.expected, attempts.found), (Some(1.0), Some(2.0)));
        named("exit_mutation_duration_seconds_sum");
        let buckets = differing
            .iter()
            .filter(|one| one.series.name == "exit_mutation_duration_seconds_bucket");
        assert!(buckets.count() > 10);
    }

    #[test]
    fn a_series_is_written_as_it_is_queried_and_its_bounds_in_one_way() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let series =
            Series::new("a_bucket", [pair("le", "1e-06"), pair("b", "x\"y"), pair("c", "")]);
        assert_eq!(series.to_string(), r#"a_bucket{b="x\"y",le="0.000001"}"#);
        assert_eq!(Series::new("a", []).to_string(), "a");
        assert_eq!(Series::new("a", [pair("le", "+Inf")]).to_string(), r#"a{le="+Inf"}"#);
    }

    #[test]
    fn what_is_no_fold_is_named_as_the_families_are() {
        assert_eq!(FAMILIES.iter().filter(|family| !is_fold(family.name)).count(), NO_FOLDS.len());
        assert!(is_fold("exit_mutations_total"));
    }
}
