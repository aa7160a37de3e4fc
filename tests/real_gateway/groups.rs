//! Groups and their contents: what we name is what the gateway has.

use std::collections::BTreeMap;

use mutation_agent::gateway::{Ending, Reason};
use prometheus::proto::MetricType;

use super::*;
use crate::pushgateway::Pushgateway;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Values that a path can hardly carry.
const AWKWARD: [&str; 25] = [
    "plain",
    "a/b",
    "a//b",
    "/",
    "//",
    "/a/",
    ".",
    "..",
    "...",
    "./..",
    "a b",
    " ",
    "a+b",
    "+",
    "100%",
    "%2F",
    "%",
    "é",
    "日本",
    "a\nb\t",
    "a\\b",
    "a?b#c&d=e;f",
    "@base64",
    "\"{}'<>|^`[]",
    "~-_",
];

#[tokio::test]
async fn any_value_of_a_label_arrives_as_it_is() {
    let gateway = Pushgateway::start(&[]);
    for (index, value) in AWKWARD.into_iter().chain([""]).enumerate() {
        let key = grouping("values", &[("instance", "night-1"), ("env", value)]);
        let delivery = push(&client(settings(&gateway.url, key)), 7).await;
        assert_eq!(delivery.result, Ok(()), "{value:?}");
        let groups = gateway.groups().await;
        assert_eq!(groups.len(), index + 1, "{value:?}");
        let expected = labels(&[("job", "values"), ("instance", "night-1"), ("env", value)]);
        let group = groups.iter().find(|group| group.labels == expected);
        assert_eq!(group.and_then(|group| group.total()), Some("7"), "{value:?} in {groups:?}");
    }
    gateway.exposition().await;
}

#[tokio::test]
async fn any_job_and_any_instance_arrive_as_they_are() {
    let gateway = Pushgateway::start(&[]);
    for value in AWKWARD {
        let key = grouping(value, &[("instance", value)]);
        let delivery = push(&client(settings(&gateway.url, key)), 7).await;
        assert_eq!(delivery.result, Ok(()), "{value:?}");
        let expected = labels(&[("job", value), ("instance", value)]);
        assert!(gateway.groups().await.iter().any(|group| group.labels == expected), "{value:?}");
    }
    gateway.exposition().await;
}

#[tokio::test]
async fn an_empty_label_beside_the_group_without_it_breaks_nothing() {
    let gateway = Pushgateway::start(&[]);
    for labels in [&[("instance", "h")][..], &[("instance", "h"), ("env", "")]] {
        let delivery = push(&client(settings(&gateway.url, grouping("j", labels))), 7).await;
        assert_eq!(delivery.result, Ok(()), "{labels:?}");
    }
    gateway.exposition().await;
}

#[tokio::test]
async fn a_push_replaces_its_own_group_and_no_other() {
    let gateway = Pushgateway::start(&[]);
    let ours = client(settings(&gateway.url, grouping("ours", &[("instance", "h")])));
    let other = client(settings(&gateway.url, grouping("ours", &[("instance", "i")])));
    push(&other, 1).await.result.unwrap();
    push(&ours, 2).await.result.unwrap();

    let fewer: Vec<_> = families(3).into_iter().filter(|f| f.name() == "t_total").collect();
    let body = ours.gateway().body(&fewer, &Moment::default()).unwrap();
    deliver(&ours, &body, patient(), pending::<()>()).await.result.unwrap();

    let groups = gateway.groups().await;
    assert_eq!(groups.len(), 2);
    for group in groups {
        let is_ours = group.labels["instance"] == "h";
        assert_eq!(group.total(), Some(if is_ours { "3" } else { "1" }));
        assert_eq!(group.has("t_seconds"), !is_ours);
    }
}

#[tokio::test]
async fn every_format_and_packing_gives_the_same_exposition() {
    let mut expositions = Vec::new();
    for format in [Format::Protobuf, Format::Text] {
        for compression in [Compression::None, Compression::Gzip] {
            let gateway = Pushgateway::start(&[]);
            let key = grouping("j", &[("instance", "h")]);
            let settings = GatewaySettings { format, compression, ..settings(&gateway.url, key) };
            push(&client(settings), 7).await.result.unwrap();
            let text = gateway.exposition().await;
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with("t_")).collect();
            expositions.push(lines.join("\n"));
        }
    }
    let expected = concat!(
        "t_ratio{instance=\"h\",job=\"j\"} NaN\n",
        "t_seconds_bucket{instance=\"h\",job=\"j\",le=\"1e-06\"} 0\n",
        "t_seconds_bucket{instance=\"h\",job=\"j\",le=\"10\"} 1\n",
        "t_seconds_bucket{instance=\"h\",job=\"j\",le=\"+Inf\"} 2\n",
        "t_seconds_sum{instance=\"h\",job=\"j\"} 50.5\n",
        "t_seconds_count{instance=\"h\",job=\"j\"} 2\n",
        "t_total{instance=\"h\",job=\"j\",parameter=\"stop_loss \\\"pct\\\"\\n\\\\\"} 7",
    );
    assert_eq!(expositions, [expected; 4]);
}

#[tokio::test]
async fn the_gateways_own_words_come_back_with_a_refusal() {
    let gateway = Pushgateway::start(&[]);
    let other = client(settings(&gateway.url, grouping("other", &[("instance", "h")])));
    let mut gauge = families(1).into_iter().find(|f| f.name() == "t_ratio").unwrap();
    gauge.set_name("t_total".into());
    assert_eq!(gauge.get_field_type(), MetricType::GAUGE);
    let body = other.gateway().body(&[gauge], &Moment::default()).unwrap();
    deliver(&other, &body, patient(), pending::<()>()).await.result.unwrap();

    let ours = client(settings(&gateway.url, grouping("ours", &[("instance", "h")])));
    let delivery = push(&ours, 7).await;
    let undelivered = delivery.result.unwrap_err();
    assert_eq!((delivery.attempts, undelivered.ending()), (1, Ending::Final));
    let Some(Reason::Status { code: 400, text, .. }) = undelivered.reason() else {
        panic!("{undelivered}")
    };
    assert!(text.contains("t_total"), "{text}");
}

#[tokio::test]
async fn a_gateway_that_is_restarted_meanwhile_gets_the_push() {
    let gateway = Pushgateway::start(&[]);
    let (url, port) = (gateway.url.clone(), gateway.port);
    drop(gateway);
    let client = client(settings(&url, grouping("j", &[("instance", "h")])));
    let restart = tokio::task::spawn_blocking(move || Pushgateway::start_on(port, &[]));
    let delivery = push(&client, 7).await;
    let gateway = restart.await.unwrap().expect("the port was free a moment ago");
    assert_eq!(delivery.result, Ok(()));
    assert_eq!(gateway.groups().await[0].total(), Some("7"));
}
