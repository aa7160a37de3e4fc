//! The standard normal distribution, as `statrs` computes it.

use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::SQRT_2;

/// P(Z ≤ `z`).
pub(super) fn below(z: f64) -> f64 {
    erfc(-z / SQRT_2) / 2.0
}

/// P(Z ≥ `z`), right to its last digits far out as well.
pub(super) fn above(z: f64) -> f64 {
    erfc(z / SQRT_2) / 2.0
}

/// The z that Z exceeds with this probability, which is above 0 and below 1.
pub(super) fn exceeded_with(probability: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * probability)
}

/// The z that |Z| stays below with this probability.
pub(super) fn two_sided(confidence: f64) -> f64 {
    exceeded_with((1.0 - confidence) / 2.0)
}
