//! Before the first round: every source is judged, and so are the survivors of other data.

use super::ending::Ended;
use super::generations::{Desk, Evolving};
use super::judge::{Candidate, Waited};
use crate::evaluator::Verdict;
use crate::evolution::{Individual, Start, StepSize, Values};
use crate::mutation::evaluation_seed;
use crate::units::MutationId;
use std::collections::BTreeMap;

/// When so many sources have failed and none has not, the others are not waited for: with a time-out of minutes and
/// a hundred strategies that could be hours.
const HOPELESS: usize = 8;

/// Something to be judged that is no attempt: a source, or a survivor.
struct Task {
    /// Index into the plan's strategies.
    strategy: usize,
    values: Values,
}

impl<'a> Evolving<'a> {
    /// Judges the sources. An evaluator that fails for all of them, or cannot be run, ends the batch here;
    /// strategies that it fails for alone are left out.
    pub(super) fn baselines(
        &mut self,
        desk: &mut Desk<'_, 'a>,
    ) -> Result<BTreeMap<usize, f64>, Ended> {
        let plan = self.batch.plan;
        let sources = plan.usable().iter();
        let sources: Vec<Task> = sources
            .map(|index| Task { strategy: *index, values: plan.strategies[*index].values() })
            .collect();
        self.batch.notifier.status(&format!("evaluating {} sources", sources.len()));
        let verdicts = self.judge_all(&sources, HOPELESS, desk)?;
        let (mut fitness, mut failures) = (BTreeMap::new(), Vec::new());
        for (task, verdict) in sources.iter().zip(verdicts) {
            let Some(verdict) = verdict else { continue };
            let strategy = &plan.strategies[task.strategy].name;
            match in_words(verdict) {
                Ok(value) => {
                    tracing::info!(strategy, fitness = value, "baseline");
                    fitness.insert(task.strategy, value);
                }
                Err(why) => failures.push((strategy, why)),
            }
        }
        if let (true, Some((strategy, why))) = (fitness.is_empty(), failures.first()) {
            return Err(Ended::Evaluator(format!(
                "the evaluator fails for the unmutated strategies, so no candidate is evaluated; {strategy}: {why}"
            )));
        }
        for (strategy, why) in failures {
            tracing::error!(
                strategy,
                why,
                "the evaluator fails for the unmutated strategy; it is left out of this batch"
            );
        }
        Ok(fitness)
    }

    /// Begins the search of tonight: survivors that no longer fit go, and those whose fitness is that of other data
    /// are judged again.
    pub(super) fn begin_search(
        &mut self,
        baselines: &BTreeMap<usize, f64>,
        desk: &mut Desk<'_, 'a>,
    ) -> Result<(), Ended> {
        let (plan, settings) = (self.batch.plan, self.batch.config.evolution.settings);
        let facts: Vec<_> = baselines
            .iter()
            .map(|(index, fitness)| {
                let strategy = &plan.strategies[*index];
                let steps = strategy.targets.iter().filter_map(|target| {
                    Some((target.parameter.clone(), StepSize::new(&target.mutator)?))
                });
                let steps: BTreeMap<String, StepSize> = steps.collect();
                (strategy, *fitness, strategy.values(), strategy.sites(), steps)
            })
            .collect();
        let fits: Vec<_> = facts
            .iter()
            .map(|(strategy, ..)| move |values: &Values| plan.fits(strategy, values))
            .collect();
        let starts = facts.iter().zip(&fits).filter_map(
            |((strategy, fitness, values, sites, steps), fits)| {
                let source = strategy.sha256.as_ref()?;
                Some(Start {
                    name: &strategy.name,
                    source,
                    baseline: *fitness,
                    values,
                    sites,
                    steps,
                    fits,
                })
            },
        );
        let starts: Vec<Start<'_>> = starts.collect();
        let strategies = plan.strategies.len();
        self.searches.begin(&settings, &self.batch.id, plan.seed, &starts, strategies);
        self.reassess(desk)
    }

