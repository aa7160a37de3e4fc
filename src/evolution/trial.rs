//! What a record says to a search.

use super::{Change, Origin};
use crate::record::{Outcome, Record};
use crate::units::{MutationId, Number};
use serde::{Deserialize, Serialize};
use std::iter;

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
    /// What `record` says. A parent that is no mutation's name or a value that is no finite number, which no
    /// agent writes of what it evaluated, makes it `None`, and so does a record without a change.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let parent = match &record.parent {
            Some(text) => Some(Origin::read(text, &record.batch_id).ok()?),
            None => None,
        };
        let change =
            |parameter: &str, old, new| Change { parameter: parameter.to_owned(), old, new };
        let own = change(&record.parameter, record.old_value, record.new_value);
        let also = record.also.iter();
        let also = also.map(|one| change(&one.parameter, one.old_value, one.new_value));
        let changes: Vec<Change> = iter::once(own).chain(also).collect();
        let is_number = |value: Number| value.to_f64().is_finite();
        if !changes.iter().all(|change| is_number(change.old) && is_number(change.new)) {
            return None;
        }
        Some(Self {
            round: record.round,
            mutation: record.mutation_id,
            parent,
            changes,
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
            Outcome::NoChange
            | Outcome::Duplicate
            | Outcome::ConstraintViolated
            | Outcome::InvalidSource
            | Outcome::Failed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Operator;
    use crate::record::{Also, tests::sample};
    use crate::units::Number;
    use std::borrow::Cow;

    #[test]
    fn a_record_of_several_parameters_says_all_its_changes_and_a_duplicate_no_fitness() {
        let also = Also {
            parameter: "period".into(),
            line: 2,
            operator: Operator::Gaussian,
            old_value: Number::Int(5),
            new_value: Number::Int(7),
            clamped: false,
        };
        let record = Record {
            outcome: Outcome::Duplicate,
            also: vec![also],
            ..sample(Cow::Owned("20261123T020000Z-7f3a9c".parse().unwrap()))
        };
        let trial = Trial::of(&record).unwrap();
        let names: Vec<_> = trial.changes.iter().map(|one| one.parameter.as_str()).collect();
        assert_eq!(names, ["stop_loss_pct", "period"]);
        assert_eq!((trial.changes[1].old, trial.changes[1].new), (Number::Int(5), Number::Int(7)));
        assert!(!trial.was_evaluated());
    }
}
