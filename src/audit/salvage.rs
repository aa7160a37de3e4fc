//! What a killed batch left behind: cut to its whole lines, the rest kept beside it.

use super::blocks::in_order;
use super::canonical::LineReader;
use super::ids::Ids;
use super::journal::JournalEnd;
use super::reader::each_record;
use super::{Folder, Manifest, Order, Tail, midstates};
use crate::disk::{self, DiskError, Mode};
use crate::metrics::{Buckets, Tally};
use crate::record::Record;
use crate::units::{BatchId, Hasher, MutationId};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

/// All that a log's lines say: the fold over its records, its length and digest, its last round.
#[derive(Debug)]
pub struct LogFold {
    /// The fold over the records.
    pub tally: Tally,
    hasher: Hasher,
    bytes: u64,
    round: u32,
}

impl LogFold {
    /// Of no lines yet.
    pub fn new(buckets: Buckets) -> Self {
        Self::resume(buckets, Hasher::default())
    }

    /// Of no lines yet, of which the digest has taken in the first ones.
    fn resume(buckets: Buckets, hasher: Hasher) -> Self {
        Self { tally: Tally::new(buckets), hasher, bytes: 0, round: 0 }
    }

    /// Takes in the next line.
    pub fn take(&mut self, record: &Record<'_>, line: &[u8]) {
        self.tally.add(record);
        self.digest(line);
        self.round = record.round;
    }

    fn take_part(&mut self, part: &Part, bytes: &[u8]) {
        self.tally.merge(&part.tally);
        self.digest(bytes);
        if !bytes.is_empty() {
            self.round = part.round;
        }
    }

    fn digest(&mut self, bytes: &[u8]) {
        let known = self.hasher.length() - self.bytes;
        let known = usize::try_from(known).map_or(bytes.len(), |known| known.min(bytes.len()));
        self.hasher.update(&bytes[known..]);
        self.bytes += bytes.len() as u64;
    }

    /// Whether it ends before what the digest has taken in.
    const fn is_overtaken(&self) -> bool {
        self.bytes < self.hasher.length()
    }

    /// Of a block in which something is wrong: the lines before that.
    fn take_up_to_a_fault(&mut self, block: &[u8], id: &BatchId, mut ids: Ids) {
        let mut is_whole = true;
        // What is wrong with a line is nobody's business here.
        let _ = each_record(block, &mut LineReader::default(), |record, line| {
            // Somebody may have put a line in twice.
            is_whole = is_whole && *record.batch_id == *id && ids.take(record.mutation_id);
            if is_whole {
                self.take(record, line);
            }
        });
    }

    /// Length and digest of the lines.
    pub fn end(&self) -> JournalEnd {
        JournalEnd { bytes: self.bytes, sha256: self.hasher.finish() }
    }

    /// Whether a manifest says of the log what it is.
    pub fn is_described_by(&self, manifest: &Manifest) -> bool {
        let end = self.end();
        manifest.sha256 == end.sha256
            && manifest.bytes == end.bytes
            && manifest.records == self.tally.attempts()
            && manifest.can_have_completed(manifest.summary.rounds_completed, self.round)
            && manifest.summary.tally == self.tally
    }

    /// Has a manifest say what the log is; rounds that it has none of are none.
    pub fn describe(self, manifest: &mut Manifest) {
        let JournalEnd { bytes, sha256 } = self.end();
        (manifest.bytes, manifest.sha256) = (bytes, sha256);
        manifest.records = self.tally.attempts();
        let rounds = manifest.summary.rounds_completed;
        if !manifest.can_have_completed(rounds, self.round) {
            manifest.summary.rounds_completed = self.round;
        }
        manifest.summary.tally = self.tally;
    }

    /// Completed rounds, as far as the records tell: all before the last one seen.
    pub const fn rounds_completed(&self) -> u32 {
        self.round.saturating_sub(1)
    }
}

/// What was found in a journal that was left open.
#[derive(Debug)]
pub struct Salvaged {
    /// Its whole lines.
    pub log: LogFold,
    /// Bytes that were cut off and kept as `.broken`.
    pub cut: u64,
}

