//! Multiples of a step within bounds, in exact decimals.

use crate::units::Decimal;

/// Index × `step` × 10^-`scale`, for `first..=last`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) first: i64,
    pub(super) last: i64,
    step: i64,
    scale: u8,
    /// Steps in 1.
    per_unit: f64,
}

/// Why there is no grid.
pub(super) enum Misfit {
    /// So many values, 0 or 1.
    Values(u8),
    /// A value that is no [`Decimal`] at the step's decimals.
    Beyond,
}

impl Grid {
    pub(super) fn new(min: Decimal, max: Decimal, step: Decimal) -> Result<Self, Misfit> {
        let size = common(step);
        let first = -(-common(min)).div_euclid(size);
        let last = common(max).div_euclid(size);
        if last <= first {
            return Err(Misfit::Values(u8::from(last == first)));
        }
        let step = step.trimmed();
        let fits = |index: i128| {
            let index = i64::try_from(index).ok()?;
            Decimal::new(index.checked_mul(step.mantissa())?, step.scale())?;
            Some(index)
        };
        let (Some(first), Some(last)) = (fits(first), fits(last)) else {
            return Err(Misfit::Beyond);
        };
        let per_unit = 10_f64.powi(i32::from(step.scale())) / step.mantissa() as f64;
        Ok(Self { first, last, step: step.mantissa(), scale: step.scale(), per_unit })
    }

    /// `index × step`; indices outside are taken as the nearest one.
    pub(super) fn value(&self, index: i64) -> Option<Decimal> {
        Decimal::new(index.clamp(self.first, self.last) * self.step, self.scale)
    }

    /// Where `value` lies on the line on which the grid's values are their indices.
    pub(super) fn place(&self, value: f64) -> f64 {
        value * self.per_unit
    }

    /// The index nearest to a place on that line, ties to even.
    pub(super) fn cell(&self, place: f64) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, NaN is 0, and the index is clamped"
        )]
        let index = place.round_ties_even() as i64;
        index.clamp(self.first, self.last)
    }
}

/// The mantissa at 18 decimals, at which all decimals can be compared; below 2^113.
pub(super) fn common(decimal: Decimal) -> i128 {
    i128::from(decimal.mantissa()) * 10_i128.pow(u32::from(18 - decimal.scale()))
}
