//! Remote write: what stands in a request, and what a receiver's answers mean.

use super::remote_write::{Kind, Label, Sample, TimeSeries, WriteRequest};
use super::*;
use prometheus::{Histogram, HistogramOpts};
use proptest::prelude::*;
use prost::Message as _;

const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

const AT: i64 = 1_764_300_000_123;

fn remote(url: &str) -> GatewaySettings {
    GatewaySettings { format: Format::RemoteWrite, ..settings(url) }
}

fn moment() -> Moment<'static> {
    Moment { at: Timestamp::from_micros(AT * 1000 + 999), ..Moment::default() }
}

fn body_with(families: &[MetricFamily], moment: &Moment<'_>) -> Body {
    Gateway::new(remote("http://h/api/v1/write")).unwrap().body(families, moment).unwrap()
}

fn decoded(bytes: &[u8]) -> WriteRequest {
    let plain = snap::raw::Decoder::new().decompress_vec(bytes).unwrap();
    WriteRequest::decode(&*plain).unwrap()
}

/// A series as a person writes it, and its samples as value and time; the two marks that are no numbers by name.
fn shown(series: &TimeSeries) -> String {
    let label = |Label { name, value }: &Label| format!("{name}={value:?}");
    let labels: Vec<String> = series.labels.iter().map(label).collect();
    let sample = |Sample { value, timestamp }: &Sample| match value.to_bits() {
        NORMAL_NAN => format!("NaN@{}", timestamp - AT),
        STALE_NAN => format!("stale@{}", timestamp - AT),
        _ => format!("{value}@{}", timestamp - AT),
    };
    let samples: Vec<String> = series.samples.iter().map(sample).collect();
    format!("{{{}}} {}", labels.join(","), samples.join(" "))
}

fn series(body: &Body) -> Vec<String> {
    decoded(body.bytes()).timeseries.iter().map(shown).collect()
}

/// With a histogram and a label without value.
fn more_families() -> Vec<MetricFamily> {
    let registry = Registry::new();
    let options = HistogramOpts::new("t_seconds", "Times.").buckets(vec![0.00001, 0.005, 1.0, 2e6]);
    let histogram = Histogram::with_opts(options).unwrap();
    histogram.observe(0.5);
    histogram.observe(3e6);
    let counter = IntCounterVec::new(Opts::new("u_total", "Things."), &["Zone", "b"]).unwrap();
    counter.with_label_values(&["z", ""]).inc();
    registry.register(Box::new(histogram)).unwrap();
    registry.register(Box::new(counter)).unwrap();
    let mut families = families();
    families.extend(registry.gather());
    families
}

