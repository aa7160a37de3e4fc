//! How a batch ends: candidates written, log sealed, totals folded, and a word for what it was.

use super::delivery::Delivered;
use super::open_batch::OpenBatch;
use super::publisher;
use super::recorder::Recorder;
use super::{PushLog, Shutdown, Signal};
use crate::audit::{self, JournalEnd, Manifest, ReadError};
use crate::disk::DiskError;
use crate::exit::Exit;
use crate::ingest::LogError;
use crate::metrics::{BatchSummary, Status, Tally};
use crate::state::{self, DataDir, Recovery};
use std::io;
use std::path::PathBuf;

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

/// Why the rounds ended.
pub(super) enum Ended {
    Rounds,
    Deadline,
    /// No strategy had a better candidate for as long as there was patience.
    Exhausted,
    /// The evaluator is of no use; why.
    Evaluator(String),
    Signal(Signal),
    NoTarget,
    /// What there is to do belongs to other shards.
    Elsewhere,
    /// All that was new in the logs of another program is taken.
    Ingested,
    /// One of those logs cannot be read on.
    Unreadable(LogError),
    Error(DiskError),
}

impl OpenBatch<'_> {
    /// Why there is nothing to do, if there is nothing.
    pub(super) fn nothing_to_do(&self) -> Option<Ended> {
        if self.plan.is_elsewhere() {
            return Some(Ended::Elsewhere);
        }
        self.plan.usable().is_empty().then_some(Ended::NoTarget)
    }

    /// Writes the candidates, seals, folds.
    pub(super) fn close(
        &self,
        data: &mut DataDir,
        mut manifest: Manifest,
        mut recorder: Recorder<'_>,
        ended: &Ended,
        pushes: &PushLog,
        shutdown: &Shutdown,
    ) -> BatchEnd {
        if let Ended::Error(error) = ended {
            tracing::error!(%error, "the batch ends here; what was written stands");
            if error.is_sync() || error.is_meddling() {
                // Nobody knows what of it is on disk: the next start reads what is.
                return Self::unsealed(data, manifest.summary, &recorder, error);
            }
            let cut_back = recorder.cut_back(&data.folder);
            if let Err(error) = cut_back.and_then(|()| self.note_again(data, &mut manifest)) {
                tracing::error!(%error, "left to the next start");
                return Self::unsealed(data, manifest.summary, &recorder, &error);
            }
        }
        let journal = match recorder.end() {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(%error, "the batch cannot be sealed; left to the next start");
                return Self::unsealed(data, manifest.summary, &recorder, &error);
            }
        };
        let tally = recorder.tally().clone();
        let written = self.write_candidates(&manifest, &recorder, shutdown);
        manifest.pushes.clone_from(pushes);
        let mut exit = self.complete(&mut manifest, journal, tally, ended, written.as_ref().err());
        // Candidates take a while, and what is under the journal's name is about to be sealed.
        let sealed = recorder
            .is_untouched()
            .and_then(|()| data.change(|folder| audit::seal(folder, &manifest)));
        let digest = match sealed {
            Ok(digest) => digest,
            Err(error) => {
                tracing::error!(%error, "the batch cannot be sealed; left to the next start");
                return Self::unsealed(data, manifest.summary, &recorder, &error);
            }
        };
        tracing::info!(manifest_sha256 = %digest, "sealed");
        // Push attempts are shown only once they are saved: a counter must not go back after a kill.
        publisher::add_to(&mut data.state.totals, pushes);
        if state::fold(&mut data.state, &manifest, digest) {
            tracing::warn!("{}", Recovery::NewBuckets { id: self.id.clone() });
        }
        match state::searches_after(&data.folder, &manifest) {
            Ok(Some(searches)) => data.state.searches = searches,
            Ok(None) => {}
            Err(error) => {
                let (id, why) = (self.id.clone(), error.to_string());
                tracing::warn!("{}", Recovery::SearchLost { id, why });
            }
        }
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

    /// Of another program's logs only what stands in the journal is taken.
    fn note_again(&self, data: &DataDir, manifest: &mut Manifest) -> Result<(), DiskError> {
        manifest.summary.ingest.clone_from(&self.ingest);
        let path = data.folder.open_journal(&self.id);
        let noted = manifest.note_ingested(|visit| audit::read_own_records(&path, visit));
        noted.map_err(|error| match error {
            ReadError::Disk(error) => error,
            other => DiskError::new("read", &path)(io::Error::other(other)),
        })
    }

    /// The best where there is a fitness, else a sample.
    fn write_candidates(
        &self,
        manifest: &Manifest,
        recorder: &Recorder<'_>,
        shutdown: &Shutdown,
    ) -> Result<Option<PathBuf>, DiskError> {
        let output = &self.config.output.dir;
        match &manifest.evolution {
            Some(evolution) => recorder.champions().write(self, &evolution.searches, shutdown),
            None => recorder.candidates().write(self.plan, output, &self.id, shutdown),
        }
    }

    /// Fills in what is known at the end.
    fn complete(
        &self,
        manifest: &mut Manifest,
        journal: JournalEnd,
        tally: Tally,
        ended: &Ended,
        output: Option<&DiskError>,
    ) -> Exit {
        let (status, exit, ended_by, error) = verdict(ended, &tally, output);
        let error =
            error.or_else(|| output.map(|error| format!("candidates are not written: {error}")));
        manifest.summary.status = status;
        manifest.summary.exit_code = Some(exit.code());
        manifest.summary.ended = Some(self.clock.started().plus(self.clock.elapsed()));
        manifest.summary.duration_seconds = Some(self.clock.elapsed().as_secs_f64());
        manifest.ended_by = Some(ended_by.to_owned());
        manifest.records = tally.attempts();
        manifest.summary.tally = tally;
        manifest.bytes = journal.bytes;
        manifest.sha256 = journal.sha256;
        if let Some(error) = &error {
            tracing::error!("{error}");
        }
        manifest.error = error;
        exit
    }

    /// The end of a batch that only the next start can seal: its records are shown, and it is not
    /// counted among the batches, for the manifest may be on disk and say otherwise.
    fn unsealed(
        data: &mut DataDir,
        mut summary: BatchSummary,
        recorder: &Recorder<'_>,
        error: &DiskError,
    ) -> BatchEnd {
        summary.status = Status::Running;
        // What was lasting, unless somebody has taken of it since.
        summary.tally = if error.is_meddling() {
            recorder.found(&data.folder)
        } else {
            recorder.durable().clone()
        };
        summary.ended = None;
        summary.duration_seconds = None;
        summary.exit_code = Some(Exit::Io.code());
        data.state.totals.fold(&summary);
        data.state.totals.leave_undecided();
        summary.status = Status::Crashed;
        BatchEnd { summary, audit: None, output: None, delivered: Vec::new(), exit: Exit::Io }
    }
}

