//! The last push of a batch, and `push`: the newest totals, and who has seen them.

use super::open_batch::OpenBatch;
use super::publisher::{self, Background};
use super::{BatchPlan, PushLog, Shutdown, Threads, Timing};
use crate::config::Config;
use crate::disk::{self, Mode};
use crate::exit::Exit;
use crate::gateway::{Body, Client, Schedule, Undelivered, Written, deliver_all};
use crate::metrics::{Exposition, Totals, encode_text};
use crate::state::DataDir;
use prometheus::proto::{LabelPair, MetricFamily};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many attempts' time a push that was given up may be on its way: slow by three times what we
/// have patience for.
const OUTLASTING: u32 = 3;

/// What one gateway made of the totals.
#[derive(Debug)]
pub struct Delivered {
    /// Its name.
    pub gateway: String,
    /// Why it has not taken them, in words.
    pub result: Result<(), String>,
}

impl OpenBatch<'_> {
    /// After the seal: the totals to the gateways, and what they made of them to the state, with the
    /// pushes during the batch that ended `late`. How the process ends is `exit`, unless that went wrong.
    pub(super) fn hand_over(
        &self,
        data: &mut DataDir,
        exit: Exit,
        late: &Background,
        threads: &Threads,
        shutdown: &Shutdown,
        hurry: Duration,
    ) -> (Vec<Delivered>, Exit) {
        if !self.clients.is_empty() {
            tracing::info!("the batch is done; delivering its totals");
            self.notifier.status(&format!("sealed; pushing to {} gateways", self.clients.len()));
        }
        for (gateway, newest) in &late.sent {
            data.state.note_sent(gateway, *newest);
        }
        let mut delivered = self.deliver(data, &late.written, threads, shutdown, hurry);
        // Like the attempts of the delivery itself: shown by the next push, when they are saved.
        publisher::add_to(&mut data.state.totals, &late.log);
        if shutdown.asked().is_none() {
            let again = self.outlast(&late.unanswered, &delivered, data, threads, shutdown);
            replace(&mut delivered, again);
        }
        let all = delivered.iter().all(|one| one.result.is_ok());
        let exit = if exit == Exit::Done && !all { Exit::TryLater } else { exit };
        let kept = self.remember(data, exit);
        let silent = matches!(exit, Exit::Done | Exit::TryLater);
        (delivered, if silent && !kept { Exit::Io } else { exit })
    }

    /// Delivers with the full effort; with one attempt of at most `hurry` once we are asked to stop,
    /// even in the middle of the full effort. Who has taken them by then is not sent them again.
    fn deliver(
        &self,
        data: &mut DataDir,
        written: &BTreeMap<String, Written>,
        threads: &Threads,
        shutdown: &Shutdown,
        hurry: Duration,
    ) -> Vec<Delivered> {
        let push = &self.config.push;
        let clients = &self.clients;
        let once = Schedule::once(push.attempt_timeout.min(hurry));
        let for_good = std::future::pending::<()>;
        if shutdown.asked().is_some() {
            let timing = self.last_times(clients, data, written);
            return deliver_totals(self.config, clients, &timing, data, threads, once, for_good());
        }
        let (schedule, stop) = (push.schedule(), shutdown.wait());
        let timing = self.last_times(clients, data, written);
        let mut delivered =
            deliver_totals(self.config, clients, &timing, data, threads, schedule, stop);
        let waiting = delivered.iter().filter(|one| one.result.is_err());
        let waiting: BTreeSet<&str> = waiting.map(|one| &*one.gateway).collect();
        if shutdown.asked().is_some() && !waiting.is_empty() {
            let waiting = self.clients_named(|name| waiting.contains(name));
            let timing = self.last_times(&waiting, data, written);
            // What was attempted is shown by the next push, so it is saved before.
            self.save(data);
            let again =
                deliver_totals(self.config, &waiting, &timing, data, threads, once, for_good());
            replace(&mut delivered, again);
        }
        delivered
    }

    /// The times of the last push, on disk.
    fn last_times(
        &self,
        clients: &[Client],
        data: &mut DataDir,
        written: &BTreeMap<String, Written>,
    ) -> Timing {
        let timing = Timing::last(clients, &mut data.state, written.clone());
        // Where the totals must not be saved, the disk has failed already.
        if timing.is_told() && self.is_folded(data) {
            data.save_times();
        }
        timing
    }

    fn clients_named(&self, is_meant: impl Fn(&str) -> bool) -> Vec<Client> {
        let clients = self.clients.iter().filter(|client| is_meant(client.gateway().name()));
        clients.cloned().collect()
    }

    /// A push that was given up during the batch may still arrive, after the last one, and put older
    /// totals in its place. So the newest are sent once more, [`OUTLASTING`] attempts' time later.
    /// What arrives later still stands until the next batch begins. A gateway that does not take them
    /// may show the older ones by then, so it counts as undelivered.
    fn outlast(
        &self,
        unanswered: &BTreeMap<String, Instant>,
        delivered: &[Delivered],
        data: &mut DataDir,
        threads: &Threads,
        shutdown: &Shutdown,
    ) -> Vec<Delivered> {
        let push = &self.config.push;
        let window = push.attempt_timeout.saturating_mul(OUTLASTING).min(push.deadline);
        let left = |gateway: &str| window.checked_sub(unanswered.get(gateway)?.elapsed());
        let doubtful = delivered.iter().filter(|one| one.result.is_ok());
        let doubtful: BTreeMap<&str, Duration> =
            doubtful.filter_map(|one| Some((&*one.gateway, left(&one.gateway)?))).collect();
        let Some(wait) = doubtful.values().max().copied() else { return Vec::new() };
        // What was attempted is shown by the next push, so it is saved before; and the wait may be cut off.
        self.save(data);
        let wait_text = humantime::format_duration(Duration::from_secs(wait.as_secs() + 1));
        tracing::info!(wait = %wait_text, "a push was given up and may still arrive; the totals are sent once more");
        let stopped =
            threads.block_on(async { tokio::time::timeout(wait, shutdown.wait()).await.is_ok() });
        if stopped {
            return Vec::new();
        }
        let clients = self.clients_named(|name| doubtful.contains_key(name));
        let once = Schedule::once(push.attempt_timeout);
        // None of them is told times.
        let timing = Timing::default();
        deliver_totals(self.config, &clients, &timing, data, threads, once, shutdown.wait())
    }

    /// Keeps delivery marks, push counts and the exit code; false where that failed.
    fn remember(&self, data: &mut DataDir, exit: Exit) -> bool {
        if !self.is_folded(data) {
            return true;
        }
        data.state.totals.set_exit_code(exit.code());
        let saved = self.save(data);
        write_textfile(self.config, &families(self.config, &data.state.totals));
        saved
    }

    /// Otherwise the totals in memory hold what the next start will seal and fold, and are not saved.
    fn is_folded(&self, data: &DataDir) -> bool {
        data.state.last_batch.as_ref().is_some_and(|last| last.batch_id == self.id)
    }

    fn save(&self, data: &DataDir) -> bool {
        if !self.is_folded(data) {
            return true;
        }
        let saved = data.save();
        if let Err(error) = &saved {
            tracing::error!(%error, "delivery marks are lost; the next start delivers again");
        }
        saved.is_ok()
    }
}

