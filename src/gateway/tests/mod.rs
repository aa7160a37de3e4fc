//! The client and the delivery against a real socket with a scripted gateway behind it.

#[path = "../../../tests/support/scripted_gateway.rs"]
mod scripted_gateway;

mod attempts;
mod bodies;
mod deliveries;
mod endpoints;
mod probes;
mod remote_writes;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounterVec, Opts, Registry};

use super::*;
use crate::units::{Secret, Timestamp};
use scripted_gateway::{Request, ScriptedGateway, Step};

/// Long enough for a loaded machine, short enough for a test that hangs.
const LONG: Duration = Duration::from_secs(20);

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn settings(url: &str) -> GatewaySettings {
    let labels = [("instance".to_owned(), "night-1".to_owned())];
    GatewaySettings {
        name: "main".into(),
        url: url.into(),
        grouping: GroupingKey::new("exit_evolution", &labels, &[]).unwrap(),
        format: Format::default(),
        compression: Compression::default(),
        credentials: Credentials::default(),
        tls: Tls::default(),
    }
}

fn client_of(settings: GatewaySettings) -> Client {
    Client::new(Gateway::new(settings).unwrap(), || Timestamp::from_micros(0)).unwrap()
}

fn client(url: &str) -> Client {
    client_of(settings(url))
}

/// A counter with labels and a gauge that is `NaN`.
fn families() -> Vec<MetricFamily> {
    let registry = Registry::new();
    let counter =
        IntCounterVec::new(Opts::new("t_total", "Things."), &["parameter", "outcome"]).unwrap();
    counter.with_label_values(&["stop_loss_pct", "success"]).inc_by(7);
    let gauge = Gauge::new("t_ratio", "A ratio.").unwrap();
    gauge.set(f64::NAN);
    registry.register(Box::new(counter)).unwrap();
    registry.register(Box::new(gauge)).unwrap();
    registry.gather()
}

fn body() -> Body {
    body_of(&families(), Format::Protobuf).unwrap()
}

fn body_of(families: &[MetricFamily], format: Format) -> Result<Body, ExpositionError> {
    let grouping = settings("http://h").grouping;
    Body::new(families, format, Compression::None, &grouping, &Moment::default())
}

/// Waits of a few milliseconds and plenty of time.
fn quick() -> Schedule {
    Schedule {
        policy: Some(RetryPolicy::new(millis(1), millis(5), 2.0).unwrap()),
        attempt_timeout: LONG,
        deadline: LONG,
    }
}

async fn deliver_to(gateway: &ScriptedGateway, schedule: Schedule) -> Delivery {
    deliver(&client(&gateway.url()), &body(), schedule, std::future::pending::<()>()).await
}

fn is_our_push(request: &Request) -> bool {
    request.method == "PUT"
        && request.path == "/metrics/job/exit_evolution/instance/night-1"
        && request.body == body().bytes()
}

/// The log of one test, as text; a test can wait for a line of it.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    more: Arc<tokio::sync::Notify>,
}

impl Log {
    /// Captures what this thread logs until the guard is dropped.
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    async fn wait_for(&self, part: &str) {
        while !self.text().contains(part) {
            self.more.notified().await;
        }
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(bytes);
        self.more.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
