//! All figures of a comparison, under the names that JSON has.

use super::clusters::Clusters;
use super::power::{Basis, Needed, for_h, for_ranks};
use super::{Effect, Interval, Method, Ordered, Ranks, Rate, Sample, Set, resampling};
use crate::evolution::Direction;
use rand::Rng;
use serde::Serialize;

/// A difference of rates that is worth to be seen.
const RELEVANT_POINTS: f64 = 0.02;
/// A probability that one of B is greater that is worth to be seen: a small effect (Vargha and Delaney 2000).
const RELEVANT_PROBABILITY: f64 = 0.56;

/// What can be said of the success rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A's is higher.
    AHigher,
    /// B's is higher.
    BHigher,
    /// Either may be.
    Undecided,
}

impl Verdict {
    fn of(rates: &RateFigures) -> Self {
        let interval = rates.interval_over_batches.unwrap_or(rates.interval);
        match interval {
            one if !one.excludes_zero() => Self::Undecided,
            one if one.0 > 0.0 => Self::BHigher,
            _ => Self::AHigher,
        }
    }
}

/// How the sets are called.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The first as typed.
    pub a: &'a str,
    /// The second as typed.
    pub b: &'a str,
}

/// Differences are B less A; `None` (JSON `null`) where there is nothing to take a figure from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What is to be said, by [`super::sentences`].
    pub sentences: Vec<String>,
    /// Of the success rate.
    pub verdict: Verdict,
    /// Of all intervals; p-values below what it leaves tell a difference.
    pub confidence: f64,
    /// Which fitness is better; `None` where no manifest says so.
    pub fitness_direction: Option<Direction>,
    /// The first set.
    pub a: SetFigures,
    /// The second one.
    pub b: SetFigures,
    /// Of success rates.
    pub success_rate: RateFigures,
    /// Of the durations of mutations.
    pub duration_seconds: Option<RankFigures>,
    /// Of the durations of evaluations.
    pub evaluation_seconds: Option<RankFigures>,
    /// Of fitness.
    pub fitness: Option<RankFigures>,
    /// What to know before believing it, by [`super::caveats`].
    pub caveats: Vec<String>,
}

/// One set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetFigures {
    /// As typed.
    pub selector: String,
    /// Attempts.
    pub attempts: u64,
    /// Attempts that gave a candidate.
    pub successes: u64,
    /// Their share, 0..=1.
    pub success_rate: f64,
    /// Wilson's interval.
    pub success_rate_interval: Interval,
    /// Batches that the attempts are of.
    pub batches: u64,
    /// How much more successes vary between batches than by chance.
    pub design_effect: Option<f64>,
    /// Of mutations.
    pub duration_seconds: Spread,
    /// Of evaluations.
    pub evaluation_seconds: Spread,
    /// Of what was evaluated.
    pub fitness: Spread,
}

/// Where numbers lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub samples: u64,
    /// Interpolated, as p95.
    pub median: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
}

/// The difference of two rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RateFigures {
    /// -1..=1.
    pub difference: f64,
    /// Newcombe's.
    pub interval: Interval,
    /// The same where batches weigh as much as they say: after Rao and Scott, with Student's distribution. `None` where both
    /// sets are of the same batches, and where neither has two.
    pub interval_over_batches: Option<Interval>,
    /// What that is made with: how much more successes vary between batches than by chance, over both sets.
    pub design_effect: Option<f64>,
    /// From how many batches, less one for each set.
    pub degrees_of_freedom: Option<u64>,
    /// Cohen's h.
    pub cohens_h: f64,
    /// In a word.
    pub effect: Effect,
    /// How many attempts would decide; `None` where it is decided.
    pub needed: Option<Needed>,
}

/// The difference of two sets of numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankFigures {
    /// Of medians.
    pub median_difference: f64,
    /// By the bootstrap.
    pub median_difference_interval: Option<Interval>,
    /// Of 95th percentiles.
    pub p95_difference: f64,
    /// By the bootstrap.
    pub p95_difference_interval: Option<Interval>,
    /// Mann and Whitney's U of B.
    pub mann_whitney_u: f64,
    /// Two-sided.
    pub p_value: f64,
    /// How it was found.
    pub method: Method,
    /// That one of B is greater than one of A, equal ones counted half.
    pub probability_b_greater: f64,
    /// The same from -1 to 1.
    pub cliffs_delta: f64,
    /// In a word.
    pub effect: Effect,
    /// How many samples would decide; `None` where it is decided.
    pub needed: Option<Needed>,
}

