//! Intervals by the bootstrap for differences of quantiles.

use super::Ordered;
use super::rate::Interval;
use super::sample::{between, place};
use rand::{Rng, RngExt as _};
use rand_distr::{Beta, Distribution as _};

/// Odd and one below a round number, so that quantiles of 0.025 and 0.975 fall on one of them.
const RESAMPLES: u32 = 9_999;

/// By how much B's quantile is above A's: the percentile interval (B. Efron and R. J. Tibshirani, "An Introduction to the
/// Bootstrap", 1993, chapter 13).
///
/// Not the bias-corrected and accelerated one: its acceleration comes from the jackknife, which does not converge for quantiles (ibid., section 11.6). `None`
/// where so few numbers cannot give such a confidence, whatever they are.
pub(super) fn difference(
    (a, b): (&Ordered, &Ordered),
    quantile: f64,
    confidence: f64,
    rng: &mut impl Rng,
) -> Option<Interval> {
    if !is_enough(a.len().min(b.len()), quantile, confidence) {
        return None;
    }
    let of_a = Resampler::new(a, quantile)?;
    let of_b = Resampler::new(b, quantile)?;
    let mut differences: Vec<f64> =
        (0..RESAMPLES).map(|_| of_b.draw(rng) - of_a.draw(rng)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let (place, beyond) = place(RESAMPLES.into(), share);
        let place = usize::try_from(place).unwrap_or(0);
        let next = (place + 1).min(differences.len() - 1);
        between(differences[place], differences[next], beyond)
    };
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval(at(tail), at(1.0 - tail)))
}

/// Whether the extremes of so many numbers enclose the quantile with the confidence; nothing within them can do better.
fn is_enough(count: u64, quantile: f64, confidence: f64) -> bool {
    let count = count as f64;
    1.0 - quantile.powf(count) - (1.0 - quantile).powf(count) >= confidence
}

/// Draws the quantile of a resample without making the resample.
///
/// A resample is n places drawn evenly, and its k-th number stands at the k-th smallest of them, which is
/// Beta(k, n - k + 1); the next one is the least of what is left above it (H. A. David and H. N. Nagaraja, "Order
/// Statistics", 2003, section 2.3). So ten million numbers take no longer than ten.
struct Resampler<'a> {
    sample: &'a Ordered,
    first: Beta<f64>,
    /// How many lie above it.
    left: u64,
    beyond: f64,
}

impl<'a> Resampler<'a> {
    fn new(sample: &'a Ordered, quantile: f64) -> Option<Self> {
        let count = sample.len().checked_sub(1)? + 1;
        let (place, beyond) = place(count, quantile);
        let left = count - place - 1;
        let first = Beta::new((place + 1) as f64, (left + 1) as f64).ok()?;
        Some(Self { sample, first, left, beyond })
    }

    fn draw(&self, rng: &mut impl Rng) -> f64 {
        let first = self.first.sample(rng);
        let value = self.at(first);
        if self.beyond == 0.0 || self.left == 0 {
            return value;
        }
        // The least of so many even draws from 0 to 1.
        let least = 1.0 - rng.random::<f64>().powf(1.0 / self.left as f64);
        between(value, self.at(first + (1.0 - first) * least), self.beyond)
    }

    /// What stands at this share of the way through.
    fn at(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "shares lie in 0..=1"
        )]
        let place = (share * self.sample.len() as f64) as u64;
        self.sample.at(place)
    }
}
