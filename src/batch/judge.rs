//! Candidates handed to the evaluator as files, and its answers.

use super::open_batch::OpenBatch;
use super::places::{Place, Places, clear};
use super::verdict::reads_as;
use super::{PlannedStrategy, Shutdown, Target};
use crate::config::Evaluator;
use crate::disk::{self, DiskError, Mode};
use crate::evaluator::{Answer, EvaluatorError, Job, Pool, Settings};
use crate::evolution::Values;
use crate::strategy::{RewriteError, Site};
use crate::units::{Decimal, MutationId, Number};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a wait for an answer may keep us from seeing that we were asked to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// The evaluator at work, and the folder that its candidates are in.
pub(super) struct Judge {
    pool: Pool,
    /// Evaluations at once.
    at_once: usize,
    /// Whether answers come by id alone, so that no two requests may have the same.
    by_id: bool,
    places: Places,
    /// Where those are that are being judged, by the caller's number.
    judging: HashMap<u64, Place>,
    /// Where the last one was.
    judged: Option<Place>,
}

/// What is to be judged.
pub(super) struct Candidate<'a> {
    /// The caller's number for it, which no other has at the time.
    pub(super) number: u64,
    /// What the evaluator is told; 0 for what is no attempt.
    pub(super) mutation: MutationId,
    pub(super) strategy: &'a PlannedStrategy,
    pub(super) values: &'a Values,
    pub(super) text: &'a str,
    pub(super) seed: u64,
}

/// What waiting for the evaluator came to.
pub(super) enum Waited {
    Answer(Answer),
    /// Nothing yet; there may be other things to do.
    Nothing,
    /// Asked to stop, or out of time.
    Stop,
}

impl Judge {
    /// Makes the folder and the pool. What earlier batches left goes, if it can.
    pub(super) fn start(batch: &OpenBatch<'_>, evaluator: &Evaluator) -> Result<Self, JudgeError> {
        let all = batch.config.data_dir.join("evaluating");
        clear(&all);
        let folder = all.join(batch.id.as_str());
        disk::create_folder(&folder, Mode::Private)?;
        // A relative path would be one of another folder for the evaluator.
        let folder = folder.canonicalize().map_err(DiskError::new("find", &folder))?;
        let workers = workers(evaluator);
        let settings = Settings {
            command: evaluator.command.clone(),
            mode: evaluator.mode,
            timeout: evaluator.timeout,
            workers,
            in_flight: evaluator.in_flight,
            memory: evaluator.memory,
            cpu: evaluator.cpu,
            folder: batch.config.base.clone(),
        };
        let pool = Pool::start(settings, batch.id.as_str(), PathBuf::from("/proc/self/exe"))?;
        let places = Places::below(folder);
        let at_once = workers.saturating_mul(evaluator.in_flight);
        let by_id = evaluator.in_flight > 1;
        Ok(Self { pool, at_once, by_id, places, judging: HashMap::new(), judged: None })
    }

    /// Whether another candidate would have to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.pool.in_flight() >= self.at_once
    }

    /// Whether one waits already, for a worker that becomes free to begin with at once.
    pub(super) fn is_ahead(&self) -> bool {
        self.pool.in_flight() > self.at_once
    }

    /// Whether nothing is being judged.
    pub(super) fn is_idle(&self) -> bool {
        self.pool.in_flight() == 0
    }

    /// Writes the candidate's file, under the strategy's own name, and asks.
    pub(super) fn ask(&mut self, candidate: &Candidate<'_>) -> Result<(), DiskError> {
        let name = candidate.strategy.path.file_name().unwrap_or("candidate.py".as_ref());
        let place = self.places.put(name, candidate.text)?;
        let path = place.path.clone();
        self.judging.insert(candidate.number, place);
        let Candidate { mutation, number, .. } = candidate;
        let mutation_id = if self.by_id && mutation.0 == 0 {
            format!("{mutation}-{number}")
        } else {
            mutation.to_string()
        };
        self.pool.submit(Job {
            number: candidate.number,
            mutation_id,
            strategy: candidate.strategy.name.clone(),
            candidate: path,
            parameters: candidate.values.clone(),
            seed: candidate.seed,
        });
        Ok(())
    }

    /// Whether we were asked to stop, or `deadline` has come.
    pub(super) fn is_over(shutdown: &Shutdown, deadline: Option<Instant>) -> bool {
        shutdown.asked().is_some() || deadline.is_some_and(|end| Instant::now() >= end)
    }

    /// Waits for an answer for a moment, unless we are asked to stop or `deadline` has come.
    pub(super) fn wait(&mut self, shutdown: &Shutdown, deadline: Option<Instant>) -> Waited {
        if Self::is_over(shutdown, deadline) {
            // What has ended is taken even then, and what has not begun never does.
            return self.pool.ended().map_or(Waited::Stop, Waited::Answer);
        }
        self.go_on();
        let Some(answer) = self.pool.next(PATIENCE) else { return Waited::Nothing };
        self.judged = self.judging.remove(&answer.number);
        Waited::Answer(answer)
    }

    /// The last answer is on record: the next candidate's turn has come, and the last one's file may go.
    pub(super) fn go_on(&mut self) {
        self.pool.hand_out();
        if let Some(place) = self.judged.take() {
            self.places.free(place);
        }
    }

    /// Ends whatever is being judged, with all that it started.
    pub(super) fn stop(self) {
        self.pool.stop();
        if let Err(error) = self.places.remove() {
            tracing::warn!(%error, "what was judged is left behind");
        }
    }
}

/// Processes of the evaluator that a config asks for. One that takes several requests at once spreads them by itself.
pub(crate) fn workers(evaluator: &Evaluator) -> usize {
    match evaluator.workers {
        0 if evaluator.in_flight > 1 => 1,
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

/// An evaluator that cannot be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum JudgeError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
}

impl PlannedStrategy {
    /// Its text with these values; those that stand in the source already keep their bytes.
    pub fn rendered(&self, values: &Values) -> Result<String, RewriteError> {
        let Some(source) = &self.source else { return Ok(String::new()) };
        let changed = self.changed(values);
        let changed: Vec<(&Site, Decimal)> =
            changed.map(|(target, value)| (&target.site, value)).collect();
        source.rewrite(&changed)
    }

    /// The same for an evaluator, which shall not wait for a file to be parsed. The literals are
    /// read back, as they are where nothing is evaluated; what is written for people is parsed as well.
    pub(super) fn draft(&self, values: &Values) -> Result<String, RewriteError> {
        let Some(source) = &self.source else { return Ok(String::new()) };
        let mut text = String::new();
        let mut changed = Vec::new();
        for (target, value) in self.changed(values) {
            let digits = target.site.render(value, &mut text);
            let kind = target.mutator.domain().kind();
            if !reads_as(&text, digits, value, kind) {
                let (line, expected) = (target.site.line(), Number::of(value, kind));
                return Err(RewriteError::WrongValue { line, text, expected });
            }
            changed.push((&target.site, value));
        }
        source.replace(&changed)
    }

    /// The targets whose values are not those of the source.
    fn changed(&self, values: &Values) -> impl Iterator<Item = (&Target, Decimal)> {
        self.targets.iter().filter_map(|target| {
            let value = values.get(&target.parameter)?.to_f64();
            (value.to_bits() != target.value.to_f64().to_bits())
                .then(|| (target, target.decimal(value)))
        })
    }
}
