//! The audit log: the truth that everything else is derived from.
//!
//! In reading order: the [`Folder`] knows the names of the files; a [`Journal`] is a batch's file
//! while it is open, written line by line (`line.rs`) and digested and synced beside that; [`Manifest`] and [`seal`] close it;
//! [`read_records`] reads any of them back, and [`Logs`] are many of them; [`salvage`] cuts what a killed batch left behind;
//! [`Retention`] plans what may go, and [`Packing`] packs what stays; [`verify()`] reads everything
//! again and says what is not as it was written.

mod blocks;
mod canonical;
mod compress;
mod digester;
mod folder;
mod ids;
mod journal;
mod line;
mod logs;
mod manifest;
mod midstates;
mod reader;
mod retention;
mod salvage;
mod seal;
mod verify;
mod writeback;

pub use compress::{CompressError, Packing};
pub use folder::{BatchFiles, Folder, shards_in};
pub(crate) use ids::Ids;
pub use ids::Order;
pub use journal::{Journal, JournalEnd};
pub use logs::{Log, Logs, Read};
pub use manifest::{
    Evolution, Manifest, ManifestError, Pushes, StrategyEntry, TargetEntry, UnusableEntry,
};
pub use reader::{ReadError, Tail, read_own_records, read_records};
pub use retention::{Anchor, PruneReason, Pruned, Retention, RetentionError, SealedBatch};
pub use salvage::{LogFold, Salvaged, fold_log, look_at_open, read_open, salvage};
pub(crate) use seal::finish as finish_seal;
pub use seal::seal;
pub use verify::{Fault, Finding, Known, OpenLog, Report, verify};
