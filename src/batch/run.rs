//! The story of a batch, from the lock to the last push.

use super::publisher::{self, Publisher};
use super::recorder::Recorder;
use super::rounds::run_round;
use super::{BatchPlan, Candidates, Clock, Progress, PushLog, Shutdown, Signal};
use crate::audit::{self, Journal, Manifest, StrategyEntry, TargetEntry, UnusableEntry};
use crate::config::Config;
use crate::disk::{self, DiskError, Mode};
use crate::exit::Exit;
use crate::gateway::{Body, Client, Schedule, deliver_all};
use crate::metrics::{BatchSummary, Buckets, Exposition, Status, Tally, Totals, encode_text};
use crate::state::{self, DataDir, OpenError, Recovery};
use crate::units::BatchId;
use prometheus::proto::MetricFamily;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What became of a batch, for the person or the timer that started it.
#[derive(Debug)]
pub struct BatchEnd {
    /// As it stands in the manifest.
    pub summary: BatchSummary,
    /// The sealed log; `None` where sealing failed and is left to the next start.
    pub audit: Option<PathBuf>,
    /// The folder of the candidates, if there are any.
    pub output: Option<PathBuf>,
    /// By gateway.
    pub delivered: Vec<Delivered>,
    /// How the process ends.
    pub exit: Exit,
}

/// What one gateway made of the totals.
#[derive(Debug)]
pub struct Delivered {
    /// Its name.
    pub gateway: String,
    /// Why it has not taken them, in words.
    pub result: Result<(), String>,
}

/// A batch that did not begin.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Lock, state or audit.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal, or its first manifest.
    #[error(transparent)]
    Create(#[from] DiskError),
    /// Threads or signals.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// Why the rounds ended.
enum Ended {
    Rounds,
    Deadline,
    Signal(Signal),
    NoTarget,
    Error(DiskError),
}

/// Runs one batch. An error means that there was none.
pub fn run(
    config: &Config,
    plan: &BatchPlan,
    clients: Vec<Client>,
) -> Result<BatchEnd, BatchError> {
    let clock = Clock::start();
    let runtime = runtime()?;
    let shutdown = Shutdown::listen(runtime.handle(), config.batch.shutdown_timeout)?;
    let mut data = open(config)?;
    let id = BatchId::next(clock.started(), suffix(), data.newest.as_ref());
    let batch = Batch { config, plan, clock, id, clients: Arc::new(clients) };

    let journal = Journal::create(&data.folder, &batch.id, config.audit.buffer)?;
    let mut manifest = batch.first_manifest(&data);
    manifest.write(&data.folder)?;

    let publisher = Publisher::start(
        runtime.handle(),
        Arc::clone(&batch.clients),
        config.push.interval,
        config.push.attempt_timeout,
    );
    let candidates = Candidates::new(plan, config.output.keep);
    let buckets = batch.buckets();
    let mut recorder =
        Recorder::new(plan, &batch.id, journal, buckets, candidates, config.audit.flush_interval);
    batch.publish(&data, &publisher, &mut manifest.summary, &recorder);
    let ended = batch.rounds(&data, &publisher, &mut manifest.summary, &mut recorder, &shutdown);

    // With a signal there is little time, and one bounded push is still to come.
    let patience = if shutdown.asked().is_some() {
        config.batch.shutdown_timeout / 3
    } else {
        config.push.attempt_timeout + Duration::from_secs(1)
    };
    let pushes = publisher.finish(runtime.handle(), patience);
    let mut end = batch.close(&mut data, manifest, recorder, ended, pushes);

    let stop = shutdown.asked().map(|_| config.batch.shutdown_timeout / 3);
    let schedule = batch.last_schedule(stop);
    let stopped = async {
        match stop {
            // Already stopping: the schedule is the bound.
            Some(_) => std::future::pending().await,
            None => shutdown.wait().await,
        }
    };
    end.delivered = deliver_totals(config, &batch.clients, &mut data, &runtime, schedule, stopped);
    if end.exit == Exit::Done && end.delivered.iter().any(|one| one.result.is_err()) {
        end.exit = Exit::TryLater;
    }
    batch.remember(&mut data, end.exit);
    if shutdown.asked().is_none() {
        batch.tidy(&data);
    }
    Ok(end)
}

/// For the id: the upper half of a random number.
fn suffix() -> u32 {
    u32::try_from(super::random() >> 32).unwrap_or(0)
}

/// Threads for pushes and signals; mutations stay off them.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Opens the data folder and says what had to be repaired.
pub(crate) fn open(config: &Config) -> Result<DataDir, OpenError> {
    let buckets = &config.metrics.buckets;
    let data = DataDir::open(&config.data_dir, &config.audit.dir, buckets, super::now())?;
    for repair in &data.recovered {
        match repair {
            Recovery::Folded { .. } => tracing::info!("{repair}"),
            Recovery::SetAside { .. }
            | Recovery::Rebuilt { .. }
            | Recovery::Crashed { .. }
            | Recovery::Finished { .. }
            | Recovery::Remade { .. }
            | Recovery::NewBuckets { .. } => tracing::warn!("{repair}"),
        }
    }
    Ok(data)
}

/// What does not change while a batch runs.
struct Batch<'a> {
    config: &'a Config,
    plan: &'a BatchPlan,
    clock: Clock,
    id: BatchId,
    clients: Arc<Vec<Client>>,
}

