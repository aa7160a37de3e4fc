//! What can be wrong with an audit, in which file, in words.

use crate::units::{BatchId, MutationId};
use serde::Serialize;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name, without its folder.
    pub file: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.fault)
    }
}

/// What is wrong with a file. In JSON the name of the variant is the kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Fault {
    // Lines of a log.
    #[error("line {line}{} is no audit record: {why}", and_more(*more))]
    NotARecord { line: u64, more: u64, why: String },
    #[error("line {line}{} is a record of batch {batch}", and_more(*more))]
    ForeignLine { line: u64, more: u64, batch: BatchId },
    #[error("line {line}{} contradicts itself: `success` or `validation_passed` is not what `outcome` says", and_more(*more))]
    Contradiction { line: u64, more: u64 },
    #[error("{} missing before line {line}: {}", records_are(*count), range_removed(*first, *last))]
    Removed { line: u64, count: u64, first: MutationId, last: MutationId },
    #[error("line {line} has the id {found} where {expected} belongs")]
    ChangedId { line: u64, found: MutationId, expected: MutationId },
    #[error(
        "line {line} goes back to {found} where {expected} belongs: records are there twice or out of order"
    )]
    Repeated { line: u64, found: MutationId, expected: MutationId },
    #[error("line {line}{} has the id {found} a second time", and_more(*more))]
    Twice { line: u64, more: u64, found: MutationId },
    #[error("line {line}{} has the id {found} where {expected} belongs", and_more(*more))]
    OutOfTurn { line: u64, more: u64, found: MutationId, expected: MutationId },
    #[error(
        "line {line} was added: it has the id {found} where {expected} belongs, which comes after it"
    )]
    Added { line: u64, found: MutationId, expected: MutationId },
    #[error("lines {line} and {} stand in each other's place", line + 1)]
    Swapped { line: u64 },
    #[error("line {line}{} goes back to round {found} from round {before}", and_more(*more))]
    RoundBack { line: u64, more: u64, found: u32, before: u32 },
    #[error("and {count} more breaks in the order of its ids")]
    MoreBreaks { count: u64 },
    // A log as a whole.
    #[error("it has the records of batch {batch}: it was put in the place of another log")]
    OtherLog { batch: BatchId },
    #[error("the end is cut off: {records} of {expected} records are there{}", last_and_torn(last.as_ref(), *torn))]
    CutOff { records: u64, expected: u64, last: Option<MutationId>, torn: u64 },
    #[error("{bytes} bytes that are no line follow its last record")]
    TornEnd { bytes: u64 },
    #[error("it has {} the {expected} that its manifest counts", more_than(*more))]
    Surplus { more: u64, expected: u64 },
    #[error(
        "its content was changed: it has another digest than its manifest gives; number and order of its records are right{}",
        listed(figures)
    )]
    Changed { figures: Vec<String> },
    #[error("cannot be decompressed: {why}")]
    Damaged { why: String },
    #[error("is not what `{beside}` beside it says")]
    CopiesDiffer { beside: String },
    #[error("is not a file of ours: {why}")]
    NotAFile { why: String },
    #[error("is missing; its manifest counts {records} records")]
    LogMissing { records: u64 },
    #[error("was left open, and batches after it are counted: no start will seal it; move it away")]
    LeftOpen,
    // Manifests and their chain.
    #[error("is missing; without it nobody can tell whether the log was changed")]
    ManifestMissing,
    #[error("cannot be used: {why}")]
    ManifestUnusable { why: String },
    #[error("it is the manifest of batch {batch}: it was put in the place of another")]
    OtherManifest { batch: BatchId },
    #[error("says that the batch is running, and its log is sealed")]
    StillRunning,
    #[error(
        "says that the batch is running, and its log is gone: nothing of it is counted; move it away when that is clear"
    )]
    RunningLogGone,
    #[error("was changed after it was sealed: {by} names another digest{}", listed(figures))]
    ManifestChanged { by: String, figures: Vec<String> },
    #[error("does not fit its log{}", listed(figures))]
    Figures { figures: Vec<String> },
    #[error("{} between {after} and this one: removed, with {records} records", batches_missing(*count))]
    BatchesMissing { count: u64, records: u64, after: BatchId },
    #[error(
        "names a batch before it that is neither there nor what was pruned: older batches were removed"
    )]
    BeginningMissing,
    #[error("its `totals_before` are not the totals after {after}{}", listed(figures))]
    TotalsBefore { after: BatchId, figures: Vec<String> },
    // The state.
    #[error("is missing; the next start makes it again from the manifests")]
    StateMissing,
    #[error(
        "is corrupt ({why}); the next start sets it aside and makes it again from the manifests"
    )]
    StateCorrupt { why: String },
    #[error(
        "was set aside because it did not belong to this audit: what it counts and the audit does not is in no total; move it away when that is clear"
    )]
    StateForeign,
    #[error("names {batch} as the newest batch that is counted, and that batch was removed")]
    NewestMissing { batch: BatchId },
    #[error(
        "says that all batches up to {batch} were pruned, and the oldest manifest names none before it"
    )]
    NothingPruned { batch: BatchId },
    #[error("its totals are not those after {after}{}", listed(figures))]
    StateTotals { after: BatchId, figures: Vec<String> },
}

fn records_are(count: u64) -> String {
    if count == 1 { "1 record is".to_owned() } else { format!("{count} records are") }
}

fn range_removed(first: MutationId, last: MutationId) -> String {
    if first == last {
        format!("{first} was removed")
    } else {
        format!("{first} to {last} were removed")
    }
}

fn more_than(more: u64) -> String {
    if more == 1 { "1 record more than".to_owned() } else { format!("{more} records more than") }
}

fn batches_missing(count: u64) -> String {
    if count == 1 {
        "a batch is missing".to_owned()
    } else {
        format!("{count} batches are missing")
    }
}

fn and_more(more: u64) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

fn last_and_torn(last: Option<&MutationId>, torn: u64) -> String {
    let last = last.map_or_else(String::new, |last| format!(", the last is {last}"));
    if torn == 0 { last } else { format!("{last}, and {torn} bytes of a line follow") }
}

/// The first figures that differ; they have mostly one cause.
fn listed(figures: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = figures.len().saturating_sub(SHOWN);
    let shown = figures.iter().take(SHOWN).map(|figure| format!("; {figure}"));
    let more = (more > 0).then(|| format!("; and {more} more figures"));
    shown.chain(more).collect()
}
