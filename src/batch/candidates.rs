//! Candidates for people: some of the new values, rendered into whole files.

use super::attempt::Attempted;
use super::verdict::Change;
use super::{BatchPlan, Shutdown};
use crate::audit::Folder;
use crate::disk::{self, DiskError, Mode};
use crate::units::{BatchId, MutationId};
use std::fs;
use std::iter;
use std::path::{Component, Path, PathBuf};

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
}

impl Candidates {
    /// At the most `keep` for each strategy of the plan.
    pub(super) fn new(plan: &BatchPlan, keep: usize) -> Self {
        Self { keep, kept: vec![Vec::new(); plan.strategies.len()] }
    }

    /// Keeps a success, if there is room and it is new.
    pub(super) fn offer(&mut self, attempted: &Attempted, mutation: MutationId) {
        let kept = &mut self.kept[attempted.strategy as usize];
        if kept.len() >= self.keep {
            return;
        }
        let Attempted { first, also, .. } = attempted;
        if !kept.iter().any(|one| one.is(*first, also)) {
            kept.push(Kept { first: *first, also: also.clone(), mutation });
        }
    }

    /// Forgets those whose record never was written.
    pub(super) fn retain_up_to(&mut self, last: MutationId) {
        for kept in &mut self.kept {
            kept.retain(|one| one.mutation <= last);
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
        audit: &Folder,
        shutdown: &Shutdown,
    ) -> Result<Option<PathBuf>, DiskError> {
        if self.count() == 0 {
            return Ok(None);
        }
        tracing::info!(candidates = self.count(), folder = %output.display(), "writing candidates");
        disk::create_folder(output, Mode::Shared)?;
        remove_unfinished(output, audit)?;
        let unfinished = output.join(format!(".{batch}.tmp"));
        // Whatever is there by now is somebody else's, and may lead elsewhere.
        fs::create_dir(&unfinished).map_err(DiskError::new("create the folder", &unfinished))?;
        for (strategy, kept) in plan.strategies.iter().zip(&self.kept) {
            let Some(source) = strategy.source.as_ref().filter(|_| !kept.is_empty()) else {
                continue;
            };
            if shutdown.asked().is_some() {
                // Sealing and the last push come first; the records tell all that is in a candidate.
                tracing::warn!("asked to stop: no candidates are written");
                remove_folder(&unfinished)?;
                return Ok(None);
            }
            let folder = unfinished.join(folder_name(&strategy.name));
            disk::create_folder(&folder, Mode::Shared)?;
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
        let finished = output.join(batch.as_str());
        disk::rename(&unfinished, &finished)?;
        if let Err(error) = disk::swap_link(&output.join("latest"), Path::new(batch.as_str())) {
            tracing::warn!(%error, "`latest` does not lead to the newest candidates");
        }
        Ok(Some(finished))
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

/// `strategies/momentum.py` becomes `strategies/momentum`; nothing leads out of the output folder.
fn folder_name(strategy: &str) -> PathBuf {
    let path = Path::new(strategy).with_extension("");
    let names = path.components().map(|part| match part {
        Component::Normal(name) => PathBuf::from(name),
        Component::ParentDir => PathBuf::from("__"),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => PathBuf::new(),
    });
    names.collect()
}

/// Removes what killed batches left half written: batches of our audit, since others may share the
/// output folder.
fn remove_unfinished(output: &Path, audit: &Folder) -> Result<(), DiskError> {
    let entries = fs::read_dir(output).map_err(DiskError::new("list", output))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp"));
        let id = id.and_then(|id| id.parse::<BatchId>().ok());
        if id.is_some_and(|id| audit.manifest(&id).exists()) {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskError::new("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidates_folder_stays_in_the_output_folder() {
        for (name, folder) in [
            ("strategies/momentum.py", "strategies/momentum"),
            ("/etc/momentum.py", "etc/momentum"),
            ("../../momentum.py", "__/__/momentum"),
            ("./a.b.py", "a.b"),
        ] {
            assert_eq!(folder_name(name), Path::new(folder), "{name}");
        }
    }
}
