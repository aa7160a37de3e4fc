//! The story of a batch, from the lock to the last push.

use super::delivery::{families, write_textfile};
use super::ending::{BatchEnd, Ended};
use super::open_batch::OpenBatch;
use super::publisher::Publisher;
use super::recorder::Recorder;
use super::rounds::run_round;
use super::tidy::tidy;
use super::{BatchPlan, Candidates, Clock, Progress, Shutdown, Threads};
use crate::audit::Journal;
use crate::config::Config;
use crate::disk::{self, DiskError};
use crate::exit::Exit;
use crate::gateway::Client;
use crate::metrics::BatchSummary;
use crate::state::{DataDir, OpenError, Recovery};
use crate::units::BatchId;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Mutations between two looks at the progress bar.
const BETWEEN_LOOKS: u64 = 1024;

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

/// Runs one batch. An error means that there was none.
pub fn run(
    config: &Config,
    plan: &BatchPlan,
    clients: Vec<Client>,
) -> Result<BatchEnd, BatchError> {
    let clock = Clock::start();
    let runtime = Threads::start()?;
    let shutdown = Shutdown::listen(config.batch.shutdown_timeout)?;
    let mut data = open(config)?;
    let id = BatchId::next(clock.started(), suffix(), data.newest.as_ref());
    let batch = OpenBatch { config, plan, clock, id, clients: Arc::new(clients) };
    let _span = tracing::info_span!("batch", id = %batch.id).entered();

    announce(plan);

    let journal = Journal::create(&data.folder, &batch.id, config.audit.buffer)?;
    let mut manifest = batch.first_manifest(&data);
    if let Err(error) = manifest.write(&data.folder) {
        // There was no batch: an empty journal would be counted as one that crashed.
        let _ = disk::remove_if_there(journal.path());
        return Err(error.into());
    }

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
    let hurry = config.batch.shutdown_timeout / 3;
    let patience = config.push.attempt_timeout + Duration::from_secs(1);
    let pushes = publisher.finish(runtime.handle(), patience, hurry, &shutdown);
    let mut end = batch.close(&mut data, manifest, recorder, &ended, &pushes, &shutdown);

    if !batch.clients.is_empty() {
        tracing::info!("the batch is done; delivering its totals");
    }
    end.delivered = batch.deliver(&mut data, &runtime, &shutdown, hurry);
    if end.exit == Exit::Done && end.delivered.iter().any(|one| one.result.is_err()) {
        end.exit = Exit::TryLater;
    }
    batch.remember(&mut data, end.exit);
    // What is not sealed stands in the totals in memory, and they must not be saved with what was pruned.
    if shutdown.asked().is_none() && end.audit.is_some() {
        tidy(config, &mut data);
    }
    Ok(end)
}

/// Says what is mutated, and that something configured is not.
fn announce(plan: &BatchPlan) {
    let mut states = plan.targets_by_state();
    let usable = states.remove("usable");
    // That a strategy does not have every parameter is no news.
    states.retain(|state, _| state != "not_found");
    tracing::info!(seed = plan.seed, strategies = plan.strategies.len(), usable, "batch begins");
    if !states.is_empty() {
        tracing::warn!(unusable = ?states, "targets are left out; `mutation-agent check` lists them");
    }
}

/// For the id: the upper half of a random number.
fn suffix() -> u32 {
    u32::try_from(super::random() >> 32).unwrap_or(0)
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

impl OpenBatch<'_> {
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
            tracing::debug!(attempts, successes, "round done");
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
}
