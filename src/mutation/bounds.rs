//! What happens at the bounds.
//!
//! A proposal is first rounded to the grid; it has left its bounds if that is no value of the
//! domain. The mirrors stand half a step outside the first and the last grid value, where those
//! values' own cells end. So every value of the grid owns a cell of one step, the outer ones too:
//! a mirror at the bounds themselves would leave the outer values half a cell each, which for a
//! parameter of three values is half of their chance. A symmetric walk between such mirrors visits
//! all values equally often, but that the redraw of unchanged values makes the outer ones a little
//! rarer; nothing piles up there as it does under `clamp`.

use serde::{Deserialize, Serialize};

/// What happens to a proposal that left its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundRule {
    /// Mirrored back inside, as often as it takes: `lognormal` on the logarithmic scale, the
    /// others, and moves of whole numbers, on the linear one.
    #[default]
    Reflect,
    /// Drawn again, up to 32 times; then mirrored.
    Resample,
    /// Set to the bound.
    Clamp,
}

impl BoundRule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reflect, Self::Resample, Self::Clamp];

    /// The name in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Resample => "resample",
            Self::Clamp => "clamp",
        }
    }
}

/// The grid as a line on which its values are the integers `first..=last`, and the mirrors.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    first: f64,
    last: f64,
    mirrors: Mirrors,
}

impl Span {
    pub(super) fn new(first: i64, last: i64) -> Self {
        let (first, last) = (first as f64, last as f64);
        Self { first, last, mirrors: Mirrors { low: first - 0.5, high: last + 0.5 } }
    }

    /// The length of the line between the mirrors, in steps: the number of grid values.
    pub(super) fn width(&self) -> f64 {
        self.mirrors.high - self.mirrors.low
    }

    /// The ends of the line, where the mirrors stand.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.mirrors.low, self.mirrors.high)
    }

    /// The mirrors of magnitudes on the logarithmic scale, for a grid that is on one side of zero.
    pub(super) fn logarithmic(&self) -> LogMirrors {
        let (low, high) = self.ends();
        let (near, far) = if high < 0.0 { (-high, -low) } else { (low, high) };
        LogMirrors(Mirrors { low: near.ln(), high: far.ln() })
    }

    /// The index nearest to `at`, if it is one of the domain's.
    pub(super) fn cell(&self, at: f64) -> Option<f64> {
        let cell = at.round_ties_even();
        (self.first <= cell && cell <= self.last).then_some(cell)
    }

    /// The nearest place on the line between the first and the last grid value.
    pub(super) fn clamp(&self, at: f64) -> f64 {
        at.clamp(self.first, self.last)
    }

    /// The nearest place on the line between the mirrors.
    pub(super) fn between_mirrors(&self, at: f64) -> f64 {
        at.clamp(self.mirrors.low, self.mirrors.high)
    }

    /// `at`, mirrored back between the ends.
    pub(super) fn mirror(&self, at: f64) -> f64 {
        self.mirrors.fold(at)
    }
}

/// The mirrors of a [`Span`] as they stand on the logarithmic scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogMirrors(Mirrors);

impl LogMirrors {
    /// `at`, mirrored back by the logarithm of its magnitude; its sign stays.
    pub(super) fn mirror(&self, at: f64) -> f64 {
        self.0.fold(at.abs().ln()).exp().copysign(at)
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Mirrors {
    low: f64,
    high: f64,
}

impl Mirrors {
    /// Where a ray of light that starts inside and would end at `at` ends between two mirrors.
    /// The way there repeats every two widths, so any distance is one remainder away.
    fn fold(&self, at: f64) -> f64 {
        let width = self.high - self.low;
        let phase = (at - self.low).rem_euclid(2.0 * width);
        self.low + if phase > width { 2.0 * width - phase } else { phase }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_step_outside_is_mirrored_onto_the_edge_itself() {
        let span = Span::new(1, 3);
        let mirrored: Vec<f64> = (-3..=9).map(|at| span.mirror(f64::from(at))).collect();
        assert_eq!(mirrored, [3.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn magnitudes_are_mirrored_by_their_ratio() {
        let close = |left: f64, right: f64| (left - right).abs() < 1e-9;
        assert!(close(Span::new(1, 10).logarithmic().mirror(0.25), 1.0));
        assert!(close(Span::new(1, 10).logarithmic().mirror(21.0), 5.25));
        assert!(close(Span::new(-10, -1).logarithmic().mirror(-0.25), -1.0));
    }

    proptest! {
        #[test]
        fn whatever_the_distance_it_ends_between_the_mirrors(
            first in -1_000_000_i64..1_000_000, count in 1_i64..1_000_000, at in -1e15_f64..1e15,
        ) {
            let span = Span::new(first, first + count);
            let (low, high) = span.ends();
            let mirrored = span.mirror(at);
            prop_assert!(low <= mirrored && mirrored <= high, "{} to {}", at, mirrored);
        }

        #[test]
        fn what_is_inside_stays_where_it_is(share in 0.0_f64..1.0) {
            let span = Span::new(-7, 12);
            let at = -7.0 + share * 19.0;
            prop_assert!((span.mirror(at) - at).abs() < 1e-12);
        }
    }
}
