//! What may go: a plan over sealed batches, as a value.

use super::manifest::Heading;
use super::{BatchFiles, Folder};
use crate::units::{BatchId, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Up to where old batches were pruned: with it, a beginning that was pruned is told from one that was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pruned {
    /// Nobody knows: the state was lost, or is from before this was kept.
    #[default]
    Unknown,
    /// Nothing was ever pruned.
    Nothing,
    /// All batches up to this one.
    UpTo {
        /// The newest that was pruned.
        batch_id: BatchId,
        /// The digest of its manifest, which the oldest one that is left names.
        manifest_sha256: Digest,
        /// Batches before it that had lost their logs already, and so were not pruned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without_log: Vec<BatchId>,
    },
}

/// A [`Pruned::UpTo`] that the chain bears out.
#[derive(Clone, Copy, Debug)]
pub struct Anchor<'a> {
    batch_id: &'a BatchId,
    pub(super) manifest_sha256: &'a Digest,
    without_log: &'a [BatchId],
}

impl Pruned {
    /// Up to where was pruned, where the chain says so too: the first manifest after it names its digest. A state that
    /// came from elsewhere, or was changed, must neither hide batches nor have them removed.
    pub fn anchor(
        &self,
        folder: &Folder,
        batches: &BTreeMap<BatchId, BatchFiles>,
    ) -> Option<Anchor<'_>> {
        let Self::UpTo { batch_id, manifest_sha256, without_log } = self else { return None };
        let mut later = batches.iter().filter(|(id, files)| *id > batch_id && files.manifest);
        let (first, _) = later.next()?;
        let (heading, _) = Heading::read(folder, first).ok()?;
        (heading.previous_sha256.as_ref() == Some(manifest_sha256)).then_some(Anchor {
            batch_id,
            manifest_sha256,
            without_log,
        })
    }
}

impl Anchor<'_> {
    /// Whether the prune has passed this batch.
    pub fn is_past(&self, id: &BatchId) -> bool {
        id <= self.batch_id
    }

    /// Whether these files are what a killed prune left of a batch. Logs go first, so a batch that has one was not
    /// begun with, or was put there again; one that had none already was not pruned.
    pub fn is_left(&self, id: &BatchId, files: BatchFiles) -> bool {
        self.is_past(id) && !files.open && !files.is_sealed() && !self.without_log.contains(id)
    }
}

/// Age is counted from the start of this batch from the newest on, and not from the time of day: a clock
/// that jumps ahead for a night would take all of the past otherwise. So it takes none of the newer ones.
/// Ids of the same second count as one: they follow a batch from a clock that has been set back since.
const COUNTED_FROM: usize = 7;

/// How much of the past is kept: a batch goes when any of the three is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    batches: usize,
    age: Duration,
    bytes: u64,
}

/// Numbers that would keep nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("retention must keep at least one batch, one hour and one MiB")]
pub struct RetentionError;

/// Why a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneReason {
    /// There are enough newer ones.
    Batches,
    /// It started too long ago.
    Age,
    /// It and the newer ones take too much room.
    Bytes,
}

/// A sealed batch that is counted in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    /// Which one.
    pub id: BatchId,
    /// Bytes of its log and manifest.
    pub bytes: u64,
    /// Whether its log is not packed.
    pub plain: bool,
}

impl Retention {
    /// At the most `batches` (from 1), none started longer ago than `age` (from an hour), and no
    /// more than `bytes` (from one mebibyte) together.
    pub const fn new(batches: usize, age: Duration, bytes: u64) -> Result<Self, RetentionError> {
        if batches == 0 || age.as_secs() < 3600 || bytes < 1 << 20 {
            return Err(RetentionError);
        }
        Ok(Self { batches, age, bytes })
    }

    /// At the most so many batches.
    pub const fn batches(&self) -> usize {
        self.batches
    }

