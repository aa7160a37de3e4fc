//! How a new value is proposed: the grid it lives on, the operators, the bound rules, the random streams.

use crate::units::{Decimal, Kind};
use serde::{Deserialize, Serialize};

/// How a new value is proposed; the names are the field's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// ln|x| + σN.
    Lognormal,
    /// x + σ(max−min)N.
    Gaussian,
    /// Deb's polynomial mutation.
    Polynomial,
    /// Anywhere within the bounds.
    Uniform,
    /// The rule of the Python system that this replaces.
    CompatGaussian,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Lognormal, Self::Gaussian, Self::Polynomial, Self::Uniform, Self::CompatGaussian];

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
}

/// What happens to a proposal that left its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundRule {
    /// Mirrored back inside.
    #[default]
    Reflect,
    /// Drawn again.
    Resample,
    /// Set to the bound.
    Clamp,
}

/// The values that a parameter may take: the multiples of `step` from `min` to `max`.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {}

/// Why bounds and step make no domain.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DomainError {}

impl Domain {
    /// The grid of multiples of `step` in `min..=max`.
    pub fn new(kind: Kind, min: Decimal, max: Decimal, step: Decimal) -> Result<Self, DomainError> {
        let _ = (kind, min, max, step);
        Ok(Self {})
    }

    /// What its values are.
    pub const fn kind(&self) -> Kind {
        Kind::Float
    }

    /// The bounds as configured.
    pub const fn bounds(&self) -> (Decimal, Decimal) {
        todo!()
    }

    /// The step as configured.
    pub const fn step(&self) -> Decimal {
        todo!()
    }
}

/// Proposes values for one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutator {}

/// Why an operator cannot work on a domain.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MutatorError {}

/// A proposed value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// On the grid, within the bounds.
    pub value: Decimal,
    /// The raw proposal had left the bounds and was brought back.
    pub clamped: bool,
    /// It differs from the current value; false after ten redraws in vain.
    pub changed: bool,
}

impl Mutator {
    /// `operator` and `sigma` default by the domain (see DESIGN: lognormal where the bounds share a sign, else gaussian).
    pub fn new(
        domain: Domain,
        operator: Option<Operator>,
        sigma: Option<f64>,
        rule: BoundRule,
    ) -> Result<Self, MutatorError> {
        let _ = (domain, operator, sigma, rule);
        Ok(Self {})
    }

    /// The domain.
    pub const fn domain(&self) -> &Domain {
        todo!()
    }

    /// The operator in force.
    pub const fn operator(&self) -> Operator {
        Operator::Lognormal
    }

    /// The bound rule in force.
    pub const fn rule(&self) -> BoundRule {
        BoundRule::Reflect
    }

    /// The width in force: σ; `None` where the operator has none.
    pub const fn sigma(&self) -> Option<f64> {
        None
    }
}
