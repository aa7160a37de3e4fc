//! Names of batches and mutations. They identify records and files; they are never labels.

use super::{Shard, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `20261123T020000Z-7f3a9c`: the start in UTC and six hexadecimal digits; sorts by time as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BatchId(String);

/// Text that is no batch id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a batch id like 20261123T020000Z-7f3a9c")]
pub struct BatchIdError(String);

const SUFFIXES: u32 = 1 << 24;

impl BatchId {
    /// The id of a batch that starts `now`, with `random` for its suffix, greater than `last`.
    ///
    /// Ids must sort in the order of the batches even where the clock was set back or two batches
    /// start within a second: then the id keeps the last one's second with a greater suffix, or
    /// takes the second after it.
    pub fn next(now: Timestamp, random: u32, last: Option<&Self>) -> Self {
        let second = now.to_compact();
        let Some(last) = last.filter(|last| last.second() >= second.as_str()) else {
            return Self(format!("{second}-{:06x}", random % SUFFIXES));
        };
        let suffix = last.suffix();
        let free = SUFFIXES - 1 - suffix;
        if free > 0 {
            // Steps of at most 4096 leave room for thousands of batches in one second.
            return Self(format!("{}-{:06x}", last.second(), suffix + 1 + random % free.min(4096)));
        }
        let after = last.start().plus(std::time::Duration::from_secs(1));
        Self(format!("{}-{:06x}", after.to_compact(), random % SUFFIXES))
    }

    /// The same id, or the first after it that only this shard can have: the suffix tells the shards of one run apart, so
    /// that those which start in the same second never have the same id.
    #[must_use]
    pub fn of_shard(self, shard: Shard) -> Self {
        let (index, count) = (shard.index(), shard.count());
        let suffix = self.suffix();
        let own = suffix + (index + count - suffix % count) % count;
        if own < SUFFIXES {
            return Self(format!("{}-{own:06x}", self.second()));
        }
        let after = self.start().plus(std::time::Duration::from_secs(1));
        Self(format!("{}-{index:06x}", after.to_compact()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The second in the id.
    pub fn start(&self) -> Timestamp {
        Timestamp::from_compact(self.second()).unwrap_or(Timestamp::from_micros(0))
    }

    fn second(&self) -> &str {
        &self.0[..16]
    }

    fn suffix(&self) -> u32 {
        u32::from_str_radix(&self.0[17..], 16).unwrap_or(0)
    }
}

impl FromStr for BatchId {
    type Err = BatchIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let second = text.get(..16).and_then(Timestamp::from_compact);
        let suffix = text.get(16..).and_then(|rest| rest.strip_prefix('-'));
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match (second, suffix) {
            (Some(_), Some(suffix)) if suffix.len() == 6 && suffix.bytes().all(is_hex) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(BatchIdError(text.to_owned())),
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BatchId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `exit_mut_000042`: the number of a mutation in its batch, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MutationId(pub u64);

impl MutationId {
    /// What every id starts with.
    pub const PREFIX: &'static str = "exit_mut_";
}

impl fmt::Display for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:06}", Self::PREFIX, self.0)
    }
}

impl FromStr for MutationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(Self::PREFIX)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a mutation id like exit_mut_000042"))
    }
}

impl Serialize for MutationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MutationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn an_id_is_its_start_and_a_suffix() {
        let id = BatchId::next(at(1_795_399_200), 0x007f_3a9c, None);
        assert_eq!(id.as_str(), "20261123T020000Z-7f3a9c");
        assert_eq!(id.start(), at(1_795_399_200));
        assert_eq!(id.as_str().parse::<BatchId>().unwrap(), id);
    }

    #[test]
    fn ids_rise_within_a_second_and_when_the_clock_is_set_back() {
        let mut last = BatchId::next(at(1_795_399_200), u32::MAX, None);
        for (now, random) in [(1_795_399_200, 0), (1_795_399_200, u32::MAX), (5, 7), (5, 0)] {
            let next = BatchId::next(at(now), random, Some(&last));
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        let later = BatchId::next(at(1_795_399_300), 1, Some(&last));
        assert_eq!(later.as_str(), "20261123T020140Z-000001");
    }

    #[test]
    fn shards_that_start_together_have_ids_of_their_own_which_rise() {
        for random in [0, 41, 0xff_ffff] {
            let ids: std::collections::BTreeSet<_> = (0..7)
                .map(|index| {
                    let shard = Shard::new(index, 7).unwrap();
                    let id = BatchId::next(at(5), random, None);
                    let own = id.clone().of_shard(shard);
                    assert!(own >= id, "{own} after {id}");
                    assert_eq!(own.as_str().parse().as_ref(), Ok(&own));
                    own
                })
                .collect();
            assert_eq!(ids.len(), 7);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "20261123T020000Z-7F3A9C",
            "20261323T020000Z-7f3a9c",
            "20260230T020000Z-7f3a9c",
            "20261123T240000Z-7f3a9c",
            "20261123T026000Z-7f3a9c",
            "20261123T020060Z-7f3a9c",
            "00000101T000000Z-7f3a9c",
            "99991231T000000Z-7f3a9c",
            "20261123T020000Z-7f3a9",
            "../../../../etc/passwd00",
        ] {
            assert!(text.parse::<BatchId>().is_err(), "{text}");
        }
    }

    #[test]
    fn mutation_ids_grow_past_six_digits() {
        assert_eq!(MutationId(42).to_string(), "exit_mut_000042");
        assert_eq!("exit_mut_1234567".parse(), Ok(MutationId(1_234_567)));
        assert!("exit_mut_x".parse::<MutationId>().is_err());
    }
}
