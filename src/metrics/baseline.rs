//! What is usual: the range in which a batch's figures would be if nothing were amiss.
//!
//! Robust, so that a bad night among the last ones neither hides the next nor cries for weeks: the median, and a
//! spread of 1.4826 times the median absolute deviation, which for normal noise estimates its σ (Hampel 1974, "The
//! influence curve and its role in robust estimation"). That spread has a floor, for a figure that never moved is
//! no promise that it never will, and to it comes the noise that a batch with few attempts has anyway.

use super::Tally;
use serde::{Deserialize, Serialize};

/// How many batches are remembered: a month of nights.
const MOST: usize = 30;
/// With fewer, nothing is said: a week of nights.
const LEAST: usize = 7;
/// How many spreads a figure may be off. Normal noise is outside of it once in 15,000 batches, were its σ known.
const SPREADS: f64 = 4.0;
/// A spread from few batches is too small now and then, by as much as this over their number: with this and four spreads
/// noise of any σ up to 0.6 was outside for less than 2 % of the batches after 7 others, and 0.3 % after 30 (a test holds it).
const FEW_BATCHES: f64 = 3.0;
/// 1 / Φ⁻¹(3/4): from a median absolute deviation to the σ of normal noise.
const MAD_TO_SIGMA: f64 = 1.4826;
/// The least spread of a success rate.
const RATE_FLOOR: f64 = 0.01;
/// The least spread of the logarithm of a duration: machines are by so much faster or slower from night to night.
const DURATION_FLOOR: f64 = 0.15;

/// What is remembered of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchFigures {
    /// Attempts; more than none.
    pub attempts: u64,
    /// Successes among them.
    pub successes: u64,
    /// 95th percentile of the mutations' durations, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_p95: Option<f64>,
}

impl BatchFigures {
    /// Those of a batch's records.
    pub fn of(tally: &Tally) -> Self {
        Self {
            attempts: tally.attempts(),
            successes: tally.successes(),
            duration_p95: tally.durations().quantile(0.95),
        }
    }

    /// Successes per attempt; not a number before the first.
    pub fn success_rate(&self) -> f64 {
        self.successes as f64 / self.attempts as f64
    }
}

/// The last completed batches, oldest first; at most a month of nights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recent(Vec<BatchFigures>);

/// What is usual for one figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// Less than this is unusual.
    pub lower: f64,
    /// In the middle of the batches it was taken from.
    pub median: f64,
    /// More than this is unusual.
    pub upper: f64,
}

/// What is usual for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// From how many batches it was taken.
    pub batches: usize,
    /// Of the success rate, 0..=1.
    pub success_rate: Range,
    /// Of the 95th percentile of the mutations' durations, in seconds; `None` where fewer than seven batches had any.
    pub duration_p95: Option<Range>,
}

