//! Evaluated rounds: proposed one after the other from the survivors, judged by many workers, recorded as they end.

use super::drafting::Fitting;
use super::ending::Ended;
use super::evaluated::Attempt;
use super::judge::{Candidate, Judge, JudgeError, Waited};
use super::open_batch::OpenBatch;
use super::publisher::Publisher;
use super::recorder::Recorder;
use super::turns::{Turn, Turns};
use super::{PlannedStrategy, Progress, Shutdown};
use crate::audit::{Evolution, Manifest};
use crate::config::Evaluator;
use crate::evaluator::{self, Answer, Verdict};
use crate::evolution::{Gene, Proposing, Searches};
use crate::mutation::{Streams, evaluation_seed};
use crate::record::{Millis, Record};
use crate::state::DataDir;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// A batch whose candidates are evaluated.
pub(super) struct Evolving<'a> {
    pub(super) batch: &'a OpenBatch<'a>,
    pub(super) judge: Judge,
    pub(super) searches: Searches,
    pub(super) shutdown: &'a Shutdown,
    pub(super) deadline: Option<Instant>,
}

/// What a batch writes to while it runs.
pub(super) struct Desk<'a, 'b> {
    pub(super) data: &'a mut DataDir,
    pub(super) publisher: &'a Publisher,
    pub(super) manifest: &'a mut Manifest,
    pub(super) recorder: &'a mut Recorder<'b>,
}

impl OpenBatch<'_> {
    /// Judges the sources, then runs the rounds to the end, or to whatever comes first.
    pub(super) fn evolve<'a>(
        &'a self,
        settings: &Evaluator,
        desk: &mut Desk<'_, 'a>,
        shutdown: &'a Shutdown,
    ) -> Ended {
        if let Some(ended) = self.nothing_to_do() {
            return ended;
        }
        if let Some(last) = &desk.data.newest {
            let ended = evaluator::end_left_behind(last.as_str());
            if ended > 0 {
                tracing::warn!(batch = %last, ended, "processes of the last batch's evaluator were still running");
            }
        }
        let judge = match Judge::start(self, settings) {
            Ok(judge) => judge,
            Err(JudgeError::Disk(error)) => return Ended::Error(error),
            Err(JudgeError::Evaluator(error)) => return Ended::Evaluator(error.to_string()),
        };
        let mut evolving = Evolving {
            batch: self,
            judge,
            searches: desk.data.state.searches.clone(),
            shutdown,
            deadline: self.config.batch.deadline.map(|limit| Instant::now() + limit),
        };
        let ended = evolving.run(desk);
        self.notifier.status("ending the evaluators");
        evolving.judge.stop();
        ended
    }
}

impl<'a> Evolving<'a> {
    fn run(&mut self, desk: &mut Desk<'_, 'a>) -> Ended {
        if let Err(ended) = self.begin(desk) {
            return ended;
        }
        let plan = self.batch.plan;
        let settings = self.batch.config.evolution.settings;
        let progress = Progress::start(plan.attempts());
        let mut end = Ended::Rounds;
        for round in 1..=plan.rounds {
            let _span = tracing::debug_span!("round", round).entered();
            if let Err(ended) = self.round(round, desk, &progress) {
                end = ended;
                break;
            }
            if let Err(error) = desk.recorder.sync() {
                end = Ended::Error(error);
                break;
            }
            desk.manifest.summary.rounds_completed = round;
            let (attempts, successes) = desk.recorder.counts();
            self.batch.tell(round, attempts, successes);
            tracing::debug!(attempts, successes, "round done");
            if round < plan.rounds && self.searches.exhausted(&settings, &self.batch.id) {
                end = Ended::Exhausted;
                break;
            }
        }
        progress.finish();
        end
    }