impl Batch<'_> {
    fn buckets(&self) -> Buckets {
        self.config.metrics.buckets.clone()
    }

    /// What is known before the first mutation; a killed batch is sealed with it.
    fn first_manifest(&self, data: &DataDir) -> Manifest {
        let summary = BatchSummary {
            batch_id: self.id.clone(),
            status: Status::Running,
            started: self.clock.started(),
            ended: None,
            duration_seconds: None,
            exit_code: None,
            rounds_completed: 0,
            targets: self.plan.targets_by_state(),
            tally: Tally::new(self.buckets()),
        };
        Manifest {
            seed: Some(self.plan.seed),
            config_sha256: Some(self.config.digest()),
            rounds_planned: self.plan.rounds,
            mutations_per_round: self.plan.mutations_per_round,
            strategies: strategy_entries(self.plan),
            previous_sha256: data
                .state
                .last_batch
                .as_ref()
                .map(|last| last.manifest_sha256.clone()),
            totals_before: Some(data.state.totals.clone()),
            ..Manifest::new(summary)
        }
    }

    /// Runs the rounds to the end, or to whatever comes first.
    fn rounds(
        &self,
        data: &DataDir,
        publisher: &Publisher,
        summary: &mut BatchSummary,
        recorder: &mut Recorder<'_>,
        shutdown: &Shutdown,
    ) -> Ended {
        if self.plan.usable().is_empty() {
            return Ended::NoTarget;
        }
        let deadline = self.config.batch.deadline.map(|limit| Instant::now() + limit);
        let workers = match self.config.batch.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let progress = Progress::start(self.plan.attempts());
        let mut end = Ended::Rounds;
        for round in 1..=self.plan.rounds {
            recorder.begin_round(round);
            let ended = run_round(self.plan, round, workers, |attempted| {
                if let Some(signal) = shutdown.asked() {
                    return ControlFlow::Break(Ended::Signal(signal));
                }
                if deadline.is_some_and(|deadline| attempted.ended >= deadline) {
                    return ControlFlow::Break(Ended::Deadline);
                }
                if let Err(error) = recorder.record(attempted) {
                    return ControlFlow::Break(Ended::Error(error));
                }
                if publisher.wants() {
                    if let Err(error) = recorder.sync() {
                        return ControlFlow::Break(Ended::Error(error));
                    }
                    self.publish(data, publisher, summary, recorder);
                }
                ControlFlow::Continue(())
            });
            if let ControlFlow::Break(why) = ended {
                end = why;
                break;
            }
            if let Err(error) = recorder.sync() {
                end = Ended::Error(error);
                break;
            }
            summary.rounds_completed = round;
            let (attempts, successes) = recorder.counts();
            progress.at(attempts, successes);
            tracing::debug!(round, attempts, successes, "round done");
        }
        progress.finish();
        end
    }

    /// Shows the gateways, and the textfile, what is on disk so far.
    fn publish(
        &self,
        data: &DataDir,
        publisher: &Publisher,
        summary: &mut BatchSummary,
        recorder: &Recorder<'_>,
    ) {
        summary.tally.clone_from(recorder.durable());
        let mut totals = data.state.totals.clone();
        totals.fold(summary);
        let families = families(self.config, totals);
        write_textfile(self.config, &families);
        publisher.publish(families);
    }

    /// Writes the candidates, seals, folds.
    fn close(
        &self,
        data: &mut DataDir,
        mut manifest: Manifest,
        mut recorder: Recorder<'_>,
        ended: Ended,
        pushes: PushLog,
    ) -> BatchEnd {
        if let Ended::Error(error) = &ended {
            tracing::error!(%error, "the batch ends here; what was written stands");
            if let Err(error) = recorder.cut_back(&data.folder) {
                tracing::error!(%error, "left to the next start");
                return self.unsealed(data, manifest.summary, recorder.durable().clone());
            }
        }
        let durable = recorder.durable().clone();
        let (journal, tally, candidates) = match recorder.end() {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(%error, "the batch cannot be sealed; left to the next start");
                return self.unsealed(data, manifest.summary, durable);
            }
        };
        manifest.pushes.clone_from(&pushes);
        let written = candidates.write(self.plan, &self.config.output.dir, &self.id);
        let (status, exit, ended_by, error) = verdict(&ended, &tally, written.as_ref().err());
        manifest.summary.status = status;
        manifest.summary.exit_code = Some(exit.code());
        manifest.summary.ended = Some(self.clock.started().plus(self.clock.elapsed()));
        manifest.summary.duration_seconds = Some(self.clock.elapsed().as_secs_f64());
        manifest.ended_by = Some(ended_by.to_owned());
        manifest.records = tally.attempts();
        manifest.summary.tally = tally;
        manifest.bytes = journal.bytes;
        manifest.sha256 = journal.sha256;
        if let Some(error) = error {
            tracing::error!("{error}");
            manifest.error = Some(error);
        }
        let digest = match audit::seal(&data.folder, &manifest) {
            Ok(digest) => digest,
            Err(error) => {
                tracing::error!(%error, "the batch cannot be sealed; left to the next start");
                return self.unsealed(data, manifest.summary, durable);
            }
        };
        tracing::info!(batch = %self.id, manifest_sha256 = %digest, "sealed");
        // Push attempts are shown only once they are saved: a counter must not go back after a kill.
        publisher::add_to(&mut data.state.totals, &pushes);
        let mut notes = Vec::new();
        state::fold(&mut data.state, &manifest.summary, digest, &mut notes);
        let news = notes.iter().filter(|note| matches!(note, Recovery::NewBuckets { .. }));
        news.for_each(|note| tracing::warn!("{note}"));
        let mut exit = exit;
        if let Err(error) = data.save() {
            // The audit has it: the next start folds it in.
            tracing::error!(%error, "the state is left to the next start");
            exit = Exit::Io;
        }
        BatchEnd {
            audit: Some(data.folder.sealed(&self.id)),
            output: written.ok().flatten(),
            delivered: Vec::new(),
            exit,
            summary: manifest.summary,
        }
    }

    /// The end of a batch that only the next start can seal: shown as that start will count it.
    fn unsealed(&self, data: &mut DataDir, mut summary: BatchSummary, durable: Tally) -> BatchEnd {
        summary.status = Status::Crashed;
        summary.tally = durable;
        summary.ended = None;
        summary.duration_seconds = None;
        summary.exit_code = Some(Exit::Io.code());
        data.state.totals.fold(&summary);
        BatchEnd { summary, audit: None, output: None, delivered: Vec::new(), exit: Exit::Io }
    }

    /// The full effort, or one bounded attempt when we were asked to stop.
    fn last_schedule(&self, stop: Option<Duration>) -> Schedule {
        let push = &self.config.push;
        match stop {
            Some(limit) => Schedule::once(push.attempt_timeout.min(limit)),
            None => Schedule {
                policy: Some(push.retry),
                attempt_timeout: push.attempt_timeout,
                deadline: push.deadline,
            },
        }
    }

    /// Keeps delivery marks, push counts and the exit code.
    fn remember(&self, data: &mut DataDir, exit: Exit) {
        let sealed = data.state.last_batch.as_ref().is_some_and(|last| last.batch_id == self.id);
        if !sealed {
            // The totals in memory hold what the next start will seal and fold: they are not saved.
            return;
        }
        data.state.totals.set_exit_code(exit.code());
        if let Err(error) = data.save() {
            tracing::error!(%error, "delivery marks are lost; the next start delivers again");
        }
        write_textfile(self.config, &families(self.config, data.state.totals.clone()));
    }

    /// Packs and prunes old batches. Nothing here can undo the batch: failures are warnings.
    fn tidy(&self, data: &DataDir) {
        let Ok(batches) = data.folder.batches() else { return };
        let sealed: Vec<_> = batches.iter().filter(|(_, files)| files.is_sealed()).collect();
        let retained = sealed
            .iter()
            .map(|(id, files)| audit::SealedBatch { id: (*id).clone(), bytes: files.bytes })
            .collect::<Vec<_>>();
        for (id, reason) in self.config.audit.retention.plan(&retained, super::now()) {
            match data.folder.remove(&id) {
                Ok(()) => tracing::info!(batch = %id, ?reason, "pruned"),
                Err(error) => tracing::warn!(batch = %id, %error, "not pruned"),
            }
        }
        if !self.config.audit.compress {
            return;
        }
        for (id, _) in sealed.iter().rev().skip(1).filter(|(_, files)| files.plain) {
            let packed = Manifest::read(&data.folder, id)
                .map_err(|error| error.to_string())
                .and_then(|(manifest, _)| {
                    audit::compress(&data.folder, &manifest).map_err(|error| error.to_string())
                });
            if let Err(error) = packed {
                tracing::warn!(batch = %id, error, "not compressed");
            }
        }
    }
}

