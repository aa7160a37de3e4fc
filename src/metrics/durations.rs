//! Durations in constant memory: extremes, the last ten, and percentiles over all of them.

use super::quantiles::{Quantiles, lowest};
use crate::record::Millis;
use serde::{Deserialize, Serialize};

/// How many durations `recent_avg_duration_seconds` is taken over.
pub(super) const RECENT: usize = 10;

/// Percentiles are right to three significant digits (`HdrHistogram`), the rest exactly.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawDurations", into = "RawDurations")]
pub struct Durations {
    /// Nanoseconds.
    quantiles: Quantiles,
    extremes: Option<(u64, u64)>,
    sum: u64,
    /// A ring: the duration number n, from 0, is at n % [`RECENT`].
    recent: [u64; RECENT],
    seen: usize,
}

impl Default for Durations {
    fn default() -> Self {
        Self::with(Quantiles::dense())
    }
}

impl Durations {
    /// For one of thousands: as small as what it has seen.
    pub(super) const fn sparse() -> Self {
        Self::with(Quantiles::sparse())
    }

    const fn with(quantiles: Quantiles) -> Self {
        Self { quantiles, extremes: None, sum: 0, recent: [0; RECENT], seen: 0 }
    }

    /// Takes one duration in.
    pub fn observe(&mut self, duration: Millis) {
        let nanos = duration.nanos();
        // Cannot be out of range: `Millis` ends at 2^51 ns.
        self.quantiles.count(nanos, 1);
        self.extremes = Some(match self.extremes {
            None => (nanos, nanos),
            Some((min, max)) => (min.min(nanos), max.max(nanos)),
        });
        self.sum = self.sum.saturating_add(nanos);
        self.remember(nanos);
    }

    /// Takes another's in; `other` is the later one.
    pub fn merge(&mut self, other: &Self) {
        for (nanos, count) in other.quantiles.iter() {
            self.quantiles.count(lowest(nanos), count);
        }
        self.extremes = match (self.extremes, other.extremes) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, None) | (None, one) => one,
        };
        self.sum = self.sum.saturating_add(other.sum);
        other.recent().for_each(|nanos| self.remember(nanos));
    }

    /// Forgets all, and keeps the memory for others.
    pub(super) fn clear(&mut self) {
        self.quantiles.clear();
        (self.extremes, self.sum, self.seen) = (None, 0, 0);
    }

    /// How many durations were taken in.
    pub fn count(&self) -> u64 {
        self.quantiles.len()
    }

    /// Shortest and longest, in seconds.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        self.extremes.map(|(min, max)| (seconds(min), seconds(max)))
    }

    /// The duration in seconds that a share `quantile` (0..=1) of all does not exceed.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let (min, max) = self.extremes?;
        Some(seconds(self.quantiles.at(quantile).clamp(min, max)))
    }

    /// How many durations are above the bound before and up to this one, for rising bounds in seconds; right to three digits.
    pub fn counts(&self, bounds: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for (nanos, count) in self.quantiles.iter() {
            let value = seconds(lowest(nanos));
            let place = bounds.partition_point(|bound| *bound < value);
            if let Some(sum) = counts.get_mut(place) {
                *sum += count;
            }
        }
        counts
    }

    /// The mean of all, in seconds.
    pub fn average(&self) -> Option<f64> {
        (self.count() > 0).then(|| seconds(self.sum) / self.count() as f64)
    }

    /// The mean of the last ten, in seconds.
    pub fn recent_average(&self) -> Option<f64> {
        let count = self.recent().count();
        let sum = self.recent().fold(0, u64::saturating_add);
        (count > 0).then(|| seconds(sum) / count as f64)
    }

    fn remember(&mut self, nanos: u64) {
        self.recent[self.seen % RECENT] = nanos;
        self.seen += 1;
    }

    /// Oldest first; at most [`RECENT`].
    fn recent(&self) -> impl Iterator<Item = u64> + '_ {
        (self.seen.saturating_sub(RECENT)..self.seen).map(|number| self.recent[number % RECENT])
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl PartialEq for Durations {
    fn eq(&self, other: &Self) -> bool {
        self.quantiles == other.quantiles
            && self.extremes == other.extremes
            && self.sum == other.sum
            && self.recent().eq(other.recent())
    }
}

/// As it stands in JSON: `quantiles` are pairs of nanoseconds and how often they came.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDurations {
    min_nanoseconds: Option<u64>,
    max_nanoseconds: Option<u64>,
    sum_nanoseconds: u64,
    recent_nanoseconds: Vec<u64>,
    quantiles: Vec<(u64, u64)>,
}

