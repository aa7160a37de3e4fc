//! The end of a round: selection, step sizes, memory. It depends on the set of the round's records alone.

use super::search::limit;
use super::{Fingerprint, Individual, Origin, Search, Settings, Step, Trial, Values};
use std::collections::{BTreeMap, HashSet};
use std::mem;

impl Search {
    /// Ends the round whose records were taken. Without any it does nothing.
    pub fn end_round(&mut self, settings: &Settings) {
        let mut trials = mem::take(&mut self.pending);
        trials.sort_by_key(|trial| trial.mutation);
        let Some(round) = trials.first().map(|trial| trial.round) else { return };
        let best = self.population.first().map(|one| one.fitness);
        let centre = self.centre();
        let mut offspring = Vec::new();
        let mut successes = BTreeMap::<String, (u32, u32)>::new();
        for trial in trials.into_iter().filter(Trial::was_evaluated) {
            let Some((values, place)) = self.child(&trial) else { continue };
            let Some(fitness) = trial.fitness else {
                self.failures.insert(Fingerprint::of(&values), limit(settings));
                continue;
            };
            self.memory.insert(Fingerprint::of(&values), limit(settings));
            self.learn_of(&values, fitness);
            let parent = &self.population[place];
            // An equal fitness, as on a plateau, does not say that the step was too long.
            let order = settings.direction.order(fitness, parent.fitness);
            for change in trial.changes.iter().filter(|_| order.is_ne()) {
                let won = u32::from(order.is_lt());
                if let Some(counts) = successes.get_mut(&change.parameter) {
                    *counts = (counts.0 + won, counts.1 + 1);
                } else {
                    successes.insert(change.parameter.clone(), (won, 1));
                }
            }
            let (lineage, earlier) = (vec![self.step(trial, fitness)], 0);
            offspring.push((Individual { values, fitness, lineage, earlier }, place));
        }
        self.select_with(offspring, settings);
        self.learn_directions(round, &centre);
        for (name, (successes, attempts)) in successes {
            if let Some(step) = self.steps.get_mut(&name) {
                step.adapt(successes, attempts);
            }
        }
        let improved = match (best, self.population.first()) {
            (Some(before), Some(now)) => settings.direction.better(now.fitness, before),
            _ => false,
        };
        self.idle_rounds = if improved { 0 } else { self.idle_rounds.saturating_add(1) };
    }

    /// What an attempt gave, and the place of its parent. One of a parent that is not there, which
    /// would be of another history than this one, gave nothing.
    fn child(&self, trial: &Trial) -> Option<(Values, usize)> {
        let parent = self.population.iter().position(|one| one.born() == trial.parent.as_ref())?;
        let mut values = self.population[parent].values.clone();
        for change in &trial.changes {
            values.insert(change.parameter.clone(), change.new);
        }
        Some((values, parent))
    }

    fn step(&self, trial: Trial, fitness: f64) -> Step {
        Step {
            born: Origin { batch: self.batch.clone(), mutation: trial.mutation },
            round: trial.round,
            seed: self.seed,
            changes: trial.changes,
            fitness,
        }
    }

    /// Selects among the survivors and those who were born. Only who is kept is given the way to its parent: of all that
    /// were born it would be most of the fold.
    fn select_with(&mut self, offspring: Vec<(Individual, usize)>, settings: &Settings) {
        let ways = self.population.iter().map(|one| (one.lineage.clone(), one.earlier));
        let ways: Vec<_> = ways.collect();
        let survivors = self.population.drain(..).map(|one| (one, None));
        let born = offspring.into_iter().map(|(one, parent)| (one, Some(parent)));
        let mut all = survivors.chain(born).collect();
        keep_best(&mut all, settings, |(one, _)| one);
        self.population = all
            .into_iter()
            .map(|(mut one, parent)| {
                if let Some((way, earlier)) = parent.map(|parent| &ways[parent]) {
                    one.earlier = *earlier;
                    one.follow(way);
                }
                one
            })
            .collect();
    }

    /// The survivors' weighted mean, by parameter that has a step size, on its scale.
    pub(super) fn centre(&self) -> Vec<f64> {
        let weights = weights(self.population.len());
        let mut centre = vec![0.0; self.steps.len()];
        for (weight, one) in weights.iter().zip(&self.population) {
            for (sum, at) in centre.iter_mut().zip(self.coordinates(&one.values)) {
                *sum += weight * at;
            }
        }
        centre
    }

    /// Where values are, by parameter that has a step size, on its scale.
    pub(super) fn coordinates(&self, values: &Values) -> Vec<f64> {
        let steps = self.steps.iter();
        steps
            .map(|(name, step)| values.get(name).map_or(0.0, |one| step.coordinate(*one)))
            .collect()
    }

    /// Learns from those who were born in the round and survived; from nobody there is nothing to learn.
    fn learn_directions(&mut self, round: u32, before: &[f64]) {
        let weights = weights(self.population.len());
        let steps = |at: &[f64]| -> Vec<f64> {
            let ways = at.iter().zip(before).zip(self.steps.values());
            ways.map(|((at, before), step)| (at - before) / step.adapted).collect()
        };
        let fresh = |one: &&Individual| {
            one.lineage
                .last()
                .is_some_and(|last| last.born.batch == self.batch && last.round == round)
        };
        let newborn: Vec<_> = weights
            .iter()
            .zip(&self.population)
            .filter(|(_, one)| fresh(one))
            .map(|(weight, one)| (*weight, steps(&self.coordinates(&one.values))))
            .collect();
        if newborn.is_empty() || before.is_empty() {
            return;
        }
        let breadth = 1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let way = steps(&self.centre());
        self.shape.learn(breadth, &way, &newborn);
    }

    /// Keeps the best μ of different values, the best first; of equals the older one.
    pub(super) fn select(&mut self, settings: &Settings) {
        keep_best(&mut self.population, settings, |one| one);
    }
}

fn keep_best<T>(all: &mut Vec<T>, settings: &Settings, of: impl Fn(&T) -> &Individual) {
    all.sort_by(|a, b| of(a).order(of(b), settings.direction));
    let mut seen = HashSet::new();
    all.retain(|one| seen.insert(Fingerprint::of(&of(one).values)));
    all.truncate(settings.survivors.max(1) as usize);
}

/// Logarithmic weights of ranks, the best one's first; together 1.
fn weights(count: usize) -> Vec<f64> {
    let raw = (1..=count).map(|rank| (count as f64 + 0.5).ln() - (rank as f64).ln());
    let raw: Vec<f64> = raw.collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|weight| weight / total).collect()
}
