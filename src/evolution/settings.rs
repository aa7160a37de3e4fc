//! What a search is told by the config.

use super::Direction;
use serde::{Deserialize, Serialize};

/// The part of the config that decides what becomes of a search. It stands in the manifest, so
/// that a replay folds as the batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which fitness is better.
    pub direction: Direction,
    /// μ: how many individuals survive a round; 0 is taken as 1.
    pub survivors: u32,
    /// How many value sets are remembered for each strategy.
    pub memory: u32,
    /// After so many rounds without a better individual a strategy is exhausted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
}

impl Settings {
    /// Whether of two the lower fitness is the better one.
    pub const fn lowest_is_best(&self) -> bool {
        matches!(self.direction, Direction::Minimize)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { direction: Direction::Maximize, survivors: 4, memory: 1000, patience: None }
    }
}
