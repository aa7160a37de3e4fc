//! How a candidate came about, as it is written beside it and shown by `best`.

use super::PlannedStrategy;
use crate::evolution::{Change, Direction, Individual, Origin, Search, Step, Values};
use crate::mutation::evaluation_seed;
use crate::units::Digest;
use serde::Serialize;
use std::collections::BTreeMap;

/// A candidate's values and fitness, and the way from its source to it.
#[derive(Clone, Debug, Serialize)]
pub struct Provenance<'a> {
    /// The strategy's name in records.
    pub strategy: &'a str,
    /// Digest of the source's bytes.
    pub source_sha256: &'a Digest,
    /// Digest of the candidate's bytes.
    pub candidate_sha256: Digest,
    /// The mutation that gave it; `None` for the source itself.
    pub mutation: Option<&'a Origin>,
    /// Which fitness is better.
    pub direction: Direction,
    /// What the evaluator said of it.
    pub fitness: f64,
    /// What the evaluator said of the source.
    pub baseline_fitness: f64,
    /// What else the evaluator measured, where it was evaluated in this batch.
    pub metrics: &'a BTreeMap<String, f64>,
    /// All values of its parameters.
    pub values: &'a Values,
    /// Those in the source.
    pub source_values: Values,
    /// Each mutation from the source to it, the oldest first; the last ones where there are many.
    pub lineage: Vec<Link<'a>>,
    /// How many there were before those of `lineage`.
    pub earlier: u64,
}

/// A mutation on the way.
#[derive(Clone, Debug, Serialize)]
pub struct Link<'a> {
    /// Which: its batch and its number there.
    pub mutation: &'a Origin,
    /// Its round, from 1.
    pub round: u32,
    /// The batch's seed, from which the proposal is drawn.
    pub seed: u64,
    /// The seed that the evaluator was given.
    pub evaluation_seed: u64,
    /// What it changed.
    pub changes: &'a [Change],
    /// The fitness after it.
    pub fitness: f64,
}

impl<'a> Provenance<'a> {
    /// Of an individual of a search, whose candidate has this `text`.
    pub fn new(
        strategy: &'a PlannedStrategy,
        search: &'a Search,
        individual: &'a Individual,
        metrics: &'a BTreeMap<String, f64>,
        direction: Direction,
        text: &str,
    ) -> Self {
        Self {
            strategy: &strategy.name,
            source_sha256: search.source(),
            candidate_sha256: Digest::of(text.as_bytes()),
            mutation: individual.born(),
            direction,
            fitness: individual.fitness,
            baseline_fitness: search.baseline(),
            metrics,
            values: &individual.values,
            source_values: strategy.values(),
            lineage: individual.lineage.iter().map(link).collect(),
            earlier: individual.earlier,
        }
    }
}

fn link(step: &Step) -> Link<'_> {
    Link {
        mutation: &step.born,
        round: step.round,
        seed: step.seed,
        evaluation_seed: evaluation_seed(step.seed, step.born.mutation.0),
        changes: &step.changes,
        fitness: step.fitness,
    }
}
