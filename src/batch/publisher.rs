//! Pushes while the batch runs: in the background, one at a time, always of the newest facts.

use super::Shutdown;
use crate::audit::Pushes;
use crate::gateway::{Body, Client, Delivery, Ending, Reason, Schedule, deliver_all};
use crate::metrics::{PushResult, Totals};
use prometheus::proto::MetricFamily;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// By the gateway's name.
pub type PushLog = BTreeMap<String, Pushes>;

/// What became of the pushes while a batch ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Background {
    /// By gateway.
    pub(super) log: PushLog,
    /// Gateways that did not answer in time, and when that was seen last: what they were sent may
    /// still arrive, after something newer.
    pub(super) unanswered: BTreeMap<String, Instant>,
}

/// Counts what a delivery did.
pub(super) fn count(log: &mut PushLog, gateway: &str, delivery: &Delivery) {
    let (last, error) = match &delivery.result {
        Ok(()) => (PushResult::Delivered, None),
        Err(why) => {
            let refused = why.ending() == Ending::Final;
            let last = if refused { PushResult::Refused } else { PushResult::Failed };
            (last, Some(why.to_string()))
        }
    };
    let pushes = log.entry(gateway.to_owned()).or_default();
    pushes.last_error = error;
    if delivery.attempts > 0 {
        *pushes.attempts.entry(PushResult::Failed).or_default() += u64::from(delivery.attempts - 1);
        *pushes.attempts.entry(last).or_default() += 1;
    }
}

/// Adds a log to the totals.
pub(super) fn add_to(totals: &mut Totals, log: &PushLog) {
    for (gateway, pushes) in log {
        totals.count_pushes(gateway, &pushes.attempts);
    }
}

/// What has come to `earlier` since.
pub(super) fn since(earlier: &PushLog, mut log: PushLog) -> PushLog {
    for (gateway, pushes) in earlier {
        let Some(all) = log.get_mut(gateway) else { continue };
        for (result, count) in &pushes.attempts {
            let left = all.attempts.get(result).unwrap_or(&0).saturating_sub(*count);
            all.attempts.insert(*result, left);
        }
    }
    log.retain(|_, pushes| pushes.attempts.values().any(|count| *count > 0));
    log
}

/// The background pushes of a batch.
#[derive(Debug)]
pub(super) struct Publisher {
    /// Set when the interval is over: the recorder shall publish.
    wanted: Arc<AtomicBool>,
    newest: watch::Sender<Option<Arc<Vec<MetricFamily>>>>,
    done: Arc<Mutex<Background>>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Waits for what is published and pushes it, then asks for more after `interval`.
    pub(super) fn start(
        runtime: &Handle,
        clients: Arc<Vec<Client>>,
        interval: Duration,
        attempt_timeout: Duration,
    ) -> Self {
        let wanted = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Mutex::new(Background::default()));
        let (newest, mut receiver) = watch::channel::<Option<Arc<Vec<MetricFamily>>>>(None);
        let (asks, results) = (Arc::clone(&wanted), Arc::clone(&done));
        let pushing = async move {
            // Ends when the publisher is dropped; a push under way comes to its end first.
            while receiver.changed().await.is_ok() {
                let families = receiver.borrow_and_update().clone();
                let Some(families) = families else { continue };
                push_once(&clients, &families, attempt_timeout, &results).await;
                tokio::select! {
                    () = tokio::time::sleep(interval) => asks.store(true, Ordering::Relaxed),
                    changed = receiver.changed() => match changed {
                        Ok(()) => receiver.mark_changed(),
                        Err(_) => return,
                    },
                }
            }
        };
        let task = runtime.spawn(pushing.in_current_span());
        Self { wanted, newest, done, task }
    }

    /// Whether it is time to publish. Asked for each mutation.
    pub(super) fn wants(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Hands over the newest facts, which must be on disk.
    pub(super) fn publish(&self, families: Vec<MetricFamily>) {
        self.wanted.store(false, Ordering::Relaxed);
        self.newest.send_replace(Some(Arc::new(families)));
    }

    /// The pushes that have ended.
    pub(super) fn so_far(&self) -> PushLog {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).log.clone()
    }

    /// Lets a push under way end, so that no older snapshot arrives after a newer one: for
    /// `patience` at the most, or for `hurry` once we are asked to stop.
    pub(super) fn finish(
        self,
        runtime: &Handle,
        patience: Duration,
        hurry: Duration,
        shutdown: &Shutdown,
    ) -> Background {
        let Self { newest, done, mut task, .. } = self;
        drop(newest);
        runtime.block_on(async {
            let hurried = async {
                shutdown.wait().await;
                tokio::time::sleep(hurry).await;
            };
            tokio::select! {
                _ = &mut task => {}
                () = tokio::time::sleep(patience) => task.abort(),
                () = hurried => task.abort(),
            }
        });
        done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn push_once(
    clients: &[Client],
    families: &[MetricFamily],
    attempt_timeout: Duration,
    done: &Mutex<Background>,
) {
    let bodies = bodies(clients, families);
    let targets: Vec<(&Client, &Body)> =
        bodies.iter().map(|(client, body)| (*client, body)).collect();
    let never = std::future::pending::<()>();
    let deliveries = deliver_all(&targets, Schedule::once(attempt_timeout), never).await;
    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
    for ((client, _), delivery) in targets.iter().zip(&deliveries) {
        let gateway = client.gateway().name();
        count(&mut done.log, gateway, delivery);
        if let Err(error) = &delivery.result {
            tracing::warn!(gateway, %error, "push during the batch failed");
            if matches!(error.reason(), Some(Reason::Timeout { .. })) {
                done.unanswered.insert(gateway.to_owned(), Instant::now());
            }
        }
    }
}

/// Each gateway's body in its format.
pub(super) fn bodies<'a>(
    clients: &'a [Client],
    families: &[MetricFamily],
) -> Vec<(&'a Client, Body)> {
    let made = clients.iter().filter_map(|client| match client.gateway().body(families) {
        Ok(body) => Some((client, body)),
        Err(error) => {
            tracing::error!(gateway = client.gateway().name(), %error, "nothing is sent there");
            None
        }
    });
    made.collect()
}
