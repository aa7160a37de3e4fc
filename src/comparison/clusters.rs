//! How much less attempts say that have their night in common.

use super::Set;
use super::normal::two_sided;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// By how much successes vary more from batch to batch than those of independent attempts would, over both sets.
///
/// J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48 (1992), with
/// one design effect for both: of a single batch nothing can be known, and one night is no steadier than the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clusters {
    /// 1 where batches vary as by chance.
    pub design_effect: f64,
    /// Batches that it was found from, less one for each set.
    pub freedom: u64,
}

impl Clusters {
    /// Weighted by what each set knows; `None` where no set has two batches, or where all or nothing succeeded.
    pub(super) fn of(a: &Set, b: &Set) -> Option<Self> {
        let known = [a, b].into_iter().filter_map(|set| {
            let effect = set.design_effect()?;
            let freedom = set.batches.len() as u64 - 1;
            set.rate().is_between().then_some((effect, freedom))
        });
        let (sum, freedom) = known.fold((0.0, 0), |(sum, all), (effect, freedom)| {
            (sum + effect * freedom as f64, all + freedom)
        });
        (freedom > 0).then(|| Self { design_effect: sum / freedom as f64, freedom })
    }

    /// How many attempts say as much as one would alone.
    pub(super) fn divisor(self) -> f64 {
        self.design_effect.max(1.0)
    }

    /// How many standard errors an interval reaches: Student's, where the variance is known from a few batches only.
    pub(super) fn reach(self, confidence: f64) -> f64 {
        let student = || StudentsT::new(0.0, 1.0, self.freedom as f64).ok();
        let student = if self.design_effect > 1.0 { student() } else { None };
        let tail = (1.0 - confidence) / 2.0;
        student.map_or_else(|| two_sided(confidence), |law| -law.inverse_cdf(tail))
    }
}