/// What came of sending to some gateways again, in the place of what came of it before.
fn replace(delivered: &mut [Delivered], again: Vec<Delivered>) {
    for newer in again {
        if let Some(older) = delivered.iter_mut().find(|one| one.gateway == newer.gateway) {
            *older = newer;
        }
    }
}

/// The totals as families, with the configured series that have not happened yet.
pub(crate) fn families(config: &Config, totals: &Totals) -> Vec<MetricFamily> {
    let gateways = config.gateways.iter().map(|gateway| gateway.name().to_owned());
    Exposition::new(totals).with_configured(BatchPlan::series(config), gateways).gather()
}

/// The same exposition for `node_exporter`, whatever the gateways do.
pub(crate) fn write_textfile(config: &Config, families: &[MetricFamily]) {
    let Some(path) = &config.metrics.textfile else { return };
    // Shards may have one host, and then the collector has them side by side.
    let labelled = config.shard.map(|shard| with_label(families, "shard", shard.index()));
    let written = encode_text(labelled.as_deref().unwrap_or(families))
        .map_err(|error| error.to_string())
        .and_then(|text| {
            disk::replace(path, &text, Mode::Shared).map_err(|error| error.to_string())
        });
    if let Err(error) = written {
        tracing::warn!(error, "textfile not written");
    }
}

/// The same families with a label more on each series.
fn with_label(families: &[MetricFamily], name: &str, value: u32) -> Vec<MetricFamily> {
    let mut families = families.to_vec();
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_string());
        let mut labels = metric.take_label();
        labels.push(label);
        labels.sort_by(|one, other| one.name().cmp(other.name()));
        metric.set_label(labels);
    }
    families
}

/// Pushes the totals to all of `clients`, marks who took them, counts the attempts.
///
/// The state is not saved here; what it notes of `timing` is on disk before.
pub fn deliver_totals(
    config: &Config,
    clients: &[Client],
    timing: &Timing,
    data: &mut DataDir,
    threads: &Threads,
    schedule: Schedule,
    stop: impl Future,
) -> Vec<Delivered> {
    let families = families(config, &data.state.totals);
    write_textfile(config, &families);
    let bodies = publisher::bodies(clients, &families, timing);
    let targets: Vec<(&Client, &Body)> =
        bodies.iter().map(|(client, body)| (*client, body)).collect();
    let deliveries = threads.block_on(deliver_all(&targets, schedule, stop));
    let mut log = PushLog::new();
    let mut results = BTreeMap::new();
    for ((client, _), delivery) in targets.iter().zip(&deliveries) {
        let name = client.gateway().name();
        publisher::count(&mut log, name, delivery);
        if delivery.result.as_ref().is_err_and(Undelivered::is_out_of_bounds) {
            data.state.take_back_sample(name);
        } else if let Some(newest) = timing.newest(name) {
            data.state.note_sent(name, newest);
        }
        results.insert(
            name.to_owned(),
            delivery.result.as_ref().map(|&()| ()).map_err(ToString::to_string),
        );
    }
    publisher::add_to(&mut data.state.totals, &log);
    let all = clients.iter().map(|client| {
        let gateway = client.gateway().name().to_owned();
        let unsendable = || Err("the metrics do not fit its grouping; see the log".to_owned());
        let result = results.remove(&gateway).unwrap_or_else(unsendable);
        data.state.mark(&gateway, client.gateway().group(), result.clone());
        if let Err(error) = &result {
            tracing::error!(
                gateway,
                error,
                "undelivered; the next start or `mutation-agent push` delivers"
            );
        }
        Delivered { gateway, result }
    });
    all.collect()
}
