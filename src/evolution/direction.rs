//! Which way is better.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Whether a greater or a smaller fitness is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Greater is better.
    #[default]
    Maximize,
    /// Smaller is better.
    Minimize,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Maximize, Self::Minimize];

    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maximize => "maximize",
            Self::Minimize => "minimize",
        }
    }

    /// Whether `a` is better than `b`; never if one of them is no number.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Maximize => a > b,
            Self::Minimize => a < b,
        }
    }

    /// The better one first; what cannot be compared is equal.
    pub(super) fn order(self, a: f64, b: f64) -> Ordering {
        self.better(b, a).cmp(&self.better(a, b))
    }
}
