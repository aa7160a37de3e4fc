//! A data folder, locked and brought up to date: where every command that writes begins.

use super::{Lock, LockError, Recovery, RecoveryError, State, Store, recover};
use crate::audit::Folder;
use crate::disk::{self, DiskError, Exposed, Mode};
use crate::metrics::Buckets;
use crate::units::{BatchId, Timestamp};
use std::path::Path;

/// An open data folder. The locks are let go when it is dropped.
#[derive(Debug)]
pub struct DataDir {
    /// Where the state is kept.
    pub store: Store,
    /// The audit.
    pub folder: Folder,
    /// The state, up to the newest batch.
    pub state: State,
    /// What opening had to repair.
    pub recovered: Vec<Recovery>,
    /// The greatest batch id there is; the next must be greater.
    pub newest: Option<BatchId>,
    /// Of the data folder, and of an audit folder elsewhere, which another agent could name too.
    _locks: [Option<Lock>; 2],
}

/// A data folder that cannot be opened. Nothing in it was changed but what the recovery had done.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A folder that cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A folder in which others could swap our files.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// State or audit.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl DataDir {
    /// Makes the folders where there are none, takes the lock, recovers.
    pub fn open(
        data_dir: &Path,
        audit_dir: &Path,
        buckets: &Buckets,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let folder = Folder::new(audit_dir.to_owned());
        for path in [data_dir, audit_dir] {
            disk::exposed(path)?;
            disk::create_folder(path, Mode::Private)?;
            disk::writable(path)?;
        }
        let locks = [
            Some(Lock::take(data_dir)?),
            if audit_dir.starts_with(data_dir) { None } else { Some(Lock::take(audit_dir)?) },
        ];
        let store = Store::new(data_dir);
        store.clear()?;
        let found = recover(&store, &folder, buckets, now)?;
        Ok(Self {
            store,
            folder,
            state: found.state,
            recovered: found.done,
            newest: found.newest,
            _locks: locks,
        })
    }

    /// Saves the state.
    pub fn save(&self) -> Result<(), DiskError> {
        self.store.save(&self.state)
    }
}
