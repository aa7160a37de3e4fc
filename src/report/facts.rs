//! The fold over records, batch by batch.

use super::{Errors, Slowest, Values};
use crate::metrics::{
    Baseline, BatchFigures, BatchSummary, Buckets, Extremes, Recent, Status, Tally,
};
use crate::record::{Outcome, Record};
use crate::units::{BatchId, Shard, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many strategies have a fitness of their own in a report.
const MOST_STRATEGIES: usize = 1_000;

/// Batches that begin within so long are one night's.
pub(super) const NIGHT: Duration = Duration::from_hours(26);

/// A batch as its manifest has it, before its records are read.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which one.
    pub id: BatchId,
    /// Which shard's it was; `None` where one agent has all strategies.
    pub shard: Option<Shard>,
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

impl Batch {
    const fn better_of(&self, seen: Extremes) -> f64 {
        if matches!(self.less_is_better, Some(true)) { seen.least } else { seen.greatest }
    }
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
    /// In the newest batch, by parameter.
    pub clamping: BTreeMap<String, Clamping>,
    /// Logs that could not be read, or not to their end, and why.
    pub damage: Vec<String>,
    /// By shard.
    recent: BTreeMap<Option<u32>, Recent>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            nights: Vec::new(),
            tally: Tally::new(Buckets::default()),
            values: BTreeMap::new(),
            errors: Errors::default(),
            slowest: Slowest::default(),
            rounds: BTreeMap::new(),
            clamping: BTreeMap::new(),
            damage: Vec::new(),
            recent: BTreeMap::new(),
        }
    }
}

/// A batch while its records are read.
#[derive(Debug)]
pub struct Reading {
    batch: Batch,
    tally: Tally,
}

impl Reading {
    /// Which batch.
    pub const fn batch_id(&self) -> &BatchId {
        &self.batch.id
    }
}

/// How many values of a parameter there were, and how many had left their bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clamping {
    /// Values that were proposed.
    pub draws: u64,
    /// Those of them that were brought back.
    pub clamped: u64,
}

impl Clamping {
    /// Their share, 0..=1.
    pub fn share(self) -> f64 {
        self.clamped as f64 / self.draws.max(1) as f64
    }
}

impl Facts {
    /// Begins with a batch that comes after those that were read.
    pub fn begin(&mut self, batch: Batch) -> Reading {
        self.rounds.clear();
        self.errors.begin_batch();
        Reading { batch, tally: Tally::new(Buckets::default()) }
    }

    /// Takes in a record of it.
    pub fn add(&mut self, reading: &mut Reading, record: &Record<'_>) {
        reading.tally.add(record);
        self.errors.add(record);
        self.slowest.add(record);
        self.add_values(record);
        let strategy = &*record.strategy;
        let Some(seen) = reading.tally.best_fitness().get(strategy) else { return };
        if self.rounds.len() < MOST_STRATEGIES || self.rounds.contains_key(strategy) {
            let best = reading.batch.better_of(*seen);
            self.rounds.entry(strategy.to_owned()).or_default().insert(record.round, best);
        }
    }

    /// A batch of before the time that is reported: it is only what later ones are held to.
    pub fn remember(&mut self, before: &BatchSummary, shard: Option<u32>) {
        if before.status == Status::Completed {
            self.recent.entry(shard).or_default().push(BatchFigures::of(&before.tally));
        }
    }

    /// What was read is a night.
    pub fn end(&mut self, reading: Reading) {
        let Reading { batch, tally } = reading;
        let figures = BatchFigures::of(&tally);
        let outcomes = tally.outcomes();
        let evaluator_errors =
            [Outcome::EvaluatorFailed, Outcome::EvaluatorTimeout, Outcome::EvaluatorOutputInvalid]
                .map(|outcome| outcomes.get(outcome));
        let best = tally.best_fitness().iter().take(MOST_STRATEGIES);
        let best = best.map(|(name, seen)| (name.clone(), batch.better_of(*seen))).collect();
        let clamping = tally.parameters().iter().map(|(name, one)| {
            (name.clone(), Clamping { draws: one.draws(), clamped: one.clamped })
        });
        self.clamping = clamping.collect();
        let recent = self.recent.entry(batch.shard.map(Shard::index)).or_default();
        let usual = recent.baseline(figures.attempts);
        if batch.status == Some(Status::Completed) {
            recent.push(figures);
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

    /// The last batch, where one agent has all strategies; else that of each of the shards that there are, by number, and
    /// of an agent for all where one was at work as well. Each with the batch before it.
    pub fn last_of_each(&self) -> Vec<(&Night, Option<&Night>)> {
        let Some(newest) = self.newest() else { return Vec::new() };
        let is_tonight = |night: &Night| newest.batch.started.since(night.batch.started) < NIGHT;
        let sharded = self.nights.iter().rev().find(|night| night.batch.shard.is_some());
        let sharded = sharded.filter(|night| is_tonight(night));
        // What there was of another number of shards has ended.
        let count = sharded.and_then(|night| night.batch.shard).map_or(0, Shard::count);
        let mut last = BTreeMap::<_, (&Night, Option<&Night>)>::new();
        let of_now = |night: &&Night| night.batch.shard.is_none_or(|shard| shard.count() == count);
        for night in self.nights.iter().filter(of_now) {
            let key = night.batch.shard.map(Shard::index);
            let before = last.get(&key).map(|(before, _)| *before);
            last.insert(key, (night, before));
        }
        let counts = |(key, (night, _)): &(Option<u32>, (&Night, Option<&Night>))| {
            key.is_some() || is_tonight(night)
        };
        last.into_iter().filter(counts).map(|(_, last)| last).collect()
    }
}
