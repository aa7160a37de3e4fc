//! One batch at a time in a data folder.

use crate::disk::{self, DiskError};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Held for the life of the process; the kernel lets it go however the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("another mutation-agent is at work in {}; this one leaves it alone", .0.display())]
    Taken(PathBuf),
    /// Somebody else keeps the schedule.
    #[error("another `mutation-agent schedule` keeps that of {}; this one leaves it alone", .0.display())]
    Scheduled(PathBuf),
    /// The file cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Lock {
    /// Takes the lock of a data folder without waiting.
    pub fn take(data_dir: &Path) -> Result<Self, LockError> {
        Self::take_file(data_dir, "lock", LockError::Taken)
    }

    /// Takes the lock of a data folder's schedule, which is held while batches come and go.
    pub fn take_schedule(data_dir: &Path) -> Result<Self, LockError> {
        Self::take_file(data_dir, "schedule.lock", LockError::Scheduled)
    }

    fn take_file(
        data_dir: &Path,
        name: &str,
        taken: fn(PathBuf) -> LockError,
    ) -> Result<Self, LockError> {
        let path = data_dir.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = disk::open_own_as(&mut options, &path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(taken(data_dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(DiskError::new("lock", &path)(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_taken_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(LockError::Taken(_))));
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
