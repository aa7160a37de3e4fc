//! One of the two sets: a fold over its records.

use super::{Rate, Sample};
use crate::record::Record;
use crate::units::BatchId;
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of the attempts of a set.
#[derive(Clone, Debug)]
pub struct Set {
    pub(super) attempts: u64,
    pub(super) successes: u64,
    /// Attempts and successes by batch.
    pub(super) batches: BTreeMap<BatchId, (u64, u64)>,
    pub(super) strategies: BTreeSet<String>,
    pub(super) parameters: BTreeSet<String>,
    /// Some attempt changed several parameters.
    pub(super) several: bool,
    /// Some attempt went on from another one.
    pub(super) descended: bool,
    /// The last round.
    pub(super) rounds: u32,
    /// Seconds.
    pub(super) durations: Sample,
    /// Seconds.
    pub(super) evaluations: Sample,
    pub(super) fitness: Sample,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            attempts: 0,
            successes: 0,
            batches: BTreeMap::new(),
            strategies: BTreeSet::new(),
            parameters: BTreeSet::new(),
            several: false,
            descended: false,
            rounds: 0,
            durations: Sample::bounded(),
            evaluations: Sample::bounded(),
            fitness: Sample::exact(),
        }
    }
}

impl Set {
    /// Takes in one record.
    pub fn add(&mut self, record: &Record<'_>) {
        let success = u64::from(record.outcome.is_success());
        self.attempts += 1;
        self.successes += success;
        let id: &BatchId = &record.batch_id;
        if !self.batches.contains_key(id) {
            self.batches.insert(id.clone(), (0, 0));
        }
        if let Some((attempts, successes)) = self.batches.get_mut(id) {
            *attempts += 1;
            *successes += success;
        }
        for (names, name) in
            [(&mut self.strategies, &record.strategy), (&mut self.parameters, &record.parameter)]
        {
            if !names.contains(name.as_ref()) {
                names.insert(name.clone().into_owned());
            }
        }
        self.several |= !record.also.is_empty();
        self.descended |= record.parent.is_some();
        self.rounds = self.rounds.max(record.round);
        if let Some(duration) = record.duration {
            self.durations.push(duration.nanos() as f64 / 1e9);
        }
        if let Some(evaluation) = record.evaluation {
            self.evaluations.push(evaluation.nanos() as f64 / 1e9);
        }
        if let Some(fitness) = record.fitness {
            self.fitness.push(fitness);
        }
    }

    /// Attempts.
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }

    /// The batches that they are of.
    pub fn batches(&self) -> impl Iterator<Item = &BatchId> {
        self.batches.keys()
    }

    /// Successes of attempts.
    pub(super) fn rate(&self) -> Rate {
        Rate::new(self.successes, self.attempts)
    }

    /// How much more the successes vary from batch to batch than those of independent attempts would: the variance of the
    /// ratio over clusters by the binomial one (Rao and Scott 1992). `None` for a single batch.
    pub(super) fn design_effect(&self) -> Option<f64> {
        let batches = self.batches.len() as f64;
        if batches < 2.0 {
            return None;
        }
        let (all, rate) = (self.attempts as f64, self.rate().share());
        let residuals = self
            .batches
            .values()
            .map(|(attempts, successes)| (*successes as f64 - *attempts as f64 * rate).powi(2));
        let binomial = rate * (1.0 - rate);
        if binomial <= 0.0 {
            return Some(1.0);
        }
        Some(batches / (batches - 1.0) * residuals.sum::<f64>() / all / binomial)
    }
}
