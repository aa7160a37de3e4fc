//! The best candidates of each strategy, for people: as files, each with a word on how it came about.

use super::evaluated::Attempt;
use super::open_batch::OpenBatch;
use super::output::Output;
use super::{PlannedStrategy, Provenance, Shutdown};
use crate::disk::{self, DiskError, Mode};
use crate::evolution::{Change, Direction, Individual, Origin, Search, Searches, Step};
use crate::record::Outcome;
use crate::units::BatchId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    metrics: BTreeMap<String, f64>,
}

impl Champions {
    pub(super) fn new(keep: usize, direction: Direction) -> Self {
        Self { keep, direction, best: BTreeMap::new() }
    }

    /// Takes in the survivors of earlier nights.
    pub(super) fn begin<'s>(&mut self, searches: impl Iterator<Item = &'s Search>) {
        for search in searches {
            for individual in search.population().iter().filter(|one| one.born().is_some()) {
                let champion =
                    Champion { individual: individual.clone(), metrics: BTreeMap::new() };
                self.take(search.name(), champion);
            }
        }
    }

    /// Takes in an attempt that is on record.
    pub(super) fn offer(
        &mut self,
        attempt: &Attempt<'_, '_>,
        round: u32,
        seed: u64,
        batch: &BatchId,
    ) {
        let (Outcome::Success, Some(fitness)) = (attempt.outcome, attempt.fitness) else { return };
        let best = self.best.get(&attempt.strategy.name).filter(|best| best.len() >= self.keep);
        let worst = best.and_then(|best| best.last()).map(|worst| worst.individual.fitness);
        if self.keep == 0 || worst.is_some_and(|worst| self.direction.better(worst, fitness)) {
            return;
        }
        let draft = &attempt.draft;
        let changes = draft.moves.iter().map(|one| {
            let target = &attempt.strategy.targets[one.gene];
            let new = draft.values.get(&target.parameter).copied().unwrap_or(one.old);
            Change { parameter: target.parameter.clone(), old: one.old, new }
        });
        let step = Step {
            born: Origin { batch: batch.clone(), mutation: attempt.mutation },
            round,
            seed,
            changes: changes.collect(),
            fitness,
        };
        let individual = Individual::child(draft.parent, draft.values.clone(), step);
        let champion = Champion { individual, metrics: attempt.metrics.clone() };
        self.take(&attempt.strategy.name, champion);
    }

    fn take(&mut self, strategy: &str, champion: Champion) {
        let best = self.best.entry(strategy.to_owned()).or_default();
        let direction = self.direction;
        let place = best.partition_point(|other| {
            // Of equals the older one, whenever its evaluation ended.
            champion.individual.order(&other.individual, direction).is_ge()
        });
        best.insert(place, champion);
        best.truncate(self.keep);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.best.values().map(Vec::len).sum()
    }

    /// Writes `<output>/<batch>/<strategy without .py>/<mutation>.py` for all of them, each with a `.json` beside it
    /// that says how it came about. One of an earlier night has its batch before the mutation.
    pub(super) fn write(
        &self,
        batch: &OpenBatch<'_>,
        searches: &Searches,
        shutdown: &Shutdown,
    ) -> Result<Option<PathBuf>, DiskError> {
        if self.count() == 0 {
            return Ok(None);
        }
        let folder = &batch.config.output.dir;
        tracing::info!(candidates = self.count(), folder = %folder.display(), "writing candidates");
        let output = Output::begin(folder, &batch.id)?;
        for strategy in &batch.plan.strategies {
            let best = self.best.get(&strategy.name).filter(|best| !best.is_empty());
            let search = searches.get(&batch.id, &strategy.name);
            let (Some(best), Some(search)) = (best, search) else { continue };
            if shutdown.asked().is_some() {
                output.abandon()?;
                return Ok(None);
            }
            let folder = output.folder(&strategy.name)?;
            for champion in best {
                if let Err(why) =
                    champion.write(&folder, strategy, search, self.direction, &batch.id)?
                {
                    tracing::error!(strategy = strategy.name, why, "candidate not written");
                }
            }
        }
        output.finish().map(Some)
    }
}

impl Champion {
    /// Inside, why it cannot be rendered: it was before, so that would be our mistake.
    fn write(
        &self,
        folder: &Path,
        strategy: &PlannedStrategy,
        search: &Search,
        direction: Direction,
        batch: &BatchId,
    ) -> Result<Result<(), String>, DiskError> {
        let text = match strategy.rendered(&self.individual.values) {
            Ok(text) => text,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let Some(born) = self.individual.born() else { return Ok(Ok(())) };
        let name = born.seen_from(batch).replace('/', "-");
        disk::replace(&folder.join(format!("{name}.py")), text.as_bytes(), Mode::Shared)?;
        let provenance =
            Provenance::new(strategy, search, &self.individual, &self.metrics, direction, &text);
        let path = folder.join(format!("{name}.json"));
        let mut json = serde_json::to_vec_pretty(&provenance)
            .map_err(|error| DiskError::new("write", &path)(error.into()))?;
        json.push(b'\n');
        disk::replace(&path, &json, Mode::Shared)?;
        Ok(Ok(()))
    }
}
