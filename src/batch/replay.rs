//! A batch drawn again from its manifest: every proposal, from the seed and the audited evaluations alone.
//!
//! It needs neither the strategies nor today's config: the manifest has the values that stood in the
//! sources, the config in force, and where the search began.

use super::turns::Turns;
use crate::audit::Manifest;
use crate::config::{Config, ConfigError};
use crate::evolution::{Draft, Fate, Gene, Move, Origin, Proposing, Searches, Settings, Values, moves};
use crate::metrics::Status;
use crate::mutation::{Streams, Weights};
use crate::record::{Outcome, Record};
use crate::units::{BatchId, MutationId, Number};
use rand::Rng;
use std::collections::BTreeMap;
use std::path::Path;

/// A batch that cannot be drawn again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Killed in its first moment, or from before manifests held their config.
    #[error("its manifest does not have {0}, so nothing can be drawn again")]
    Missing(&'static str),
    /// Its own config cannot be read any more.
    #[error("the config in its manifest cannot be used: {0}")]
    Config(#[from] ConfigError),
}

/// A record that is not what is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub mutation: MutationId,
    /// The field.
    pub field: &'static str,
    /// What stands there.
    pub found: String,
    /// What is drawn.
    pub expected: String,
}

/// A batch being drawn again. Records are handed in as they stand in the log.
pub struct Replay {
    id: BatchId,
    seed: u64,
    per_round: u32,
    config: Config,
    strategies: Vec<Strategy>,
    /// Draws a variant; `None` where there are none.
    variants: Option<Weights>,
    evolution: Option<(Settings, Searches)>,
    /// The round that is being read, and what is drawn in it, where nothing is drawn without the rounds before.
    round: u32,
    drawn: BTreeMap<u64, Expected>,
    /// How many records were compared.
    pub records: u64,
}

/// A strategy as the manifest lists it.
struct Strategy {
    name: String,
    values: Values,
    /// Indices into the config's parameters.
    parameters: Vec<usize>,
    weights: Option<Weights>,
}

/// What a record should say.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    strategy: String,
    variant: Option<String>,
    parent: Option<Origin>,
    fate: Fate,
    changes: Vec<Changed>,
}

#[derive(Clone, Debug, PartialEq)]
struct Changed {
    parameter: String,
    operator: &'static str,
    old: Number,
    new: Number,
    clamped: bool,
}
