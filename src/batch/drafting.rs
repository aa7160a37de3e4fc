//! From a survivor to a candidate's text: what an evaluated attempt proposes, and whether that is worth an evaluation.

use super::{BatchPlan, PlannedStrategy};
use crate::evolution::{Draft, Fate, Gene, Proposing, Values};
use crate::record::Outcome;
use rand::Rng;

impl BatchPlan {
    /// The next proposal of a strategy.
    pub(super) fn propose<'s>(
        &self,
        strategy: &PlannedStrategy,
        proposing: &mut Proposing<'s>,
        rng: &mut impl Rng,
    ) -> Draft<'s> {
        let genes = strategy.targets.iter().map(|target| Gene {
            name: &target.parameter,
            mutator: &target.mutator,
            weight: target.weight,
        });
        let genes: Vec<Gene<'_>> = genes.collect();
        proposing.propose(&genes, self.parameters_per_mutation as usize, rng)
    }

    /// What is known of a proposal before it is judged: its text if it is to be, else what came of it and why.
    pub(super) fn validated(
        &self,
        strategy: &PlannedStrategy,
        draft: &Draft<'_>,
    ) -> (Outcome, Option<String>, Option<String>) {
        let no = |outcome, why: &str| (outcome, Some(why.to_owned()), None);
        match draft.fate {
            Fate::Unchanged => {
                return no(Outcome::NoChange, "ten redraws gave the value that was there before");
            }
            Fate::Duplicate => {
                return no(
                    Outcome::Duplicate,
                    "ten redraws gave values that were evaluated before",
                );
            }
            Fate::New => {}
        }
        if let Some(rule) = self.broken_rule(&draft.values) {
            return no(Outcome::ConstraintViolated, &format!("{rule} does not hold"));
        }
        match strategy.rendered(&draft.values) {
            Ok(text) => (Outcome::Success, None, Some(text)),
            Err(error) => no(Outcome::InvalidSource, &error.to_string()),
        }
    }

    /// Whether a survivor's values are within tonight's bounds and rules.
    pub fn fits(&self, strategy: &PlannedStrategy, values: &Values) -> bool {
        let in_bounds = strategy.targets.iter().all(|target| {
            let value = values.get(&target.parameter).map(|value| value.to_f64());
            value.is_some_and(|value| target.mutator.domain().contains(value))
        });
        in_bounds && self.broken_rule(values).is_none()
    }
}