/// Status, exit code, the reason's name, and what went wrong in words.
fn verdict(
    ended: &Ended,
    tally: &Tally,
    output: Option<&DiskError>,
) -> (Status, Exit, &'static str, Option<String>) {
    let by_result = |ended_by| match (tally.successes(), output) {
        (_, Some(error)) => {
            let exit = if error.is_permission() { Exit::Permission } else { Exit::CannotCreate };
            (Status::Failed, exit, ended_by, Some(format!("candidates are not written: {error}")))
        }
        (0, None) => {
            let none = "no mutation succeeded".to_owned();
            (Status::Failed, Exit::Failed, ended_by, Some(none))
        }
        (_, None) => (Status::Completed, Exit::Done, ended_by, None),
    };
    match ended {
        Ended::Rounds => by_result("rounds"),
        Ended::Deadline => by_result("deadline"),
        Ended::Signal(signal) => (Status::Interrupted, signal.exit(), "signal", None),
        Ended::NoTarget => {
            let none = "no strategy has a usable target; `mutation-agent check` says why";
            (Status::Failed, Exit::NoStrategy, "no_target", Some(none.to_owned()))
        }
        Ended::Error(error) => (Status::Failed, Exit::Io, "error", Some(error.to_string())),
    }
}

fn strategy_entries(plan: &BatchPlan) -> Vec<StrategyEntry> {
    let entries = plan.strategies.iter().map(|strategy| StrategyEntry {
        path: strategy.name.clone(),
        sha256: strategy.sha256.clone(),
        usable: strategy
            .targets
            .iter()
            .map(|target| TargetEntry {
                parameter: target.parameter.clone(),
                line: target.site.line(),
                value: target.value,
            })
            .collect(),
        unusable: strategy
            .unusable
            .iter()
            .map(|(parameter, reason)| UnusableEntry {
                parameter: parameter.clone(),
                reason: reason.as_str().to_owned(),
                detail: reason.to_string(),
            })
            .collect(),
    });
    entries.collect()
}

