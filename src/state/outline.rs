//! What a batch left in the audit folder, so that the next start need not list ten thousand names to find nothing new.
//!
//! A note and no record: where it is lost, the folder is listed. It counts as long as the folder is as it was left. That
//! nothing was made, renamed or removed in a folder is told by its change time, which nobody can set. Some file systems
//! count that time in steps of milliseconds; so the note is removed before we change the folder ourselves, and counts only
//! if it was written in a later step than our last change: whatever is changed after it has a later time than that.

use super::Store;
use crate::audit::{Folder, Retention, SealedBatch};
use crate::disk::{self, DiskError};
use crate::units::{BatchId, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// It has nine short values.
const LONGEST: u64 = 4096;
/// How many milliseconds a step of time is waited for; it is mostly four. After a longer one the note does not count.
const LONGEST_STEP: usize = 20;

/// A folder in which every batch is sealed and counted, and has its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outline {
    folder: Mark,
    oldest: BatchId,
    newest: BatchId,
    batches: usize,
    bytes: u64,
    /// Whether all logs but the newest are packed.
    packed: bool,
}

/// Differs after whatever was made, renamed or removed in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    device: u64,
    inode: u64,
    changed_seconds: i64,
    changed_nanoseconds: i64,
}

impl Mark {
    /// As it is now; `None` where it cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            changed_seconds: found.ctime(),
            changed_nanoseconds: found.ctime_nsec(),
        })
    }

    const fn changed(&self) -> (i64, i64) {
        (self.changed_seconds, self.changed_nanoseconds)
    }

    /// Waits until what is changed has a later time, by the clock that the kernel gives files their times from.
    fn let_time_go_on(&self) {
        for _ in 0..LONGEST_STEP {
            let now = clock_gettime(ClockId::RealtimeCoarse);
            if (now.tv_sec, now.tv_nsec) > self.changed() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Outline {
    /// Of these batches, oldest first, which were all that there were after `folder` was looked at; `None` where there are
    /// none.
    pub(super) fn new(folder: Option<Mark>, batches: &[SealedBatch]) -> Option<Self> {
        let (oldest, newest) = (batches.first()?, batches.last()?);
        let mut older = batches.iter().rev().skip(1);
        Some(Self {
            folder: folder?,
            oldest: oldest.id.clone(),
            newest: newest.id.clone(),
            batches: batches.len(),
            bytes: batches.iter().map(|one| one.bytes).fold(0, u64::saturating_add),
            packed: !older.any(|one| one.plain),
        })
    }

    /// The newest batch.
    pub(super) const fn newest(&self) -> &BatchId {
        &self.newest
    }

    /// Whether all logs but the newest are packed.
    pub(super) const fn is_packed(&self) -> bool {
        self.packed
    }

    /// Whether the retention surely lets none of them go.
    pub(super) fn all_stay(&self, retention: &Retention, now: Timestamp) -> bool {
        self.batches <= retention.batches()
            && self.bytes <= retention.bytes()
            && now.since(self.oldest.start()) <= retention.age()
    }

    /// Another batch was sealed. Gives the one before it, if that is to be packed now.
    pub(super) fn add(&mut self, folder: &Folder, newer: BatchId) -> Option<BatchId> {
        self.batches += 1;
        self.bytes = self.bytes.saturating_add(folder.bytes(&newer, folder.files(&newer)));
        let before = std::mem::replace(&mut self.newest, newer);
        let plain = folder.files(&before).plain;
        self.packed &= !plain;
        plain.then_some(before)
    }

    /// An older batch was packed, and so has other bytes.
    pub(super) const fn weigh_anew(&mut self, before: u64, after: u64) {
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
    }

    /// All but the newest are packed now.
    pub(super) const fn set_packed(&mut self) {
        self.packed = true;
    }

    /// Whether the folder is as it was left.
    pub(super) fn holds(&self, folder: &Folder) -> bool {
        Mark::of(folder.path()) == Some(self.folder)
    }

    /// Takes the folder as it is now for as it was left.
    pub(super) fn renew(&mut self, folder: &Folder) {
        self.folder = Mark::of(folder.path()).unwrap_or(self.folder);
    }

    /// What was noted, where it still holds.
    pub(super) fn noted(store: &Store, folder: &Folder) -> Option<Self> {
        // What is not ours or not whole is as good as nothing.
        let bytes = disk::read_own(&path(store), LONGEST).ok()??;
        let noted: Self = serde_json::from_slice(&bytes).ok()?;
        (noted.holds(folder) && noted.is_older_than(&path(store))).then_some(noted)
    }

    /// Whether the folder was last changed in an earlier step of time than its note.
    fn is_older_than(&self, note: &Path) -> bool {
        Mark::of(note).is_some_and(|note| note.changed() > self.folder.changed())
    }

    /// Notes it for the next start. It is not worth a sync.
    pub(super) fn note(&self, store: &Store) -> Result<(), DiskError> {
        Self::forget(store)?;
        let path = path(store);
        let bytes = serde_json::to_vec(self)
            .map_err(|error| DiskError::new("write", &path)(error.into()))?;
        self.folder.let_time_go_on();
        disk::write_passing(&path, &bytes)
    }

    /// Removes what was noted.
    pub(super) fn forget(store: &Store) -> Result<(), DiskError> {
        disk::remove_if_there(&path(store))
    }
}

fn path(store: &Store) -> PathBuf {
    store.path().with_file_name("outline.json")
}
