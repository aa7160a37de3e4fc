//! A candidate that was evaluated, and how it came about.

use super::{Direction, Origin, Values};
use crate::units::Number;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Values with their fitness and the way from the source to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Individual {
    /// All values of the strategy's parameters.
    pub values: Values,
    /// What the evaluator said of them.
    pub fitness: f64,
    /// One step for each mutation, the oldest first; empty for the source itself.
    pub lineage: Vec<Step>,
}

/// A mutation on the way from the source to an individual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Which mutation it was.
    pub born: Origin,
    /// Its round in its batch, from 1.
    pub round: u32,
    /// Its batch's seed.
    pub seed: u64,
    /// What it changed, in the order of the record.
    pub changes: Vec<Change>,
    /// The fitness after it.
    pub fitness: f64,
}

/// One parameter's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The parameter's name.
    pub parameter: String,
    /// The parent's value.
    pub old: Number,
    /// The value after it.
    pub new: Number,
}

impl Individual {
    /// The strategy as it is written.
    pub const fn source(values: Values, fitness: f64) -> Self {
        Self { values, fitness, lineage: Vec::new() }
    }

    /// The mutation that gave it; `None` for the source.
    pub fn born(&self) -> Option<&Origin> {
        self.lineage.last().map(|step| &step.born)
    }

    /// The better one first, of equals the older one.
    pub fn order(&self, other: &Self, direction: Direction) -> Ordering {
        direction.order(self.fitness, other.fitness).then_with(|| self.born().cmp(&other.born()))
    }
}
