//! A Prometheus histogram over durations: exact counts, exact sum, mergeable.

use crate::record::Millis;
use serde::{Deserialize, Serialize};

/// Upper bounds of a histogram's buckets, rising, in seconds; `+Inf` is understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Buckets {
    seconds: Vec<f64>,
    nanos: Vec<u64>,
}

/// Why numbers are no bucket bounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BucketsError {
    /// None at all, or too many to push every fifteen seconds.
    #[error("a histogram needs 1 to 100 buckets, not {0}")]
    Count(usize),
    /// Not a time that can be measured.
    #[error("a bucket must be a number of seconds from 1e-9 to 1e6, not {seconds}")]
    Range {
        /// Which one, from 0.
        index: usize,
        /// As given.
        seconds: f64,
    },
    /// Not rising.
    #[error("buckets must increase: {seconds} comes after {before}")]
    Order {
        /// Which one, from 0.
        index: usize,
        /// As given.
        seconds: f64,
        /// The one before it.
        before: f64,
    },
}

impl BucketsError {
    /// Which bound is wrong, from 0; `None` where it is their number.
    pub const fn index(&self) -> Option<usize> {
        match self {
            Self::Count(_) => None,
            Self::Range { index, .. } | Self::Order { index, .. } => Some(*index),
        }
    }
}

impl Buckets {
    /// 1 to 100 bounds in seconds, strictly rising, from a nanosecond to eleven days.
    pub fn new(seconds: Vec<f64>) -> Result<Self, BucketsError> {
        if seconds.is_empty() || seconds.len() > 100 {
            return Err(BucketsError::Count(seconds.len()));
        }
        for (index, bound) in seconds.iter().enumerate() {
            if !(1e-9..=1e6).contains(bound) {
                return Err(BucketsError::Range { index, seconds: *bound });
            }
            if let Some(before) = index.checked_sub(1).map(|index| seconds[index])
                && before >= *bound
            {
                return Err(BucketsError::Order { index, seconds: *bound, before });
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be 1e-9..=1e6 seconds just above"
        )]
        let nanos = seconds.iter().map(|bound| (bound * 1e9).round() as u64).collect();
        Ok(Self { seconds, nanos })
    }

    /// The bounds in seconds.
    pub fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    /// 1 ms to 1 h: what an evaluation takes.
    pub fn evaluation() -> Self {
        Self::of(&[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0, 300.0, 900.0, 3600.0,
        ])
    }

    /// Bounds that are known to be good.
    fn of(seconds: &[f64]) -> Self {
        #[expect(clippy::expect_used, reason = "constants of this file; a test makes them all")]
        Self::new(seconds.to_vec()).expect("constant buckets are valid")
    }
}

impl Default for Buckets {
    /// 1 µs to 10 s: what a mutation takes.
    fn default() -> Self {
        Self::of(&[
            1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2,
            2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ])
    }
}

impl TryFrom<Vec<f64>> for Buckets {
    type Error = BucketsError;

    fn try_from(seconds: Vec<f64>) -> Result<Self, Self::Error> {
        Self::new(seconds)
    }
}

impl From<Buckets> for Vec<f64> {
    fn from(buckets: Buckets) -> Self {
        buckets.seconds
    }
}

/// Counts by bucket, and the sum of what was observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawHistogram")]
pub struct Histogram {
    buckets: Buckets,
    /// One per bucket and one beyond the last; not cumulative.
    counts: Vec<u64>,
    sum_nanoseconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHistogram {
    buckets: Buckets,
    counts: Vec<u64>,
    sum_nanoseconds: u64,
}

impl TryFrom<RawHistogram> for Histogram {
    type Error = String;

    fn try_from(raw: RawHistogram) -> Result<Self, Self::Error> {
        let RawHistogram { buckets, counts, sum_nanoseconds } = raw;
        let wanted = buckets.seconds.len() + 1;
        if counts.len() != wanted {
            return Err(format!("a histogram has {} counts where {wanted} belong", counts.len()));
        }
        Ok(Self { buckets, counts, sum_nanoseconds })
    }
}

/// Adds to a counter. It stops at its end rather than go round: what stands in a file need not have
/// been counted by us, and a counter never falls.
pub(super) fn raise(counter: &mut u64, by: u64) {
    *counter = counter.saturating_add(by);
}

/// Their sum, by the same rule.
pub(super) fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

impl Histogram {
    /// An empty histogram.
    pub fn new(buckets: Buckets) -> Self {
        let counts = vec![0; buckets.seconds.len() + 1];
        Self { buckets, counts, sum_nanoseconds: 0 }
    }