    /// Judges the sources and writes down where the search begins, from which a killed batch is folded.
    fn begin(&mut self, desk: &mut Desk<'_, 'a>) -> Result<(), Ended> {
        let baselines = self.baselines(desk)?;
        self.begin_search(&baselines, desk)?;
        desk.recorder.begin_search(self.searches.of(&self.batch.id));
        let settings = self.batch.config.evolution.settings;
        desk.manifest.evolution = Some(Evolution { settings, searches: self.searches.clone() });
        let shown = self.searches.summary(&settings, &self.batch.id);
        desk.manifest.summary.search = Some(shown);
        let Desk { data, manifest, .. } = desk;
        data.change(|folder| manifest.write(folder)).map_err(Ended::Error)?;
        Ok(())
    }

    fn round(
        &mut self,
        round: u32,
        desk: &mut Desk<'_, 'a>,
        progress: &Progress,
    ) -> Result<(), Ended> {
        desk.recorder.begin_round(round);
        let settings = self.batch.config.evolution.settings;
        let mut records = Vec::new();
        let searches = std::mem::take(&mut self.searches);
        let ended = self.attempts(round, &searches, desk, progress, &mut records);
        self.searches = searches;
        for record in &records {
            self.searches.take(&settings, record);
        }
        self.searches.end_round(&settings);
        let shown = self.searches.summary(&settings, &self.batch.id);
        desk.manifest.summary.search = Some(shown);
        ended
    }

    /// Proposes and judges the round's attempts. What is not worth an evaluation is recorded in its turn, and the
    /// others as their evaluations end.
    fn attempts(
        &mut self,
        round: u32,
        searches: &Searches,
        desk: &mut Desk<'_, 'a>,
        progress: &Progress,
        records: &mut Vec<Record<'a>>,
    ) -> Result<(), Ended> {
        let plan = self.batch.plan;
        let fits: Vec<_> = plan.usable().iter().map(|index| plan.fitting(*index)).collect();
        let mut proposer = Generation::new(self.batch, searches, &fits, round);
        let mut judged = HashMap::new();
        for nth in 0..proposer.turns.count() {
            while self.judge.is_ahead() {
                let attempt = self.answered(&mut judged, desk)?;
                records.extend(self.record(attempt, round, desk, progress)?);
            }
            // A round may have nothing to judge, and so nothing to wait for. What has ended is recorded even then.
            while Judge::is_over(self.shutdown, self.deadline) {
                let attempt = self.answered(&mut judged, desk)?;
                records.extend(self.record(attempt, round, desk, progress)?);
            }
            let Some((mut attempt, text)) = proposer.attempt(nth) else { continue };
            match text {
                None => {
                    attempt.ended = Instant::now();
                    records.extend(self.record(Some(attempt), round, desk, progress)?);
                }
                Some(text) => {
                    self.judge
                        .ask(&Candidate {
                            number: attempt.mutation.0,
                            mutation: attempt.mutation,
                            strategy: attempt.strategy,
                            values: &attempt.draft.values,
                            text: &text,
                            seed: evaluation_seed(self.batch.plan.seed, attempt.mutation.0),
                        })
                        .map_err(Ended::Error)?;
                    judged.insert(attempt.mutation.0, attempt);
                }
            }
        }
        while !self.judge.is_idle() {
            let attempt = self.answered(&mut judged, desk)?;
            records.extend(self.record(attempt, round, desk, progress)?);
        }
        Ok(())
    }

