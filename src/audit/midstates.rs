//! Midstates of a long journal's digest, noted on the way: the start after a kill has not to hash all of it again.
//!
//! They tell what was written. Where that is no longer what stands there, the sealed log does not fit its digest, and
//! `audit verify` finds it.

use crate::disk::{self, DiskError};
use crate::units::{BatchId, Digest, Hasher};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// After so many bytes there is another one. They are hashed in a few hundredths of a second; a shorter journal needs none.
const STEP: u64 = 64 << 20;

/// Terabytes of journal. Of a longer file none is read, and all is hashed.
const LONGEST: u64 = 32 << 20;

/// The file of them, a line for each, of the last long journal. It is never synced, nor removed: what is not whole, or of
/// another batch, is as good as nothing.
#[derive(Clone, Debug)]
pub(super) struct Midstates {
    path: PathBuf,
    id: BatchId,
    /// Length of the journal at which the next one is due.
    due: u64,
    begun: bool,
}

impl Midstates {
    /// None yet.
    pub(super) fn new(path: PathBuf, id: BatchId) -> Self {
        Self { path, id, due: STEP, begun: false }
    }

    /// Notes where the digest stands, if it is time. What it has taken in is in the journal.
    pub(super) fn note(&mut self, hasher: &Hasher) {
        if hasher.length() < self.due {
            return;
        }
        self.due = hasher.length() + STEP;
        if let Err(error) = self.write(&line(&self.id, hasher)) {
            tracing::debug!(%error, "after a kill more of the journal will have to be hashed");
            self.due = u64::MAX;
        }
    }

    fn write(&mut self, line: &str) -> Result<(), DiskError> {
        let mut file = if self.begun {
            disk::open_own_as(OpenOptions::new().append(true), &self.path)?
        } else {
            disk::remove_if_there(&self.path)?;
            disk::create_passing(&self.path)?
        };
        self.begun = true;
        file.write_all(line.as_bytes()).map_err(DiskError::new("write", &self.path))
    }
}

/// Batch, bytes, midstate, and the digest of all that.
fn line(id: &BatchId, hasher: &Hasher) -> String {
    let (bytes, midstate) = (hasher.length(), hasher.midstate());
    format!("{id} {bytes} {midstate} {}\n", check(id.as_str(), &bytes.to_string(), &midstate))
}

/// A wrong midstate would give a sound log a wrong digest. In another version it may have another form.
fn check(id: &str, bytes: &str, midstate: &str) -> Digest {
    Digest::of(format!("{} {id} {bytes} {midstate}", env!("CARGO_PKG_VERSION")).as_bytes())
}

/// The digest as far as it was noted within the first `length` bytes of the journal of batch `id`.
pub(super) fn last_within(length: u64, id: &BatchId, path: &Path) -> Option<Hasher> {
    // A file that is not ours is left alone.
    let text = String::from_utf8(disk::read_own(path, LONGEST).ok()??).ok()?;
    let mut hashers = text.lines().rev().filter_map(|line| read(line, id));
    hashers.find(|hasher| hasher.length() <= length)
}

fn read(line: &str, id: &BatchId) -> Option<Hasher> {
    let mut words = line.split(' ');
    let [batch, bytes, midstate, sum] = std::array::from_fn(|_| words.next().unwrap_or(""));
    let is_sound = batch == id.as_str() && sum == check(batch, bytes, midstate).as_str();
    Hasher::resume(midstate, bytes.parse().ok()?).filter(|_| is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn id(entropy: u32) -> BatchId {
        BatchId::next(crate::units::Timestamp::from_micros(0), entropy, None)
    }

    /// Notes midstates of three steps and a half; half a step's bytes.
    fn note_three(path: &Path) -> (Midstates, Vec<u8>) {
        let (mut midstates, mut hasher) =
            (Midstates::new(path.to_owned(), id(1)), Hasher::default());
        let half = vec![b'x'; usize::try_from(STEP).unwrap() / 2];
        for _ in 0..7 {
            hasher.update(&half);
            midstates.note(&hasher);
        }
        (midstates, half)
    }

    #[test]
    fn there_is_one_for_each_step_and_the_last_that_fits_counts() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("midstates.txt");
        disk::write_passing(&path, b"of another batch").unwrap();
        let (_, half) = note_three(&path);
        let known =
            |length, id: &BatchId| last_within(length, id, &path).map(|one| one.length() / STEP);
        for (length, step) in [(0, None), (STEP - 1, None), (STEP, Some(1)), (9 * STEP, Some(3))] {
            assert_eq!(known(length, &id(1)), step, "{length}");
        }
        assert_eq!(known(9 * STEP, &id(2)), None, "another batch");
        let mut going_on = last_within(3 * STEP - 1, &id(1), &path).unwrap();
        going_on.update(&half);
        assert_eq!(going_on.finish(), Digest::of(&half.repeat(5)));
    }

    #[test]
    fn a_line_that_is_not_as_it_was_written_is_as_good_as_none() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("midstates.txt");
        note_three(&path);
        let whole = fs::read(&path).unwrap();
        let known = |bytes: &[u8]| {
            fs::remove_file(&path).unwrap();
            disk::write_passing(&path, bytes).unwrap();
            last_within(9 * STEP, &id(1), &path).map(|one| one.length() / STEP)
        };
        for (cut, step) in [(1, Some(3)), (2, Some(2)), (whole.len(), None)] {
            assert_eq!(known(&whole[..whole.len() - cut]), step, "{cut} bytes cut");
        }
        let last = whole.len() - whole.rsplit(|byte| *byte == b'\n').nth(1).unwrap().len() - 1;
        for at in last..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[at] = if whole[at] == b'1' { b'2' } else { b'1' };
            assert_eq!(known(&changed), Some(2), "byte {at}");
        }
    }

    #[test]
    fn a_note_that_cannot_be_written_is_done_without() {
        let root = tempfile::tempdir().unwrap();
        let (midstates, _) = note_three(&root.path().join("not there/midstates.txt"));
        assert_eq!(midstates.due, u64::MAX);
    }
}
