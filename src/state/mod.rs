//! What is remembered between batches: the totals, and which gateways have seen them.
//!
//! In reading order: the [`Lock`] that one process holds; the [`State`] and its [`Store`], one
//! file replaced whole; [`recover`], which brings the state up to the audit at every start.

mod lock;
mod recovery;
mod store;

pub use lock::{Lock, LockError};
pub(crate) use recovery::fold;
pub use recovery::{Recovered, Recovery, RecoveryError, recover};
pub use store::{FoldedBatch, GatewayMark, State, StateError, Store};
