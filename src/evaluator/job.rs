//! One evaluation: what is asked, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::units::Number;
use serde::{Deserialize, Serialize};

/// A candidate to judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The caller's own number for it, which no other job in flight has; comes back in the answer.
    pub number: u64,
    /// Told to the evaluator: `MUTATION_ID`, or `id` in a stream.
    pub mutation_id: String,
    /// Told to the evaluator: the source's path as it stands in records.
    pub strategy: String,
    /// The file with the candidate, which the caller has written.
    pub candidate: PathBuf,
    /// All values of the candidate, for a stream.
    pub parameters: BTreeMap<String, Number>,
    /// For an evaluator that draws random numbers; up to 2^53.
    pub seed: u64,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The caller's own number.
    pub number: u64,
    /// The time that the evaluation took, waits for a free worker or a restart left out.
    pub took: Duration,
    /// What came out.
    pub verdict: Verdict,
}

/// What came out of an evaluation. Texts are one line of 1024 bytes at the most, without control characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate was judged.
    Fitness {
        /// Finite.
        fitness: f64,
        /// What else the evaluator measured; finite, too.
        metrics: BTreeMap<String, f64>,
    },
    /// The evaluator failed, or said that the candidate is none.
    Failed(String),
    /// It took longer than it may.
    Timeout(String),
    /// Its answer is none.
    Invalid(String),
    /// The evaluator cannot be run at all, so no other candidate can be judged either.
    Unusable(String),
}
