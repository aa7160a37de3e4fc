//! One log, read to its end whatever is in it.

use super::Fault;
use super::sequence::Sequence;
use crate::audit::ids::{Ids, Order};
use crate::audit::reader::{Line, ReadError, read_lines};
use crate::disk::DiskError;
use crate::metrics::{Buckets, Tally};
use crate::record::Record;
use crate::units::{BatchId, Digest, Hasher, MutationId};
use std::path::Path;

/// What reading a log showed.
#[derive(Debug)]
pub(super) struct LogReading {
    /// The fold over the records that could be read.
    pub(super) tally: Tally,
    /// Digest of all bytes.
    pub(super) sha256: Digest,
    /// Number of all bytes.
    pub(super) bytes: u64,
    /// Whole lines.
    pub(super) lines: u64,
    /// The id that the last line should have.
    pub(super) last: u64,
    /// Bytes after the last newline.
    pub(super) torn: u64,
    /// The last round that was seen.
    pub(super) round: u32,
    /// What is odd about single lines.
    pub(super) faults: Vec<Fault>,
    /// All records are of this other batch.
    pub(super) other: Option<BatchId>,
}

/// Something that was seen first in a line, and so often after that.
#[derive(Debug)]
struct Seen<T> {
    line: u64,
    more: u64,
    what: T,
}

impl<T> Seen<T> {
    fn note(seen: &mut Option<Self>, line: u64, what: impl FnOnce() -> T) {
        match seen {
            Some(seen) => seen.more += 1,
            None => *seen = Some(Self { line, more: 0, what: what() }),
        }
    }
}

struct Reading<'a> {
    id: &'a BatchId,
    tally: Tally,
    hasher: Hasher,
    bytes: u64,
    lines: u64,
    torn: u64,
    round: u32,
    sequence: Sequence,
    /// Where records come in the order in which evaluations end: only that no id comes twice is to be held.
    ids: Option<Ids>,
    twice: Option<Seen<MutationId>>,
    /// Found where the other belongs, in a shard's log.
    out_of_turn: Option<Seen<(MutationId, MutationId)>>,
    unreadable: Option<Seen<String>>,
    foreign: Option<Seen<BatchId>>,
    contradicting: Option<Seen<()>>,
    back: Option<Seen<(u32, u32)>>,
}

/// Reads the log of batch `id` at `path`. An error only where the file itself cannot be read.
pub(super) fn read_log(
    path: &Path,
    id: &BatchId,
    buckets: Buckets,
    order: &Order,
) -> Result<LogReading, DiskError> {
    let mut reading = Reading {
        id,
        tally: Tally::new(buckets),
        hasher: Hasher::default(),
        bytes: 0,
        lines: 0,
        torn: 0,
        round: 0,
        sequence: Sequence::new(),
        // What is wrong with ids that rise by one can be told apart.
        ids: (!is_whole(order)).then(|| Ids::new(order)),
        twice: None,
        out_of_turn: None,
        unreadable: None,
        foreign: None,
        contradicting: None,
        back: None,
    };
    let read = read_lines(path, |line, bytes, read| reading.take(line, bytes, read));
    let mut broken = None;
    match read {
        Ok(()) => {}
        // A decoder's own complaint has no number of the system's.
        Err(ReadError::Disk(error))
            if is_damage(&error) && path.extension() == Some("zst".as_ref()) =>
        {
            broken = Some(Fault::Damaged { why: error.source.to_string() });
        }
        Err(ReadError::Disk(error)) => return Err(error),
        Err(error @ (ReadError::TooLong { line, .. } | ReadError::Line { line, .. })) => {
            let why = error.to_string();
            broken = Some(Fault::NotARecord { line, more: 0, why });
        }
    }
    Ok(reading.end(broken))
}

fn is_whole(order: &Order) -> bool {
    matches!(order, Order::Rising(circle) if circle.is_whole())
}

fn is_damage(error: &DiskError) -> bool {
    error.action == "read" && error.source.raw_os_error().is_none()
}

