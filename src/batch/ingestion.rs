//! A batch that mutates nothing: it takes in what another program logged, once.

use super::delivery::{Delivered, deliver_totals};
use super::ending::{BatchEnd, Ended};
use super::generations::Desk;
use super::open_batch::OpenBatch;
use super::run::{BETWEEN_LOOKS, mind_the_clock, new_id, open};
use super::{BatchError, BatchPlan, Clock, Progress, Shutdown, Threads, Timing};
use crate::config::Config;
use crate::exit::Exit;
use crate::gateway::{Client, Schedule};
use crate::ingest::{LogError, OldLog, Refusal, Survey, Taking, look_through};
use crate::metrics::{Ingest, IngestedLog, KnownLog};
use crate::notify::Notifier;
use crate::state::{DataDir, State};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Logs that were not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The batch did not begin.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A log that cannot be read, or must not be counted.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<LogError> for IngestError {
    fn from(error: LogError) -> Self {
        Self::Refused(error.into())
    }
}

/// What became of logs.
#[derive(Debug)]
pub struct Ingested {
    /// Of each log what was found, in the order of the logs.
    pub surveys: Vec<Survey>,
    /// The batch that took them in; `None` where nothing was new.
    pub batch: Option<BatchEnd>,
    /// Without a batch: the gateways that had not seen the newest totals yet.
    pub delivered: Vec<Delivered>,
    /// How the process ends.
    pub exit: Exit,
}

/// Takes in logs, as often as is wanted.
pub struct Ingestion<'a> {
    pub(super) config: &'a Config,
    zone: TimeZone,
    pub(super) clients: Arc<Vec<Client>>,
    pub(super) notifier: &'a Notifier,
    pub(super) threads: Threads,
    pub(super) shutdown: Shutdown,
}

/// A log, and how far it has come.
pub(super) struct Source<'l> {
    pub(super) log: &'l OldLog,
    pub(super) taking: Taking,
    /// It has a line that this batch cannot take: what is known of it is what stands in the journal.
    pub(super) is_stuck: bool,
}

impl<'a> Ingestion<'a> {
    /// Of logs that were written in `zone`. Signals are listened to from now on.
    pub fn new(
        config: &'a Config,
        zone: TimeZone,
        clients: Vec<Client>,
        notifier: &'a Notifier,
    ) -> Result<Self, BatchError> {
        Ok(Self {
            config,
            zone,
            clients: Arc::new(clients),
            notifier,
            threads: Threads::start()?,
            shutdown: Shutdown::listen(config.batch.shutdown_timeout)?,
        })
    }

    /// Takes in what is new in `logs`, and delivers the totals.
    pub fn once(&self, logs: &[OldLog]) -> Result<Ingested, IngestError> {
        self.notifier.status("taking the lock; bringing the totals up to the audit");
        let mut data = open(self.config).map_err(BatchError::from)?;
        if let Some(signal) = self.shutdown.asked() {
            return Err(BatchError::Stopped(signal).into());
        }
        self.notifier.status("looking through the logs");
        let parameters = self.config.parameter_names();
        let surveys = look_through(logs, data.state.totals.ingested(), &parameters)?;
        let new: Vec<(&OldLog, &Survey)> =
            logs.iter().zip(&surveys).filter(|(_, survey)| survey.records > 0).collect();
        if new.is_empty() {
            let delivered = self.deliver_waiting(&mut data, self.config.push.schedule());
            let exit = self.exit_after(&delivered);
            return Ok(Ingested { surveys, batch: None, delivered, exit });
        }
        let end = self.batch(&mut data, &new, false, |batch, desk, sources| {
            let progress = Progress::start(batch.plan.attempts());
            let ended = sources.iter_mut().find_map(|source| {
                if let Some(signal) = self.shutdown.asked() {
                    return Some(Ended::Signal(signal));
                }
                self.take(batch, desk, source, &progress).err()
            });
            progress.finish();
            self.notifier.stopping();
            self.notifier.status("all is read; sealing the audit");
            ended.unwrap_or(Ended::Ingested)
        })?;
        let exit = end.exit;
        Ok(Ingested { surveys, batch: Some(end), delivered: Vec::new(), exit })
    }