/// The totals as families, with the configured series that have not happened yet.
pub(crate) fn families(config: &Config, totals: Totals) -> Vec<MetricFamily> {
    let gateways = config.gateways.iter().map(|gateway| gateway.name().to_owned());
    Exposition::new(totals).with_configured(BatchPlan::series(config), gateways).gather()
}

/// The same exposition for node_exporter, whatever the gateways do.
pub(crate) fn write_textfile(config: &Config, families: &[MetricFamily]) {
    if let Some(path) = &config.metrics.textfile
        && let Err(error) = disk::replace(path, &encode_text(families), Mode::Shared)
    {
        tracing::warn!(%error, "textfile not written");
    }
}

/// Pushes the totals to all of `clients`, marks who took them, counts the attempts.
///
/// The state is not saved here.
pub fn deliver_totals(
    config: &Config,
    clients: &[Client],
    data: &mut DataDir,
    runtime: &Runtime,
    schedule: Schedule,
    stop: impl Future,
) -> Vec<Delivered> {
    let families = families(config, data.state.totals.clone());
    write_textfile(config, &families);
    let bodies = publisher::bodies(clients, &families);
    let targets: Vec<(&Client, &Body)> =
        bodies.iter().map(|(client, body)| (*client, body)).collect();
    let deliveries = runtime.block_on(deliver_all(&targets, schedule, stop));
    let mut log = PushLog::new();
    let mut results = BTreeMap::new();
    for ((client, _), delivery) in targets.iter().zip(&deliveries) {
        let name = client.gateway().name();
        publisher::count(&mut log, name, delivery);
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
        data.state.mark(&gateway, result.clone());
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
