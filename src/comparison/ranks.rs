//! The rank test, and the effect that it tests for.

use super::Ordered;
use super::normal::above;
use serde::Serialize;

/// Up to so many in both sets together every way of dealing them out is counted. There are `2^50` at the most, which doubles
/// count without rounding.
const COUNTED: u64 = 50;

/// How the p-value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Over all ways to deal the numbers out to the two sets.
    Exact,
    /// By the normal approximation, corrected for ties and continuity.
    Asymptotic,
}

/// Mann and Whitney's test of whether numbers of one set tend to be greater than those of the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranks {
    /// Pairs in which the one of B is greater, equal ones counted half.
    pub u: f64,
    /// How often chance alone gives ranks that differ as much, to either side.
    pub p_value: f64,
    /// How that was found.
    pub method: Method,
    /// The share of those pairs: how often one of B is greater than one of A (A. Vargha and H. D. Delaney, "A critique and
    /// improvement of the CL common language effect size statistics", 2000).
    pub probability: f64,
    /// The same from -1 to 1: N. Cliff, "Dominance statistics", Psychological Bulletin 114 (1993).
    pub delta: f64,
}

impl Ranks {
    /// Of two sets; `None` where one is empty.
    pub fn of(a: &Ordered, b: &Ordered) -> Option<Self> {
        if a.is_empty() || b.is_empty() {
            return None;
        }
        let ties = merged(a, b);
        let mut below = 0.0;
        let mut u = 0.0;
        for (of_a, of_b) in &ties {
            u += of_b * (below + of_a / 2.0);
            below += of_a;
        }
        let pairs = a.len() as f64 * b.len() as f64;
        let (method, p_value) = if a.len() + b.len() <= COUNTED {
            (Method::Exact, exact(&ties, a.len(), b.len()))
        } else {
            (Method::Asymptotic, asymptotic(&ties, u, a.len() as f64, b.len() as f64))
        };
        let probability = u / pairs;
        // From the two counts and not from the probability, so that swapped sets give the very negative.
        let delta = (u - (pairs - u)) / pairs;
        Some(Self { u, p_value, method, probability, delta })
    }
}

/// In ascending order, how many there are of each number in A and in B.
fn merged(a: &Ordered, b: &Ordered) -> Vec<(f64, f64)> {
    let (mut of_a, mut of_b) = (a.groups().peekable(), b.groups().peekable());
    let mut ties = Vec::new();
    loop {
        let next = match (of_a.peek(), of_b.peek()) {
            (Some((a, _)), Some((b, _))) => a.min(*b),
            (Some((one, _)), None) | (None, Some((one, _))) => *one,
            (None, None) => return ties,
        };
        let in_a = of_a.next_if(|(value, _)| *value <= next).map_or(0, |(_, count)| count);
        let in_b = of_b.next_if(|(value, _)| *value <= next).map_or(0, |(_, count)| count);
        ties.push((in_a as f64, in_b as f64));
    }
}

/// H. B. Mann and D. R. Whitney (1947) with the correction for ties (E. L. Lehmann, "Nonparametrics", 1975, section 1.4)
/// and half a unit for continuity.
fn asymptotic(groups: &[(f64, f64)], u: f64, a: f64, b: f64) -> f64 {
    let all = a + b;
    let tied: f64 = groups.iter().map(|(a, b)| (a + b).powi(3) - (a + b)).sum();
    let variance = a * b / 12.0 * ((all + 1.0) - tied / (all * (all - 1.0)));
    if variance <= 0.0 {
        // All are the same.
        return 1.0;
    }
    let away = (u - a * b / 2.0).abs() - 0.5;
    (2.0 * above(away / variance.sqrt())).clamp(0.0, 1.0)
}

/// The smaller tail of the permutation distribution of the rank sum, twice. Midranks are doubled to be whole.
fn exact(ties: &[(f64, f64)], a: u64, b: u64) -> f64 {
    let places = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let (few, all) = (places(a.min(b)), places(a + b));
    // ways[k][s]: to choose k numbers with a doubled rank sum of s.
    let mut ways = vec![vec![0.0_f64; all * (all + 1) + 1]; few + 1];
    ways[0][0] = 1.0;
    let (mut below, mut observed) = (0_usize, 0_usize);
    for (of_a, of_b) in ties {
        let [of_a, of_b] = [*of_a, *of_b].map(whole);
        let rank = 2 * below + of_a + of_b + 1;
        observed += rank * if a <= b { of_a } else { of_b };
        for _ in 0..of_a + of_b {
            choose(&mut ways, rank);
        }
        below += of_a + of_b;
    }
    let last = &ways[few];
    let total: f64 = last.iter().sum();
    let (low, high): (f64, f64) = (last[..=observed].iter().sum(), last[observed..].iter().sum());
    (2.0 * low.min(high) / total).min(1.0)
}

/// One more number of this rank, chosen or not.
fn choose(ways: &mut [Vec<f64>], rank: usize) {
    for chosen in (1..ways.len()).rev() {
        let (fewer, more) = ways.split_at_mut(chosen);
        let (without, with) = (&fewer[chosen - 1], &mut more[0]);
        for (sum, number) in with.iter_mut().skip(rank).zip(without) {
            *sum += number;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of at most fifty, exact in a double"
)]
fn whole(count: f64) -> usize {
    count as usize
}
