//! What a recovery did or noticed, in words, and why it could not be done.

use super::StateError;
use crate::audit::{ManifestError, ReadError};
use crate::disk::DiskError;
use crate::units::BatchId;
use std::fmt;
use std::path::PathBuf;

/// One thing that a recovery did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// A corrupt state was renamed.
    SetAside {
        /// To what.
        path: PathBuf,
        /// What was wrong.
        error: String,
    },
    /// A state that is not the one of this audit was renamed.
    Foreign {
        /// To what.
        path: PathBuf,
        /// How that is known.
        why: String,
    },
    /// There is nothing in the audit to hold the state to; it was kept.
    Unchecked {
        /// Why not.
        why: String,
    },
    /// The manifest of the last batch was changed or taken away, and its log says what the state says; it was kept.
    ManifestChanged {
        /// Of which batch.
        id: BatchId,
    },
    /// The last batch was taken away; the state was kept.
    LastRemoved {
        /// Which.
        id: BatchId,
    },
    /// A sealed log is not the one that its manifest describes; the manifest was left as it is.
    LogChanged {
        /// Of which batch.
        id: BatchId,
        /// How that is known.
        why: String,
    },
    /// The manifest of a sealed log said other figures of it than the log does; they were put right.
    Corrected {
        /// Of which batch.
        id: BatchId,
    },
    /// The totals were made anew from the manifests, from this one on.
    Rebuilt {
        /// The first that was folded; the totals before it stand in it.
        from: BatchId,
    },
    /// A killed batch was cut, sealed and counted as crashed.
    Crashed {
        /// Which.
        id: BatchId,
        /// Its whole records.
        records: u64,
        /// Bytes after them, kept as `.broken`.
        cut: u64,
    },
    /// A batch that was killed after its manifest was written was given its final name.
    Finished {
        /// Which.
        id: BatchId,
    },
    /// A sealed log without a usable manifest was given one from its records.
    Remade {
        /// Which.
        id: BatchId,
    },
    /// There is a manifest and no log: there is nothing to count.
    LogGone {
        /// Which.
        id: BatchId,
    },
    /// A sealed batch was folded into the totals.
    Folded {
        /// Which.
        id: BatchId,
    },
    /// The duration buckets changed, so that histogram started anew.
    NewBuckets {
        /// With which batch.
        id: BatchId,
    },
    /// A batch is counted, and what its records say to the search cannot be read.
    SearchLost {
        /// Which.
        id: BatchId,
        /// Why not.
        why: String,
    },
}

impl Recovery {
    /// Whether anything was done, and not only noticed.
    pub(super) const fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Unchecked { .. }
                | Self::ManifestChanged { .. }
                | Self::LastRemoved { .. }
                | Self::LogChanged { .. }
                | Self::LogGone { .. }
                | Self::SearchLost { .. }
        )
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { path, error } => {
                write!(f, "the state was corrupt ({error}) and is kept as {}", path.display())
            }
            Self::Foreign { path, why } => write!(
                f,
                "the state does not belong to this audit ({why}) and is kept as {}; \
                 totals are what the audit says",
                path.display()
            ),
            Self::Unchecked { why } => {
                write!(f, "the totals go on from the state, which cannot be checked: {why}")
            }
            Self::ManifestChanged { id } => write!(
                f,
                "the manifest of batch {id} is not the one that the state knows; the totals go on from the state, \
                 as its log has them; see `mutation-agent audit verify`"
            ),
            Self::LastRemoved { id } => write!(
                f,
                "batch {id} is counted, and somebody must have taken it away; the totals go on from the state; \
                 see `mutation-agent audit verify`"
            ),
            Self::LogChanged { id, why } => write!(
                f,
                "the log of batch {id} is not the one that its manifest describes ({why}); \
                 see `mutation-agent audit verify`"
            ),
            Self::Corrected { id } => write!(
                f,
                "the manifest of batch {id} did not say what its log says; it does now, as the log is the truth"
            ),
            Self::Rebuilt { from } => {
                write!(f, "totals rebuilt from the manifests, from {from} on")
            }
            Self::Crashed { id, records, cut: 0 } => {
                write!(f, "batch {id} was killed; its {records} records are sealed and counted")
            }
            Self::Crashed { id, records, cut } => write!(
                f,
                "batch {id} was killed; its {records} records are sealed and counted, \
                 {cut} bytes of a torn line are kept as {id}.jsonl.broken"
            ),
            Self::Finished { id } => write!(f, "batch {id} was killed while it was sealed; sealed"),
            Self::Remade { id } => {
                write!(f, "batch {id} had no usable manifest; made from its records")
            }
            Self::LogGone { id } => write!(
                f,
                "batch {id} has a manifest and no log, which somebody must have taken away; \
                 it is not counted"
            ),
            Self::Folded { id } => write!(f, "batch {id} folded into the totals"),
            Self::SearchLost { id, why } => write!(
                f,
                "what batch {id} found cannot be read again ({why}); the search goes on as it was before it"
            ),
            Self::NewBuckets { id } => {
                write!(f, "other buckets since batch {id}: the duration histogram starts anew")
            }
        }
    }
}

/// A state that cannot be brought up to date; nothing was lost by trying.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A manifest from a later agent, or unreadable.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A sealed log that cannot be read.
    #[error("{0}; move the file away to go on without it")]
    Read(#[from] ReadError),
    /// A sealed log with lines of another batch.
    #[error("{}:{line}: not the next record of this batch; move the file away to go on without it", path.display())]
    Mixed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
    },
    /// A journal that another process has open, though the folder's lock was free: somebody has
    /// removed the file `lock`.
    #[error("another mutation-agent is writing {}; this one leaves it alone", .0.display())]
    AtWork(PathBuf),
    /// A file or folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
