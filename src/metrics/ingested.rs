//! Logs of another program that were taken in, and how far each was: what keeps a line from being counted twice.

use crate::record::Record;
use crate::units::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many logs are known, the last that were taken in: they stand in the state and in every manifest, at 250 bytes each.
const MOST: usize = 2000;

/// What a batch took of the logs of another program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// The logs, in the order in which they were read.
    pub sources: Vec<IngestedLog>,
    /// When the newest attempt among them succeeded; `None` where none did.
    pub last_success: Option<Timestamp>,
}

/// What a batch took of one log. Its content is known by digests: logs are renamed, copied and packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestedLog {
    /// As it was named; the `strategy` of its records.
    pub path: String,
    /// What is known of it after the batch; while the batch runs, what was known when it began.
    pub known: KnownLog,
    /// Records that the batch took.
    pub records: u64,
    /// Pieces that were left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
}

/// A log that begins with certain bytes, and of which a number of lines is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownLog {
    /// Digest of its beginning up to the end of the first record.
    pub head: Digest,
    /// Length in bytes of a beginning that holds the head.
    pub bytes: u64,
    /// Digest of that beginning.
    pub sha256: Digest,
    /// Up to where it was taken; may be before or behind that beginning, where a batch was killed.
    pub taken: Position,
}

/// A place in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Whole lines before it.
    pub lines: u64,
    /// Records of the next line before it; more than none where a batch was killed, or that line had no end yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub records: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Position {
    /// Whether record `index`, from 0, of line `line`, from 1, stands before it.
    pub const fn is_behind(self, line: u64, index: u64) -> bool {
        line <= self.lines || line == self.lines + 1 && index < self.records
    }

    /// The place behind a further record, which is of line `line`.
    const fn after(self, line: u64) -> Self {
        if line == self.lines + 1 {
            Self { lines: self.lines, records: self.records + 1 }
        } else {
            Self { lines: line.saturating_sub(1), records: 1 }
        }
    }
}

impl Ingest {
    /// Takes note of a record that is in the journal. The rest of its line may not be.
    pub fn note(&mut self, record: &Record<'_>) {
        if record.success {
            self.last_success = self.last_success.max(Some(record.timestamp));
        }
        let mut sources = self.sources.iter_mut();
        if let Some(source) = sources.find(|source| source.path == record.strategy) {
            source.records += 1;
            source.known.taken = source.known.taken.after(record.line.into());
        }
    }
}

/// What is known of all logs that were taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownLogs(Vec<KnownLog>);

impl KnownLogs {
    /// Takes in what is known of a log. What was known of a shorter beginning of it says no more.
    pub fn add(&mut self, log: KnownLog) {
        self.0.retain(|one| one.head != log.head || one.bytes > log.bytes || one.taken > log.taken);
        self.0.push(log);
        if self.0.len() > MOST {
            self.0.remove(0);
        }
    }

    /// Those with a head; the shortest beginning first.
    pub fn with_head(&self, head: &Digest) -> Vec<&KnownLog> {
        let mut found: Vec<_> = self.0.iter().filter(|one| one.head == *head).collect();
        found.sort_by_key(|one| one.bytes);
        found
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;
    use crate::units::BatchId;
    use std::borrow::Cow;

    fn known(head: &str, bytes: u64, lines: u64) -> KnownLog {
        let sha256 = Digest::of(&bytes.to_le_bytes());
        let taken = Position { lines, records: 0 };
        KnownLog { head: Digest::of(head.as_bytes()), bytes, sha256, taken }
    }

    #[test]
    fn a_log_that_grew_is_known_once() {
        let mut all = KnownLogs::default();
        for (head, bytes, lines) in [("a", 100, 10), ("b", 50, 5), ("a", 200, 20)] {
            all.add(known(head, bytes, lines));
        }
        assert_eq!(all.0, [known("b", 50, 5), known("a", 200, 20)]);
        // Killed on the way: its content was seen to the end, and not all of it was taken.
        all.add(known("c", 300, 10));
        all.add(known("c", 200, 20));
        assert_eq!(all.with_head(&Digest::of(b"c")), [&known("c", 200, 20), &known("c", 300, 10)]);
    }

    #[test]
    fn no_more_than_the_last_logs_are_known() {
        let mut all = KnownLogs::default();
        (0..MOST as u64 + 5).for_each(|number| all.add(known(&number.to_string(), 100, 10)));
        assert_eq!(all.0.len(), MOST);
        assert!(all.with_head(&Digest::of(b"4")).is_empty());
        assert_eq!(all.with_head(&Digest::of(b"5")).len(), 1);
    }

    #[test]
    fn records_in_the_journal_say_how_far_a_killed_batch_had_come() {
        let known = known("a", 100, 7);
        let source =
            IngestedLog { path: "a.log".into(), known, records: 0, left_out: BTreeMap::new() };
        let mut ingest = Ingest { sources: vec![source], last_success: None };
        let id: Cow<'_, BatchId> = Cow::Owned("20261123T020000Z-7f3a9c".parse().unwrap());
        let at = |line, second: i64| Record {
            strategy: "a.log".into(),
            line,
            timestamp: Timestamp::from_micros(second * 1_000_000),
            ..sample(id.clone())
        };
        for (line, second, taken) in [(8, 5, (7, 1)), (8, 9, (7, 2)), (11, 2, (10, 1))] {
            ingest.note(&at(line, second));
            let (lines, records) = taken;
            assert_eq!(ingest.sources[0].known.taken, Position { lines, records });
        }
        assert_eq!(ingest.sources[0].records, 3);
        assert_eq!(ingest.last_success, Some(Timestamp::from_micros(9_000_000)));
        let taken = ingest.sources[0].known.taken;
        let places = [(10, 4), (11, 0), (11, 1), (12, 0)];
        assert_eq!(
            places.map(|(line, index)| taken.is_behind(line, index)),
            [true, true, false, false]
        );
    }
}
