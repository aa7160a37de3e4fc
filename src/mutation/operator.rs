//! The operators by name. What they do is written in `law.rs`.

use super::Domain;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a new value is proposed; the names are the field's.
///
/// `N` is a standard normal deviate, `x` the current value. On whole numbers `lognormal` and
/// `gaussian` draw their moves from a two-sided geometric distribution of the same standard
/// deviation with moves of at least one step, so that small numbers are not stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// `ln|x| + σN`: symmetric on the logarithmic scale, so without selection nothing drifts.
    /// Needs bounds that are both above or both below zero.
    Lognormal,
    /// `x + σ(max − min)N`.
    Gaussian,
    /// Deb's polynomial mutation in its bounded form, with η = 20 (Deb & Goyal 1996).
    Polynomial,
    /// Any value of the grid, each as likely as the others.
    Uniform,
    /// `|x·(1 + σN)|`, clamped, rounded with ties to even: the rule of the Python system that this
    /// replaces. It drifts towards zero by `σ²/2` a step on the logarithmic scale, and a whole
    /// number of 1 stays 1, and zero stays zero. Kept for comparison; needs bounds of zero or more,
    /// because the absolute value of anything else would be clamped to the upper bound.
    CompatGaussian,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Lognormal, Self::Gaussian, Self::Polynomial, Self::Uniform, Self::CompatGaussian];

    /// The greatest σ that is accepted: a factor of e, the whole width of the bounds, or 100 %.
    pub const SIGMA_LIMIT: f64 = 1.0;

    /// The name in config, audit and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lognormal => "lognormal",
            Self::Gaussian => "gaussian",
            Self::Polynomial => "polynomial",
            Self::Uniform => "uniform",
            Self::CompatGaussian => "compat-gaussian",
        }
    }

    /// The σ where none is configured; `None` for the operators that have no σ.
    ///
    /// A share of the value for `lognormal` and `compat-gaussian`, of `max − min` for `gaussian`.
    pub const fn default_sigma(self) -> Option<f64> {
        match self {
            Self::Lognormal | Self::CompatGaussian => Some(0.15),
            Self::Gaussian => Some(0.1),
            Self::Polynomial | Self::Uniform => None,
        }
    }

    /// The operator where none is configured: `lognormal` where both bounds are on one side of
    /// zero, `gaussian` where zero is a bound or lies between them, for zero has no logarithm.
    pub fn default_for(domain: &Domain) -> Self {
        if domain.has_one_sign() { Self::Lognormal } else { Self::Gaussian }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_config_and_labels() {
        for operator in Operator::ALL {
            let json = serde_json::to_string(&operator).unwrap();
            assert_eq!(json, format!("\"{operator}\""));
            assert_eq!(serde_json::from_str::<Operator>(&json).unwrap(), operator);
        }
    }
}