#[test]
fn a_push_has_each_sample_with_the_labels_of_the_group() {
    let body = body_with(&more_families(), &moment());
    let ours = r#"instance="night-1",job="exit_evolution""#;
    let own = r#"outcome="success",parameter="stop_loss_pct""#;
    let mut expected: Vec<String> = [
        ("u_total", "1@0"),
        ("t_ratio", "NaN@0"),
        ("t_seconds_count", "2@0"),
        ("t_seconds_sum", "3000000.5@0"),
    ]
    .map(|(name, sample)| format!(r#"{{__name__="{name}",{ours}}} {sample}"#))
    .into();
    expected[0] = format!(r#"{{Zone="z",__name__="u_total",{ours}}} 1@0"#);
    expected.push(format!(r#"{{__name__="t_total",{ours},{own}}} 7@0"#));
    for (bound, count) in [("1e-05", 0), ("0.005", 0), ("1", 1), ("2e+06", 1), ("+Inf", 2)] {
        let labels = format!(
            r#"__name__="t_seconds_bucket",instance="night-1",job="exit_evolution",le="{bound}""#
        );
        expected.push(format!("{{{labels}}} {count}@0"));
    }
    let mut found = series(&body);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let request = decoded(body.bytes());
    let kinds: Vec<(&str, Kind, &str)> = request
        .metadata
        .iter()
        .map(|one| (&*one.metric_family_name, one.kind(), &*one.help))
        .collect();
    assert_eq!(
        kinds,
        [
            ("t_ratio", Kind::Gauge, "A ratio."),
            ("t_total", Kind::Counter, "Things."),
            ("t_seconds", Kind::Histogram, "Times."),
            ("u_total", Kind::Counter, "Things."),
        ]
    );
    assert_eq!(body.content_type(), "application/x-protobuf");
    assert_eq!(body.content_encoding(), Some("snappy"));
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let gauge =
        families().into_iter().filter(|family| family.name() == "t_ratio").collect::<Vec<_>>();
    let packed = body_with(&gauge, &moment());
    let plain = snap::raw::Decoder::new().decompress_vec(packed.bytes()).unwrap();
    let mut golden = vec![];
    let text = |field: u8, text: &str| {
        [&[field << 3 | 2, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    };
    let message = |field: u8, parts: &[Vec<u8>]| {
        let inner = parts.concat();
        [vec![field << 3 | 2, u8::try_from(inner.len()).unwrap()], inner].concat()
    };
    let label = |name, value| message(1, &[text(1, name), text(2, value)]);
    let mut sample = vec![0x09];
    sample.extend(NORMAL_NAN.to_le_bytes());
    sample.push(0x10);
    let mut varint = u64::try_from(AT).unwrap();
    while varint >= 0x80 {
        sample.push(u8::try_from(varint & 0x7f).unwrap() | 0x80);
        varint >>= 7;
    }
    sample.push(u8::try_from(varint).unwrap());
    golden.extend(message(
        1,
        &[
            label("__name__", "t_ratio"),
            label("instance", "night-1"),
            label("job", "exit_evolution"),
            message(2, &[sample]),
        ],
    ));
    golden.extend(message(3, &[vec![0x08, 2], text(2, "t_ratio"), text(4, "A ratio.")]));
    assert_eq!(plain, golden);
}

#[test]
fn the_last_push_ends_each_series_a_millisecond_later() {
    let last = Moment { is_last: true, ..moment() };
    for one in series(&body_with(&families(), &last)) {
        assert!(one.ends_with("7@0 stale@1") || one.ends_with("NaN@0 stale@1"), "{one}");
    }
    assert_eq!(last.end().micros() / 1000, AT + 1);
    assert_eq!(moment().end().micros() / 1000, AT);
}

#[test]
fn what_was_there_before_and_is_no_more_ends_with_the_push() {
    let before = body_with(&more_families(), &moment());
    let now = Moment { earlier: Some(before.written()), is_last: true, ..moment() };
    let after = body_with(&families(), &now);
    let ended: Vec<String> =
        series(&after).into_iter().filter(|one| one.ends_with("} stale@0")).collect();
    assert_eq!(ended.len(), 8);
    assert!(ended.iter().all(|one| one.contains("t_seconds_") || one.contains("u_total")));
    // It is not ended again.
    assert_eq!(after.written(), body_with(&families(), &moment()).written());
    assert_eq!(series(&after).len(), 10);
}

#[test]
fn two_series_that_become_one_are_refused() {
    let gauge = |name: &str| {
        let registry = Registry::new();
        registry.register(Box::new(Gauge::new(name, "x").unwrap())).unwrap();
        registry.gather().remove(0)
    };
    let mut families = more_families();
    families.push(gauge("t_seconds_sum"));
    let gateway = Gateway::new(remote("http://h/api/v1/write")).unwrap();
    let error = gateway.body(&families, &moment()).unwrap_err();
    assert!(matches!(error, ExpositionError::DuplicateSeries { .. }), "{error}");
}

proptest! {
    #[test]
    fn labels_are_sorted_and_have_values_and_no_value_looks_stale(
        job in "[a-z]{1,3}", labels in prop::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,3}", ".{0,3}", 0..5), bits in any::<u64>(),
    ) {
        let usable = |name: &str| !name.starts_with("__") && !["job", "le", "instance"].contains(&name);
        let labels: Vec<(String, String)> = labels.into_iter().filter(|(name, _)| usable(name)).collect();
        let grouping = GroupingKey::new(&job, &labels, &[]).unwrap();
        let gauge = Gauge::new("g", "x").unwrap();
        gauge.set(f64::from_bits(bits));
        let registry = Registry::new();
        registry.register(Box::new(gauge)).unwrap();
        let body = Body::new(&registry.gather(), Format::RemoteWrite, Compression::None, &grouping, &moment()).unwrap();
        let request = decoded(body.bytes());
        let [series] = &request.timeseries[..] else { panic!("{request:?}") };
        prop_assert!(series.labels.windows(2).all(|pair| pair[0].name < pair[1].name));
        prop_assert!(series.labels.iter().all(|label| !label.value.is_empty()));
        let kept = labels.iter().filter(|(_, value)| !value.is_empty()).count();
        prop_assert_eq!(series.labels.len(), kept + 2);
        let value = f64::from_bits(bits);
        let expected = if value.is_nan() { NORMAL_NAN } else { bits };
        prop_assert_eq!(series.samples[0].value.to_bits(), expected);
    }
}

/// What a receiver answers to a push, and before to the question for its time.
fn taken() -> Step {
    Step::status(204, &[], "")
}

async fn deliver_last(gateway: &ScriptedGateway, schedule: Schedule) -> Delivery {
    let client = client_of(remote(&format!("{}/api/v1/write", gateway.url())));
    let body = body_with(&families(), &Moment { is_last: true, ..moment() });
    deliver(&client, &body, schedule, std::future::pending::<()>()).await
}

#[tokio::test]
async fn a_push_is_a_post_with_the_headers_of_the_protocol() {
    let busy = Step::status(503, &[], "");
    let gateway = ScriptedGateway::start(vec![taken(), busy, taken(), taken()]).await;
    let delivery = deliver_last(&gateway, quick()).await;
    assert_eq!((delivery.attempts, delivery.result), (2, Ok(())));
    let requests = gateway.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[1].body, requests[3].body);
    for question in [&requests[0], &requests[2]] {
        assert_eq!(decoded(&question.body), WriteRequest::default());
    }
    for request in requests {
        assert_eq!((&*request.method, &*request.path), ("POST", "/api/v1/write"));
        assert_eq!(request.header("content-encoding"), Some("snappy"));
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.header("x-prometheus-remote-write-version"), Some("0.1.0"));
        assert!(request.header("user-agent").unwrap().starts_with("mutation-agent/"));
    }
}

const BEHIND: [&str; 3] = [
    "out of order sample",
    "duplicate sample for timestamp",
    "the sample has been rejected (err-mimir-sample-out-of-order)",
];

#[tokio::test]
async fn what_is_there_already_after_a_lost_answer_has_arrived() {
    for lost in [Step::ResetAfterBody, Step::Hang, Step::status(504, &[], "")] {
        for text in BEHIND {
            let there = Step::status(400, &[], text);
            let gateway = ScriptedGateway::start(vec![taken(), lost.clone(), taken(), there]).await;
            let schedule = Schedule { attempt_timeout: millis(500), ..quick() };
            let delivery = deliver_last(&gateway, schedule).await;
            assert_eq!((delivery.attempts, delivery.result), (2, Ok(())), "{lost:?} {text}");
        }
    }
}

#[tokio::test]
async fn what_is_behind_without_a_lost_answer_is_refused() {
    for before in [None, Some(Step::status(429, &[], ""))] {
        for text in BEHIND {
            let before = before.iter().flat_map(|step| [taken(), step.clone()]);
            let steps = before.chain([taken(), Step::status(400, &[], text)]).collect();
            let gateway = ScriptedGateway::start(steps).await;
            let delivery = deliver_last(&gateway, quick()).await;
            let why = delivery.result.unwrap_err();
            assert_eq!(why.ending(), Ending::Final);
            assert!(why.to_string().contains("another agent"), "{why}");
            assert!(!why.is_out_of_bounds());
        }
    }
    // A question without an answer is no push that may have arrived.
    for question in [Step::status(503, &[], ""), Step::ResetAfterBody] {
        let steps = vec![question, taken(), Step::status(400, &[], BEHIND[0])];
        let gateway = ScriptedGateway::start(steps).await;
        let why = deliver_last(&gateway, quick()).await.result.unwrap_err();
        assert_eq!(why.ending(), Ending::Final);
    }
    // After a lost answer too, where the refusal is of another kind.
    let other = Step::status(400, &[], "label value too long");
    let steps = vec![taken(), Step::ResetAfterBody, taken(), other];
    let gateway = ScriptedGateway::start(steps).await;
    let why = deliver_last(&gateway, quick()).await.result.unwrap_err();
    assert!(!why.is_out_of_bounds() && why.to_string().contains("label value too long"), "{why}");
}

#[tokio::test]
async fn a_conflict_after_a_lost_answer_is_what_thanos_says_of_samples_that_it_has() {
    let conflict = Step::status(409, &[], "store locally for endpoint: conflict");
    let steps = vec![taken(), Step::ResetAfterBody, taken(), conflict.clone()];
    let gateway = ScriptedGateway::start(steps).await;
    assert!(deliver_last(&gateway, quick()).await.result.is_ok());
    let gateway = ScriptedGateway::start(vec![taken(), conflict]).await;
    let why = deliver_last(&gateway, quick()).await.result.unwrap_err();
    assert!(why.to_string().contains("another agent"), "{why}");
}

#[tokio::test]
async fn a_page_for_people_has_taken_no_samples() {
    let page = Step::status(200, &["Content-Type: text/html"], "<html>");
    let gateway = ScriptedGateway::start(vec![taken(), page.clone(), taken(), page]).await;
    assert!(deliver_last(&gateway, quick()).await.result.is_err());
}

#[tokio::test]
async fn a_pushgateway_that_speaks_of_order_has_not_taken_the_push() {
    let refused = Step::status(400, &[], BEHIND[0]);
    let gateway = ScriptedGateway::start(vec![Step::ResetAfterBody, refused]).await;
    assert!(deliver_to(&gateway, quick()).await.result.is_err());
}

#[tokio::test]
async fn a_time_that_is_too_far_away_is_known_as_such() {
    for text in ["out of bounds", "timestamp too far in the future"] {
        let gateway = ScriptedGateway::start(vec![taken(), Step::status(400, &[], text)]).await;
        assert!(deliver_last(&gateway, quick()).await.result.unwrap_err().is_out_of_bounds());
    }
}

#[tokio::test]
async fn who_does_not_like_the_question_is_sent_the_push_all_the_same() {
    let empty = Step::status(400, &[], "no series in it");
    let gateway = ScriptedGateway::start(vec![empty, taken()]).await;
    let delivery = deliver_last(&gateway, quick()).await;
    assert_eq!((delivery.attempts, delivery.result), (1, Ok(())));
}

#[tokio::test]
async fn what_lies_ahead_of_the_receiver_is_not_sent() {
    for (minutes, is_sent) in [(-60, true), (9, true), (11, false), (1_000_000, false)] {
        let date = u64::try_from(AT / 1000 - minutes * 60).unwrap();
        let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(date));
        let clock = Step::status(204, &[&format!("Date: {date}")], "");
        let gateway = ScriptedGateway::start(vec![clock, taken()]).await;
        let delivery = deliver_last(&gateway, quick()).await;
        assert_eq!(delivery.result.is_ok(), is_sent, "{minutes}");
        assert_eq!(gateway.requests().len(), 1 + usize::from(is_sent), "{minutes}");
        if let Err(why) = delivery.result {
            assert!(why.is_out_of_bounds() && why.ending() == Ending::Final, "{why}");
            assert!(why.to_string().contains("ahead of the receiver's clock"), "{why}");
        }
    }
}

#[tokio::test]
async fn a_prometheus_without_its_receiver_is_told_the_flag() {
    let missing = Step::status(404, &[], "404 page not found");
    let gateway = ScriptedGateway::start(vec![missing.clone(), missing]).await;
    let why = deliver_last(&gateway, quick()).await.result.unwrap_err().to_string();
    assert!(why.contains("--web.enable-remote-write-receiver"), "{why}");
    assert!(!why.contains("Pushgateway"), "{why}");
}

#[tokio::test]
async fn a_probe_writes_nothing() {
    let page = Step::status(200, &["Content-Type: text/html; charset=utf-8"], "<html>");
    for (step, expected) in [
        (Step::status(204, &[], ""), "ready"),
        (Step::status(401, &[], "no"), "refuses the credentials"),
        (Step::status(503, &[], ""), "not ready"),
        (Step::status(404, &[], "page not found"), "does not take remote write"),
        (page, "does not take remote write"),
    ] {
        let gateway = ScriptedGateway::start(vec![step]).await;
        let client = client_of(remote(&format!("{}/api/v1/write", gateway.url())));
        let probe = client.probe(LONG).await;
        assert!(probe.to_string().starts_with(expected), "{probe}");
        let requests = gateway.requests();
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(&*request.method, "POST");
        assert_eq!(decoded(&request.body), WriteRequest::default());
        assert!(matches!(client.shown(LONG).await, Shown::WriteOnly));
        assert_eq!(gateway.requests().len(), 1);
    }
}