impl Recent {
    /// Takes in the batch that came after those that are here; one without attempts says nothing.
    pub fn push(&mut self, batch: BatchFigures) {
        if batch.attempts > 0 {
            self.0.push(batch);
            self.0.drain(..self.0.len().saturating_sub(MOST));
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is usual for a batch with that many attempts; `None` where too few batches were seen.
    pub fn baseline(&self, attempts: u64) -> Option<Baseline> {
        if self.0.len() < LEAST {
            return None;
        }
        let samples = attempts.max(1) as f64;
        let durations = self.0.iter().filter_map(|batch| batch.duration_p95);
        let durations: Vec<f64> = durations.filter(|seconds| *seconds > 0.0).map(f64::ln).collect();
        Some(Baseline {
            batches: self.0.len(),
            success_rate: of_rates(
                self.0.iter().map(BatchFigures::success_rate).collect(),
                samples,
            ),
            duration_p95: (durations.len() >= LEAST).then(|| of_logarithms(durations, samples)),
        })
    }
}

/// Beside what rates vary by from night to night, a rate of `samples` attempts has the noise of the binomial law
/// (of the rate that Agresti and Coull 1998 put in its place, which is never 0 or 1).
fn of_rates(rates: Vec<f64>, samples: f64) -> Range {
    let (median, spread) = middle_and_spread(rates, RATE_FLOOR);
    let adjusted = (median * samples + 2.0) / (samples + 4.0);
    let reach = SPREADS * spread.hypot((adjusted * (1.0 - adjusted) / samples).sqrt());
    let within = |rate: f64| rate.clamp(0.0, 1.0);
    Range { lower: within(median - reach), median, upper: within(median + reach) }
}

/// Durations vary by factors. A high percentile of `samples` of them is off by about 1/√samples in its logarithm.
fn of_logarithms(logarithms: Vec<f64>, samples: f64) -> Range {
    let (median, spread) = middle_and_spread(logarithms, DURATION_FLOOR);
    let reach = SPREADS * spread.hypot(samples.sqrt().recip());
    Range { lower: (median - reach).exp(), median: median.exp(), upper: (median + reach).exp() }
}

fn middle_and_spread(values: Vec<f64>, floor: f64) -> (f64, f64) {
    let count = values.len() as f64;
    let middle = median(values.clone());
    let deviations = values.into_iter().map(|value| (value - middle).abs()).collect();
    let spread = (MAD_TO_SIGMA * median(deviations)).max(floor);
    (middle, spread * (1.0 + FEW_BATCHES / count))
}

/// There is at least one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Streams;
    use rand::Rng;
    use rand_distr::{Binomial, Distribution, Normal};

    fn figures(attempts: u64, successes: u64, p95: f64) -> BatchFigures {
        BatchFigures { attempts, successes, duration_p95: Some(p95) }
    }

    fn recent(batches: impl IntoIterator<Item = BatchFigures>) -> Recent {
        let mut recent = Recent::default();
        batches.into_iter().for_each(|batch| recent.push(batch));
        recent
    }

    #[test]
    fn nothing_is_usual_before_the_seventh_batch() {
        let six = recent([figures(500, 450, 1e-5); 6]);
        assert_eq!(six.baseline(500), None);
        let seven = recent([figures(500, 450, 1e-5); 7]);
        assert_eq!(seven.baseline(500).unwrap().batches, 7);
        // Batches without attempts are no nights to learn from.
        assert_eq!(recent([figures(0, 0, 0.0); 9]).baseline(500), None);
    }

    #[test]
    fn a_month_is_remembered() {
        let mut all = vec![figures(100, 0, 1.0); 40];
        all.extend([figures(100, 100, 1e-6); 30]);
        let baseline = recent(all).baseline(100).unwrap();
        assert_eq!((baseline.batches, baseline.success_rate.median), (30, 1.0));
    }

    #[test]
    fn figures_that_never_moved_leave_room_for_some_noise() {
        let baseline = recent([figures(500, 500, 1e-5); 30]).baseline(500).unwrap();
        let rate = baseline.success_rate;
        assert!((0.93..0.97).contains(&rate.lower) && rate.upper >= 1.0, "{rate:?}");
        let duration = baseline.duration_p95.unwrap();
        assert!(duration.upper > 1.5e-5 && duration.upper < 3e-5, "{duration:?}");
    }

    #[test]
    fn the_fewer_attempts_the_wider_the_range() {
        let recent = recent([figures(500, 450, 1e-5); 30]);
        let reach = |attempts| {
            let baseline = recent.baseline(attempts).unwrap();
            (baseline.success_rate.lower, baseline.duration_p95.unwrap().upper)
        };
        let (few, many) = (reach(3), reach(500));
        assert!(few.0 < 0.3 && many.0 > 0.8, "{few:?} {many:?}");
        assert!(few.1 > 5e-5 && many.1 < 3e-5, "{few:?} {many:?}");
    }

    #[test]
    fn one_bad_night_among_the_last_ones_does_not_hide_the_next() {
        let mut batches = vec![figures(500, 450, 1e-5); 20];
        batches[7] = figures(500, 3, 9.0);
        let baseline = recent(batches).baseline(500).unwrap();
        assert!(baseline.success_rate.lower > 0.8);
        assert!(baseline.duration_p95.unwrap().upper < 3e-5);
    }

    fn night(rng: &mut impl Rng, rate_sigma: f64, duration_sigma: f64) -> BatchFigures {
        let mut normal = |sigma| Normal::new(0.0, sigma).unwrap().sample(rng);
        let (rate, seconds) = (0.85 + normal(rate_sigma), 1e-5 * normal(duration_sigma).exp());
        let successes = Binomial::new(500, rate.clamp(0.0, 1.0)).unwrap().sample(rng);
        figures(500, successes, seconds)
    }

    /// How often, of 1,000, a batch is outside of what `before` others like it make usual, by rate and by duration.
    fn alarms(before: u32, rate_sigma: f64, duration_sigma: f64) -> (u32, u32) {
        let mut rng = Streams::new(7, before, "noise").attempt(1);
        let mut outside = (0, 0);
        let mut draw = || night(&mut rng, rate_sigma, duration_sigma);
        for _ in 0..1_000 {
            let usual = recent((0..before).map(|_| draw())).baseline(500).unwrap();
            let next = draw();
            let is_out = |range: Range, value: f64| value < range.lower || value > range.upper;
            outside.0 += u32::from(is_out(usual.success_rate, next.success_rate()));
            outside.1 += u32::from(is_out(usual.duration_p95.unwrap(), next.duration_p95.unwrap()));
        }
        outside
    }

    #[test]
    fn ordinary_noise_is_usual() {
        for (before, most) in [(7, 20), (30, 3)] {
            for (rate_sigma, duration_sigma) in [(0.0, 0.05), (0.02, 0.3), (0.1, 0.6)] {
                let (rates, durations) = alarms(before, rate_sigma, duration_sigma);
                assert!(
                    rates <= most && durations <= most,
                    "{before} {rate_sigma}: {rates} {durations}"
                );
            }
        }
    }
}