    /// At the most this old.
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// At the most so many bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Which of `batches` (oldest first) go. The newest always stays, whatever the clock says, and age
    /// alone takes none of the newest seven.
    pub fn plan(&self, batches: &[SealedBatch], now: Timestamp) -> Vec<(BatchId, PruneReason)> {
        let mut starts: Vec<_> = batches.iter().rev().map(|batch| batch.id.start()).collect();
        starts.dedup();
        let counted_from = starts.get(COUNTED_FROM - 1).map(|start| now.min(*start));
        let mut bytes = 0_u64;
        let mut going = Vec::new();
        for (newer, batch) in batches.iter().rev().enumerate() {
            bytes = bytes.saturating_add(batch.bytes);
            let reason = if newer == 0 {
                None
            } else if newer >= self.batches {
                Some(PruneReason::Batches)
            } else if bytes > self.bytes {
                Some(PruneReason::Bytes)
            } else if counted_from.is_some_and(|then| then.since(batch.id.start()) > self.age) {
                Some(PruneReason::Age)
            } else {
                None
            };
            going.extend(reason.map(|reason| (batch.id.clone(), reason)));
        }
        going.reverse();
        going
    }
}

impl Default for Retention {
    /// 400 batches, 400 days, ten gibibytes.
    fn default() -> Self {
        Self { batches: 400, age: Duration::from_hours(400 * 24), bytes: 10 << 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn nights(count: i64, bytes: u64) -> Vec<SealedBatch> {
        let id = |night| BatchId::next(Timestamp::from_micros(night * DAY), 0, None);
        (0..count).map(|night| SealedBatch { id: id(night), bytes, plain: false }).collect()
    }

    fn plan(retention: Retention, batches: &[SealedBatch], night: i64) -> Vec<PruneReason> {
        let going = retention.plan(batches, Timestamp::from_micros(night * DAY));
        for ((id, _), batch) in going.iter().zip(batches) {
            assert_eq!(id, &batch.id, "the oldest go first");
        }
        going.into_iter().map(|(_, reason)| reason).collect()
    }

    #[test]
    fn each_limit_lets_the_oldest_go() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let batches = nights(5, 1 << 20);
        let by_count = Retention::new(3, days(99), u64::MAX).unwrap();
        assert_eq!(plan(by_count, &batches, 5), [PruneReason::Batches; 2]);
        let by_age = Retention::new(99, days(2), u64::MAX).unwrap();
        assert_eq!(plan(by_age, &nights(12, 1), 12), [PruneReason::Age; 3]);
        let by_bytes = Retention::new(99, days(99), 2 << 20).unwrap();
        assert_eq!(plan(by_bytes, &batches, 5), [PruneReason::Bytes; 3]);
    }

    #[test]
    fn the_newest_stays_even_when_the_clock_runs_a_century_ahead() {
        let retention = Retention::new(1, Duration::from_hours(1), 1 << 20).unwrap();
        assert_eq!(retention.plan(&nights(1, u64::MAX), Timestamp::from_micros(i64::MAX)), []);
        assert_eq!(plan(retention, &nights(3, u64::MAX), 36_500).len(), 2);
    }

    #[test]
    fn a_clock_that_jumps_ahead_takes_nothing_by_age_before_its_seventh_batch() {
        let retention = Retention::new(99, Duration::from_hours(24 * 30), u64::MAX).unwrap();
        let mut batches = nights(20, 1);
        for jumped in 0..10 {
            let (century, last) = (36_500 + jumped, batches.last().map(|last| last.id.clone()));
            let now = Timestamp::from_micros(century * DAY);
            let id = BatchId::next(now, 0, last.as_ref());
            batches.push(SealedBatch { id, bytes: 1, plain: false });
            let expected = if jumped < 6 { 0 } else { 20 };
            assert_eq!(plan(retention, &batches, century).len(), expected, "{jumped}");
        }
        // Nor do batches count that only follow one of its ids, under a clock that was set back.
        let mut followers = nights(20, 1);
        for century in [36_500, 20, 21, 22, 23, 24, 25, 26, 36_501] {
            let now = Timestamp::from_micros(century * DAY);
            let id = BatchId::next(now, 0, followers.last().map(|last| &last.id));
            followers.push(SealedBatch { id, bytes: 1, plain: false });
            assert_eq!(plan(retention, &followers, century), [], "{century}");
        }
        // And a clock that stands before all of them takes nothing at all.
        assert_eq!(plan(retention, &batches, 0), []);
        assert_eq!(plan(retention, &nights(6, 1), 36_500), []);
    }

    #[test]
    fn a_retention_that_keeps_nothing_is_refused() {
        let day = Duration::from_hours(24);
        assert!(Retention::new(0, day, 1 << 30).is_err());
        assert!(Retention::new(1, Duration::ZERO, 1 << 30).is_err());
        assert!(Retention::new(1, day, 0).is_err());
    }
}