    /// Its bounds.
    pub const fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Counts one duration, in the first bucket whose bound is not below it.
    pub fn observe(&mut self, duration: Millis) {
        let nanos = duration.nanos();
        // One after the other: nearly all mutations are in the first.
        let bucket = self.buckets.nanos.iter().position(|bound| nanos <= *bound);
        let bucket = bucket.unwrap_or(self.buckets.nanos.len());
        raise(&mut self.counts[bucket], 1);
        self.sum_nanoseconds = self.sum_nanoseconds.saturating_add(nanos);
    }

    /// Adds another's counts where the buckets are the same, else starts anew from `other`;
    /// whether it could be added.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.buckets != other.buckets {
            self.clone_from(other);
            return false;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            raise(count, *more);
        }
        self.sum_nanoseconds = self.sum_nanoseconds.saturating_add(other.sum_nanoseconds);
        true
    }

    /// Forgets all that was observed.
    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        self.sum_nanoseconds = 0;
    }

    /// How many durations were observed.
    pub fn count(&self) -> u64 {
        sum(self.counts.iter().copied())
    }

    /// Their sum in nanoseconds.
    pub const fn sum_nanoseconds(&self) -> u64 {
        self.sum_nanoseconds
    }

    /// Their sum in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanoseconds as f64 / 1e9
    }

    /// `(upper bound in seconds, observations up to it)` for each bucket but `+Inf`.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let mut total = 0;
        self.buckets.seconds.iter().zip(&self.counts).map(move |(bound, count)| {
            raise(&mut total, *count);
            (*bound, total)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(value: u64) -> Millis {
        Millis::from_nanos(value)
    }

    #[test]
    fn a_duration_on_a_bound_belongs_to_it() {
        let mut histogram = Histogram::new(Buckets::new(vec![1e-6, 1e-3]).unwrap());
        for value in [0, 1000, 1001, 1_000_000, 1_000_001] {
            histogram.observe(nanos(value));
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1e-6, 2), (1e-3, 4)]);
        assert_eq!(histogram.count(), 5);
        assert_eq!(histogram.sum_nanoseconds(), 2_002_002);
    }

    #[test]
    fn other_buckets_start_the_histogram_anew() {
        let mut old = Histogram::new(Buckets::default());
        old.observe(nanos(1));
        let mut new = Histogram::new(Buckets::new(vec![1.0]).unwrap());
        new.observe(nanos(2));
        assert!(!old.merge(&new));
        assert_eq!(old, new);
    }

    #[test]
    fn bad_bounds_are_refused_with_the_number() {
        let refused = |bounds: &[f64]| Buckets::new(bounds.to_vec()).unwrap_err();
        assert_eq!(refused(&[]), BucketsError::Count(0));
        assert_eq!(
            refused(&[1.0, 1.0]),
            BucketsError::Order { index: 1, seconds: 1.0, before: 1.0 }
        );
        assert_eq!(refused(&[0.0]), BucketsError::Range { index: 0, seconds: 0.0 });
        assert!(matches!(refused(&[f64::NAN]), BucketsError::Range { .. }));
        assert!(matches!(refused(&[f64::INFINITY]), BucketsError::Range { .. }));
    }

    #[test]
    fn the_constant_buckets_are_valid_and_span_what_they_promise() {
        let mutation = Buckets::default();
        assert_eq!((mutation.seconds()[0], *mutation.seconds().last().unwrap()), (1e-6, 10.0));
        assert_eq!(Buckets::evaluation().seconds().first(), Some(&1e-3));
    }

    #[test]
    fn a_histogram_with_a_count_missing_is_not_read() {
        let text = r#"{"buckets":[1.0],"counts":[1],"sum_nanoseconds":0}"#;
        assert!(serde_json::from_str::<Histogram>(text).is_err());
    }
}