impl Reading<'_> {
    fn take(&mut self, line: u64, bytes: &[u8], read: Line<'_>) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        match read {
            Ok(None) => {
                self.torn = bytes.len() as u64;
                return;
            }
            Ok(Some(record)) => self.take_record(line, record),
            Err(fault) => {
                self.sequence.unreadable();
                Seen::note(&mut self.unreadable, line, || fault.to_string());
            }
        }
        self.lines += 1;
    }

    fn take_record(&mut self, line: u64, record: &Record<'_>) {
        self.tally.add(record);
        if *record.batch_id == *self.id {
            self.take_id(line, record.mutation_id);
        } else {
            let batch = || (*record.batch_id).clone();
            Seen::note(&mut self.foreign, line, batch);
            self.sequence.unreadable();
        }
        let outcome = record.outcome;
        if record.success != outcome.is_success() || record.validation_passed != outcome.is_valid()
        {
            Seen::note(&mut self.contradicting, line, || ());
        }
        if record.round < self.round {
            let rounds = (record.round, self.round);
            Seen::note(&mut self.back, line, || rounds);
        }
        self.round = record.round;
    }

    fn take_id(&mut self, line: u64, found: MutationId) {
        match &mut self.ids {
            None => self.sequence.next(line, found),
            Some(ids) => {
                let expected = ids.next();
                if !ids.take(found) {
                    if *ids.order() == Order::Any {
                        Seen::note(&mut self.twice, line, || found);
                    } else {
                        Seen::note(&mut self.out_of_turn, line, || (found, expected));
                        ids.go_on_after(found);
                    }
                }
                self.sequence.next(line, self.sequence.awaited());
            }
        }
    }

    fn end(self, broken: Option<Fault>) -> LogReading {
        let (last, mut faults) = self.sequence.end();
        if let Some(Seen { line, more, what: found }) = self.twice {
            faults.push(Fault::Twice { line, more, found });
        }
        if let Some(Seen { line, more, what: (found, expected) }) = self.out_of_turn {
            faults.push(Fault::OutOfTurn { line, more, found, expected });
        }
        if let Some(Seen { line, more, what: why }) = self.unreadable {
            faults.push(Fault::NotARecord { line, more, why });
        }
        let other = match self.foreign {
            Some(Seen { line: 1, more, what }) if more + 1 == self.lines => Some(what),
            Some(Seen { line, more, what: batch }) => {
                faults.push(Fault::ForeignLine { line, more, batch });
                None
            }
            None => None,
        };
        if let Some(Seen { line, more, what: () }) = self.contradicting {
            faults.push(Fault::Contradiction { line, more });
        }
        // Lines out of order mostly say it already.
        if let Some(Seen { line, more, what: (found, before) }) = self.back
            && faults.is_empty()
        {
            faults.push(Fault::RoundBack { line, more, found, before });
        }
        faults.extend(broken);
        LogReading {
            tally: self.tally,
            sha256: self.hasher.finish(),
            bytes: self.bytes,
            lines: self.lines,
            last,
            torn: self.torn,
            round: self.round,
            faults,
            other,
        }
    }
}

impl LogReading {
    /// A last line with an id that is too great: only the number of records tells whether lines before it are missing
    /// or the id was changed.
    pub(super) fn judge_the_last_id(&mut self, records: u64) {
        if let Some(Fault::Removed { line, first, last, .. }) = self.faults.last()
            && *line == self.lines
            && records == self.lines
        {
            let (line, expected) = (*line, *first);
            let found = MutationId(last.0.saturating_add(1));
            self.faults.pop();
            self.faults.push(Fault::ChangedId { line, found, expected });
            self.last = self.lines;
        }
    }

    /// How the log differs from the number of records that it should have.
    pub(super) fn length_fault(&self, expected: u64) -> Option<Fault> {
        let last = (self.last > 0).then_some(MutationId(self.last));
        if self.last < expected {
            let (records, torn) = (self.lines, self.torn);
            return Some(Fault::CutOff { records, expected, last, torn });
        }
        if self.last > expected {
            return Some(Fault::Surplus { more: self.last - expected, expected });
        }
        (self.torn > 0).then_some(Fault::TornEnd { bytes: self.torn })
    }
}
