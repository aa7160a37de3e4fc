//! Draws one of several by weight: the parameter that an attempt changes.

use rand::{Rng, RngExt as _};

/// Shares of a whole, by which an index is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Running sums. They are scanned in line, which for a handful of parameters beats all else.
    sums: Vec<f64>,
    total: f64,
    /// The last index with a weight above 0.
    last: usize,
}

/// Why numbers are no weights.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// Nothing to draw from.
    #[error("no weight is above 0; give at least one")]
    NoneAboveZero,
    /// Negative or no finite number.
    #[error("weight {weight} must be a finite number of 0 or more")]
    OutOfRange {
        /// As configured.
        weight: f64,
    },
    /// Their sum is no finite number.
    #[error("the weights are too large to be added up; give smaller ones")]
    SumOverflows,
}

impl Weights {
    /// Weights from 0, which is never drawn; they need not add up to 1.
    pub fn new(weights: &[f64]) -> Result<Self, WeightsError> {
        if let Some(&weight) =
            weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0))
        {
            return Err(WeightsError::OutOfRange { weight });
        }
        let last = weights.iter().rposition(|weight| *weight > 0.0);
        let last = last.ok_or(WeightsError::NoneAboveZero)?;
        let mut total = 0.0;
        let sums = weights.iter().map(|weight| {
            total += weight;
            total
        });
        let sums: Vec<f64> = sums.collect();
        if !total.is_finite() {
            return Err(WeightsError::SumOverflows);
        }
        Ok(Self { sums, total, last })
    }

    /// An index into the weights, drawn in proportion to them with one number of 64 bits.
    pub fn pick(&self, rng: &mut impl Rng) -> usize {
        let at = rng.random::<f64>() * self.total;
        // The product can round up to the total itself.
        self.sums.iter().position(|sum| at < *sum).unwrap_or(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Streams;

    #[test]
    fn indices_come_in_proportion_and_zero_never() {
        let weights = Weights::new(&[1.0, 0.0, 3.0, 0.5, 0.0]).unwrap();
        let mut rng = Streams::new(1, 1, "weights").attempt(0);
        let mut counts = [0_u32; 5];
        (0..45_000).for_each(|_| counts[weights.pick(&mut rng)] += 1);
        for (count, expected) in counts.into_iter().zip([10_000, 0, 30_000, 5_000, 0]) {
            // Five standard deviations of the middle one, and exactly none of the zeros.
            assert!(count.abs_diff(expected) <= if expected == 0 { 0 } else { 500 }, "{counts:?}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused() {
        assert_eq!(Weights::new(&[]), Err(WeightsError::NoneAboveZero));
        assert_eq!(Weights::new(&[0.0, 0.0]), Err(WeightsError::NoneAboveZero));
        assert_eq!(Weights::new(&[1.0, -1.0]), Err(WeightsError::OutOfRange { weight: -1.0 }));
        assert!(matches!(Weights::new(&[f64::NAN]), Err(WeightsError::OutOfRange { .. })));
        assert_eq!(Weights::new(&[f64::MAX, f64::MAX]), Err(WeightsError::SumOverflows));
    }
}
