//! The search in one strategy.

use super::shape::Shape;
use super::{Fingerprint, Individual, Memory, Settings, StepSize, Trial, Values};
use crate::units::{BatchId, Digest, Number};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::mem;

/// All that the search in a strategy knows: who survives, how far to step, what was tried.
///
/// It goes on from records alone: [`Self::take`] each of a round, in any order, then
/// [`Self::end_round`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    pub(super) name: String,
    pub(super) source: Digest,
    pub(super) baseline: f64,
    pub(super) batch: BatchId,
    pub(super) seed: u64,
    pub(super) idle_rounds: u32,
    pub(super) steps: BTreeMap<String, StepSize>,
    #[serde(deserialize_with = "at_least_one")]
    pub(super) population: Vec<Individual>,
    /// Their fitness is that of other data or of another evaluator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stale: Vec<Individual>,
    /// Of the round that has not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pending: Vec<Trial>,
    pub(super) memory: Memory,
    /// What this batch's evaluator failed for: not tried again tonight, and tomorrow it may be mended.
    #[serde(default, skip_serializing_if = "Memory::is_empty")]
    pub(super) failures: Memory,
    /// Where each parameter's literal stands in the source, in bytes.
    #[serde(default)]
    pub(super) sites: BTreeMap<String, u64>,
    pub(super) shape: Shape,
    /// The last evaluations: values in the order of `steps`, and the fitness.
    pub(super) evaluations: Vec<(Vec<Number>, f64)>,
}

/// A strategy as a batch finds it.
pub struct Start<'a> {
    /// Its name in records.
    pub name: &'a str,
    /// Digest of its bytes.
    pub source: &'a Digest,
    /// The fitness of the source itself, of this very batch.
    pub baseline: f64,
    /// The values in the source, of its usable parameters.
    pub values: &'a Values,
    /// Where the literals of these values stand in it, in bytes.
    pub sites: &'a BTreeMap<String, u64>,
    /// Where the parameters whose operator has a σ begin, by [`StepSize::new`].
    pub steps: &'a BTreeMap<String, StepSize>,
    /// Whether values are within tonight's bounds and constraints.
    pub fits: &'a dyn Fn(&Values) -> bool,
}

impl Search {
    /// A search that knows the source alone.
    pub fn new(batch: &BatchId, seed: u64, start: &Start<'_>) -> Self {
        let source = Individual::source(start.values.clone(), start.baseline);
        let mut search = Self {
            name: start.name.to_owned(),
            source: start.source.clone(),
            baseline: start.baseline,
            batch: batch.clone(),
            seed,
            idle_rounds: 0,
            steps: start.steps.clone(),
            memory: Memory::from_iter([Fingerprint::of(start.values)]),
            population: vec![source],
            stale: Vec::new(),
            pending: Vec::new(),
            failures: Memory::default(),
            sites: start.sites.clone(),
            shape: Shape::round(start.steps.len()),
            evaluations: Vec::new(),
        };
        search.learn_of(start.values, start.baseline);
        search
    }

    /// Goes on in a later batch, with what of it still fits.
    ///
    /// Survivors outside of tonight's bounds and constraints go. A parameter that is new to them
    /// has the source's value; one that is no longer mutated may have had another than the source
    /// has, so their fitness is stale. A `baseline` other than the remembered one means that the
    /// data or the evaluator are others: then all is stale, and nothing counts as tried. Where a
    /// parameter means another literal than before, nothing that was found means anything.
    pub fn resume(&mut self, settings: &Settings, batch: &BatchId, seed: u64, start: &Start<'_>) {
        self.end_round(settings);
        let moved =
            |(name, site): (&String, &u64)| self.sites.get(name).is_some_and(|known| known != site);
        if start.sites.iter().any(moved) {
            *self = Self::new(batch, seed, start);
            return;
        }
        self.sites.clone_from(start.sites);
        self.failures.clear();
        let other = self.baseline.to_bits() != start.baseline.to_bits();
        let known = mem::take(&mut self.population).into_iter().map(|one| (one, other));
        let stale = mem::take(&mut self.stale).into_iter().map(|one| (one, true));
        // The source comes anew, with the fitness of tonight.
        let survivors: Vec<_> =
            known.chain(stale).filter(|(one, _)| one.born().is_some()).collect();
        self.population.push(Individual::source(start.values.clone(), start.baseline));
        for (survivor, stale) in survivors {
            if let Some((survivor, changed)) = fitted(survivor, start) {
                let list = if stale || changed { &mut self.stale } else { &mut self.population };
                list.push(survivor);
            }
        }
        self.stale.truncate(settings.survivors.max(1) as usize);
        if other {
            self.memory.clear();
            self.evaluations.clear();
        }
        self.memory.insert(Fingerprint::of(start.values), limit(settings));
        self.begin_steps(start.steps);
        if other || self.evaluations.is_empty() {
            self.learn_of(start.values, start.baseline);
        }
        self.name.clear();
        self.name.push_str(start.name);
        (self.baseline, self.seed, self.idle_rounds) = (start.baseline, seed, 0);
        self.batch = batch.clone();
        self.select(settings);
    }

    /// The survivors whose fitness is not known of tonight's data: the batch evaluates each and
    /// says so to [`Self::reassess`] before its first round.
    pub fn stale(&self) -> &[Individual] {
        &self.stale
    }

