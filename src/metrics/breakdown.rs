//! Tallies by what attempts have in common.

use super::{Buckets, Tally};
use crate::record::Record;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// How many groups there may be: each costs memory, and nobody reads more.
const MOST: usize = 10_000;

/// What attempts can have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The record's own parameter, where it changed several.
    Parameter,
    /// The operator of that parameter.
    Operator,
    /// The A/B variant.
    Variant,
    /// The strategy.
    Strategy,
    /// What became of the attempt.
    Outcome,
    /// The round of its batch.
    Round,
    /// The batch.
    Batch,
    /// The day, UTC.
    Day,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Parameter,
        Self::Operator,
        Self::Variant,
        Self::Strategy,
        Self::Outcome,
        Self::Round,
        Self::Batch,
        Self::Day,
    ];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parameter => "parameter",
            Self::Operator => "operator",
            Self::Variant => "variant",
            Self::Strategy => "strategy",
            Self::Outcome => "outcome",
            Self::Round => "round",
            Self::Batch => "batch",
            Self::Day => "day",
        }
    }

    fn of<'a>(self, record: &'a Record<'_>) -> Value<'a> {
        match self {
            Self::Parameter => Value::Text(&record.parameter),
            Self::Operator => Value::Text(record.operator.as_str()),
            Self::Variant => record.variant.as_deref().map_or(Value::None, Value::Text),
            Self::Strategy => Value::Text(&record.strategy),
            Self::Outcome => Value::Text(record.outcome.as_str()),
            Self::Round => Value::Number(record.round),
            Self::Batch => Value::Text(record.batch_id.as_str()),
            Self::Day => Value::Day(record.timestamp.seconds().div_euclid(86_400)),
        }
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.map(Self::as_str).join(", ");
        let known = Self::ALL.into_iter().find(|one| one.as_str() == text);
        known.ok_or_else(|| format!("expected one of {}", names()))
    }
}

/// What a record has in a dimension.
enum Value<'a> {
    None,
    Text(&'a str),
    Number(u32),
    /// Days since 1970.
    Day(i64),
}

/// A group's place in a dimension, in the order in which groups are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// No variant.
    None,
    /// A round.
    Number(u32),
    /// A name, an id or a day.
    Text(String),
}

/// Attempts that have the same in each dimension.
#[derive(Clone, Debug)]
pub struct Group {
    /// One for each dimension.
    pub keys: Vec<Key>,
    /// The fold over the attempts.
    pub tally: Tally,
}

/// More groups than anybody reads.
#[derive(Debug, thiserror::Error)]
#[error(
    "there are more than {MOST} groups by {0}: choose fewer files, a shorter time, or another --by"
)]
pub struct TooManyGroups(String);

/// The fold over records, group by group.
#[derive(Clone, Debug)]
pub struct Breakdown {
    by: Vec<Dimension>,
    /// By all keys as one text, so that a record of a group that is known costs no memory.
    index: HashMap<String, usize>,
    groups: Vec<Group>,
    scratch: String,
    is_full: bool,
}

impl Breakdown {
    /// No groups yet.
    pub fn new(by: Vec<Dimension>) -> Self {
        Self {
            by,
            index: HashMap::new(),
            groups: Vec::new(),
            scratch: String::new(),
            is_full: false,
        }
    }

    /// Takes in one record; nothing to do without a dimension.
    pub fn add(&mut self, record: &Record<'_>) {
        if self.by.is_empty() {
            return;
        }
        self.scratch.clear();
        for dimension in &self.by {
            let begin = self.scratch.len();
            let _infallible = write!(self.scratch, "{}", dimension.of(record));
            // With their lengths, so that two values are never taken for two others.
            let length = self.scratch.len() - begin;
            let _infallible = write!(self.scratch, "{length:08x}");
        }
        let keys =
            |by: &[Dimension]| by.iter().map(|dimension| dimension.of(record).key()).collect();
        if let Some(group) = self.group(keys) {
            group.add(record);
        }
    }

    /// Takes in later groups, and leaves none of them behind.
    pub fn take(&mut self, later: &mut Self) {
        self.is_full |= later.is_full;
        let mut names: Vec<_> = later.index.drain().collect();
        names.sort_unstable_by_key(|(_, place)| *place);
        for ((name, _), group) in names.into_iter().zip(later.groups.drain(..)) {
            self.scratch = name;
            if let Some(tally) = self.group(|_| group.keys) {
                tally.merge(&group.tally);
            }
        }
    }

