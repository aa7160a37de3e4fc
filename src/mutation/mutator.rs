//! Proposes values: an operator on a domain under a bound rule.

use super::bounds::Span;
use super::law::Law;
use super::{BoundRule, Domain, Operator};
use crate::units::Decimal;
use rand::Rng;

/// Proposes values for one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutator {
    domain: Domain,
    operator: Operator,
    sigma: Option<f64>,
    rule: BoundRule,
    law: Law,
    span: Span,
}

/// Why an operator cannot work on a domain.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MutatorError {
    /// Zero has no logarithm.
    #[error(
        "lognormal needs bounds that are both above or both below zero, not {min} to {max}; take gaussian"
    )]
    LognormalAcrossZero {
        /// As configured.
        min: Decimal,
        /// As configured.
        max: Decimal,
    },
    /// Its absolute value would throw every proposal out of the bounds.
    #[error(
        "compat-gaussian takes the absolute value and needs bounds of zero or more, not {min} to {max}; take lognormal or gaussian"
    )]
    CompatBelowZero {
        /// As configured.
        min: Decimal,
        /// As configured.
        max: Decimal,
    },
    /// Not above 0, or above 1, or no number.
    #[error("sigma {sigma} must be above 0 and at most {}", Operator::SIGMA_LIMIT)]
    SigmaOutOfRange {
        /// As configured.
        sigma: f64,
    },
    /// It would be ignored.
    #[error("{operator} has no sigma; leave it out")]
    SigmaWithoutUse {
        /// `polynomial` or `uniform`.
        operator: Operator,
    },
}

/// A proposed value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// On the grid, within the bounds; at the step's decimals.
    pub value: Decimal,
    /// The raw proposal, rounded to the grid, had left the bounds and was brought back.
    pub clamped: bool,
    /// It differs from the current value; false after ten redraws in vain.
    pub changed: bool,
}

/// How often an unchanged value is drawn again.
const REDRAWS: u32 = 10;

/// How often `resample` draws again before it mirrors. From a bound every second draw is inside.
const RESAMPLES: u32 = 32;

impl Mutator {
    /// `operator` and `sigma` default by the domain: `lognormal` with 0.15 where both bounds are on
    /// one side of zero, else `gaussian` with 0.1. `compat-gaussian` clamps whatever the rule.
    pub fn new(
        domain: Domain,
        operator: Option<Operator>,
        sigma: Option<f64>,
        rule: BoundRule,
    ) -> Result<Self, MutatorError> {
        let operator = operator.unwrap_or_else(|| Operator::default_for(&domain));
        let (min, max) = domain.bounds();
        if operator == Operator::Lognormal && !domain.has_one_sign() {
            return Err(MutatorError::LognormalAcrossZero { min, max });
        }
        if operator == Operator::CompatGaussian && min.mantissa() < 0 {
            return Err(MutatorError::CompatBelowZero { min, max });
        }
        let sigma = sigma_in_force(operator, sigma)?;
        let rule = if operator == Operator::CompatGaussian { BoundRule::Clamp } else { rule };
        let (first, last) = domain.indices();
        let span = Span::new(first, last);
        let law = Law::new(operator, sigma.unwrap_or_default(), &domain, &span);
        Ok(Self { domain, operator, sigma, rule, law, span })
    }

    /// The domain.
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The operator in force.
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// The bound rule in force.
    pub const fn rule(&self) -> BoundRule {
        self.rule
    }

    /// The width in force: σ; `None` where the operator has none.
    pub const fn sigma(&self) -> Option<f64> {
        self.sigma
    }

    /// A value to take the place of `current`, which may be off the grid.
    ///
    /// A draw that gives `current` itself is drawn again, ten times at the most; then the value is
    /// the grid's nearest to `current`, and `changed` is false. A `current` outside of the bounds,
    /// which the caller should not have, is taken as the nearest bound.
    pub fn propose(&self, current: f64, rng: &mut impl Rng) -> Proposal {
        self.by(&self.law, current, rng)
    }

    /// The same with another σ than the one in force; operators that have none do not read it.
    ///
    /// `sigma` is above 0 and may go beyond [`Operator::SIGMA_LIMIT`]. With the one in force the
    /// draws are those of [`Self::propose`].
    pub fn propose_with(&self, sigma: f64, current: f64, rng: &mut impl Rng) -> Proposal {
        let law = Law::new(self.operator, sigma, &self.domain, &self.span);
        self.by(&law, current, rng)
    }

