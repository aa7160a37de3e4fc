//! What the operators draw, on the line on which the grid's values are whole numbers.

use super::bounds::{LogMirrors, Span};
use super::{Domain, Operator};
use crate::units::Kind;
use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, Exp1, StandardNormal};
use std::f64::consts::FRAC_1_SQRT_2;

/// An operator on a domain, with all that depends on them alone computed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Law {
    /// `x·e^(σN)`, which is `ln|x| + σN`.
    Lognormal { sigma: f64, mirrors: LogMirrors },
    /// A two-sided geometric move whose means are these multiples of |x|.
    LognormalWhole { outward: f64, inward: f64 },
    /// `x + width·N`.
    Gaussian { width: f64 },
    /// A two-sided geometric move of this mean.
    GaussianWhole { mean: f64 },
    /// Deb's polynomial mutation; whole numbers move at least by one.
    Polynomial { whole: bool },
    /// Any index from the first to the last.
    Uniform { first: i64, last: i64 },
    /// `|x·(1 + σN)|`.
    CompatGaussian { sigma: f64 },
}

impl Law {
    /// The law of `operator`; `sigma` is not read by the operators that have none.
    pub(super) fn new(operator: Operator, sigma: f64, domain: &Domain, span: &Span) -> Self {
        let (min, max) = domain.bounds();
        let grid = domain.grid();
        let width = sigma * (grid.place(max.to_f64()) - grid.place(min.to_f64()));
        let whole = domain.kind() == Kind::Int;
        let (first, last) = domain.indices();
        match operator {
            Operator::Lognormal if whole => Self::lognormal_whole(sigma),
            Operator::Lognormal => Self::Lognormal { sigma, mirrors: span.logarithmic() },
            Operator::Gaussian if whole => Self::GaussianWhole { mean: width * FRAC_1_SQRT_2 },
            Operator::Gaussian => Self::Gaussian { width },
            Operator::Polynomial => Self::Polynomial { whole },
            Operator::Uniform => Self::Uniform { first, last },
            Operator::CompatGaussian => Self::CompatGaussian { sigma },
        }
    }

    /// The means of the moves away from and towards zero for `lognormal` on whole numbers.
    ///
    /// The geometric distribution is the exponential one made discrete, so its counterpart on the
    /// logarithmic scale is `ln|x| ± L` with L exponential of mean b = σ/√2, which has the standard
    /// deviation σ. Then the mean move is x·(E[e^L] − 1) = x·b/(1−b) outwards and
    /// x·(1 − E[e^−L]) = x·b/(1+b) inwards, and up to σ³ nothing drifts. Equal means for both would
    /// let ln|x| sink by σ²/2 a step, which is the very drift that `lognormal` is there to avoid.
    /// E[e^L] has no bound as b nears 1, so a σ above the limit, which only a search adapts to, acts as the limit.
    fn lognormal_whole(sigma: f64) -> Self {
        let b = sigma.min(Operator::SIGMA_LIMIT) * FRAC_1_SQRT_2;
        Self::LognormalWhole { outward: b / (1.0 - b), inward: b / (1.0 + b) }
    }

    /// A proposal from `x`, not yet rounded, in steps; it may lie outside of the span.
    pub(super) fn draw(&self, x: f64, span: &Span, rng: &mut impl Rng) -> f64 {
        match *self {
            Self::Lognormal { sigma, .. } => x * (sigma * normal(rng)).exp(),
            Self::LognormalWhole { outward, inward } => {
                let (x, up) = (span.clamp(x.round_ties_even()), rng.random::<bool>());
                let factor = if up == (x > 0.0) { outward } else { inward };
                x + geometric(up, factor * x.abs(), rng)
            }
            Self::Gaussian { width } => x + width * normal(rng),
            Self::GaussianWhole { mean } => {
                let (x, up) = (span.clamp(x.round_ties_even()), rng.random::<bool>());
                x + geometric(up, mean, rng)
            }
            Self::Polynomial { whole } => {
                let share = rng.random::<f64>();
                let proposal = polynomial(x, span, share);
                let from = span.clamp(x.round_ties_even());
                if whole && (proposal - from).abs() <= 0.5 {
                    return from + signed(share > 0.5, 1.0);
                }
                proposal
            }
            Self::Uniform { first, last } => rng.random_range(first..=last) as f64,
            Self::CompatGaussian { sigma } => (x * (1.0 + sigma * normal(rng))).abs(),
        }
    }

