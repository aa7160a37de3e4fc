//! Pushes while the batch runs: in the background, one at a time, always of the newest facts.

use super::{Shutdown, Timing};
use crate::audit::Pushes;
use crate::gateway::{
    Body, Client, Delivery, Ending, Format, Reason, Schedule, Undelivered, Written, deliver_all,
};
use crate::metrics::{PushResult, Totals};
use crate::units::Timestamp;
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
    /// By gateway, the series that remote write has written or may have.
    pub(super) written: BTreeMap<String, Written>,
    /// By gateway, the newest time of what was sent.
    pub(super) sent: BTreeMap<String, Timestamp>,
}

/// Facts, and since when they are so.
#[derive(Debug)]
struct Newest {
    families: Vec<MetricFamily>,
    timing: Timing,
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
    newest: watch::Sender<Option<Arc<Newest>>>,
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
        let (newest, mut receiver) = watch::channel::<Option<Arc<Newest>>>(None);
        let (asks, results) = (Arc::clone(&wanted), Arc::clone(&done));
        let pushing = async move {
            // Ends when the publisher is dropped; a push under way comes to its end first.
            while receiver.changed().await.is_ok() {
                let newest = receiver.borrow_and_update().clone();
                let Some(newest) = newest else { continue };
                push_once(&clients, &newest, attempt_timeout, &results).await;
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

    /// Hands over the newest facts, which must be on disk, and so must their times.
    pub(super) fn publish(&self, families: Vec<MetricFamily>, timing: Timing) {
        self.wanted.store(false, Ordering::Relaxed);
        self.newest.send_replace(Some(Arc::new(Newest { families, timing })));
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
    newest: &Newest,
    attempt_timeout: Duration,
    done: &Mutex<Background>,
) {
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    let written = lock().written.clone();
    let bodies = bodies(clients, &newest.families, &newest.timing.clone().after(written));
    let targets: Vec<(&Client, &Body)> =
        bodies.iter().map(|(client, body)| (*client, body)).collect();
    let timed = |client: &Client| client.gateway().format() == Format::RemoteWrite;
    for (client, body) in targets.iter().filter(|(client, _)| timed(client)) {
        // From now on it may be there, even if this push is broken off.
        let name = client.gateway().name().to_owned();
        lock().written.entry(name).or_default().extend(body.written().clone());
    }
    let never = std::future::pending::<()>();
    let deliveries = deliver_all(&targets, Schedule::once(attempt_timeout), never).await;
    let mut done = lock();
    for ((client, body), delivery) in targets.iter().zip(&deliveries) {
        let gateway = client.gateway().name();
        count(&mut done.log, gateway, delivery);
        let is_sent = !delivery.result.as_ref().is_err_and(Undelivered::is_out_of_bounds);
        if let Some(time) = newest.timing.newest(gateway).filter(|_| is_sent) {
            done.sent.insert(gateway.to_owned(), time);
        }
        if timed(client) && delivery.result.is_ok() {
            // What ended with this push is no more.
            done.written.insert(gateway.to_owned(), body.written().clone());
        }
        if let Err(error) = &delivery.result {
            tracing::warn!(gateway, %error, "push during the batch failed");
            // Of remote write what is older is refused, whenever it arrives.
            if matches!(error.reason(), Some(Reason::Timeout { .. })) && !timed(client) {
                done.unanswered.insert(gateway.to_owned(), Instant::now());
            }
        }
    }
}

/// Each gateway's body in its format.
pub(super) fn bodies<'a>(
    clients: &'a [Client],
    families: &[MetricFamily],
    timing: &Timing,
) -> Vec<(&'a Client, Body)> {
    let made = clients.iter().filter_map(|client| {
        let gateway = client.gateway();
        match gateway.body(families, &timing.moment(gateway.name())) {
            Ok(body) => Some((client, body)),
            Err(error) => {
                tracing::error!(gateway = gateway.name(), %error, "nothing is sent there");
                None
            }
        }
    });
    made.collect()
}
