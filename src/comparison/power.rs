//! How many attempts it takes to see a difference, if it is there.

use super::normal::{above, below, exceeded_with, two_sided};
use serde::Serialize;

/// How often the difference is to be seen where there is one.
pub(super) const POWER: f64 = 0.8;

/// Of which difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The one that was observed.
    Observed,
    /// The smallest that is worth to be seen; what was observed is less.
    Relevant,
}

/// How many samples of each set would show a difference with a power of 0.8.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Needed {
    /// Which difference.
    pub basis: Basis,
    /// How great it is: a difference of rates, or a probability that one of B is greater than one of A.
    pub difference: f64,
    /// Samples in all, of each set.
    pub each: u64,
    /// How many A lacks.
    pub more_a: u64,
    /// How many B lacks.
    pub more_b: u64,
}

impl Needed {
    /// With what there is already.
    pub(super) fn new(basis: Basis, difference: f64, each: f64, a: u64, b: u64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and `as` stops at the greatest"
        )]
        let each = each.ceil() as u64;
        let (more_a, more_b) = (each.saturating_sub(a), each.saturating_sub(b));
        Self { basis, difference, each, more_a, more_b }
    }
}

/// Samples of each of two sets so that rates which differ by Cohen's `h` are told apart.
///
/// The root of the power of the two-sided normal test of arcsine-transformed rates, both tails counted (Cohen 1988,
/// section 6.3; `NormalIndPower` of statsmodels).
pub(super) fn for_h(h: f64, confidence: f64) -> f64 {
    let z = two_sided(confidence);
    let power = |each: f64| {
        let shift = h.abs() * (each / 2.0).sqrt();
        above(z - shift) + below(-z - shift)
    };
    let (mut few, mut many) = (0.0, 1e18);
    // Halved until neighbouring numbers: the power rises with the number.
    for _ in 0..200 {
        let middle = f64::midpoint(few, many);
        *(if power(middle) < POWER { &mut few } else { &mut many }) = middle;
    }
    many
}

/// Samples of each of two sets so that a rank test sees that one of B is greater than one of A with `probability`.
///
/// G. E. Noether, "Sample size determination for some common nonparametric tests", JASA 82 (1987), equation (8), for sets
/// of the same size.
pub(super) fn for_ranks(probability: f64, confidence: f64) -> f64 {
    let sum = two_sided(confidence) + exceeded_with(1.0 - POWER);
    sum.powi(2) / (6.0 * (probability - 0.5).powi(2))
}