    /// The tally of the group that is called as `scratch` says; `None` where there are too many.
    fn group(&mut self, keys: impl FnOnce(&[Dimension]) -> Vec<Key>) -> Option<&mut Tally> {
        let place = match self.index.get(&self.scratch) {
            Some(place) => *place,
            None if self.is_full || self.groups.len() == MOST => {
                self.is_full = true;
                self.groups = Vec::new();
                self.index = HashMap::new();
                return None;
            }
            None => {
                let tally = Tally::sparse(Buckets::default());
                self.groups.push(Group { keys: keys(&self.by), tally });
                self.index.insert(self.scratch.clone(), self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        Some(&mut self.groups[place].tally)
    }

    /// The groups in the order of their keys; an error where there were too many.
    pub fn into_groups(mut self) -> Result<Vec<Group>, TooManyGroups> {
        if self.is_full {
            let names: Vec<_> = self.by.iter().map(|dimension| dimension.as_str()).collect();
            return Err(TooManyGroups(names.join(", ")));
        }
        self.groups.sort_by(|one, other| one.keys.cmp(&other.keys));
        Ok(self.groups)
    }
}

impl Value<'_> {
    fn key(&self) -> Key {
        match self {
            Self::None => Key::None,
            Self::Number(number) => Key::Number(*number),
            Self::Text(_) | Self::Day(_) => Key::Text(self.to_string()),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A variant may be called anything but nothing.
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Day(day) => {
                let midnight =
                    crate::units::Timestamp::from_micros(day.saturating_mul(86_400_000_000));
                f.write_str(&midnight.to_string()[..10])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tally::tests::{fold, records};
    use proptest::prelude::*;

    fn groups(by: &[Dimension], records: &[Record<'_>]) -> Vec<Group> {
        let mut breakdown = Breakdown::new(by.to_vec());
        for record in records {
            breakdown.add(record);
        }
        breakdown.into_groups().unwrap()
    }

    proptest! {
        #[test]
        fn each_group_is_the_fold_over_its_own_records(records in records()) {
            for dimension in Dimension::ALL {
                let groups = groups(&[dimension], &records);
                let sum: u64 = groups.iter().map(|group| group.tally.attempts()).sum();
                prop_assert_eq!(sum, records.len() as u64);
                for group in groups {
                    let own = records.iter().filter(|record| match (&group.keys[0], dimension.of(record)) {
                        (Key::None, Value::None) => true,
                        (Key::Number(one), Value::Number(other)) => *one == other,
                        (Key::Text(one), other) => *one == other.to_string(),
                        _ => false,
                    });
                    prop_assert_eq!(group.tally, fold(own));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn groups_of_parts_are_those_of_the_whole(a in records(), b in records(), c in records()) {
            let by = [Dimension::Parameter, Dimension::Variant];
            let mut whole = Breakdown::new(by.to_vec());
            let mut part = whole.clone();
            for records in [&a, &b, &c] {
                for record in records {
                    part.add(record);
                }
                whole.take(&mut part);
                prop_assert!(part.clone().into_groups().unwrap().is_empty());
            }
            let groups_of = |groups: Vec<Group>| -> Vec<_> {
                groups.into_iter().map(|group| (group.keys, group.tally)).collect()
            };
            let expected = groups(&by, &[a, b, c].concat());
            prop_assert_eq!(groups_of(whole.into_groups().unwrap()), groups_of(expected));
        }
    }

    fn record(round: u32, time: &str) -> Record<'static> {
        let template = crate::record::tests::sample(std::borrow::Cow::Owned(
            "20261123T020000Z-7f3a9c".parse().unwrap(),
        ));
        Record { round, timestamp: time.parse().unwrap(), ..template }
    }

    #[test]
    fn rounds_are_in_their_order_and_days_are_those_of_utc() {
        let records = [
            record(10, "2026-11-23T23:59:59.999999Z"),
            record(2, "2026-11-24T00:00:00Z"),
            record(2, "1969-12-31T12:00:00Z"),
        ];
        let keys: Vec<_> = groups(&[Dimension::Round, Dimension::Day], &records)
            .into_iter()
            .map(|group| group.keys)
            .collect();
        let text = |day: &str| Key::Text(day.to_owned());
        let expected = [
            vec![Key::Number(2), text("1969-12-31")],
            vec![Key::Number(2), text("2026-11-24")],
            vec![Key::Number(10), text("2026-11-23")],
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn too_many_groups_are_an_error_and_not_all_the_memory() {
        let mut breakdown = Breakdown::new(vec![Dimension::Round]);
        for round in 0..=u32::try_from(MOST).unwrap() {
            breakdown.add(&record(round, "2026-11-23T00:00:00Z"));
        }
        let mut whole = Breakdown::new(vec![Dimension::Round]);
        whole.take(&mut breakdown.clone());
        assert!(whole.into_groups().is_err());
        let error = breakdown.into_groups().unwrap_err().to_string();
        assert!(error.starts_with("there are more than 10000 groups by round:"), "{error}");
    }
}
