//! The best candidates of each strategy, for people: as files, each with a word on how it came about.

use super::evaluated::Attempt;
use super::open_batch::OpenBatch;
use crate::evolution::{Change, Direction, Individual, Origin, Searches, Step};
use crate::record::Outcome;
use std::collections::BTreeMap;

/// The best `keep` of each strategy, the survivors of earlier nights among them.
#[derive(Debug, Default)]
pub(super) struct Champions {
    keep: usize,
    direction: Direction,
    /// By strategy, the best first.
    best: BTreeMap<String, Vec<Champion>>,
}

#[derive(Clone, Debug)]
struct Champion {
    individual: Individual,
    #[expect(dead_code, reason = "written with the candidates, in a moment")]
    metrics: BTreeMap<String, f64>,
}

impl Champions {
    pub(super) fn new(keep: usize, direction: Direction) -> Self {
        Self { keep, direction, best: BTreeMap::new() }
    }

    /// Takes in the survivors of earlier nights.
    pub(super) fn begin(&mut self, batch: &OpenBatch<'_>, searches: &Searches) {
        for search in searches.of(&batch.id) {
            for individual in search.population().iter().filter(|one| one.born().is_some()) {
                let champion =
                    Champion { individual: individual.clone(), metrics: BTreeMap::new() };
                self.take(search.name(), champion);
            }
        }
    }

    /// Takes in an attempt that is on record.
    pub(super) fn offer(&mut self, attempt: &Attempt<'_, '_>, round: u32, batch: &OpenBatch<'_>) {
        let (Outcome::Success, Some(fitness)) = (attempt.outcome, attempt.fitness) else { return };
        if self.keep == 0 {
            return;
        }
        let draft = &attempt.draft;
        let changes = draft.moves.iter().map(|one| {
            let target = &attempt.strategy.targets[one.gene];
            let new = draft.values.get(&target.parameter).copied().unwrap_or(one.old);
            Change { parameter: target.parameter.clone(), old: one.old, new }
        });
        let step = Step {
            born: Origin { batch: batch.id.clone(), mutation: attempt.mutation },
            round,
            seed: batch.plan.seed,
            changes: changes.collect(),
            fitness,
        };
        let mut lineage = draft.parent.lineage.clone();
        lineage.push(step);
        let individual = Individual { values: draft.values.clone(), fitness, lineage };
        let champion = Champion { individual, metrics: attempt.metrics.clone() };
        self.take(&attempt.strategy.name, champion);
    }

    fn take(&mut self, strategy: &str, champion: Champion) {
        let best = self.best.entry(strategy.to_owned()).or_default();
        let direction = self.direction;
        let place = best.partition_point(|other| {
            !direction.better(champion.individual.fitness, other.individual.fitness)
        });
        best.insert(place, champion);
        best.truncate(self.keep);
    }
}