impl Comparison {
    /// Of two sets that have an attempt each and none in common. `confidence` is above 0 and below 1.
    pub fn of(
        (a, b): (&Set, &Set),
        labels: Labels<'_>,
        direction: Option<Direction>,
        confidence: f64,
        rng: &mut impl Rng,
    ) -> Self {
        let samples =
            |set: &Set| [&set.durations, &set.evaluations, &set.fitness].map(Sample::ordered);
        let (of_a, of_b) = (samples(a), samples(b));
        let mut ranks = |at: usize| RankFigures::of(&of_a[at], &of_b[at], confidence, rng);
        let mut comparison = Self {
            sentences: Vec::new(),
            verdict: Verdict::Undecided,
            confidence,
            fitness_direction: direction,
            duration_seconds: ranks(0),
            evaluation_seconds: ranks(1),
            fitness: ranks(2),
            a: SetFigures::of(labels.a, a, &of_a, confidence),
            b: SetFigures::of(labels.b, b, &of_b, confidence),
            success_rate: RateFigures::of(a, b, confidence),
            caveats: Vec::new(),
        };
        comparison.verdict = Verdict::of(&comparison.success_rate);
        comparison
    }
}

impl SetFigures {
    fn of(selector: &str, set: &Set, samples: &[Ordered; 3], confidence: f64) -> Self {
        let rate = set.rate();
        let [durations, evaluations, fitness] = samples;
        Self {
            selector: selector.to_owned(),
            attempts: set.attempts,
            successes: set.successes,
            success_rate: rate.share(),
            success_rate_interval: rate.interval(confidence),
            batches: set.batches.len() as u64,
            design_effect: set.design_effect(),
            duration_seconds: Spread::of(durations),
            evaluation_seconds: Spread::of(evaluations),
            fitness: Spread::of(fitness),
        }
    }
}

impl Spread {
    fn of(sample: &Ordered) -> Self {
        Self { samples: sample.len(), median: sample.quantile(0.5), p95: sample.quantile(0.95) }
    }
}

impl RateFigures {
    pub(super) fn of(a: &Set, b: &Set, confidence: f64) -> Self {
        let (of_a, of_b) = (a.rate(), b.rate());
        let difference = of_b.share() - of_a.share();
        let cohens_h = Rate::cohens_h(of_a.share(), of_b.share());
        let other_batches = !a.batches.keys().eq(b.batches.keys());
        let clusters = if other_batches { Clusters::of(a, b) } else { None };
        let divisor = clusters.map_or(1.0, Clusters::divisor);
        let over_batches = clusters.map(|clusters| {
            let [a, b] = [of_a, of_b].map(|rate| rate.weakened(divisor));
            Rate::difference_reaching(a, b, clusters.reach(confidence))
        });
        let interval = Rate::difference(of_a, of_b, confidence);
        let decided = over_batches.unwrap_or(interval).excludes_zero();
        let needed = (!decided).then(|| {
            let observed = difference.abs() >= RELEVANT_POINTS;
            let (basis, h) = if observed {
                (Basis::Observed, cohens_h)
            } else {
                // About the rate of both, moved to where there is room for the difference.
                let half = RELEVANT_POINTS / 2.0;
                let both = (a.successes + b.successes) as f64 / (a.attempts + b.attempts) as f64;
                let middle = both.clamp(half, 1.0 - half);
                (Basis::Relevant, Rate::cohens_h(middle - half, middle + half))
            };
            let shown = if observed { difference } else { RELEVANT_POINTS };
            Needed::new(basis, shown, for_h(h, confidence) * divisor, a.attempts, b.attempts)
        });
        let effect = Effect::of_h(cohens_h);
        Self {
            difference,
            interval,
            interval_over_batches: over_batches,
            design_effect: clusters.map(|clusters| clusters.design_effect),
            degrees_of_freedom: clusters.map(|clusters| clusters.freedom),
            cohens_h,
            effect,
            needed,
        }
    }
}

impl RankFigures {
    fn of(a: &Ordered, b: &Ordered, confidence: f64, rng: &mut impl Rng) -> Option<Self> {
        let ranks = Ranks::of(a, b)?;
        let difference = |quantile| Some(b.quantile(quantile)? - a.quantile(quantile)?);
        let mut interval = |quantile| resampling::difference((a, b), quantile, confidence, rng);
        let needed = (ranks.p_value >= 1.0 - confidence).then(|| {
            let observed = (ranks.probability - 0.5).abs() >= RELEVANT_PROBABILITY - 0.5;
            let (basis, shown) = if observed {
                (Basis::Observed, ranks.probability)
            } else {
                (Basis::Relevant, RELEVANT_PROBABILITY)
            };
            Needed::new(basis, shown, for_ranks(shown, confidence), a.len(), b.len())
        });
        Some(Self {
            median_difference: difference(0.5)?,
            median_difference_interval: interval(0.5),
            p95_difference: difference(0.95)?,
            p95_difference_interval: interval(0.95),
            mann_whitney_u: ranks.u,
            p_value: ranks.p_value,
            method: ranks.method,
            probability_b_greater: ranks.probability,
            cliffs_delta: ranks.delta,
            effect: Effect::of_delta(ranks.delta),
            needed,
        })
    }
}
