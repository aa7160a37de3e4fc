//! What a report needs to know and no record says.

use crate::units::Timestamp;
use std::collections::BTreeMap;

/// The bounds of a parameter, as the config of the newest batch has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
}

/// A candidate that is better than its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Champion {
    /// Its strategy.
    pub strategy: String,
    /// What the evaluator gave it.
    pub fitness: f64,
    /// What it gave the source.
    pub source_fitness: f64,
    /// What it changes.
    pub changes: Vec<Change>,
    /// The same as a patch.
    pub diff: String,
}

/// A value that a candidate changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which parameter.
    pub parameter: String,
    /// In the source, as numbers are written.
    pub from: String,
    /// In the candidate.
    pub to: String,
}

/// A gateway, and whether it has seen the newest totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its name.
    pub gateway: String,
    /// It took them.
    pub is_delivered: bool,
}

/// What stands in no record.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// When the report is made; `None` where nobody asks how old the newest batch is.
    pub now: Option<Timestamp>,
    /// Host or folder, for the title.
    pub of: String,
    /// By parameter.
    pub bounds: BTreeMap<String, Bounds>,
    /// The better candidates.
    pub champions: Vec<Champion>,
    /// By gateway; empty where that is not known.
    pub deliveries: Vec<Delivery>,
    /// What `audit verify` found; `None` where it was not asked.
    pub findings: Option<Vec<String>>,
}
