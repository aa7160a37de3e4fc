//! The values of a parameter before and after.

use super::Bounds;
use std::collections::BTreeMap;

/// Two values of a parameter that agree in so many digits are counted as one.
const DIGITS: i32 = 3;

/// How often a value was there before a mutation, and how often it was proposed; right to three digits, so that memory
/// does not grow with the attempts.
#[derive(Clone, Debug, Default)]
pub struct Values {
    old: BTreeMap<Key, u64>,
    new: BTreeMap<Key, u64>,
    changes: u64,
    clamped: u64,
    /// Not all are whole numbers.
    broken: bool,
}

/// What a chart of values goes from and to, and in how many equal parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// Where the first begins.
    pub least: f64,
    /// Where the last ends.
    pub greatest: f64,
    /// How many there are.
    pub count: usize,
}

/// A number in the order of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Key(f64);

impl Eq for Key {}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Values {
    /// Takes in one change; a value that is no finite number has no place among the others.
    pub fn add(&mut self, old: f64, new: f64, clamped: bool) {
        for (map, value) in [(&mut self.old, old), (&mut self.new, new)] {
            if value.is_finite() {
                *map.entry(rounded(value)).or_default() += 1;
            }
        }
        self.changes += 1;
        self.clamped += u64::from(clamped);
        self.broken |=
            [old, new].into_iter().any(|value| value.is_finite() && value.fract() != 0.0);
    }

    /// At most so many parts from `least` to `greatest`, and as far beyond as values lie.
    ///
    /// Of whole numbers each part has as many as the others: 60 of them in 24 parts would look like a comb.
    pub fn parts(&self, least: f64, greatest: f64, most: usize) -> Parts {
        let (low, high) = self.extremes().unwrap_or((least, greatest));
        let (least, greatest) = (least.min(low), greatest.max(high));
        if self.broken || least.fract() != 0.0 || greatest.fract() != 0.0 {
            return Parts { least, greatest, count: most };
        }
        let numbers = greatest - least + 1.0;
        let width = (numbers / most as f64).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to `most`"
        )]
        let count = (numbers / width).ceil() as usize;
        let least = least - 0.5;
        Parts { least, greatest: least + width * count as f64, count }
    }

    /// How many changes there were.
    pub const fn count(&self) -> u64 {
        self.changes
    }

    /// The share that had left its bounds and was brought back, 0..=1.
    pub fn clamped_share(&self) -> f64 {
        self.clamped as f64 / self.count().max(1) as f64
    }

    /// Least and greatest of all, old and new.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        let ends =
            |map: &BTreeMap<Key, u64>| Some((map.keys().next()?.0, map.keys().next_back()?.0));
        let ((a, b), (c, d)) = (ends(&self.old)?, ends(&self.new)?);
        Some((a.min(c), b.max(d)))
    }

    /// Whether some lie outside, by more than rounding: those of a variant with bounds of its own, or of other nights' bounds.
    pub fn are_beyond(&self, bounds: Bounds) -> bool {
        let slack = |bound: f64| bound.abs() * 0.5 * 10_f64.powi(1 - DIGITS);
        self.extremes().is_some_and(|(least, greatest)| {
            least < bounds.min - slack(bounds.min) || greatest > bounds.max + slack(bounds.max)
        })
    }

    /// The median of the old values, or of the new ones.
    pub fn median(&self, of_new: bool) -> Option<f64> {
        let map = if of_new { &self.new } else { &self.old };
        let half = map.values().sum::<u64>().div_ceil(2);
        let mut seen = 0;
        map.iter().find_map(|(key, count)| {
            seen += count;
            (seen >= half).then_some(key.0)
        })
    }

    /// The shares of all old and of all new values that are in each part.
    pub fn shares(&self, parts: Parts) -> Vec<(f64, f64)> {
        let Parts { least, greatest, count: bins } = parts;
        let total = |map: &BTreeMap<Key, u64>| map.values().sum::<u64>().max(1) as f64;
        let (old, new) = (total(&self.old), total(&self.new));
        let place = |value: f64| {
            let part = (value - least) / (greatest - least) * bins as f64;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "cut to the bins there are"
            )]
            let place = part.clamp(0.0, bins as f64 - 1.0) as usize;
            place
        };
        let mut shares = vec![(0.0, 0.0); bins];
        for (key, count) in &self.old {
            shares[place(key.0)].0 += *count as f64 / old;
        }
        for (key, count) in &self.new {
            shares[place(key.0)].1 += *count as f64 / new;
        }
        shares
    }
}

fn rounded(value: f64) -> Key {
    if value == 0.0 {
        return Key(0.0);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the exponent of a double is a small number"
    )]
    let magnitude = value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(DIGITS - 1 - magnitude);
    Key(if scale.is_finite() && scale > 0.0 { (value * scale).round() / scale } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_and_parts_reach_as_far_as_the_values() {
        let mut values = Values::default();
        for new in [0.05, 0.15, 0.15, 0.9] {
            values.add(0.1, new, new > 0.5);
        }
        assert_eq!(values.count(), 4);
        assert!((values.clamped_share() - 0.25).abs() < 1e-12);
        assert_eq!(values.extremes(), Some((0.05, 0.9)));
        assert_eq!((values.median(false), values.median(true)), (Some(0.1), Some(0.15)));
        let parts = values.parts(0.0, 0.2, 2);
        assert_eq!(parts, Parts { least: 0.0, greatest: 0.9, count: 2 });
        assert_eq!(values.shares(parts), [(1.0, 0.75), (0.0, 0.25)]);
    }

    #[test]
    fn even_whole_numbers_are_an_even_picture() {
        let mut values = Values::default();
        (1..=60).for_each(|number| values.add(5.0, f64::from(number), false));
        let parts = values.parts(1.0, 60.0, 24);
        assert_eq!(parts, Parts { least: 0.5, greatest: 60.5, count: 20 });
        assert!(values.shares(parts).iter().all(|(_, new)| (new - 0.05).abs() < 1e-9));
        // One number is one part.
        let mut one = Values::default();
        one.add(7.0, 7.0, false);
        assert_eq!(one.parts(7.0, 7.0, 24), Parts { least: 6.5, greatest: 7.5, count: 1 });
        assert_eq!(one.shares(one.parts(7.0, 7.0, 24)), [(1.0, 1.0)]);
        // The greatest numbers there are.
        one.add(-9e15, 9e15, false);
        assert_eq!(one.parts(-9e15, 9e15, 24).count, 24);
    }

    #[test]
    fn what_is_no_number_is_a_change_without_a_value() {
        let mut values = Values::default();
        values.add(f64::NAN, f64::INFINITY, false);
        assert_eq!((values.count(), values.extremes(), values.median(true)), (1, None, None));
        values.add(0.1, 0.3, true);
        assert_eq!(values.extremes(), Some((0.1, 0.3)));
        assert!((values.clamped_share() - 0.5).abs() < 1e-12);
        assert_eq!(values.shares(values.parts(0.0, 0.4, 2)), [(1.0, 0.0), (0.0, 1.0)]);
    }

    #[test]
    fn memory_does_not_grow_with_the_values() {
        let mut values = Values::default();
        for number in 1..100_000 {
            values.add(1.0, f64::from(number) / 7.0, false);
        }
        assert!(values.new.len() < 6_000, "{}", values.new.len());
    }
}