/// Status, exit code, the reason's name, and what else than the output went wrong, in words.
fn verdict(
    ended: &Ended,
    tally: &Tally,
    output: Option<&DiskError>,
) -> (Status, Exit, &'static str, Option<String>) {
    let by_result = |ended_by| match (tally.successes(), output) {
        (_, Some(error)) => {
            let exit = if error.is_permission() { Exit::Permission } else { Exit::CannotCreate };
            (Status::Failed, exit, ended_by, None)
        }
        (0, None) => {
            let none = if tally.is_exhausted() {
                "no mutation succeeded: all within reach was evaluated before; widen the bounds, refine the steps, or \
                 take the strategies out"
            } else {
                "no mutation succeeded"
            };
            let none = none.to_owned();
            (Status::Failed, Exit::Failed, ended_by, Some(none))
        }
        (_, None) => (Status::Completed, Exit::Done, ended_by, None),
    };
    match ended {
        Ended::Rounds => by_result("rounds"),
        Ended::Deadline => by_result("deadline"),
        Ended::Exhausted => by_result("patience"),
        Ended::Evaluator(why) => (Status::Failed, Exit::Failed, "evaluator", Some(why.clone())),
        Ended::Signal(signal) => (Status::Interrupted, signal.exit(), "signal", None),
        Ended::NoTarget => {
            let none = "no strategy has a usable target; `mutation-agent check` says why";
            (Status::Failed, Exit::NoStrategy, "no_target", Some(none.to_owned()))
        }
        Ended::Elsewhere => (Status::Completed, Exit::Done, "elsewhere", None),
        // What came of the attempts is another program's success or failure.
        Ended::Ingested => (Status::Completed, Exit::Done, "ingested", None),
        Ended::Unreadable(error) => (Status::Failed, Exit::Io, "error", Some(error.to_string())),
        Ended::Error(error) => (Status::Failed, Exit::Io, "error", Some(error.to_string())),
    }
}