    /// Waits for an answer, and says what attempt it is for and what came of that.
    fn answered<'s>(
        &mut self,
        judged: &mut HashMap<u64, Attempt<'a, 's>>,
        desk: &mut Desk<'_, 'a>,
    ) -> Result<Option<Attempt<'a, 's>>, Ended> {
        match self.judge.wait(self.shutdown, self.deadline) {
            Waited::Stop => Err(self.stopped()),
            Waited::Nothing => {
                // Evaluations may take hours, and gateways shall see that we are still there.
                self.show(desk)?;
                Ok(None)
            }
            Waited::Answer(Answer { verdict: Verdict::Unusable(why), .. }) => {
                Err(Ended::Evaluator(format!("the evaluator cannot be run any more: {why}")))
            }
            Waited::Answer(answer) => Ok(judged.remove(&answer.number).map(|mut attempt| {
                attempt.judge(answer);
                attempt
            })),
        }
    }

    fn record(
        &mut self,
        attempt: Option<Attempt<'a, '_>>,
        round: u32,
        desk: &mut Desk<'_, 'a>,
        progress: &Progress,
    ) -> Result<Option<Record<'a>>, Ended> {
        let Some(attempt) = attempt else { return Ok(None) };
        let record = desk.recorder.evaluated(&attempt).map_err(Ended::Error)?;
        self.judge.go_on();
        let (attempts, successes) = desk.recorder.counts();
        progress.at(attempts, successes);
        self.batch.tell(round, attempts, successes);
        self.show(desk)?;
        Ok(Some(record))
    }

    /// Shows the gateways what is on disk, when it is time for that.
    pub(super) fn show(&self, desk: &mut Desk<'_, '_>) -> Result<(), Ended> {
        if desk.publisher.wants() {
            desk.recorder.sync().map_err(Ended::Error)?;
            let summary = &mut desk.manifest.summary;
            self.batch.publish(desk.data, desk.publisher, summary, desk.recorder);
        }
        Ok(())
    }

    /// Why a wait came to its end without an answer.
    pub(super) fn stopped(&self) -> Ended {
        self.shutdown.asked().map_or(Ended::Deadline, Ended::Signal)
    }
}

/// Makes the proposals of one round; the same ones for any number of workers.
struct Generation<'a, 's> {
    batch: &'a OpenBatch<'a>,
    searches: &'s Searches,
    fits: &'s [Fitting<'a>],
    round: u32,
    turns: Turns<'a>,
    /// Of the strategies that had a turn; those that are left out have theirs too, and nothing is made of them.
    slots: HashMap<usize, Option<Slot<'a, 's>>>,
}

struct Slot<'a, 's> {
    strategy: &'a PlannedStrategy,
    streams: Streams,
    /// By variant; one where there are none.
    genes: Vec<Vec<Gene<'a>>>,
    proposing: Proposing<'s>,
}

impl<'a, 's> Generation<'a, 's> {
    fn new(
        batch: &'a OpenBatch<'a>,
        searches: &'s Searches,
        fits: &'s [Fitting<'a>],
        round: u32,
    ) -> Self {
        let plan = batch.plan;
        let turns = Turns::new(plan.circle(), round, plan.mutations_per_round);
        Self { batch, searches, fits, round, turns, slots: HashMap::new() }
    }

    /// What the strategy proposes from, made when its first turn comes: a model takes time, and a round may be shorter than
    /// the list of strategies.
    fn slot(&mut self, slot: usize) -> Option<&mut Slot<'a, 's>> {
        let Self { batch, searches, fits, round, .. } = *self;
        let make = || {
            let (plan, settings) = (batch.plan, &batch.config.evolution.settings);
            let Fitting { strategy, fits } = &fits[slot];
            let search = searches.active(settings, &batch.id, &strategy.name)?;
            let streams = Streams::new(plan.seed, round, &strategy.name);
            let genes = plan.genes(strategy);
            let proposing = Proposing::new(settings, search).within(fits);
            Some(Slot { strategy, streams, genes, proposing })
        };
        self.slots.entry(slot).or_insert_with(make).as_mut()
    }

    /// Our attempt number `nth` of the round, from 0, and the text to be judged; no text where there is nothing to judge.
    /// `None` where the strategy whose turn it is was left out.
    fn attempt(&mut self, nth: u32) -> Option<(Attempt<'a, 's>, Option<String>)> {
        let started = Instant::now();
        let (plan, round) = (self.batch.plan, self.round);
        let Turn { slot, number, index } = self.turns.of(nth);
        let Slot { strategy, streams, genes, proposing } = self.slot(slot)?;
        let (variant, draft) = plan.propose(genes, proposing, &mut streams.attempt(number));
        let (outcome, error, text) = plan.validated(strategy, &draft);
        let attempt = Attempt {
            mutation: plan.id_of(round, index),
            strategy,
            variant,
            draft,
            outcome,
            error,
            fitness: None,
            duration: Millis::from(started.elapsed()),
            evaluation: None,
            ended: started,
            metrics: BTreeMap::new(),
        };
        Some((attempt, text))
    }
}
