//! The fold over records, batch by batch.

use super::{Errors, Slowest, Values};
use crate::metrics::{
    Baseline, BatchFigures, BatchSummary, Breakdown, Buckets, Dimension, Recent, Status, Tally,
};
use crate::record::{Outcome, Record};
use crate::units::{BatchId, Timestamp};
use std::collections::BTreeMap;

/// How many strategies have a fitness of their own in a report.
const MOST_STRATEGIES: usize = 1_000;

/// A batch as its manifest has it, before its records are read.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which one.
    pub id: BatchId,
    /// When it started.
    pub started: Timestamp,
    /// How it ended; `None` where no manifest says so.
    pub status: Option<Status>,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
    /// Its exit code.
    pub exit_code: Option<u8>,
    /// Rounds whose every attempt is on record.
    pub rounds: u32,
    /// Why it ended as it did, in words.
    pub error: Option<String>,
    /// Targets by state.
    pub targets: BTreeMap<String, u64>,
    /// Whether a smaller fitness is the better one; `None` without an evaluator.
    pub less_is_better: Option<bool>,
    /// The fitness of the sources, by strategy.
    pub baselines: BTreeMap<String, f64>,
}

/// A batch and what its records come to.
#[derive(Clone, Debug)]
pub struct Night {
    /// As its manifest has it.
    pub batch: Batch,
    /// What its records come to.
    pub figures: BatchFigures,
    /// What was usual for it, by the completed batches before.
    pub usual: Option<Baseline>,
    /// Median of the mutations' durations, in seconds.
    pub duration_p50: Option<f64>,
    /// Attempts whose candidate an evaluator was asked about.
    pub evaluated: u64,
    /// Attempts that came to nothing because all they proposed had been evaluated before.
    pub duplicates: u64,
    /// Those that it failed for, took too long for, or answered wrongly.
    pub evaluator_errors: u64,
    /// Best fitness by strategy.
    pub best: BTreeMap<String, f64>,
}

/// All that records say.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Oldest first.
    pub nights: Vec<Night>,
    /// Over all batches.
    pub tally: Tally,
    /// By parameter.
    pub values: BTreeMap<String, Values>,
    /// Of all batches.
    pub errors: Errors,
    /// Of all batches.
    pub slowest: Slowest,
    /// The best fitness so far after each round of the newest batch, by strategy.
    pub rounds: BTreeMap<String, BTreeMap<u32, f64>>,
    /// Logs that could not be read, or not to their end, and why.
    pub damage: Vec<String>,
    /// By parameter, operator, variant and outcome.
    pub outcomes: Breakdown,
    recent: Recent,
}

impl Default for Facts {
    fn default() -> Self {
        let by =
            vec![Dimension::Parameter, Dimension::Operator, Dimension::Variant, Dimension::Outcome];
        Self {
            nights: Vec::new(),
            tally: Tally::new(Buckets::default()),
            values: BTreeMap::new(),
            errors: Errors::default(),
            slowest: Slowest::default(),
            rounds: BTreeMap::new(),
            damage: Vec::new(),
            outcomes: Breakdown::new(by),
            recent: Recent::default(),
        }
    }
}

/// A batch while its records are read.
#[derive(Debug)]
pub struct Reading {
    batch: Batch,
    tally: Tally,
    best: BTreeMap<String, f64>,
}

impl Facts {
    /// Begins with a batch that comes after those that were read.
    pub fn begin(&mut self, batch: Batch) -> Reading {
        self.rounds.clear();
        Reading { batch, tally: Tally::new(Buckets::default()), best: BTreeMap::new() }
    }

    /// Takes in a record of it.
    pub fn add(&mut self, reading: &mut Reading, record: &Record<'_>) {
        reading.tally.add(record);
        self.errors.add(record);
        self.slowest.add(record);
        self.outcomes.add(record);
        self.add_values(record);
        let Some(fitness) = record.fitness.filter(|fitness| fitness.is_finite()) else { return };
        let less = reading.batch.less_is_better.unwrap_or(false);
        keep_best(&mut reading.best, &record.strategy, fitness, less);
        if self.rounds.len() < MOST_STRATEGIES || self.rounds.contains_key(&*record.strategy) {
            let so_far = reading.best.get(&*record.strategy).copied().unwrap_or(fitness);
            self.rounds
                .entry(record.strategy.clone().into_owned())
                .or_default()
                .insert(record.round, so_far);
        }
    }

    /// A batch of before the time that is reported: it is only what later ones are held to.
    pub fn remember(&mut self, before: &BatchSummary) {
        if before.status == Status::Completed {
            self.recent.push(BatchFigures::of(&before.tally));
        }
    }

    /// What was read is a night.
    pub fn end(&mut self, reading: Reading) {
        let Reading { batch, tally, best } = reading;
        let figures = BatchFigures::of(&tally);
        let outcomes = tally.outcomes();
        let evaluator_errors =
            [Outcome::EvaluatorFailed, Outcome::EvaluatorTimeout, Outcome::EvaluatorOutputInvalid]
                .map(|outcome| outcomes.get(outcome));
        let usual = self.recent.baseline(figures.attempts);
        if batch.status == Some(Status::Completed) {
            self.recent.push(figures);
        }
        self.nights.push(Night {
            figures,
            usual,
            duration_p50: tally.durations().quantile(0.5),
            duplicates: outcomes.get(Outcome::Duplicate),
            evaluated: tally.evaluation_histogram().count(),
            evaluator_errors: evaluator_errors.into_iter().sum(),
            best,
            batch,
        });
        self.tally.merge(&tally);
    }

    fn add_values(&mut self, record: &Record<'_>) {
        let mut add = |parameter: &str, old: f64, new: f64, clamped| {
            if let Some(values) = self.values.get_mut(parameter) {
                values.add(old, new, clamped);
            } else {
                let values = self.values.entry(parameter.to_owned()).or_default();
                values.add(old, new, clamped);
            }
        };
        add(
            &record.parameter,
            record.old_value.to_f64(),
            record.new_value.to_f64(),
            record.clamped,
        );
        for also in &record.also {
            add(&also.parameter, also.old_value.to_f64(), also.new_value.to_f64(), also.clamped);
        }
    }

    /// The newest batch.
    pub fn newest(&self) -> Option<&Night> {
        self.nights.last()
    }
}

fn keep_best(all: &mut BTreeMap<String, f64>, strategy: &str, fitness: f64, less_is_better: bool) {
    let better = |known: f64| if less_is_better { fitness < known } else { fitness > known };
    if let Some(known) = all.get_mut(strategy) {
        if better(*known) {
            *known = fitness;
        }
    } else if all.len() < MOST_STRATEGIES {
        all.insert(strategy.to_owned(), fitness);
    }
}