    /// Opens logs for reading, and says how they are known now.
    fn sources<'l>(
        &self,
        new: &[(&'l OldLog, &Survey)],
        goes_on: bool,
    ) -> Result<(Vec<Source<'l>>, Ingest), LogError> {
        let mut sources = Vec::new();
        let mut ingest = Ingest::default();
        for (log, survey) in new {
            let taking = Taking::start(log, survey, self.zone.clone(), goes_on)?;
            let (Some(taking), Some(known)) = (taking, &survey.known) else { continue };
            let known = KnownLog { taken: survey.on_record, ..known.clone() };
            let path = log.name().to_owned();
            if ingest.sources.iter().any(|source| source.path == path) {
                // It has grown since it was looked through by that name. Records are told apart by it: another time.
                continue;
            }
            ingest.sources.push(IngestedLog { path, known, records: 0, left_out: BTreeMap::new() });
            sources.push(Source { log, taking, is_stuck: false });
        }
        Ok((sources, ingest))
    }

    /// One batch over logs with something new; `take` reads them, and on where `goes_on`.
    pub(super) fn batch(
        &self,
        data: &mut DataDir,
        new: &[(&OldLog, &Survey)],
        goes_on: bool,
        take: impl FnOnce(&OpenBatch<'_>, &mut Desk<'_, '_>, &mut [Source<'_>]) -> Ended,
    ) -> Result<BatchEnd, IngestError> {
        let (mut sources, ingest) = self.sources(new, goes_on)?;
        let clock = Clock::start();
        let plan = BatchPlan::none(new.iter().map(|(_, survey)| survey.records).sum());
        let batch = OpenBatch {
            config: self.config,
            plan: &plan,
            clock,
            id: new_id(self.config, &clock, data),
            clients: Arc::clone(&self.clients),
            notifier: self.notifier,
            ingest: Some(ingest),
        };
        let _span = tracing::info_span!("batch", id = %batch.id).entered();
        tracing::info!(logs = sources.len(), records = plan.attempts(), "ingest begins");
        mind_the_clock(data, &clock);
        let mut running = batch.start(data, &self.threads).map_err(BatchError::from)?;
        let mut desk = running.desk(data);
        desk.recorder.begin_round(1);
        let mut ended = take(&batch, &mut desk, &mut sources);
        if matches!(ended, Ended::Ingested) {
            match desk.recorder.sync() {
                Ok(()) => {
                    let (records, _) = desk.recorder.counts();
                    desk.manifest.summary.rounds_completed = u32::from(records > 0);
                }
                Err(error) => ended = Ended::Error(error),
            }
        }
        if let Some(ingest) = &mut desk.manifest.summary.ingest {
            ingest.sources.iter_mut().zip(&sources).for_each(|(known, source)| source.tell(known));
        }
        Ok(batch.finish(data, running, &ended, &self.threads, &self.shutdown))
    }

    /// Takes all that is new in a log by now. An error is what ends the batch; a line that cannot be taken does not.
    pub(super) fn take(
        &self,
        batch: &OpenBatch<'_>,
        desk: &mut Desk<'_, '_>,
        source: &mut Source<'_>,
        progress: &Progress,
    ) -> Result<bool, Ended> {
        let mut had_news = false;
        while !source.is_stuck {
            let Some(taken) = source.taking.next_record().map_err(Ended::Unreadable)? else {
                break;
            };
            had_news = true;
            let parameters = &self.config.parameters;
            if !parameters.iter().any(|one| one.name == taken.record.parameter) {
                // It was written since the survey; the next one tells of it.
                source.is_stuck = true;
                break;
            }
            let record = desk.recorder.ingested(&taken, source.log.name()).map_err(Ended::Error)?;
            if let Some(ingest) = &mut desk.manifest.summary.ingest {
                ingest.note(&record);
            }
            let (attempts, successes) = desk.recorder.counts();
            if attempts.is_multiple_of(BETWEEN_LOOKS) {
                progress.at(attempts, successes);
                desk.recorder.flush_in_time().map_err(Ended::Error)?;
                let told = || format!("{attempts} records taken, of which {successes} succeeded");
                self.notifier.progress(told);
                if let Some(signal) = self.shutdown.asked() {
                    return Err(Ended::Signal(signal));
                }
            }
            Self::publish_in_time(batch, desk)?;
        }
        Ok(had_news)
    }

    /// Shows the gateways what is on disk, where it is time to.
    pub(super) fn publish_in_time(
        batch: &OpenBatch<'_>,
        desk: &mut Desk<'_, '_>,
    ) -> Result<(), Ended> {
        if desk.publisher.wants() {
            desk.recorder.sync().map_err(Ended::Error)?;
            let summary = &mut desk.manifest.summary;
            batch.publish(desk.data, desk.publisher, summary, desk.recorder);
        }
        Ok(())
    }

    /// The gateways that have not seen the newest totals.
    pub(super) fn lack<'s>(&'s self, state: &'s State) -> impl Iterator<Item = &'s Client> {
        self.clients.iter().filter(|client| {
            let gateway = client.gateway();
            !state.is_delivered(gateway.name(), gateway.group())
        })
    }

    /// Delivers to the gateways that have not seen the newest totals, and saves what came of it.
    pub(super) fn deliver_waiting(&self, data: &mut DataDir, schedule: Schedule) -> Vec<Delivered> {
        let waiting: Vec<Client> = self.lack(&data.state).cloned().collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let stop = self.shutdown.wait();
        let timing = Timing::last(&waiting, &mut data.state, BTreeMap::new());
        if timing.is_told() {
            data.save_times();
        }
        let delivered =
            deliver_totals(self.config, &waiting, &timing, data, &self.threads, schedule, stop);
        if let Err(error) = data.save() {
            tracing::error!(%error, "delivery marks are lost; the next start delivers again");
        }
        delivered
    }

    /// How the process ends after a delivery.
    fn exit_after(&self, delivered: &[Delivered]) -> Exit {
        let failed = delivered.iter().any(|one| one.result.is_err());
        match self.shutdown.asked() {
            Some(signal) if failed => signal.exit(),
            _ if failed => Exit::TryLater,
            _ => Exit::Done,
        }
    }
}

impl Source<'_> {
    /// What the batch took of it, for the manifest.
    fn tell(&self, source: &mut IngestedLog) {
        if let Some(known) = self.taking.known().filter(|_| !self.is_stuck) {
            source.known = known;
        }
        let left_out = self.taking.left_out().iter();
        source.left_out = left_out.map(|(why, count)| (why.as_str().to_owned(), *count)).collect();
        if !source.left_out.is_empty() {
            tracing::warn!(log = source.path, left_out = ?source.left_out, "no records, and left out");
        }
    }
}
