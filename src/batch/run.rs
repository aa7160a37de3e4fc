//! The story of a batch, from the lock to the last push.

use super::delivery::{families, write_textfile};
use super::ending::{BatchEnd, Ended};
use super::generations::Desk;
use super::open_batch::OpenBatch;
use super::publisher::{self, Publisher};
use super::recorder::Recorder;
use super::rounds::run_round;
use super::tidy::tidy;
use super::timing::{CLOCK_SLACK, Timing};
use super::{BatchPlan, Clock, Progress, Shutdown, Signal, Threads};
use crate::audit::{Manifest, Order, shards_in};
use crate::config::Config;
use crate::disk::DiskError;
use crate::gateway::Client;
use crate::metrics::BatchSummary;
use crate::notify::Notifier;
use crate::state::{DataDir, OpenError, Recovery};
use crate::units::BatchId;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records between two looks at the progress bar.
pub(super) const BETWEEN_LOOKS: u64 = 1024;

/// A batch that did not begin.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Lock, state or audit.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal, or its first manifest.
    #[error(transparent)]
    Create(#[from] DiskError),
    /// There was no time for one.
    #[error("asked to stop before the batch began; nothing was run")]
    Stopped(Signal),
    /// Threads or signals.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// Runs one batch. An error means that there was none.
pub fn run(
    config: &Config,
    plan: &BatchPlan,
    clients: Vec<Client>,
    notifier: &Notifier,
) -> Result<BatchEnd, BatchError> {
    let clock = Clock::start();
    let runtime = Threads::start()?;
    let shutdown = Shutdown::listen(config.batch.shutdown_timeout)?;
    notifier.status("taking the lock; bringing the totals up to the audit");
    let mut data = open(config)?;
    if let Some(signal) = shutdown.asked() {
        return Err(BatchError::Stopped(signal));
    }
    let id = new_id(config, &clock, &data);
    let clients = Arc::new(clients);
    let batch = OpenBatch { config, plan, clock, id, clients, notifier, ingest: None };
    let _span = tracing::info_span!("batch", id = %batch.id).entered();

    announce(plan);
    mind_the_clock(&data, &clock);
    mind_the_shards(config, &data);

    let mut running = batch.start(&mut data, &runtime)?;
    let ended = match &config.evaluator {
        None => batch.rounds(&mut data, &mut running, &shutdown),
        Some(evaluator) => batch.evolve(evaluator, &mut running.desk(&mut data), &shutdown),
    };
    notifier.stopping();
    notifier.status("the rounds are over; sealing the audit");
    Ok(batch.finish(&mut data, running, &ended, &runtime, &shutdown))
}

/// What is open while a batch runs.
pub(super) struct Running<'a> {
    publisher: Publisher,
    manifest: Manifest,
    recorder: Recorder<'a>,
}

impl<'a> Running<'a> {
    pub(super) const fn desk<'d>(&'d mut self, data: &'d mut DataDir) -> Desk<'d, 'a> {
        let Self { publisher, manifest, recorder } = self;
        Desk { data, publisher, manifest, recorder }
    }
}

impl OpenBatch<'_> {
    /// Puts the batch on disk and shows that it has begun. An error means that there is none.
    pub(super) fn start(
        &self,
        data: &mut DataDir,
        runtime: &Threads,
    ) -> Result<Running<'_>, DiskError> {
        let (journal, mut manifest) = self.begin(data)?;
        let publisher = Publisher::start(
            runtime.handle(),
            Arc::clone(&self.clients),
            self.config.push.interval,
            self.config.push.attempt_timeout,
        );
        let recorder = Recorder::new(self, journal, Order::of(Some(&manifest)));
        self.publish(data, &publisher, &mut manifest.summary, &recorder);
        Ok(Running { publisher, manifest, recorder })
    }

    /// Seals it, delivers the totals, and tidies up.
    pub(super) fn finish(
        &self,
        data: &mut DataDir,
        running: Running<'_>,
        ended: &Ended,
        runtime: &Threads,
        shutdown: &Shutdown,
    ) -> BatchEnd {
        let Running { publisher, manifest, recorder } = running;
        let config = self.config;

        // A push that hangs must not hold up the seal.
        let so_far = publisher.so_far();
        let mut end = self.close(data, manifest, recorder, ended, &so_far, shutdown);

        // With a signal there is little time, and one bounded push is still to come.
        let hurry = config.batch.shutdown_timeout / 3;
        let patience = config.push.attempt_timeout + Duration::from_secs(1);
        let mut late = publisher.finish(runtime.handle(), patience, hurry, shutdown);
        late.log = publisher::since(&so_far, late.log);
        (end.delivered, end.exit) = self.hand_over(data, end.exit, &late, runtime, shutdown, hurry);
        // What is not sealed stands in the totals in memory, and they must not be saved with what was pruned.
        if end.audit.is_some() {
            tidy(config, data, shutdown);
        }
        end
    }
}

/// Says what is mutated, and that something configured is not.
fn announce(plan: &BatchPlan) {
    let mut states = plan.targets_by_state();
    let usable = states.remove("usable");
    // That a strategy does not have every parameter is no news.
    states.retain(|state, _| state != "not_found");
    let shard = plan.shard().map(|(shard, _)| tracing::field::display(shard));
    let strategies = plan.strategies.len();
    tracing::info!(seed = plan.seed, shard, strategies, usable, "batch begins");
    if plan.is_elsewhere() {
        tracing::info!("all turns are other shards': nothing to do");
    }
    if !states.is_empty() {
        tracing::warn!(unusable = ?states, "targets are left out; `mutation-agent check` lists them");
    }
}

