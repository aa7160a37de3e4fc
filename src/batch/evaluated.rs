//! An attempt that is evaluated, from the proposal to the verdict.

use super::PlannedStrategy;
use crate::evaluator::{Answer, Verdict};
use crate::evolution::Draft;
use crate::record::{Millis, Outcome};
use crate::units::MutationId;
use std::collections::BTreeMap;
use std::time::Instant;

/// An attempt that is being judged, or is known not to be worth it.
pub(super) struct Attempt<'a, 's> {
    pub(super) mutation: MutationId,
    pub(super) strategy: &'a PlannedStrategy,
    /// Index into the plan's variants.
    pub(super) variant: Option<usize>,
    pub(super) draft: Draft<'s>,
    pub(super) outcome: Outcome,
    pub(super) error: Option<String>,
    pub(super) fitness: Option<f64>,
    /// From the proposal to the validation.
    pub(super) duration: Millis,
    pub(super) evaluation: Option<Millis>,
    pub(super) ended: Instant,
    /// What else the evaluator measured.
    pub(super) metrics: BTreeMap<String, f64>,
}

impl Attempt<'_, '_> {
    /// What the evaluator said of it.
    pub(super) fn judge(&mut self, answer: Answer) {
        self.ended = Instant::now();
        self.evaluation = Some(Millis::from(answer.took));
        let (outcome, error) = match answer.verdict {
            Verdict::Fitness { fitness, metrics } => {
                self.fitness = Some(fitness);
                self.metrics = metrics;
                (Outcome::Success, None)
            }
            Verdict::Failed(why) | Verdict::Unusable(why) => (Outcome::EvaluatorFailed, Some(why)),
            Verdict::Timeout(why) => (Outcome::EvaluatorTimeout, Some(why)),
            Verdict::Invalid(why) => (Outcome::EvaluatorOutputInvalid, Some(why)),
        };
        (self.outcome, self.error) = (outcome, error);
    }
}
