//! What a record says to a search.

use super::{Change, Origin};
use crate::record::{Outcome, Record};
use crate::units::MutationId;
use serde::{Deserialize, Serialize};

/// An attempt as a search sees it: from which parent, what it changed, what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// From 1.
    pub round: u32,
    /// Its number in the batch.
    pub mutation: MutationId,
    /// The parent; `None` for the source.
    pub parent: Option<Origin>,
    /// What it changed, in the order of the record.
    pub changes: Vec<Change>,
    /// What came of it.
    pub outcome: Outcome,
    /// What the evaluator said, if it said anything.
    pub fitness: Option<f64>,
}

impl Trial {
    /// What `record` says. A parent that is no mutation's name, which no agent writes, makes it
    /// `None`, and so does a record without a change.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let parent = match &record.parent {
            Some(text) => Some(Origin::read(text, &record.batch_id).ok()?),
            None => None,
        };
        let change = Change {
            parameter: record.parameter.clone().into_owned(),
            old: record.old_value,
            new: record.new_value,
        };
        Some(Self {
            round: record.round,
            mutation: record.mutation_id,
            parent,
            changes: vec![change],
            outcome: record.outcome,
            fitness: record.fitness.filter(|fitness| fitness.is_finite()),
        })
    }

    /// Whether its candidate was given to the evaluator.
    pub(super) const fn was_evaluated(&self) -> bool {
        match self.outcome {
            Outcome::Success
            | Outcome::EvaluatorFailed
            | Outcome::EvaluatorTimeout
            | Outcome::EvaluatorOutputInvalid => true,
            Outcome::NoChange | Outcome::ConstraintViolated | Outcome::InvalidSource => false,
        }
    }
}
