//! The end of a round: selection, step sizes, memory. It depends on the set of the round's records alone.

use super::search::limit;
use super::{Fingerprint, Individual, Origin, Search, Settings, Step, StepSize, Trial};
use std::collections::{BTreeMap, HashSet};
use std::mem;

impl StepSize {
    /// Adapted step sizes stay within these.
    pub const RANGE: (f64, f64) = (0.01, 1.5);

    /// Where `sigma` is configured.
    pub const fn new(sigma: f64) -> Self {
        Self { configured: sigma, adapted: sigma.clamp(Self::RANGE.0, Self::RANGE.1) }
    }

    /// The σ to propose with where `sigma` is configured, which a variant may have otherwise: what
    /// was learned is a ratio.
    pub const fn of(&self, sigma: f64) -> f64 {
        (self.adapted * (sigma / self.configured)).clamp(Self::RANGE.0, Self::RANGE.1)
    }

    /// The 1/5 success rule: ×1.5 for a success, ×1.5^(−1/4) for a failure, so that one success in
    /// five leaves it as it is.
    ///
    /// I. Rechenberg, "Evolutionsstrategie" (1973), with the constants of S. Kern et al., "Learning
    /// Probability Distributions in Continuous Evolutionary Algorithms" (2004). The attempts of a
    /// round step equally far, so they are one observation of how often that succeeds: with the
    /// share p of successes it is ×1.5^((5p − 1)/4), the rule itself for one attempt. Applied once
    /// for each attempt it would overshoot, by 1.5^50 in a round of fifty.
    fn adapt(&mut self, successes: u32, attempts: u32) {
        let share = f64::from(successes) / f64::from(attempts);
        let factor = 1.5_f64.powf((5.0 * share - 1.0) / 4.0);
        self.adapted = (self.adapted * factor).clamp(Self::RANGE.0, Self::RANGE.1);
    }
}

impl Search {
    /// Ends the round whose records were taken. Without any it does nothing.
    pub fn end_round(&mut self, settings: &Settings) {
        let mut trials = mem::take(&mut self.pending);
        trials.sort_by_key(|trial| trial.mutation);
        let best = self.population.first().map(|one| one.fitness);
        let mut offspring = Vec::new();
        let mut successes = BTreeMap::<String, (u32, u32)>::new();
        let mut evaluated = false;
        for trial in trials.into_iter().filter(Trial::was_evaluated) {
            // A record of a parent that is not there would be of another history than this one.
            let parent = self.population.iter().find(|one| one.born() == trial.parent.as_ref());
            let Some(parent) = parent else { continue };
            let mut values = parent.values.clone();
            for change in &trial.changes {
                values.insert(change.parameter.clone(), change.new);
            }
            self.memory.insert(Fingerprint::of(&values), limit(settings));
            let Some(fitness) = trial.fitness else { continue };
            evaluated = true;
            let better = settings.direction.better(fitness, parent.fitness);
            for change in &trial.changes {
                let counts = successes.entry(change.parameter.clone()).or_default();
                *counts = (counts.0 + u32::from(better), counts.1 + 1);
            }
            let mut lineage = parent.lineage.clone();
            lineage.push(Step {
                born: Origin { batch: self.batch.clone(), mutation: trial.mutation },
                round: trial.round,
                seed: self.seed,
                changes: trial.changes,
                fitness,
            });
            offspring.push(Individual { values, fitness, lineage });
        }
        self.population.append(&mut offspring);
        self.select(settings);
        for (name, (successes, attempts)) in successes {
            if let Some(step) = self.steps.get_mut(&name) {
                step.adapt(successes, attempts);
            }
        }
        let improved = match (best, self.population.first()) {
            (Some(before), Some(now)) => settings.direction.better(now.fitness, before),
            _ => false,
        };
        if improved {
            self.idle_rounds = 0;
        } else if evaluated {
            self.idle_rounds = self.idle_rounds.saturating_add(1);
        }
    }

    /// Keeps the best μ of different values, the best first; of equals the older one.
    pub(super) fn select(&mut self, settings: &Settings) {
        self.population.sort_by(|a, b| a.order(b, settings.direction));
        let mut seen = HashSet::new();
        self.population.retain(|one| seen.insert(Fingerprint::of(&one.values)));
        self.population.truncate(settings.survivors.max(1) as usize);
    }
}