    /// Gives the first of the stale survivors its fitness. If there is none tonight it stays stale, behind the others.
    pub fn reassess(&mut self, settings: &Settings, fitness: Option<f64>) {
        if self.stale.is_empty() {
            return;
        }
        let mut survivor = self.stale.remove(0);
        let Some(fitness) = fitness.filter(|fitness| fitness.is_finite()) else {
            self.stale.push(survivor);
            return;
        };
        self.memory.insert(Fingerprint::of(&survivor.values), limit(settings));
        survivor.fitness = fitness;
        self.learn_of(&survivor.values, fitness);
        self.population.push(survivor);
        self.select(settings);
    }

    /// A record of the strategy. One of another round than the last one ends that round first.
    pub fn take(&mut self, settings: &Settings, trial: Trial) {
        if self.pending.last().is_some_and(|last| last.round != trial.round) {
            self.end_round(settings);
        }
        self.pending.push(trial);
    }

    /// The strategy's name in records.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of the strategy's bytes.
    pub const fn source(&self) -> &Digest {
        &self.source
    }

    /// The fitness of the source.
    pub const fn baseline(&self) -> f64 {
        self.baseline
    }

    /// The last batch that used it.
    pub const fn last_batch(&self) -> &BatchId {
        &self.batch
    }

    /// The survivors, the best first; at least one.
    pub fn population(&self) -> &[Individual] {
        &self.population
    }

    /// Where each parameter's literal stands in the source, in bytes.
    pub const fn sites(&self) -> &BTreeMap<String, u64> {
        &self.sites
    }

    /// Why what was read cannot be a search, if it cannot.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let size = self.steps.len();
        if !self.steps.values().all(StepSize::is_sound) {
            return Some("a step size that is no number above 0");
        }
        if !self.shape.is_sound(size) {
            return Some("a shape that is none of its parameters");
        }
        if !self.evaluations.iter().all(|(numbers, _)| numbers.len() == size) {
            return Some("an evaluation of other parameters");
        }
        None
    }

    /// The step sizes by parameter.
    pub const fn steps(&self) -> &BTreeMap<String, StepSize> {
        &self.steps
    }

    /// Whether these values were evaluated already, as far as it is remembered.
    pub fn remembers(&self, values: Fingerprint) -> bool {
        self.memory.contains(values) || self.failures.contains(values)
    }

    /// Forgets the oldest of what is more than the settings allow.
    pub(super) fn remember(&mut self, settings: &Settings) {
        self.memory.shrink(limit(settings));
    }

    /// How many value sets are remembered.
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }

    /// Whether it has gone without a better candidate for as many rounds as patience allows.
    pub fn is_spent(&self, settings: &Settings) -> bool {
        settings.patience.is_some_and(|rounds| self.idle_rounds >= rounds)
    }

    /// The last rounds of this batch that gave no better candidate.
    pub const fn idle_rounds(&self) -> u32 {
        self.idle_rounds
    }

    /// Takes over what was learned of the parameters that begin as they did. With other parameters
    /// than before, directions and evaluations mean nothing any more.
    fn begin_steps(&mut self, steps: &BTreeMap<String, StepSize>) {
        let known = mem::replace(&mut self.steps, steps.clone());
        for (name, step) in &mut self.steps {
            if let Some(known) = known.get(name).filter(|known| known.began_as(step)) {
                *step = *known;
            }
        }
        if !known.keys().eq(self.steps.keys()) {
            self.evaluations.clear();
            self.shape = Shape::round(steps.len());
        }
        self.shape = self.shape.clone().fitted(steps.len());
    }

    /// Remembers an evaluation, and of all the last ones.
    pub(super) fn learn_of(&mut self, values: &Values, fitness: f64) {
        let numbers = self.steps.keys().map(|name| values.get(name).copied());
        if let Some(numbers) = numbers.collect() {
            self.evaluations.push((numbers, fitness));
        }
        let surplus = self.evaluations.len().saturating_sub(EVALUATIONS);
        self.evaluations.drain(..surplus);
    }
}

/// So many evaluations are kept for a model to be fitted to the better half of them.
pub(super) const EVALUATIONS: usize = 120;

/// What was read may be anybody's, and a search without individuals could propose nothing.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Individual>, D::Error> {
    let population = Vec::deserialize(deserializer)?;
    if population.is_empty() {
        return Err(serde::de::Error::custom("a population needs at least one individual"));
    }
    Ok(population)
}

/// How many value sets are remembered.
pub(super) const fn limit(settings: &Settings) -> usize {
    settings.memory as usize
}

/// The survivor with tonight's parameters, and whether that may be another candidate than was evaluated.
fn fitted(mut survivor: Individual, start: &Start<'_>) -> Option<(Individual, bool)> {
    let before = survivor.values.len();
    survivor.values.retain(|name, _| start.values.contains_key(name));
    let changed = survivor.values.len() < before;
    for (name, value) in start.values {
        let own = survivor.values.entry(name.clone()).or_insert(*value);
        // An int that became a float is written otherwise.
        if mem::discriminant(own) != mem::discriminant(value) {
            return None;
        }
    }
    (start.fits)(&survivor.values).then_some((survivor, changed))
}
