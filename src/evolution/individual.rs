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
    /// One step for each mutation, the oldest first; empty for the source itself. Of a long way it is the end.
    pub lineage: Vec<Step>,
    /// How many steps there were before those of `lineage`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier: u64,
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
    /// So many steps are kept of the way to an individual. Where the data are others each night the ways grow by some steps a
    /// night, of some 350 bytes each: without an end, a hundred strategies would have a state of 250 MB after four years.
    pub const WAY: usize = 32;

    /// The strategy as it is written.
    pub const fn source(values: Values, fitness: f64) -> Self {
        Self { values, fitness, lineage: Vec::new(), earlier: 0 }
    }

    /// What a step from `parent` gave.
    pub fn child(parent: &Self, values: Values, step: Step) -> Self {
        let mut child =
            Self { values, fitness: step.fitness, lineage: vec![step], earlier: parent.earlier };
        child.follow(&parent.lineage);
        child
    }

    /// Puts the way to the parent before its own.
    pub(super) fn follow(&mut self, way: &[Step]) {
        self.lineage.splice(0..0, way.iter().cloned());
        let surplus = self.lineage.len().saturating_sub(Self::WAY);
        self.lineage.drain(..surplus);
        self.earlier += surplus as u64;
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
