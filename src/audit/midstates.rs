//! Midstates of a long journal's digest, noted on the way: the start after a kill has not to hash all of it again.
//!
//! They tell what was written. Where that is no longer what stands there, the sealed log does not fit its digest, and
//! `audit verify` finds it.

use crate::disk::{self, DiskError};
use crate::units::{BatchId, Hasher};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// After so many bytes there is another one. They are hashed in a few hundredths of a second; a shorter journal needs none.
const STEP: u64 = 64 << 20;

/// Five terabytes of journal.
const LONGEST: u64 = 32 << 20;

/// One of them, as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Midstate {
    batch_id: BatchId,
    /// Of so many bytes.
    bytes: u64,
    state: String,
}

/// The file of them, of one batch. Nobody needs it after a power cut, and nothing depends on it but time.
#[derive(Clone, Debug)]
pub(super) struct Midstates {
    path: PathBuf,
    id: BatchId,
    /// Length of the journal at which the next one is due.
    due: u64,
    file: Option<Arc<File>>,
}

impl Midstates {
    /// None yet.
    pub(super) fn new(path: PathBuf, id: BatchId) -> Self {
        Self { path, id, due: STEP, file: None }
    }

    /// Notes where the digest stands, if it is time. What it has taken in is in the journal.
    pub(super) fn note(&mut self, hasher: &Hasher) {
        if hasher.length() < self.due {
            return;
        }
        self.due = hasher.length() + STEP;
        if let Err(error) = self.write(hasher) {
            tracing::debug!(%error, "after a crash the journal will be hashed from its beginning");
            self.due = u64::MAX;
        }
    }

    fn write(&mut self, hasher: &Hasher) -> Result<(), DiskError> {
        let failed = |source| DiskError::new("write", &self.path)(source);
        let midstate = Midstate {
            batch_id: self.id.clone(),
            bytes: hasher.length(),
            state: hasher.midstate(),
        };
        let mut line = serde_json::to_vec(&midstate).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        if self.file.is_none() {
            disk::remove_if_there(&self.path)?;
            self.file = Some(Arc::new(disk::create_passing(&self.path)?));
        }
        let file = self.file.as_deref();
        file.map_or(Ok(()), |mut file| file.write_all(&line)).map_err(failed)
    }

    /// Removes them: the digest is finished.
    pub(super) fn forget(&mut self) {
        if self.file.take().is_some()
            && let Err(error) = disk::remove_if_there(&self.path)
        {
            // By its batch it is known to be of another time.
            tracing::debug!(%error, "midstates of a digest are left behind");
        }
    }
}

/// The digest as far as it was noted within the first `length` bytes of the journal of batch `id`.
pub(super) fn last_within(length: u64, id: &BatchId, path: &Path) -> Option<Hasher> {
    // What is not ours or not whole is as good as nothing.
    let bytes = disk::read_own(path, LONGEST).ok()??;
    let lines = bytes.rsplit(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice::<Midstate>(line).ok())
        .filter(|midstate| midstate.batch_id == *id && midstate.bytes <= length)
        .find_map(|midstate| Hasher::resume(&midstate.state, midstate.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Digest;
    use std::fs;

    fn id(entropy: u32) -> BatchId {
        BatchId::next(crate::units::Timestamp::from_micros(0), entropy, None)
    }

    /// Midstates of three steps and a half, and the digest of all.
    fn three(path: &Path) -> (Midstates, Vec<u8>) {
        let (mut midstates, mut hasher) =
            (Midstates::new(path.to_owned(), id(1)), Hasher::default());
        let bytes = vec![b'x'; usize::try_from(STEP).unwrap() / 2];
        for _ in 0..7 {
            hasher.update(&bytes);
            midstates.note(&hasher);
        }
        (midstates, bytes)
    }

    #[test]
    fn there_is_one_for_each_step_and_the_last_that_fits_counts() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("midstates.jsonl");
        disk::write_passing(&path, b"of another batch").unwrap();
        let (mut midstates, half) = three(&path);
        let known =
            |length, id: &BatchId| last_within(length, id, &path).map(|one| one.length() / STEP);
        for (length, step) in [(0, None), (STEP - 1, None), (STEP, Some(1)), (9 * STEP, Some(3))] {
            assert_eq!(known(length, &id(1)), step, "{length}");
        }
        assert_eq!(known(9 * STEP, &id(2)), None, "another batch");
        let mut going_on = last_within(3 * STEP - 1, &id(1), &path).unwrap();
        going_on.update(&half);
        assert_eq!(going_on.finish(), Digest::of(&half.repeat(5)));

        let whole = fs::read(&path).unwrap();
        for (cut, step) in [(1, Some(3)), (2, Some(2)), (whole.len(), None)] {
            fs::remove_file(&path).unwrap();
            disk::write_passing(&path, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(known(9 * STEP, &id(1)), step, "{cut} bytes cut");
        }
        midstates.forget();
        assert!(!path.exists());
    }

    #[test]
    fn a_note_that_cannot_be_written_is_done_without() {
        let root = tempfile::tempdir().unwrap();
        let (mut midstates, _) = three(&root.path().join("not there/midstates.jsonl"));
        assert_eq!(midstates.due, u64::MAX);
        midstates.forget();
    }
}
