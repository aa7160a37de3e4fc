//! The client against the real Pushgateway: what it says it delivered is what the gateway shows.
//!
//! Needs `prometheus-pushgateway` and `openssl` in the PATH; without them the tests fail, since a suite that skips
//! itself proves nothing. Run with `cargo test --features real-parts`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking and write their fixtures plainly"
)]

mod access;
mod certificates;
mod groups;
mod pushgateway;

use std::future::pending;
use std::time::Duration;

use mutation_agent::gateway::{
    Client, Compression, Credentials, Delivery, Format, Gateway, GatewaySettings, GroupingKey,
    Moment, RetryPolicy, Schedule, Tls, deliver,
};
use mutation_agent::units::Timestamp;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

const LONG: Duration = Duration::from_secs(30);

fn grouping(job: &str, labels: &[(&str, &str)]) -> GroupingKey {
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    GroupingKey::new(job, &labels, &[]).unwrap()
}

fn settings(url: &str, grouping: GroupingKey) -> GatewaySettings {
    GatewaySettings {
        name: "real".into(),
        url: url.into(),
        grouping,
        format: Format::default(),
        compression: Compression::default(),
        credentials: Credentials::default(),
        tls: Tls::default(),
    }
}

fn client(settings: GatewaySettings) -> Client {
    Client::new(Gateway::new(settings).unwrap(), || Timestamp::from_micros(0)).unwrap()
}

/// A counter with labels, a histogram, and a gauge that is `NaN`.
fn families(count: u64) -> Vec<MetricFamily> {
    let registry = Registry::new();
    let counter = IntCounterVec::new(Opts::new("t_total", "Things."), &["parameter"]).unwrap();
    counter.with_label_values(&["stop_loss \"pct\"\n\\"]).inc_by(count);
    let gauge = Gauge::new("t_ratio", "A ratio.").unwrap();
    gauge.set(f64::NAN);
    let histogram =
        Histogram::with_opts(HistogramOpts::new("t_seconds", "Time.").buckets(vec![1e-6, 10.0]))
            .unwrap();
    histogram.observe(0.5);
    histogram.observe(50.0);
    registry.register(Box::new(counter)).unwrap();
    registry.register(Box::new(gauge)).unwrap();
    registry.register(Box::new(histogram)).unwrap();
    registry.gather()
}

fn patient() -> Schedule {
    Schedule {
        policy: Some(
            RetryPolicy::new(Duration::from_millis(20), Duration::from_millis(200), 2.0).unwrap(),
        ),
        attempt_timeout: Duration::from_secs(10),
        deadline: LONG,
    }
}

async fn push(client: &Client, count: u64) -> Delivery {
    let body = client.gateway().body(&families(count), &Moment::default()).unwrap();
    deliver(client, &body, patient(), pending::<()>()).await
}
