//! What is encoded, and what is refused before it can hurt a gateway.

use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricType};
use protobuf::Message as _;

use super::*;

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::new();
    label.set_name(name.into());
    label.set_value(value.into());
    label
}

fn gauge(labels: &[(&str, &str)]) -> Metric {
    let mut metric =
        Metric::from_label(labels.iter().map(|(name, value)| label(name, value)).collect());
    metric.set_gauge(prometheus::proto::Gauge::default());
    metric
}

fn family(name: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::new();
    family.set_name(name.into());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn gauges(name: &str, metrics: Vec<Metric>) -> MetricFamily {
    family(name, MetricType::GAUGE, metrics)
}

fn histogram(buckets: &[(f64, u64)], count: u64) -> MetricFamily {
    let buckets = buckets.iter().map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(count);
    let mut metric = Metric::from_label(Vec::new());
    metric.set_histogram(histogram);
    family("h", MetricType::HISTOGRAM, vec![metric])
}

fn encode(families: &[MetricFamily], format: Format) -> Result<Vec<u8>, ExpositionError> {
    body_of(families, format).map(|body| body.bytes().to_vec())
}

fn refused(families: &[MetricFamily]) -> ExpositionError {
    let error = encode(families, Format::Text).unwrap_err();
    assert_eq!(encode(families, Format::Protobuf).unwrap_err(), error);
    error
}

#[test]
fn nan_survives_in_both_formats() {
    let text = String::from_utf8(encode(&families(), Format::Text).unwrap()).unwrap();
    assert!(text.contains("t_ratio NaN\n"), "{text}");
    assert!(text.contains(r#"t_total{outcome="success",parameter="stop_loss_pct"} 7"#), "{text}");
    let bytes = encode(&families(), Format::Protobuf).unwrap();
    let mut input = protobuf::CodedInputStream::from_bytes(&bytes);
    let first: MetricFamily = input.read_message().unwrap();
    assert!(first.get_metric()[0].get_gauge().value().is_nan());
    assert_eq!(first.name(), "t_ratio");
}

#[test]
fn a_protobuf_body_is_each_family_behind_its_length() {
    let bytes = encode(&families(), Format::Protobuf).unwrap();
    let expected: Vec<u8> =
        families().iter().flat_map(|f| f.write_length_delimited_to_bytes().unwrap()).collect();
    assert_eq!(bytes, expected);
}

#[test]
fn families_without_samples_are_left_out_and_nothing_at_all_is_refused() {
    let mut with_empty = families();
    with_empty.push(gauges("empty", Vec::new()));
    assert_eq!(encode(&with_empty, Format::Text), encode(&families(), Format::Text));
    assert_eq!(refused(&[]), ExpositionError::Empty);
    assert_eq!(refused(&[gauges("empty", Vec::new())]), ExpositionError::Empty);
}

#[test]
fn names_that_break_a_scrape_are_refused() {
    for name in ["", "a-b", "9a", "é", "a b"] {
        let error = refused(&[gauges(name, vec![gauge(&[])])]);
        assert_eq!(error, ExpositionError::MetricName { name: name.into() });
    }
    assert!(encode(&[gauges("a:b_c", vec![gauge(&[])])], Format::Text).is_ok());
    for name in ["", "a-b", "a:b", "__x", "job", "le", "quantile"] {
        let error = refused(&[gauges("g", vec![gauge(&[(name, "x")])])]);
        assert!(matches!(error, ExpositionError::Label { .. }), "{name}: {error}");
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    let one = || gauges("g", vec![gauge(&[("a", "1"), ("b", "2")])]);
    assert!(matches!(refused(&[one(), one()]), ExpositionError::DuplicateFamily { .. }));
    let turned = gauge(&[("b", "2"), ("a", "1")]);
    let series = gauges("g", vec![gauge(&[("a", "1"), ("b", "2")]), turned]);
    assert!(matches!(refused(&[series]), ExpositionError::DuplicateSeries { .. }));
    let label = gauges("g", vec![gauge(&[("a", "1"), ("a", "2")])]);
    assert!(matches!(refused(&[label]), ExpositionError::Label { .. }));
}

#[test]
fn timestamps_and_missing_types_are_refused() {
    let mut metric = gauge(&[]);
    metric.set_timestamp_ms(1);
    assert!(matches!(refused(&[gauges("g", vec![metric])]), ExpositionError::Timestamp { .. }));
    let untyped = family("g", MetricType::UNTYPED, vec![gauge(&[])]);
    assert!(matches!(refused(&[untyped]), ExpositionError::Untyped { .. }));
}

#[test]
fn a_histogram_is_cumulative_and_ends_at_its_count() {
    assert!(encode(&[histogram(&[(0.1, 1), (1.0, 1), (2.0, 3)], 4)], Format::Text).is_ok());
    for (buckets, count) in [
        (&[(0.1, 2), (1.0, 1)][..], 3),
        (&[(1.0, 1), (0.1, 2)], 3),
        (&[(1.0, 1), (1.0, 1)], 3),
        (&[(1.0, 4)], 3),
        (&[(f64::INFINITY, 3)], 3),
        (&[(f64::NAN, 3)], 3),
    ] {
        let error = refused(&[histogram(buckets, count)]);
        assert!(matches!(error, ExpositionError::Histogram { .. }), "{buckets:?}");
    }
}

#[test]
fn a_label_of_the_group_cannot_stand_in_a_sample() {
    let gateway = Gateway::new(settings("http://h")).unwrap();
    let families = [gauges("g", vec![gauge(&[("instance", "x")])])];
    let error = gateway.body(&families, &Moment::default()).unwrap_err();
    assert!(matches!(error, ExpositionError::Label { .. }));
}

#[test]
fn the_same_metrics_give_the_same_packed_bytes() {
    let settings = GatewaySettings { compression: Compression::Gzip, ..settings("http://h") };
    let gateway = Gateway::new(settings).unwrap();
    let pack = || gateway.body(&families(), &Moment::default()).unwrap();
    assert_eq!(pack(), pack());
}
