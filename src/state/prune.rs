//! What may go of the audit, as a value, and how it goes: what was pruned is on record before a file is removed.

use super::outline::{Mark, Outline};
use super::{State, Store};
use crate::audit::{Folder, Manifest, ManifestError, PruneReason, Pruned, Retention, SealedBatch};
use crate::disk::DiskError;
use crate::units::{BatchId, Digest, Timestamp};
use std::collections::BTreeMap;

/// What a prune would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// Oldest first.
    pub going: Vec<Pruning>,
    /// What stays and is sealed and counted, oldest first.
    pub kept: Vec<SealedBatch>,
    /// What is not touched, whatever the retention says.
    pub untouched: Vec<(BatchId, Untouched)>,
    /// The newest that goes, unless as new a one was pruned before.
    newest: Option<BatchId>,
    /// The folder before it was listed.
    folder: Option<Mark>,
}

/// A batch that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// Which one.
    pub id: BatchId,
    /// Bytes of its files.
    pub bytes: u64,
    /// Why; `None` for what a killed prune left behind.
    pub reason: Option<PruneReason>,
}

/// Why a batch is not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untouched {
    /// It runs, or was killed.
    Open,
    /// Its records are not in the totals yet.
    Uncounted,
    /// There is a manifest without a log, and nobody has pruned it.
    NoLog,
}

impl Untouched {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open: it runs, or the next start seals it",
            Self::Uncounted => "not counted yet: the next start does it",
            Self::NoLog => "a manifest without its log; see `mutation-agent audit verify`",
        }
    }
}

/// A prune that was not carried out, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A file or folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Without the digest, nobody could tell later that this was pruned and not taken away.
    #[error("{0}; nothing is pruned")]
    Manifest(ManifestError),
}

impl PrunePlan {
    /// What would go now. Only what is sealed, is counted in the state, and is not the newest.
    pub fn make(
        state: Option<&State>,
        folder: &Folder,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Self, DiskError> {
        let mut plan = Self { folder: Mark::of(folder.path()), ..Self::default() };
        let last = state.and_then(|state| state.last_batch.as_ref());
        let batches = folder.batches()?;
        let mut sealed = Vec::new();
        let anchor = state.and_then(|state| state.pruned.anchor(folder, &batches));
        for (id, files) in batches {
            if files.open {
                plan.untouched.push((id, Untouched::Open));
            } else if anchor.is_some_and(|anchor| anchor.is_left(&id, files)) {
                let bytes = folder.bytes(&id, files);
                plan.going.push(Pruning { id, bytes, reason: None });
            } else if last.is_none_or(|last| id > last.batch_id) {
                plan.untouched.push((id, Untouched::Uncounted));
            } else if files.is_sealed() {
                let bytes = folder.bytes(&id, files);
                sealed.push(SealedBatch { id, bytes, plain: files.plain });
            } else {
                plan.untouched.push((id, Untouched::NoLog));
            }
        }
        let mut reasons: BTreeMap<_, _> = retention.plan(&sealed, now).into_iter().collect();
        for one in sealed {
            match reasons.remove(&one.id) {
                Some(reason) => {
                    plan.going.push(Pruning { id: one.id, bytes: one.bytes, reason: Some(reason) });
                }
                None => plan.kept.push(one),
            }
        }
        let newest = plan.going.iter().rfind(|one| one.reason.is_some());
        // What was pruned once and is there again goes without a new record, which would be of an older batch.
        let newest = newest.filter(|one| !anchor.is_some_and(|anchor| anchor.is_past(&one.id)));
        plan.newest = newest.map(|one| one.id.clone());
        Ok(plan)
    }

    /// Bytes that go.
    pub fn bytes(&self) -> u64 {
        self.going.iter().map(|one| one.bytes).fold(0, u64::saturating_add)
    }

    /// What is in the folder once it is carried out, where all of that is in order.
    pub(super) fn outline(&self) -> Option<Outline> {
        if self.untouched.is_empty() { Outline::new(self.folder, &self.kept) } else { None }
    }

    /// Carries it out, under the lock: first the state says up to where, then the files go. A kill in between leaves
    /// files that the next plan finds by that.
    pub(super) fn carry_out(
        &self,
        state: &mut State,
        store: &Store,
        folder: &Folder,
    ) -> Result<(), PruneError> {
        if let Some(newest) = &self.newest {
            let manifest_sha256 = self.digest(folder, newest)?;
            let without_log = self.without_log_up_to(newest);
            let before = state.pruned.clone();
            state.pruned = Pruned::UpTo { batch_id: newest.clone(), manifest_sha256, without_log };
            if let Err(error) = store.save(state) {
                state.pruned = before;
                return Err(error.into());
            }
        }
        for one in &self.going {
            folder.remove(&one.id)?;
        }
        Ok(())
    }

    fn without_log_up_to(&self, newest: &BatchId) -> Vec<BatchId> {
        let without =
            self.untouched.iter().filter(|(id, why)| *why == Untouched::NoLog && id <= newest);
        without.map(|(id, _)| id.clone()).collect()
    }

    /// The digest of a manifest that goes. Where the manifest is broken or gone already, the one after it knows.
    fn digest(&self, folder: &Folder, id: &BatchId) -> Result<Digest, PruneError> {
        let error = match Manifest::read(folder, id) {
            Ok((_, digest)) => return Ok(digest),
            Err(error) => error,
        };
        let kept = self.kept.iter().map(|one| &one.id);
        let untouched = self.untouched.iter().map(|(id, _)| id);
        let next = kept.chain(untouched).filter(|next| *next > id).min();
        let next = next.and_then(|next| Manifest::read(folder, next).ok());
        next.and_then(|(next, _)| next.previous_sha256).ok_or(PruneError::Manifest(error))
    }
}
