//! Numbers of which ranks and quantiles are taken.

use std::collections::BTreeMap;

/// So many are kept as they are; of more, where it may be rounded, each is counted under its first digits.
const EXACT: usize = 1 << 20;
/// Binary digits of a double that rounding takes away: what is left is right to 1 in 8,192.
const ROUNDED_BITS: u32 = 40;

/// Numbers in the order that they came.
///
/// Ten million durations of attempts would take 80 MB; ten million fitnesses came of as many evaluations, and there the
/// last digit may be what matters.
#[derive(Clone, Debug)]
pub struct Sample {
    values: Vec<f64>,
    /// By the bits of the rounded number, which order as the numbers do where none is negative.
    counted: BTreeMap<u64, u64>,
    exact: usize,
}

impl Sample {
    /// Numbers that stay as they are, however many.
    pub const fn exact() -> Self {
        Self { values: Vec::new(), counted: BTreeMap::new(), exact: usize::MAX }
    }

    /// Numbers of zero or more, of which no more than a million are kept as they are.
    pub const fn bounded() -> Self {
        Self { values: Vec::new(), counted: BTreeMap::new(), exact: EXACT }
    }

    /// Takes in one; what is no number or infinite is left out.
    pub fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        // Zero has one sign, or two zeros would not be the same.
        let value = value + 0.0;
        if self.is_rounded() {
            self.count(value);
        } else {
            self.values.push(value);
            if self.values.len() > self.exact {
                for one in std::mem::take(&mut self.values) {
                    self.count(one);
                }
            }
        }
    }

    /// Whether there were too many to keep each as it is.
    pub fn is_rounded(&self) -> bool {
        !self.counted.is_empty()
    }

    /// In order.
    pub fn ordered(&self) -> Ordered {
        let mut values = self.values.clone();
        values.sort_unstable_by(f64::total_cmp);
        let counted = self.counted.iter().map(|(bits, count)| (f64::from_bits(*bits), *count));
        Ordered::of(values.into_iter().map(|value| (value, 1)).chain(counted))
    }

    fn count(&mut self, value: f64) {
        let half = 1 << (ROUNDED_BITS - 1);
        let bits = (value.max(0.0).to_bits() + half) >> ROUNDED_BITS << ROUNDED_BITS;
        *self.counted.entry(bits).or_default() += 1;
    }
}

/// Numbers in ascending order, equal ones together.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    values: Vec<f64>,
    /// How many there are up to each, itself among them.
    ends: Vec<u64>,
}

impl Ordered {
    fn of(ascending: impl Iterator<Item = (f64, u64)>) -> Self {
        let (mut values, mut ends) = (Vec::<f64>::new(), Vec::<u64>::new());
        let mut total = 0;
        for (value, count) in ascending {
            total += count;
            match (values.last(), ends.last_mut()) {
                #[expect(clippy::float_cmp, reason = "ties are numbers that are the same")]
                (Some(last), Some(end)) if *last == value => *end = total,
                _ => {
                    values.push(value);
                    ends.push(total);
                }
            }
        }
        Self { values, ends }
    }

    /// How many numbers.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Each number once, with how often it is there.
    pub(super) fn groups(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let before = std::iter::once(0).chain(self.ends.iter().copied());
        let counts = self.ends.iter().zip(before).map(|(end, before)| end - before);
        self.values.iter().copied().zip(counts)
    }

    /// The one at this place, from 0; the last one beyond the end. There must be one.
    pub(super) fn at(&self, place: u64) -> f64 {
        let group = self.ends.partition_point(|end| *end <= place);
        self.values[group.min(self.values.len() - 1)]
    }

    /// The quantile, interpolated between neighbours: definition 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in
    /// statistical packages" (1996), which is numpy's.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        let (place, beyond) = place(self.len(), quantile);
        Some(between(self.at(place), self.at(place + 1), beyond))
    }
}

/// Between which places, from 0, a quantile of so many numbers lies: the first, and how far it is to the next, 0..1.
pub(super) fn place(count: u64, quantile: f64) -> (u64, f64) {
    let exact = (count - 1) as f64 * quantile;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies in 0..count"
    )]
    let whole = exact.floor() as u64;
    (whole, exact - exact.floor())
}

/// The number that lies so far from the first to the second.
pub(super) fn between(first: f64, second: f64, beyond: f64) -> f64 {
    if beyond == 0.0 { first } else { first + (second - first) * beyond }
}
