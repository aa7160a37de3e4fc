//! Numbers counted under their first three digits, as `HdrHistogram` counts them.

use std::collections::BTreeMap;
use std::ops::Range;

/// The greatest number there can be.
const GREATEST: u64 = 1 << 51;
/// Binary digits that are kept of a number: enough for three decimal ones.
const DIGITS: u32 = 11;
/// With more distinct numbers, the table of all there could be is hardly larger.
const MOST_SPARSE: usize = 4096;

/// How often each number came.
#[derive(Clone, Debug)]
pub(super) enum Quantiles {
    /// A table in which a number is counted in no time.
    Dense(Table),
    /// The numbers that there were, by the least of those that count as one.
    Sparse(BTreeMap<u64, u64>),
}

impl Quantiles {
    pub(super) fn dense() -> Self {
        Self::Dense(Table::default())
    }

    /// For one of thousands: it takes the table only when there is much to count.
    pub(super) const fn sparse() -> Self {
        Self::Sparse(BTreeMap::new())
    }

    /// Takes in a number that came so often; false, and nothing is done, if it is out of range.
    pub(super) fn count(&mut self, value: u64, times: u64) -> bool {
        match self {
            Self::Dense(table) => table.count(value, times),
            Self::Sparse(_) if lowest(value) > GREATEST => false,
            Self::Sparse(counts) => {
                let sum = counts.entry(lowest(value)).or_default();
                *sum = sum.saturating_add(times);
                if counts.len() > MOST_SPARSE {
                    let counts = std::mem::take(counts);
                    *self = Self::dense();
                    for (value, times) in counts {
                        self.count(value, times);
                    }
                }
                true
            }
        }
    }

    /// Forgets all numbers, and keeps the memory for others.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Dense(table) => table.clear(),
            Self::Sparse(counts) => counts.clear(),
        }
    }

    /// Each number once, rising, with how often it came; the greatest of those that count as one.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (u64, u64)> + '_> {
        match self {
            Self::Dense(table) => Box::new(table.iter()),
            Self::Sparse(counts) => {
                Box::new(counts.iter().map(|(value, times)| (highest(*value), *times)))
            }
        }
    }

    /// How many came.
    pub(super) fn len(&self) -> u64 {
        self.iter().fold(0, |sum, (_, times)| sum.saturating_add(times))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Dense(table) => table.used.is_empty(),
            Self::Sparse(counts) => counts.is_empty(),
        }
    }

    /// The number that a share `quantile` (0..=1) of all does not exceed; 0 if there is none.
    pub(super) fn at(&self, quantile: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count, rounded up"
        )]
        let wanted = ((quantile * self.len() as f64).ceil() as u64).max(1);
        let mut seen = 0_u64;
        let found = self.iter().find(|(_, times)| {
            seen = seen.saturating_add(*times);
            seen >= wanted
        });
        found.map_or(0, |(value, _)| if quantile == 0.0 { lowest(value) } else { value })
    }
}

impl PartialEq for Quantiles {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A count for each number that there could be, of those that count as one.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// As far as the greatest number that came: 64 kB for microseconds, a third of a megabyte for weeks.
    counts: Vec<u64>,
    /// Where counts can be that are not zero.
    used: Range<usize>,
}

impl Table {
    fn count(&mut self, value: u64, times: u64) -> bool {
        let place = place(value);
        if self.used.contains(&place) {
            self.counts[place] = self.counts[place].saturating_add(times);
            return true;
        }
        // The greatest of those that count as one stands for them in a file.
        if lowest(value) > GREATEST {
            return false;
        }
        if place >= self.counts.len() {
            self.counts.resize((place + 1).next_multiple_of(1 << (DIGITS - 1)), 0);
        }
        self.counts[place] = self.counts[place].saturating_add(times);
        if self.used.is_empty() {
            self.used = place..place + 1;
        }
        self.used = self.used.start.min(place)..self.used.end.max(place + 1);
        true
    }

    fn clear(&mut self) {
        self.counts[self.used.clone()].fill(0);
        self.used = 0..0;
    }

    fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.used.clone().zip(&self.counts[self.used.clone()]);
        counts.filter(|(_, times)| **times > 0).map(|(place, times)| (highest(at(place)), *times))
    }
}

const fn shift(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).saturating_sub(DIGITS)
}

/// Those of one length have their counts one after the other, beginning where those that are shorter by a digit end.
#[expect(clippy::cast_possible_truncation, reason = "of eleven digits")]
const fn place(value: u64) -> usize {
    let shift = shift(value);
    ((shift as usize) << (DIGITS - 1)) + (value >> shift) as usize
}

/// The least number that has its count there.
const fn at(place: usize) -> u64 {
    let shift = (place >> (DIGITS - 1)).saturating_sub(1);
    ((place - (shift << (DIGITS - 1))) as u64) << shift
}

/// The least of the numbers that count as this one.
pub(super) const fn lowest(value: u64) -> u64 {
    value >> shift(value) << shift(value)
}

/// The greatest of them.
const fn highest(value: u64) -> u64 {
    lowest(value) + (1 << shift(value)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram as Hdr;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_counted_as_hdr_histogram_counts_them(
            values in prop::collection::vec(prop_oneof![0_u64..5_000, 0..=GREATEST], 0..60),
            quantile in 0.0..=1.0_f64,
        ) {
            let (mut dense, mut sparse) = (Quantiles::dense(), Quantiles::sparse());
            let mut hdr = Hdr::<u64>::new_with_bounds(1, GREATEST, 3).unwrap();
            dense.count(7, 3);
            dense.clear();
            for value in &values {
                prop_assert!(dense.count(*value, 1) && sparse.count(*value, 1));
                hdr.record(*value).unwrap();
            }
            let steps: Vec<_> = hdr.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
            for quantiles in [dense, sparse] {
                prop_assert_eq!(quantiles.iter().collect::<Vec<_>>(), &steps[..]);
                prop_assert_eq!(quantiles.len(), hdr.len());
                for share in [0.0, quantile, 0.5, 0.95, 0.99, 1.0] {
                    prop_assert_eq!(quantiles.at(share), hdr.value_at_quantile(share), "{}", share);
                }
            }
            for value in values {
                prop_assert_eq!(hdr.lowest_equivalent(value), lowest(value));
                prop_assert_eq!(hdr.highest_equivalent(value), highest(value));
                prop_assert_eq!(at(place(value)), lowest(value));
            }
        }
    }

    #[test]
    fn each_number_has_its_place_and_none_is_left_empty() {
        for place in 0..super::place(GREATEST) {
            assert_eq!(super::place(at(place)), place);
            assert_eq!(highest(at(place)) + 1, at(place + 1));
        }
        assert!(!Quantiles::dense().count(2 * GREATEST, 1));
    }

    #[test]
    fn many_numbers_take_the_table_and_are_the_same() {
        let (mut dense, mut sparse) = (Quantiles::dense(), Quantiles::sparse());
        for number in 0..20_000 {
            dense.count(number * 12_345, 2);
            sparse.count(number * 12_345, 2);
        }
        assert!(matches!(sparse, Quantiles::Dense(_)));
        assert_eq!(dense, sparse);
    }
}