    fn reassess(&mut self, desk: &mut Desk<'_, 'a>) -> Result<(), Ended> {
        let (plan, settings) = (self.batch.plan, self.batch.config.evolution.settings);
        let mut tasks = Vec::new();
        for (index, strategy) in plan.strategies.iter().enumerate() {
            let stale = self.searches.get(&self.batch.id, &strategy.name);
            let stale = stale.map_or(&[][..], |search| search.stale()).iter();
            tasks.extend(
                stale.map(|Individual { values, .. }| Task {
                    strategy: index,
                    values: values.clone(),
                }),
            );
        }
        if tasks.is_empty() {
            return Ok(());
        }
        tracing::info!(
            survivors = tasks.len(),
            "a source has another fitness than before: survivors are evaluated again"
        );
        let verdicts = self.judge_all(&tasks, usize::MAX, desk)?;
        for (task, verdict) in tasks.iter().zip(verdicts) {
            let name = &plan.strategies[task.strategy].name;
            let fitness = match verdict.map(in_words) {
                Some(Ok(fitness)) => Some(fitness),
                Some(Err(why)) => {
                    tracing::warn!(
                        strategy = name,
                        why,
                        "a survivor has no fitness tonight; it is asked for again tomorrow"
                    );
                    None
                }
                None => None,
            };
            if let Some(search) = self.searches.get_mut(&self.batch.id, name) {
                search.reassess(&settings, fitness);
            }
        }
        Ok(())
    }

    /// The verdicts over all tasks, in their order; not over those that are left when the first `hopeless` have failed.
    fn judge_all(
        &mut self,
        tasks: &[Task],
        hopeless: usize,
        desk: &mut Desk<'_, 'a>,
    ) -> Result<Vec<Option<Verdict>>, Ended> {
        let mut verdicts = vec![None; tasks.len()];
        // Failures before the first success.
        let mut failed = Some(0);
        let mut next = tasks.iter().enumerate();
        let mut waiting = next.next();
        while waiting.is_some() || !self.judge.is_idle() {
            if let Some((number, task)) = waiting.filter(|_| !self.judge.is_busy()) {
                self.ask(number as u64, task)?;
                waiting = next.next();
                continue;
            }
            let answer = match self.judge.wait(self.shutdown, self.deadline) {
                Waited::Answer(answer) => answer,
                Waited::Nothing => {
                    self.show(desk)?;
                    continue;
                }
                Waited::Stop => return Err(self.stopped()),
            };
            if let Verdict::Unusable(why) = answer.verdict {
                return Err(Ended::Evaluator(format!("the evaluator cannot be run: {why}")));
            }
            let is_success = matches!(answer.verdict, Verdict::Fitness { .. });
            failed = failed.filter(|_| !is_success).map(|failed| failed + 1);
            let place = usize::try_from(answer.number).ok();
            if let Some(verdict) = place.and_then(|at| verdicts.get_mut(at)) {
                *verdict = Some(answer.verdict);
            }
            if failed.is_some_and(|failed| failed >= hopeless) {
                // Those under way may still succeed.
                waiting = None;
            }
        }
        Ok(verdicts)
    }

    fn ask(&mut self, number: u64, task: &Task) -> Result<(), Ended> {
        let plan = self.batch.plan;
        let strategy = &plan.strategies[task.strategy];
        let text = strategy.rendered(&task.values).map_err(|error| {
            // It was rendered before, and parsed as a whole.
            Ended::Evaluator(format!("{}: {error}", strategy.name))
        })?;
        let candidate = Candidate {
            number,
            mutation: MutationId(0),
            strategy,
            values: &task.values,
            text: &text,
            // All of a night are judged under the same circumstances.
            seed: evaluation_seed(plan.seed, 0),
        };
        self.judge.ask(&candidate).map_err(Ended::Error)
    }
}

/// The fitness, or why there is none.
fn in_words(verdict: Verdict) -> Result<f64, String> {
    match verdict {
        Verdict::Fitness { fitness, .. } => Ok(fitness),
        Verdict::Failed(why)
        | Verdict::Timeout(why)
        | Verdict::Invalid(why)
        | Verdict::Unusable(why) => Err(why),
    }
}
