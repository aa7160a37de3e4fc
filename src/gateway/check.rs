//! What a Pushgateway takes and then suffers from, refused before it is sent.
//!
//! A metric name like `a-b` is taken in protobuf by 1.5.1 and breaks every scrape of that gateway; a histogram
//! that is not cumulative is taken by all and gives nonsense; a sample's label that the grouping key has too is
//! overwritten in silence.

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::grouping::{GroupingKey, is_label_name};
use super::text::is_metric_name;

/// Metrics that must not be pushed. They come from the program, never from a user's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionError {
    /// An empty PUT deletes the group's metrics.
    #[error("there are no metrics: a push without any would empty the group")]
    Empty,
    /// The metric's name would break scrapes.
    #[error("`{name}` is no metric name")]
    MetricName {
        /// The family's name.
        name: String,
    },
    /// Two families of one name.
    #[error("the metric `{name}` is there twice")]
    DuplicateFamily {
        /// The family's name.
        name: String,
    },
    /// A label's name is bad, double, or belongs to Prometheus or the group.
    #[error("the metric `{name}` must not have the label `{label}`: {why}")]
    Label {
        /// The family's name.
        name: String,
        /// The label's name.
        label: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two samples with the same labels.
    #[error("the metric `{name}` has two samples with the same labels")]
    DuplicateSeries {
        /// The family's name.
        name: String,
    },
    /// A Pushgateway refuses timestamps.
    #[error("the metric `{name}` has a timestamp, which no Pushgateway takes")]
    Timestamp {
        /// The family's name.
        name: String,
    },
    /// The text encoder has no word for it.
    #[error("the metric `{name}` has no type")]
    Untyped {
        /// The family's name.
        name: String,
    },
    /// Buckets that are no cumulative histogram.
    #[error("the histogram `{name}` is broken: {why}")]
    Histogram {
        /// The family's name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The encoder refused.
    #[error("the metrics cannot be encoded: {reason}")]
    Encoder {
        /// What it says.
        reason: String,
    },
}

/// Checks families that have samples, whatever the gateway.
pub(super) fn families(families: &[&MetricFamily]) -> Result<(), ExpositionError> {
    if families.is_empty() {
        return Err(ExpositionError::Empty);
    }
    let mut names: Vec<&str> = families.iter().map(|family| family.name()).collect();
    // Sorted rather than hashed, here and below: they come nearly sorted.
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ExpositionError::DuplicateFamily { name: twice[0].to_owned() });
    }
    for family in families {
        let name = family.name();
        if !is_metric_name(name) {
            return Err(ExpositionError::MetricName { name: name.to_owned() });
        }
        if family.get_field_type() == MetricType::UNTYPED {
            return Err(ExpositionError::Untyped { name: name.to_owned() });
        }
        samples(family)?;
    }
    Ok(())
}

/// Checks that no sample has a label that the group would overwrite.
pub(super) fn labels_beside(
    families: &[MetricFamily],
    grouping: &GroupingKey,
) -> Result<(), ExpositionError> {
    for family in families {
        for label in family.get_metric().iter().flat_map(Metric::get_label) {
            if grouping.names(label.name()) {
                return Err(label_error(family, label, "the grouping key has it and would win"));
            }
        }
    }
    Ok(())
}

fn samples(family: &MetricFamily) -> Result<(), ExpositionError> {
    let name = || family.name().to_owned();
    let mut series = Vec::with_capacity(family.get_metric().len());
    for metric in family.get_metric() {
        if metric.timestamp_ms() != 0 {
            return Err(ExpositionError::Timestamp { name: name() });
        }
        series.push(labels(family, metric)?);
        if family.get_field_type() == MetricType::HISTOGRAM {
            histogram(metric).map_err(|why| ExpositionError::Histogram { name: name(), why })?;
        }
    }
    series.sort_unstable();
    if series.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ExpositionError::DuplicateSeries { name: name() });
    }
    Ok(())
}

/// A sample's labels, by name.
fn labels<'a>(
    family: &MetricFamily,
    metric: &'a Metric,
) -> Result<Vec<(&'a str, &'a str)>, ExpositionError> {
    for label in metric.get_label() {
        if !is_label_name(label.name()) || label.name().starts_with("__") {
            return Err(label_error(family, label, "it is no label name"));
        }
        if matches!(label.name(), "job" | "le" | "quantile") {
            return Err(label_error(family, label, "it belongs to Prometheus"));
        }
    }
    let pairs = metric.get_label().iter().map(|label| (label.name(), label.value()));
    let mut labels: Vec<_> = pairs.collect();
    labels.sort_unstable();
    match labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(labels),
        Some(pair) => Err(ExpositionError::Label {
            name: family.name().to_owned(),
            label: pair[0].0.to_owned(),
            why: "it is there already",
        }),
    }
}

fn histogram(metric: &Metric) -> Result<(), &'static str> {
    let histogram = metric.get_histogram();
    let buckets = histogram.get_bucket();
    // The text encoder would write an explicit one as `le="inf"`; both formats make it from the count.
    if buckets.iter().any(|bucket| !bucket.upper_bound().is_finite()) {
        return Err("a bound is not finite (leave +Inf out)");
    }
    if buckets.windows(2).any(|pair| pair[0].upper_bound() >= pair[1].upper_bound()) {
        return Err("its bounds do not rise");
    }
    if buckets.windows(2).any(|pair| pair[0].cumulative_count() > pair[1].cumulative_count()) {
        return Err("its buckets are not cumulative");
    }
    if buckets.last().is_some_and(|last| last.cumulative_count() > histogram.get_sample_count()) {
        return Err("a bucket holds more than the count");
    }
    Ok(())
}

fn label_error(family: &MetricFamily, label: &LabelPair, why: &'static str) -> ExpositionError {
    ExpositionError::Label { name: family.name().to_owned(), label: label.name().to_owned(), why }
}
