//! The attempts that took longest.

use crate::record::{Millis, Record};
use crate::units::{BatchId, MutationId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many are remembered.
const MOST: usize = 10;

/// An attempt that took long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slow {
    /// How long its evaluation took; without an evaluator the mutation.
    pub duration: Millis,
    /// Its batch.
    pub batch: BatchId,
    /// Which one.
    pub mutation: MutationId,
    /// In which strategy.
    pub strategy: String,
    /// What became of it.
    pub outcome: &'static str,
}

/// The ten slowest evaluations; without any, the ten slowest mutations.
#[derive(Clone, Debug, Default)]
pub struct Slowest {
    evaluations: BinaryHeap<Reverse<Slow>>,
    mutations: BinaryHeap<Reverse<Slow>>,
}

impl Slowest {
    /// Takes in a record.
    pub fn add(&mut self, record: &Record<'_>) {
        if let Some(evaluation) = record.evaluation {
            keep(&mut self.evaluations, evaluation, record);
        }
        if let Some(duration) = record.duration {
            keep(&mut self.mutations, duration, record);
        }
    }

    /// Whether there were evaluations.
    pub fn are_evaluations(&self) -> bool {
        !self.evaluations.is_empty()
    }

    /// The slowest first.
    pub fn in_order(&self) -> Vec<&Slow> {
        let heap = if self.are_evaluations() { &self.evaluations } else { &self.mutations };
        let mut all: Vec<_> = heap.iter().map(|Reverse(slow)| slow).collect();
        all.sort_by(|a, b| b.cmp(a));
        all
    }
}

fn keep(heap: &mut BinaryHeap<Reverse<Slow>>, duration: Millis, record: &Record<'_>) {
    let is_slow =
        heap.len() < MOST || heap.peek().is_some_and(|Reverse(least)| least.duration < duration);
    if !is_slow {
        return;
    }
    heap.push(Reverse(Slow {
        duration,
        batch: record.batch_id.clone().into_owned(),
        mutation: record.mutation_id,
        strategy: record.strategy.clone().into_owned(),
        outcome: record.outcome.as_str(),
    }));
    if heap.len() > MOST {
        heap.pop();
    }
}
