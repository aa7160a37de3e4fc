//! The lines of JSON between the agent and a host. Both are the same binary, so there are no versions.

use std::collections::BTreeMap;
use std::time::Duration;

use super::job::Verdict;
use super::settings::Mode;
use crate::units::Number;
use serde::{Deserialize, Serialize};

/// How long whoever was asked to end by SIGTERM may take.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// The longest wait before a stream worker is started again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A variable that marks all that descends from a host: batch and host, so that it is found even without the host.
pub(super) const MARK: &str = "EVALUATOR_SESSION";

/// The first line to a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) batch_id: String,
    pub(super) mode: Mode,
    pub(super) command: Vec<String>,
    pub(super) timeout: Duration,
    pub(super) memory: Option<u64>,
    pub(super) cpu: Option<Duration>,
    /// Orders that it may have unanswered.
    pub(super) in_flight: usize,
}

/// Every other line to a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) mutation_id: String,
    pub(super) strategy: String,
    pub(super) candidate: String,
    pub(super) parameters: BTreeMap<String, Number>,
    pub(super) seed: u64,
}

/// A line from a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// It has understood its assignment.
    Ready,
    /// What came of an order.
    Done {
        /// The order's.
        number: u64,
        /// Of the evaluation alone.
        took: Duration,
        /// What came out.
        verdict: Verdict,
    },
}

/// The mark of what descends from a host.
pub(super) fn mark(batch_id: &str, host: u32) -> String {
    format!("{batch_id}.{host}")
}
