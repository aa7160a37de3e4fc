//! Candidates for people: some of the new values, rendered into whole files.

use super::attempt::Attempted;
use super::output::Output;
use super::verdict::Change;
use super::{BatchPlan, Shutdown};
use crate::disk::{self, DiskError, Mode};
use crate::units::{BatchId, MutationId};
use std::iter;
use std::path::{Path, PathBuf};

/// The first `keep` different successes of each strategy.
///
/// Without fitness no candidate is better than another, so the first are as fair a sample as any,
/// and the same for any number of workers.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    keep: usize,
    /// By index into the plan's strategies.
    kept: Vec<Vec<Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    first: Change,
    also: Box<[Change]>,
    mutation: MutationId,
    /// The number of its record, from 1.
    record: u64,
}

impl Candidates {
    /// At the most `keep` for each strategy of the plan.
    pub(super) fn new(plan: &BatchPlan, keep: usize) -> Self {
        Self { keep, kept: vec![Vec::new(); plan.strategies.len()] }
    }

    /// Keeps a success, if there is room and it is new.
    pub(super) fn offer(&mut self, attempted: &Attempted, mutation: MutationId, record: u64) {
        let kept = &mut self.kept[attempted.strategy as usize];
        if kept.len() >= self.keep {
            return;
        }
        let Attempted { first, also, .. } = attempted;
        if !kept.iter().any(|one| one.is(*first, also)) {
            kept.push(Kept { first: *first, also: also.clone(), mutation, record });
        }
    }

    /// Forgets those whose record never was written.
    pub(super) fn retain_up_to(&mut self, last: u64) {
        for kept in &mut self.kept {
            kept.retain(|one| one.record <= last);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.kept.iter().map(Vec::len).sum()
    }

    /// Writes `<output>/<batch>/<strategy without .py>/<mutation>.py` for all of them, and points
    /// `<output>/latest` to the batch. The folder appears whole or not at all.
    pub(super) fn write(
        &self,
        plan: &BatchPlan,
        output: &Path,
        batch: &BatchId,
        shutdown: &Shutdown,
    ) -> Result<Option<PathBuf>, DiskError> {
        if self.count() == 0 {
            return Ok(None);
        }
        tracing::info!(candidates = self.count(), folder = %output.display(), "writing candidates");
        let output = Output::begin(output, batch)?;
        for (strategy, kept) in plan.strategies.iter().zip(&self.kept) {
            let Some(source) = strategy.source.as_ref().filter(|_| !kept.is_empty()) else {
                continue;
            };
            if shutdown.asked().is_some() {
                output.abandon()?;
                return Ok(None);
            }
            let folder = output.folder(&strategy.name)?;
            for one in kept {
                let Kept { mutation, .. } = one;
                let values: Vec<_> = one
                    .changes()
                    .map(|change| (&strategy.targets[change.target as usize].site, change.value))
                    .collect();
                match source.rewrite(&values) {
                    Ok(text) => {
                        let path = folder.join(format!("{mutation}.py"));
                        disk::replace(&path, text.as_bytes(), Mode::Shared)?;
                    }
                    // It was decided at the literal; the whole file disagreeing is our mistake.
                    Err(error) => {
                        tracing::error!(strategy = strategy.name, %mutation, %error, "candidate not written");
                    }
                }
            }
        }
        output.finish().map(Some)
    }
}

impl Kept {
    fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        iter::once(self.first).chain(self.also.iter().copied())
    }

    /// Whether these are its values, in whatever order they were drawn.
    fn is(&self, first: Change, also: &[Change]) -> bool {
        let has = |change: Change| {
            self.changes().any(|own| own.target == change.target && own.value == change.value)
        };
        self.also.len() == also.len() && has(first) && also.iter().all(|change| has(*change))
    }
}
