//! What is remembered between batches: the totals, and which gateways have seen them.
//!
//! In reading order: the [`Lock`] that one process holds; a [`DataDir`] begins with it; the [`State`] and its [`Store`], one
//! file replaced whole; [`recover`], which brings the state up to the audit at every start, after it was held to it
//! (`belonging.rs`), batch by batch (`settle.rs`), and says what it did as a [`Recovery`]; a [`PrunePlan`], which says what
//! may go; `outline.rs`, by which a start need not list the audit; [`Starts`], which `schedule` remembers; [`verify`], which holds the audit to the state and changes neither.

mod belonging;
mod data_dir;
mod lock;
mod outline;
mod prune;
mod recovery;
mod repair;
mod settle;
mod starts;
mod store;
mod verify;

pub use data_dir::{DataDir, OpenError, PackError};
pub use lock::{Lock, LockError};
pub use prune::{PruneError, PrunePlan, Pruning, Untouched};
pub use recovery::{Recovered, recover};
pub(crate) use recovery::{fold, searches_after};
pub use repair::{Recovery, RecoveryError};
pub use starts::{Considered, Starts};
pub use store::{FoldedBatch, GatewayMark, State, StateError, Store};
pub use verify::{VerifyError, verify};