    /// The value at a step of `distance` σ-scales from `from`, which was drawn elsewhere, to take the place of `current`.
    ///
    /// `from` and `distance` are on the operator's own scale: the logarithm of the magnitude for
    /// `lognormal`, shares of `max − min` for `gaussian`. The step is at least as likely to reach a
    /// neighbour on the grid as a normal deviate of half a step would be: `spread` is its standard
    /// deviation, and a smaller one is stretched to that. What leaves the bounds is brought back as by the
    /// rule; `resample`, which cannot draw again here, mirrors. `None` for operators that step on another scale.
    pub fn at(&self, from: f64, distance: f64, spread: f64, current: f64) -> Option<Proposal> {
        let grid = self.domain.grid();
        let (min, max) = self.domain.bounds();
        let half = |scale: f64| distance * (0.5 / (scale * spread)).max(1.0);
        let place = match self.operator {
            Operator::Lognormal => {
                let x = grid.place(from.exp().copysign(min.to_f64()));
                x * half(x.abs()).exp()
            }
            Operator::Gaussian if !self.domain.has_one_sign() => {
                let width = grid.place(max.to_f64()) - grid.place(min.to_f64());
                width * (from + half(width))
            }
            Operator::Gaussian
            | Operator::Polynomial
            | Operator::Uniform
            | Operator::CompatGaussian => return None,
        };
        let (index, clamped) = match self.span.cell(place) {
            Some(cell) => (index(cell), false),
            None if self.rule == BoundRule::Clamp => {
                (index(self.span.clamp(place).round_ties_even()), true)
            }
            None => (index(self.law.mirror(place, &self.span).round_ties_even()), true),
        };
        let value = self.domain.value(index);
        Some(Proposal { value, clamped, changed: !same(value.to_f64(), current) })
    }

    fn by(&self, law: &Law, current: f64, rng: &mut impl Rng) -> Proposal {
        let x = self.span.between_mirrors(self.domain.grid().place(current));
        let mut clamped = false;
        for _ in 0..=REDRAWS {
            let index;
            (index, clamped) = self.draw(law, x, rng);
            let value = self.domain.value(index);
            if !same(value.to_f64(), current) {
                return Proposal { value, clamped, changed: true };
            }
        }
        let value = self.domain.value(self.domain.nearest(current));
        Proposal { value, clamped, changed: false }
    }

    /// An index of the domain, and whether it took the bound rule to get there.
    fn draw(&self, law: &Law, x: f64, rng: &mut impl Rng) -> (i64, bool) {
        let place = law.draw(x, &self.span, rng);
        match self.span.cell(place) {
            Some(cell) => (index(cell), false),
            None => (self.brought_back(law, place, x, rng), true),
        }
    }

    /// An index of the domain for a `place` that is outside.
    #[cold]
    fn brought_back(&self, law: &Law, mut place: f64, x: f64, rng: &mut impl Rng) -> i64 {
        if self.rule == BoundRule::Clamp {
            return index(self.span.clamp(place).round_ties_even());
        }
        if self.rule == BoundRule::Resample {
            for _ in 0..RESAMPLES {
                place = law.draw(x, &self.span, rng);
                if let Some(cell) = self.span.cell(place) {
                    return index(cell);
                }
            }
        }
        index(law.mirror(place, &self.span).round_ties_even())
    }
}

/// The index that a whole number is; `Domain::value` sees to it that it is one of the domain's.
const fn index(cell: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "whole already; the cast saturates")]
    let index = cell as i64;
    index
}

fn sigma_in_force(operator: Operator, sigma: Option<f64>) -> Result<Option<f64>, MutatorError> {
    match (operator.default_sigma(), sigma) {
        (None, Some(_)) => Err(MutatorError::SigmaWithoutUse { operator }),
        (Some(_), Some(sigma)) if !(sigma > 0.0 && sigma <= Operator::SIGMA_LIMIT) => {
            Err(MutatorError::SigmaOutOfRange { sigma })
        }
        (default, sigma) => Ok(sigma.or(default)),
    }
}

#[expect(clippy::float_cmp, reason = "unchanged means the very double that stands in the source")]
fn same(value: f64, current: f64) -> bool {
    value == current
}