/// Folds what stands in the open journal of `id`: its records up to the first line that is none, or
/// that cannot be the next one of this batch. True where that is all of it.
pub fn read_open(
    folder: &Folder,
    id: &BatchId,
    buckets: &Buckets,
    order: &Order,
) -> Result<(LogFold, bool), DiskError> {
    fold_log(&folder.open_journal(id), id, buckets, order)
}

/// The same for a look that acts upon nothing: the file may be anybody's.
pub fn look_at_open(
    folder: &Folder,
    id: &BatchId,
    buckets: &Buckets,
    order: &Order,
) -> Result<(LogFold, bool), DiskError> {
    let path = folder.open_journal(id);
    fold(&disk::open(&path)?, &path, id, LogFold::new(buckets.clone()), order)
}

/// Folds the log of batch `id`, under whichever name, as [`read_open`] does.
pub fn fold_log(
    path: &Path,
    id: &BatchId,
    buckets: &Buckets,
    order: &Order,
) -> Result<(LogFold, bool), DiskError> {
    fold(&disk::open_own(path)?, path, id, LogFold::new(buckets.clone()), order)
}

/// The records are read on every core, beside the digest, which takes one.
fn fold(
    file: &File,
    path: &Path,
    id: &BatchId,
    mut log: LogFold,
    order: &Order,
) -> Result<(LogFold, bool), DiskError> {
    let buckets = log.tally.duration_histogram().buckets().clone();
    let mut ids = Ids::new(order);
    let mut is_whole = true;
    let read = |part: &mut Part, bytes: &[u8]| part.read(bytes, id);
    in_order(
        file,
        path,
        || Part::new(&buckets),
        read,
        |part, bytes| {
            let before = ids.clone();
            is_whole = part.is_whole && part.ids.iter().all(|one| ids.take(*one));
            if is_whole {
                log.take_part(part, bytes);
                return ControlFlow::Continue(());
            }
            log.take_up_to_a_fault(bytes, id, before);
            ControlFlow::Break(())
        },
    )?;
    Ok((log, is_whole))
}

/// What the lines of a block say, before it is known whether they may come next.
struct Part {
    tally: Tally,
    ids: Vec<MutationId>,
    round: u32,
    /// All are records of the batch.
    is_whole: bool,
    reader: LineReader,
}

impl Part {
    fn new(buckets: &Buckets) -> Self {
        let (tally, reader) = (Tally::new(buckets.clone()), LineReader::default());
        Self { tally, ids: Vec::new(), round: 0, is_whole: true, reader }
    }

    fn read(&mut self, block: &[u8], id: &BatchId) {
        let Self { tally, ids, round, is_whole, reader } = self;
        tally.clear();
        ids.clear();
        *is_whole = true;
        let end = each_record(block, reader, |record, _| {
            // Somebody may have put another batch's log in its place.
            *is_whole &= *record.batch_id == *id;
            tally.add(record);
            ids.push(record.mutation_id);
            *round = record.round;
        });
        *is_whole &= matches!(end, Ok(Tail::Whole));
    }
}

/// Cuts the open journal of `id` after its last whole record and folds what stands in it.
///
/// What follows the last newline, or the first line that is no record of this batch (a power cut can
/// leave zeros), is kept in `<id>.jsonl.broken`. The digest is that of what was written, as far as the batch noted it
/// at `noted`, and of what stands there from then on.
pub fn salvage(
    folder: &Folder,
    id: &BatchId,
    buckets: &Buckets,
    order: &Order,
    noted: &Path,
) -> Result<Salvaged, DiskError> {
    let path = folder.open_journal(id);
    let file = disk::open_own(&path)?;
    let length = file.metadata().map_err(DiskError::new("look at", &path))?.len();
    let fold_of = |length| {
        let hasher = midstates::last_within(length, id, noted).unwrap_or_default();
        fold(&file, &path, id, LogFold::resume(buckets.clone(), hasher), order)
    };
    let (mut log, mut whole) = fold_of(length)?;
    if log.is_overtaken() {
        (log, whole) = fold_of(log.bytes)?;
    }
    let cut = if whole { 0 } else { cut_off(folder, id, log.bytes)? };
    Ok(Salvaged { log, cut })
}

fn cut_off(folder: &Folder, id: &BatchId, keep: u64) -> Result<u64, DiskError> {
    let path = folder.open_journal(id);
    let mut file = disk::open_own_as(OpenOptions::new().read(true).write(true), &path)?;
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
