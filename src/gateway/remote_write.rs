//! Prometheus remote write: samples with their times, for who has no Pushgateway.
//!
//! Version 1.0 of the protocol, which every receiver knows (<https://prometheus.io/docs/specs/prw/remote_write_spec/>);
//! 2.0 needs Prometheus 3. What a scrape of a Pushgateway would do is done here: the labels of the group are written
//! to each series, and a series that is no more gets the stale marker that a scrape would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use prost::Message;

use super::check::ExpositionError;
use super::grouping::GroupingKey;
use crate::units::Timestamp;

/// The header that names the protocol's version, and that version.
pub(super) const VERSION: (&str, &str) = ("X-Prometheus-Remote-Write-Version", "0.1.0");

/// `value.NormalNaN` of Prometheus: a value that is no number.
const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// `value.StaleNaN` of Prometheus: from here on there is no such series.
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Prometheus counts time in milliseconds.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// When what is pushed was so, for receivers that are told; a Pushgateway is not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment<'a> {
    /// To the millisecond. Later than every push to this receiver before.
    pub at: Timestamp,
    /// Nothing follows for long: one millisecond later each series ends.
    pub is_last: bool,
    /// What may have been written before, and ends now if it is not there any more.
    pub earlier: Option<&'a Written>,
}

impl Moment<'_> {
    /// The time of its newest sample.
    pub fn end(&self) -> Timestamp {
        if self.is_last { self.at.plus(TICK) } else { self.at }
    }
}

/// Series that were written, by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(BTreeSet<Vec<Label>>);

impl Written {
    /// Takes in what was written as well.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricMetadata {
    #[prost(enumeration = "Kind", tag = "1")]
    pub(super) kind: i32,
    #[prost(string, tag = "2")]
    pub(super) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(super) help: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    Summary = 5,
}

/// Families that were checked, as a packed request, and the series that are in it with a value.
pub(super) fn encode(
    families: &[&MetricFamily],
    grouping: &GroupingKey,
    moment: &Moment<'_>,
) -> Result<(Vec<u8>, Written), ExpositionError> {
    let values = values(families, grouping)?;
    let at = moment.at.micros().div_euclid(1000);
    let stale = |timestamp| Sample { value: f64::from_bits(STALE_NAN), timestamp };
    let gone = moment.earlier.into_iter().flat_map(|earlier| &earlier.0);
    let gone: Vec<TimeSeries> = gone
        .filter(|labels| !values.contains_key(*labels))
        .map(|labels| TimeSeries { labels: labels.clone(), samples: vec![stale(at)] })
        .collect();
    let written = Written(values.keys().cloned().collect());
    let mut timeseries: Vec<TimeSeries> = values
        .into_iter()
        .map(|(labels, value)| {
            let mut samples = vec![Sample { value, timestamp: at }];
            samples.extend(moment.is_last.then(|| stale(at + 1)));
            TimeSeries { labels, samples }
        })
        .collect();
    timeseries.extend(gone);
    let metadata = families.iter().map(|family| metadata(family)).collect();
    Ok((pack(&WriteRequest { timeseries, metadata })?, written))
}

/// A request that says nothing, which every receiver takes.
pub(super) fn nothing() -> Result<Vec<u8>, ExpositionError> {
    pack(&WriteRequest::default())
}

fn pack(request: &WriteRequest) -> Result<Vec<u8>, ExpositionError> {
    // The block format of snappy, not the one for streams.
    snap::raw::Encoder::new()
        .compress_vec(&request.encode_to_vec())
        .map_err(|error| ExpositionError::Encoder { reason: error.to_string() })
}

fn metadata(family: &MetricFamily) -> MetricMetadata {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::GAUGE => Kind::Gauge,
        MetricType::HISTOGRAM => Kind::Histogram,
        MetricType::SUMMARY => Kind::Summary,
        MetricType::UNTYPED => Kind::Unknown,
    };
    MetricMetadata {
        kind: kind.into(),
        metric_family_name: family.name().to_owned(),
        help: family.help().to_owned(),
    }
}

/// Each series by its labels, which are sorted, with its value.
fn values(
    families: &[&MetricFamily],
    grouping: &GroupingKey,
) -> Result<BTreeMap<Vec<Label>, f64>, ExpositionError> {
    let mut values = BTreeMap::new();
    for family in families {
        let name = family.name();
        for metric in family.get_metric() {
            for (suffix, bound, value) in samples(family.get_field_type(), metric) {
                let own = metric.get_label().iter().map(|label| (label.name(), label.value()));
                let bound = bound.as_ref().map(|(name, bound)| (*name, bound.as_str()));
                let full = format!("{name}{suffix}");
                let series = labels(&full, grouping, own.chain(bound));
                let value = if value.is_nan() { f64::from_bits(NORMAL_NAN) } else { value };
                if values.insert(series, value).is_some() {
                    return Err(ExpositionError::DuplicateSeries { name: name.to_owned() });
                }
            }
        }
    }
    Ok(values)
}

/// A label without value is none.
fn labels<'a>(
    name: &'a str,
    grouping: &'a GroupingKey,
    own: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<Label> {
    let group = grouping.labels().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut labels: Vec<Label> = [("__name__", name), ("job", grouping.job())]
        .into_iter()
        .chain(group)
        .chain(own)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() })
        .collect();
    labels.sort_unstable();
    labels
}

/// What is added to the family's name, a label of the sample's own, and its value.
type Part = (&'static str, Option<(&'static str, String)>, f64);

fn samples(kind: MetricType, metric: &Metric) -> Vec<Part> {
    match kind {
        MetricType::COUNTER => vec![("", None, metric.get_counter().value())],
        MetricType::GAUGE | MetricType::UNTYPED => vec![("", None, metric.get_gauge().value())],
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let count = histogram.get_sample_count() as f64;
            let bucket = |bound: f64, count| ("_bucket", Some(("le", go_float(bound))), count);
            let buckets = histogram.get_bucket().iter();
            buckets
                .map(|one| bucket(one.upper_bound(), one.cumulative_count() as f64))
                .chain([
                    bucket(f64::INFINITY, count),
                    ("_sum", None, histogram.get_sample_sum()),
                    ("_count", None, count),
                ])
                .collect()
        }
        MetricType::SUMMARY => {
            let summary = metric.get_summary();
            let quantiles = summary.get_quantile().iter();
            quantiles
                .map(|one| ("", Some(("quantile", go_float(one.quantile()))), one.value()))
                .chain([
                    ("_sum", None, summary.sample_sum()),
                    ("_count", None, summary.sample_count() as f64),
                ])
                .collect()
        }
    }
}

/// A bound as a Pushgateway and Prometheus write it, which is Go's `strconv.FormatFloat(value, 'g', -1, 64)`: `0.005`,
/// `1e-05`, `1e+06`. Another text would be another series.
fn go_float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e').map(|(digits, power)| (digits, power.parse::<i32>())) {
        Some((digits, Ok(power))) if !(-4..6).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
        // A value that is no number has no power either.
        _ => format!("{value}"),
    }
}
