//! What a killed batch left behind: cut to its whole lines, the rest kept beside it.

use super::journal::JournalEnd;
use super::{Folder, ReadError, Tail, read_records};
use crate::disk::{self, DiskError, Mode};
use crate::metrics::{Buckets, Tally};
use crate::units::{BatchId, Hasher};
use std::io::{self, Seek as _, SeekFrom};

/// What was found in a journal that was left open.
#[derive(Debug)]
pub struct Salvaged {
    /// The fold over its whole lines.
    pub tally: Tally,
    /// Its length and digest after the cut.
    pub end: JournalEnd,
    /// Completed rounds, as far as the records tell: all before the last one seen.
    pub rounds_completed: u32,
    /// Bytes that were cut off and kept as `.broken`.
    pub cut: u64,
}

/// Cuts the open journal of `id` after its last whole record and folds what stands in it.
///
/// What follows the last newline, or the first line that is no record (a power cut can leave
/// zeros), is kept in `<id>.jsonl.broken`.
pub fn salvage(folder: &Folder, id: &BatchId, buckets: Buckets) -> Result<Salvaged, DiskError> {
    let path = folder.open_journal(id);
    let mut tally = Tally::new(buckets);
    let mut hasher = Hasher::default();
    let (mut bytes, mut round) = (0, 0);
    let read = read_records(&path, |record, line| {
        tally.add(record);
        hasher.update(line);
        bytes += line.len() as u64;
        round = record.round;
    });
    let cut = match read {
        Ok(Tail::Whole) => 0,
        Ok(Tail::Torn { .. }) | Err(ReadError::Line { .. } | ReadError::TooLong { .. }) => {
            cut_off(folder, id, bytes)?
        }
        Err(ReadError::Disk(error)) => return Err(error),
    };
    let end = JournalEnd { bytes, sha256: hasher.finish() };
    Ok(Salvaged { tally, end, rounds_completed: u32::saturating_sub(round, 1), cut })
}

fn cut_off(folder: &Folder, id: &BatchId, keep: u64) -> Result<u64, DiskError> {
    let path = folder.open_journal(id);
    let mut file = disk::open_to_repair(&path)?;
    let broken = folder.broken(id);
    disk::remove_if_there(&broken)?;
    let mut kept = disk::create_new(&broken, Mode::Private)?;
    let cut = file
        .seek(SeekFrom::Start(keep))
        .and_then(|_| io::copy(&mut file, &mut kept))
        .map_err(DiskError::new("keep the end of", &path))?;
    kept.sync_all().map_err(DiskError::new(disk::SYNC, &broken))?;
    disk::sync_folder(folder.path())?;
    file.set_len(keep).map_err(DiskError::new("cut back", &path))?;
    file.sync_all().map_err(DiskError::new(disk::SYNC, &path))?;
    Ok(cut)
}