    /// A proposal that left the span, mirrored on the scale on which the law is symmetric.
    pub(super) fn mirror(&self, at: f64, span: &Span) -> f64 {
        match self {
            Self::Lognormal { mirrors, .. } => mirrors.mirror(at),
            Self::LognormalWhole { .. }
            | Self::Gaussian { .. }
            | Self::GaussianWhole { .. }
            | Self::Polynomial { .. }
            | Self::Uniform { .. }
            | Self::CompatGaussian { .. } => span.mirror(at),
        }
    }
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

const fn signed(up: bool, move_size: f64) -> f64 {
    if up { move_size } else { -move_size }
}

/// A two-sided geometric move of at least one step, upwards or downwards.
///
/// G. Rudolph, "An Evolutionary Algorithm for Integer Programming", PPSN III, LNCS 866 (1994),
/// 139–148: the difference of two geometric deviates is the distribution of greatest entropy on
/// the integers, P(±k) in proportion to (1−p)^k. Without k = 0, where nothing would move, a size is
/// 1 + Geometric(p). That is an exponential deviate of mean S rounded up, with p = 1 − e^(−1/S)
/// (L. Devroye, "Non-Uniform Random Variate Generation", 1986, X.2); with a sign it has a standard
/// deviation of √2·S, so that S = σ/√2 in steps has the width of the operator's normal deviates.
fn geometric(up: bool, mean: f64, rng: &mut impl Rng) -> f64 {
    let exponential: f64 = Exp1.sample(rng);
    signed(up, (mean * exponential).ceil().max(1.0))
}

/// Deb's polynomial mutation in the form that never leaves the bounds.
///
/// K. Deb & M. Goyal, "A Combined Genetic Adaptive Search (`GeneAS`) for Engineering Design",
/// Computer Science and Informatics 26 (1996), 30–45, with δ1 and δ2, the distances to both
/// bounds, as in K. Deb & S. Agrawal (1999) and in NSGA-II. `share` is uniform in 0..1.
/// With η = 20 about half of the moves stay within 3 % of the width, and nearly all within 20 %.
fn polynomial(x: f64, span: &Span, share: f64) -> f64 {
    const ETA_PLUS_1: i32 = 21;
    let ((low, high), width) = (span.ends(), span.width());
    // The published formula has two halves, downwards and upwards, which mirror each other. As one
    // it needs no branch, which would be mispredicted every second time.
    let off_centre = 2.0 * share - 1.0;
    let (sign, rest) = (1.0_f64.copysign(off_centre), off_centre.abs());
    let room_behind = 0.5 + sign * (x - 0.5 * (low + high)) / width;
    let sum = 1.0 - rest + rest * room_behind.powi(ETA_PLUS_1);
    x + width * sign * (1.0 - sum.powf(1.0 / f64::from(ETA_PLUS_1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_moves_fall_off_by_the_same_factor_from_one_step_on() {
        let mut rng = crate::mutation::Streams::new(1, 1, "geometric").attempt(0);
        let mut counts = [0_u32; 4];
        for _ in 0..100_000 {
            let size = geometric(true, 0.5, &mut rng);
            let bin = (1..4).position(|k| size <= f64::from(k)).unwrap_or(3);
            counts[bin] += 1;
        }
        // 1 − e^-2 of all is 1, and so on by e^-2; three standard deviations.
        for (count, expected) in counts.into_iter().zip([86_466, 11_702, 1_584, 248]) {
            assert!(
                f64::from(count.abs_diff(expected)) < 3.0 * f64::from(expected).sqrt(),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn polynomial_ends_exactly_at_the_mirrors() {
        let span = Span::new(1, 100);
        for x in [0.5, 1.0, 50.0, 100.5] {
            assert!((polynomial(x, &span, 0.0) - 0.5).abs() < 1e-9);
            assert!((polynomial(x, &span, 1.0) - 100.5).abs() < 1e-9);
            assert!((polynomial(x, &span, 0.5) - x).abs() < 1e-9);
        }
    }
}
