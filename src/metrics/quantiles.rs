//! Numbers counted under their first three digits, as `HdrHistogram` counts them.

use hdrhistogram::Histogram as Hdr;
use std::collections::BTreeMap;

/// The greatest number there can be.
const GREATEST: u64 = 1 << 51;
/// Binary digits that are kept of a number: enough for three decimal ones.
const DIGITS: u32 = 11;
/// With more distinct numbers, the table of all there could be is hardly larger.
const MOST_SPARSE: usize = 4096;

/// How often each number came.
#[derive(Clone, Debug)]
pub(super) enum Quantiles {
    /// A table in which a number is counted in no time. It reaches as far as the greatest that came: 64 kB for
    /// microseconds, a third of a megabyte for weeks.
    Dense(Hdr<u64>),
    /// The numbers that there were, by the least of those that count as one.
    Sparse(BTreeMap<u64, u64>),
}

impl Quantiles {
    pub(super) fn dense() -> Self {
        #[expect(clippy::expect_used, reason = "three digits are not too many")]
        let table = Hdr::new(3).expect("a constant is valid");
        Self::Dense(table)
    }

    /// For one of thousands: it takes the table only when there is much to count.
    pub(super) const fn sparse() -> Self {
        Self::Sparse(BTreeMap::new())
    }

    /// Takes in a number that came so often; false, and nothing is done, if it is out of range.
    pub(super) fn count(&mut self, value: u64, times: u64) -> bool {
        match self {
            _ if value > GREATEST => false,
            Self::Dense(table) => table.record_n(value, times).is_ok(),
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

    /// Each number once, rising, with how often it came; the greatest of those that count as one.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (u64, u64)> + '_> {
        match self {
            Self::Dense(table) => Box::new(
                table.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())),
            ),
            Self::Sparse(counts) => {
                Box::new(counts.iter().map(|(value, times)| (highest(*value), *times)))
            }
        }
    }

    /// How many came.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Dense(table) => table.len(),
            Self::Sparse(counts) => counts.values().sum(),
        }
    }

    /// The number that a share `quantile` (0..=1) of all does not exceed; 0 if there is none.
    pub(super) fn at(&self, quantile: f64) -> u64 {
        if let Self::Dense(table) = self {
            return table.value_at_quantile(quantile);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count, rounded up"
        )]
        let wanted = ((quantile * self.len() as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.iter().find(|(_, times)| {
            seen += times;
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

const fn shift(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).saturating_sub(DIGITS)
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn few_numbers_are_counted_as_many_are(
            values in prop::collection::vec(prop_oneof![0_u64..5_000, 0..=GREATEST], 0..60),
            quantile in 0.0..=1.0_f64,
        ) {
            let (mut dense, mut sparse) = (Quantiles::dense(), Quantiles::sparse());
            for value in &values {
                prop_assert!(dense.count(*value, 1) && sparse.count(*value, 1));
            }
            prop_assert_eq!(&dense, &sparse);
            prop_assert_eq!(dense.len(), sparse.len());
            for share in [0.0, quantile, 0.5, 0.95, 0.99, 1.0] {
                prop_assert_eq!(dense.at(share), sparse.at(share), "{}", share);
            }
            let Quantiles::Dense(table) = dense else { unreachable!() };
            for value in values {
                prop_assert_eq!(table.lowest_equivalent(value), lowest(value));
                prop_assert_eq!(table.highest_equivalent(value), highest(value));
            }
        }
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