/// Says so where the last batch here was of another number of shards, or where shards have been at work beside us.
fn mind_the_shards(config: &Config, data: &DataDir) {
    let Some(shard) = config.shard else {
        if data.newest.is_none() && shards_in(&config.data_dir).is_ok_and(|all| !all.is_empty()) {
            let folder = config.data_dir.display();
            tracing::warn!(
                "there are shards in {folder}; this batch is of all strategies, and counts beside theirs"
            );
        }
        return;
    };
    let last = data.newest.as_ref().and_then(|id| Manifest::read(&data.folder, id).ok());
    let last = last.and_then(|(manifest, _)| manifest.shard);
    if let Some(last) = last.filter(|last| *last != shard) {
        tracing::warn!(
            %last,
            now = %shard,
            "another number of shards than in the last batch: strategies change places, and those that do begin their search anew"
        );
    }
}

/// Says so once a start when the clock stands before what was written by it.
pub(super) fn mind_the_clock(data: &DataDir, clock: &Clock) {
    let now = clock.started();
    if let Some(last) = data.newest.as_ref().filter(|last| last.start().since(now) > CLOCK_SLACK) {
        tracing::warn!(
            %now,
            %last,
            "the clock stands before the last batch's id; this id follows it all the same, so that ids \
             sort, and the time of day is in the manifest and the records"
        );
    }
    let success = data.state.totals.last_success();
    if let Some(success) = success.filter(|success| success.since(now) > CLOCK_SLACK) {
        tracing::warn!(
            %now,
            %success,
            "the last success lies ahead of the clock and never goes back: alerts on its age are blind \
             until then"
        );
    }
}

/// The id of the batch that begins.
pub(super) fn new_id(config: &Config, clock: &Clock, data: &DataDir) -> BatchId {
    let suffix = u32::try_from(super::random() >> 32).unwrap_or(0);
    let id = BatchId::next(clock.started(), suffix, data.newest.as_ref());
    match config.shard {
        Some(shard) => id.of_shard(shard),
        None => id,
    }
}

/// Opens the data folder and says what had to be repaired.
pub(crate) fn open(config: &Config) -> Result<DataDir, OpenError> {
    let buckets = &config.metrics.buckets;
    let data = DataDir::open(&config.data_dir, &config.audit.dir, buckets, super::now())?;
    for repair in &data.recovered {
        match repair {
            Recovery::Folded { .. } => tracing::info!("{repair}"),
            Recovery::SetAside { .. }
            | Recovery::Foreign { .. }
            | Recovery::Unchecked { .. }
            | Recovery::ManifestChanged { .. }
            | Recovery::LastRemoved { .. }
            | Recovery::LogChanged { .. }
            | Recovery::Corrected { .. }
            | Recovery::Rebuilt { .. }
            | Recovery::Crashed { .. }
            | Recovery::Finished { .. }
            | Recovery::Remade { .. }
            | Recovery::LogGone { .. }
            | Recovery::NewBuckets { .. }
            | Recovery::SearchLost { .. } => tracing::warn!("{repair}"),
        }
    }
    Ok(data)
}

impl OpenBatch<'_> {
    /// Runs the rounds to the end, or to whatever comes first.
    fn rounds(&self, data: &mut DataDir, running: &mut Running<'_>, shutdown: &Shutdown) -> Ended {
        let Running { publisher, manifest, recorder } = running;
        let summary = &mut manifest.summary;
        if let Some(ended) = self.nothing_to_do() {
            return ended;
        }
        let deadline = self.config.batch.deadline.map(|limit| Instant::now() + limit);
        let workers = match self.config.batch.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let progress = Progress::start(self.plan.attempts());
        let mut end = Ended::Rounds;
        for round in 1..=self.plan.rounds {
            let _span = tracing::debug_span!("round", round).entered();
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
                let (attempts, successes) = recorder.counts();
                if attempts.is_multiple_of(BETWEEN_LOOKS) {
                    progress.at(attempts, successes);
                    self.tell(round, attempts, successes);
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
            self.tell(round, attempts, successes);
            tracing::debug!(attempts, successes, "round done");
        }
        progress.finish();
        end
    }

    /// Tells `systemctl status` how far the batch is.
    pub(super) fn tell(&self, round: u32, attempts: u64, successes: u64) {
        self.notifier.progress(|| {
            let (rounds, all) = (self.plan.rounds, self.plan.attempts());
            format!(
                "round {round} of {rounds}: {attempts} of {all} mutations, {successes} succeeded"
            )
        });
    }

    /// Shows the gateways, and the textfile, what is on disk so far.
    pub(super) fn publish(
        &self,
        data: &mut DataDir,
        publisher: &Publisher,
        summary: &mut BatchSummary,
        recorder: &Recorder<'_>,
    ) {
        summary.tally.clone_from(recorder.durable());
        let mut totals = data.state.totals.clone();
        totals.fold(summary);
        let families = families(self.config, &totals);
        write_textfile(self.config, &families);
        let timing = Timing::of_batch(&self.clients, &mut data.state);
        if timing.is_told() {
            data.save_times();
        }
        publisher.publish(families, timing);
    }
}
