//! Whether a state is the one of an audit: it may be another host's copy, or from a backup, or changed by hand.
//!
//! A state that is set aside takes with it what `audit verify` finds changes by, and counters may fall. So what was
//! changed or taken away in the audit is no reason for it: the log of the last batch decides then, or the chain.

use super::settle::read_sealed;
use super::{FoldedBatch, Recovery, State};
use crate::audit::{BatchFiles, Folder, Manifest, ManifestError, Order};
use crate::metrics::{Status, Totals};
use crate::units::{BatchId, Digest};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What the audit says of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belonging {
    /// It is the fold up to its last batch.
    Ours,
    /// It is to be kept, and this is to be said of it.
    Kept(Recovery),
    /// It is not; why.
    Foreign(String),
}

/// A state and the audit that it is held to.
struct Held<'a> {
    state: &'a State,
    last: &'a FoldedBatch,
    folder: &'a Folder,
    batches: &'a BTreeMap<BatchId, BatchFiles>,
}

/// Holds a state to its last batch: its manifest must be in the audit with the same digest, and fold to the same totals.
///
/// The newest batch is never pruned, and no manifest is written again once the state knows it, so this
/// holds after a crash at any moment.
pub(super) fn belonging(
    state: &State,
    folder: &Folder,
    batches: &BTreeMap<BatchId, BatchFiles>,
) -> Result<Belonging, ManifestError> {
    let Some(last) = &state.last_batch else {
        return Ok(match (state.totals.ended(), state.totals.tally().attempts()) {
            (0, 0) => Belonging::Ours,
            _ => Belonging::Foreign("it has totals and names no batch".to_owned()),
        });
    };
    let held = Held { state, last, folder, batches };
    match Manifest::read_usable(folder, &last.batch_id)? {
        Some((manifest, digest)) if digest == last.manifest_sha256 => {
            Ok(held.by_manifest(&manifest))
        }
        None if !held.files().is_sealed() => held.by_the_chain(),
        changed => held.by_log(changed.map(|(manifest, _)| manifest)),
    }
}

impl Held<'_> {
    fn files(&self) -> BatchFiles {
        self.batches.get(&self.last.batch_id).copied().unwrap_or_default()
    }

    /// The manifest is the one that the state knows.
    fn by_manifest(&self, manifest: &Manifest) -> Belonging {
        let Some(before) = &manifest.totals_before else { return Belonging::Ours };
        let mut summary = manifest.summary.clone();
        let agrees = |summary: &_| {
            let mut totals = before.clone();
            totals.fold(summary);
            totals.same_facts(&self.state.totals)
        };
        if agrees(&summary) {
            return Belonging::Ours;
        }
        let id = self.last.batch_id.clone();
        let buckets = summary.tally.duration_histogram().buckets();
        // Where the manifest does not describe its log, the log was counted.
        let order = Order::of(Some(manifest));
        if let Ok(log) = read_sealed(self.folder, &id, self.files(), buckets, &order) {
            summary.tally = log.tally;
            if agrees(&summary) {
                let why = "it was counted as it is".to_owned();
                return Belonging::Kept(Recovery::LogChanged { id, why });
            }
        }
        Belonging::Foreign(format!("its totals are not those up to {id}"))
    }

    /// The manifest was changed, or taken away.
    fn by_log(&self, changed: Option<Manifest>) -> Result<Belonging, ManifestError> {
        let (id, totals) = (&self.last.batch_id, &self.state.totals);
        let buckets = totals.tally().duration_histogram().buckets();
        let unchecked = |why| Ok(Belonging::Kept(Recovery::Unchecked { why }));
        let order = Order::of(changed.as_ref());
        let log = match read_sealed(self.folder, id, self.files(), buckets, &order) {
            Ok(log) => log,
            Err(error) => {
                return unchecked(format!("the manifest of {id} was changed, and {error}"));
            }
        };
        let previous = self.newest_before()?.and_then(|(manifest, _)| after(&manifest));
        let known = previous.is_some();
        let first = Totals::new(buckets.clone());
        let told = changed.and_then(|manifest| manifest.totals_before);
        let mut before = [told, previous, Some(first)].into_iter().flatten();
        if before.any(|before| totals.is_one_batch_after(&before, &log.tally)) {
            return Ok(Belonging::Kept(Recovery::ManifestChanged { id: id.clone() }));
        }
        let figures = (log.tally.attempts(), log.tally.successes());
        if !known && totals.last().map(|last| (last.attempts, last.successes)) == Some(figures) {
            // Pruned: the totals before it stood in this manifest alone.
            return unchecked(format!("the manifest of {id} was changed, or is gone or damaged"));
        }
        Ok(Belonging::Foreign(format!(
            "the manifest of {id} is not the one that it knows, and its totals are not those up to the log of {id}"
        )))
    }

    /// The last batch is not there.
    fn by_the_chain(&self) -> Result<Belonging, ManifestError> {
        let id = &self.last.batch_id;
        if !self.batches.values().any(|files| files.is_sealed()) {
            let why = format!("{} has no batch", self.folder.path().display());
            return Ok(Belonging::Kept(Recovery::Unchecked { why }));
        }
        let earlier = self.newest_before()?;
        let is_ours = if let Some(next) = self.oldest_after()? {
            next.previous_sha256.as_ref() == Some(&self.last.manifest_sha256)
        } else {
            let digest = earlier.as_ref().map(|(_, digest)| digest);
            digest.is_some() && digest == self.last.previous_sha256.as_ref()
        };
        Ok(match earlier {
            _ if !is_ours => Belonging::Foreign(format!("its last batch {id} is not in the audit")),
            Some(_) => Belonging::Kept(Recovery::LastRemoved { id: id.clone() }),
            // Another folder for the audit.
            None => {
                let folder = self.folder.path().display();
                let why = format!("{folder} begins after its last batch {id}");
                Belonging::Kept(Recovery::Unchecked { why })
            }
        })
    }

    fn newest_before(&self) -> Result<Option<(Manifest, Digest)>, ManifestError> {
        for id in self.batches.range(..&self.last.batch_id).rev().map(|(id, _)| id) {
            match Manifest::read_usable(self.folder, id)? {
                // Of a batch that was never counted.
                Some((manifest, _)) if manifest.summary.status == Status::Running => {}
                None => {}
                known => return Ok(known),
            }
        }
        Ok(None)
    }

    fn oldest_after(&self) -> Result<Option<Manifest>, ManifestError> {
        let later = (Bound::Excluded(&self.last.batch_id), Bound::Unbounded);
        for (id, _) in self.batches.range::<BatchId, _>(later) {
            if let Some((manifest, _)) = Manifest::read_usable(self.folder, id)? {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }
}

fn after(manifest: &Manifest) -> Option<Totals> {
    let mut totals = manifest.totals_before.clone()?;
    totals.fold(&manifest.summary);
    Some(totals)
}