impl From<Durations> for RawDurations {
    fn from(durations: Durations) -> Self {
        Self {
            min_nanoseconds: durations.extremes.map(|(min, _)| min),
            max_nanoseconds: durations.extremes.map(|(_, max)| max),
            sum_nanoseconds: durations.sum,
            recent_nanoseconds: durations.recent().collect(),
            quantiles: durations.quantiles.iter().collect(),
        }
    }
}

impl TryFrom<RawDurations> for Durations {
    type Error = String;

    fn try_from(raw: RawDurations) -> Result<Self, Self::Error> {
        // What is read is mostly a night of thousands, shown or merged into others.
        let mut durations = Self::with(Quantiles::sparse());
        if raw.recent_nanoseconds.len() > RECENT {
            return Err(format!("more than {RECENT} recent durations"));
        }
        // One that never came would still count among the extremes.
        for (nanos, count) in raw.quantiles.into_iter().filter(|(_, count)| *count > 0) {
            if !durations.quantiles.count(nanos, count) {
                return Err(format!("a duration of {nanos} ns is out of range"));
            }
        }
        durations.extremes = raw.min_nanoseconds.zip(raw.max_nanoseconds);
        if durations.extremes.is_none() != durations.quantiles.is_empty() {
            return Err("durations without extremes, or extremes without durations".to_owned());
        }
        durations.sum = raw.sum_nanoseconds;
        let (min, max) = durations.extremes.unwrap_or_default();
        let in_range = |nanos: &u64| Millis::from_nanos(*nanos).nanos() == *nanos;
        if min > max || !in_range(&max) || !raw.recent_nanoseconds.iter().all(in_range) {
            return Err("a shortest duration above the longest, or one out of range".to_owned());
        }
        raw.recent_nanoseconds.into_iter().for_each(|nanos| durations.remember(nanos));
        Ok(durations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(nanos: &[u64]) -> Durations {
        let mut durations = Durations::default();
        for value in nanos {
            durations.observe(Millis::from_nanos(*value));
        }
        durations
    }

    #[test]
    fn durations_that_contradict_themselves_are_refused() {
        let read = |text: &str| serde_json::from_str::<Durations>(text).map_err(|e| e.to_string());
        let text = |min: u64, max: u64, recent: u64| {
            format!(
                "{{\"min_nanoseconds\":{min},\"max_nanoseconds\":{max},\"sum_nanoseconds\":9,\
                 \"recent_nanoseconds\":[{recent}],\"quantiles\":[[5,1],[0,0]]}}"
            )
        };
        let good = read(&text(4, 5, 5)).unwrap();
        assert_eq!(read(&serde_json::to_string(&good).unwrap()).unwrap(), good);
        for (min, max, recent) in [(5, 4, 5), (4, u64::MAX, 5), (4, 5, u64::MAX)] {
            assert!(read(&text(min, max, recent)).unwrap_err().contains("out of range"));
        }
    }

    #[test]
    fn the_longest_duration_there_can_be_is_read_back() {
        let longest = of(&[u64::MAX]);
        let text = serde_json::to_string(&longest).unwrap();
        assert_eq!(serde_json::from_str::<Durations>(&text).unwrap(), longest);
    }

    #[test]
    fn nothing_observed_has_no_statistics() {
        let none = Durations::default();
        assert_eq!((none.count(), none.extremes(), none.quantile(0.5)), (0, None, None));
        assert_eq!(none.recent_average(), None);
    }

    #[test]
    fn one_duration_is_all_its_own_percentiles() {
        let one = of(&[254_260_123]);
        for quantile in [0.0, 0.5, 0.95, 0.99, 1.0] {
            assert_eq!(one.quantile(quantile), Some(0.254_260_123));
        }
    }

    #[test]
    fn the_recent_average_is_over_the_last_ten() {
        let nanos: Vec<u64> = (1..=25).map(|n| n * 1_000_000_000).collect();
        assert_eq!(of(&nanos).recent_average(), Some(20.5));
    }

    proptest! {
        #[test]
        fn merging_two_halves_is_observing_the_whole(
            first in prop::collection::vec(0_u64..=1 << 51, 0..40),
            second in prop::collection::vec(0_u64..=1 << 51, 0..40),
        ) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            prop_assert_eq!(&merged, &of(&[first, second].concat()));
            let text = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(serde_json::from_str::<Durations>(&text).unwrap(), merged);
        }
    }
}
