//! From a survivor to a candidate's text: what an evaluated attempt proposes, and whether that is worth an evaluation.

use super::verdict::{broken, in_words};
use super::{BatchPlan, PlannedStrategy};
use crate::evolution::{Constraint, Draft, Fate, Gene, Proposing, Values};
use crate::record::Outcome;
use rand::Rng;

/// A strategy, and whether values are within tonight's bounds and rules.
pub(super) struct Fitting<'a> {
    pub(super) strategy: &'a PlannedStrategy,
    pub(super) fits: Box<dyn Fn(&Values) -> bool + 'a>,
}

impl BatchPlan {
    /// A strategy by its index, for those that propose.
    pub(super) fn fitting(&self, index: usize) -> Fitting<'_> {
        let strategy = &self.strategies[index];
        Fitting { strategy, fits: Box::new(move |values| self.fits(strategy, values)) }
    }

    /// How a strategy's targets are drawn, by variant; one way where there are no variants.
    pub(super) fn genes<'g>(&self, strategy: &'g PlannedStrategy) -> Vec<Vec<Gene<'g>>> {
        let variants = (0..self.variants.len()).map(Some);
        let none = self.variants.is_empty().then_some(None);
        none.into_iter().chain(variants).map(|variant| strategy.genes(variant)).collect()
    }

    /// The next proposal of a strategy, whose [`Self::genes`] these are, and its variant.
    pub(super) fn propose<'s>(
        &self,
        genes: &[Vec<Gene<'_>>],
        proposing: &mut Proposing<'s>,
        rng: &mut impl Rng,
    ) -> (Option<usize>, Draft<'s>) {
        let variant = self.variant(rng);
        let draft = proposing.propose(&genes[variant.unwrap_or(0)], self.most(variant), rng);
        (variant, draft)
    }

    /// What is known of a proposal before it is judged: its text if it is to be, else what came of it and why.
    pub(super) fn validated(
        &self,
        strategy: &PlannedStrategy,
        draft: &Draft<'_>,
    ) -> (Outcome, Option<String>, Option<String>) {
        let old = |outcome| (outcome, in_words(outcome).map(str::to_owned), None);
        match draft.fate {
            Fate::Unchanged => return old(Outcome::NoChange),
            Fate::Duplicate => return old(Outcome::Duplicate),
            Fate::New => {}
        }
        if let Some(rule) = self.broken_rule(strategy, &draft.values) {
            return (Outcome::ConstraintViolated, Some(broken(rule)), None);
        }
        match strategy.draft(&draft.values) {
            Ok(text) => (Outcome::Success, None, Some(text)),
            Err(error) => (Outcome::InvalidSource, Some(error.to_string()), None),
        }
    }

    /// The first rule that does not hold for these values; those that are left out are as in the source.
    fn broken_rule(&self, strategy: &PlannedStrategy, values: &Values) -> Option<&Constraint> {
        let value = |target: usize| {
            let target = &strategy.targets[target];
            values.get(&target.parameter).copied().unwrap_or(target.value)
        };
        strategy.violated(&self.constraints, value).map(|rule| &self.constraints[rule])
    }

    /// Whether a survivor's values are within tonight's bounds and rules.
    pub fn fits(&self, strategy: &PlannedStrategy, values: &Values) -> bool {
        let in_bounds = strategy.targets.iter().all(|target| {
            let value = values.get(&target.parameter).map(|value| value.to_f64());
            value.is_some_and(|value| target.mutator.domain().contains(value))
        });
        in_bounds && self.broken_rule(strategy, values).is_none()
    }
}
