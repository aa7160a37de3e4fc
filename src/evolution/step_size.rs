//! How far a parameter steps, and on which scale.

use crate::mutation::{Mutator, Operator};
use crate::units::Number;
use serde::{Deserialize, Serialize};

/// A parameter's σ, as the config has it and as the 1/5 success rule has made it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSize {
    /// Where it began; another one in the config begins anew.
    pub configured: f64,
    /// Now.
    pub adapted: f64,
    /// What it is a share of, `max − min`; `None` where the scale is logarithmic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
}

impl StepSize {
    /// Adapted step sizes stay within these.
    pub const RANGE: (f64, f64) = (0.01, 1.5);

    /// The greatest change of one round, as a factor.
    pub const STRIDE: f64 = 3.0;

    /// Where a parameter begins; `None` if its operator has no σ.
    pub fn new(mutator: &Mutator) -> Option<Self> {
        let configured = mutator.sigma()?;
        let (min, max) = mutator.domain().bounds();
        let logarithmic = Operator::default_for(mutator.domain()) == Operator::Lognormal;
        Some(Self {
            configured,
            adapted: configured.clamp(Self::RANGE.0, Self::RANGE.1),
            width: (!logarithmic).then(|| max.to_f64() - min.to_f64()),
        })
    }

    /// Whether it is one.
    pub(super) fn is_sound(&self) -> bool {
        [Some(self.configured), Some(self.adapted), self.width]
            .into_iter()
            .flatten()
            .all(|number| number.is_finite() && number > 0.0)
    }

    /// The σ to propose with where `sigma` is configured, which a variant may have otherwise: what
    /// was learned is a ratio.
    pub const fn of(&self, sigma: f64) -> f64 {
        (self.adapted * (sigma / self.configured)).clamp(Self::RANGE.0, Self::RANGE.1)
    }

    /// The 1/5 success rule: ×1.5 for each success, ×1.5^(−1/4) for each failure, so that one
    /// success in five leaves it as it is; at most [`Self::STRIDE`] times as far, or as near, in a round.
    ///
    /// I. Rechenberg, "Evolutionsstrategie" (1973), with the constants of S. Kern et al., "Learning
    /// Probability Distributions in Continuous Evolutionary Algorithms" (2004). All attempts of a
    /// round step equally far, so that fifty of them say little more than a dozen: without a limit
    /// they would change it by 1.5^50.
    pub(super) fn adapt(&mut self, successes: u32, attempts: u32) {
        let failures = f64::from(attempts - successes);
        let factor = 1.5_f64.powf(f64::from(successes) - failures / 4.0);
        let factor = factor.clamp(1.0 / Self::STRIDE, Self::STRIDE);
        self.adapted = (self.adapted * factor).clamp(Self::RANGE.0, Self::RANGE.1);
    }

    /// Where a value is on the scale on which steps of a σ are equally long.
    pub(super) fn coordinate(&self, value: Number) -> f64 {
        let value = value.to_f64();
        self.width.map_or_else(|| value.abs().max(f64::MIN_POSITIVE).ln(), |width| value / width)
    }

    /// Whether it began as `other` does.
    pub(super) fn began_as(&self, other: &Self) -> bool {
        self.configured.to_bits() == other.configured.to_bits()
            && self.width.map(f64::to_bits) == other.width.map(f64::to_bits)
    }
}
