//! How large an effect is, in the words that the literature has for it.

use serde::Serialize;

/// How large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Of no account, however sure it is.
    Negligible,
    /// Seen in figures alone.
    Small,
    /// Seen by who looks.
    Medium,
    /// Seen by anybody.
    Large,
}

/// Below these, in turn, Cliff's delta is negligible, small and medium: Romano et al., "Exploring methods for evaluating
/// group differences on the NSSE", 2006.
const DELTA: [f64; 3] = [0.147, 0.33, 0.474];
/// The same for Cohen's h: J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, section 6.2.
const H: [f64; 3] = [0.2, 0.5, 0.8];

impl Effect {
    /// Of a difference of ranks, -1..=1.
    pub fn of_delta(delta: f64) -> Self {
        Self::among(delta, DELTA)
    }

    /// Of a difference of rates.
    pub fn of_h(h: f64) -> Self {
        Self::among(h, H)
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Negligible => "negligible",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    fn among(value: f64, [small, medium, large]: [f64; 3]) -> Self {
        match value.abs() {
            size if size < small => Self::Negligible,
            size if size < medium => Self::Small,
            size if size < large => Self::Medium,
            _ => Self::Large,
        }
    }
}
