//! One of several agents that share the strategies of one config, each on a machine of its own.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `3/8`: the fourth of eight, counted from 0. Each strategy belongs to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Shard {
    index: u32,
    count: u32,
}

/// As it stands in a manifest.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Parts {
    index: u32,
    count: u32,
}

/// A shard that there cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Something else.
    #[error("`{0}` is not a shard like 3/8, the fourth of eight")]
    Text(String),
    /// No shards, or more than anybody has.
    #[error("there can be 1 to {most} shards, not {0}", most = Shard::MOST)]
    Count(u32),
    /// Most likely counted from 1.
    #[error("{count} shards are 0/{count} to {last}/{count}; there is no {index}/{count}", last = count - 1)]
    Index {
        /// What was asked for.
        index: u32,
        /// Of how many.
        count: u32,
    },
}

impl Shard {
    /// So many there can be.
    pub const MOST: u32 = 10_000;

    /// Number `index`, from 0, of `count`.
    pub const fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        if count == 0 || count > Self::MOST {
            return Err(ShardError::Count(count));
        }
        if index >= count {
            return Err(ShardError::Index { index, count });
        }
        Ok(Self { index, count })
    }

    /// Which one, from 0.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Of how many.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The name of its folder in the data folder and in that of the candidates. It says nothing of how many there are:
    /// where that changes, totals go on.
    pub fn folder(self) -> String {
        format!("{}{}", Self::FOLDER, self.index)
    }

    const FOLDER: &str = "shard-";

    /// The shard whose folder has this name.
    pub fn of_folder(name: &str) -> Option<u32> {
        let digits = name.strip_prefix(Self::FOLDER)?;
        let index = digits.parse().ok()?;
        // `shard-03` and `shard-+3` are none of ours.
        (format!("{index}") == digits).then_some(index)
    }

    /// Whether a strategy of this name is its own.
    ///
    /// By rendezvous hashing (D. Thaler and C. Ravishankar, "Using name-based mappings to increase hit rates", 1998): each
    /// shard has a score for the name, and the highest has it. So each strategy belongs to one shard, and of n strategies
    /// about n/count change places where a shard is added or taken away. The score is the finalizer of `SplitMix64` (S. Vigna)
    /// over the FNV-1a hash of the name and the shard's index.
    pub fn owns(self, strategy: &str) -> bool {
        let name = strategy.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let score = |index: u32| mixed(mixed(name).wrapping_add(u64::from(index) + 1));
        let own = score(self.index);
        // Of equal scores the first one has it.
        (0..self.index).all(|index| score(index) < own)
            && (self.index + 1..self.count).all(|index| score(index) <= own)
    }
}

/// `SplitMix64`: the next state, finalized.
const fn mixed(state: u64) -> u64 {
    let z = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let parts = text.split_once('/');
        match parts.and_then(|(index, count)| number(index).zip(number(count))) {
            Some((index, count)) => Self::new(index, count),
            None => Err(ShardError::Text(text.to_owned())),
        }
    }
}

impl TryFrom<Parts> for Shard {
    type Error = ShardError;

    fn try_from(Parts { index, count }: Parts) -> Result<Self, Self::Error> {
        Self::new(index, count)
    }
}

impl From<Shard> for Parts {
    fn from(Shard { index, count }: Shard) -> Self {
        Self { index, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(strategy: &str, count: u32) -> Vec<u32> {
        let shards = (0..count).map(|index| Shard::new(index, count).unwrap());
        shards.filter(|shard| shard.owns(strategy)).map(Shard::index).collect()
    }

    fn names() -> impl Iterator<Item = String> {
        (0..2000).map(|number| format!("strategies/s{number:04}.py"))
    }

    #[test]
    fn every_strategy_belongs_to_one_shard_and_they_are_spread_evenly() {
        let mut counts = [0_u32; 8];
        for name in names() {
            let owners = owner(&name, 8);
            assert_eq!(owners.len(), 1, "{name}");
            counts[owners[0] as usize] += 1;
        }
        // 250 each, standard deviation 15.
        assert!(counts.iter().all(|count| (190..310).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_shard_more_takes_from_all_and_moves_nothing_else() {
        let moved: Vec<(u32, u32)> = names()
            .map(|name| (owner(&name, 8)[0], owner(&name, 9)[0]))
            .filter(|(before, after)| before != after)
            .collect();
        assert!(moved.iter().all(|(_, after)| *after == 8), "{moved:?}");
        // A ninth of 2000 is 222, standard deviation 14.
        assert!((165..280).contains(&moved.len()), "{}", moved.len());
    }

    /// Pinned: with another owner a strategy would leave its search and its totals behind.
    #[test]
    fn the_owners_are_these() {
        let owners: Vec<u32> = names().take(16).flat_map(|name| owner(&name, 10)).collect();
        assert_eq!(owners, [2, 0, 4, 8, 6, 3, 9, 7, 2, 0, 2, 5, 4, 8, 0, 7]);
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        assert_eq!("3/8".parse(), Shard::new(3, 8));
        for text in
            ["", "3", "/", "3/", "/8", "-1/8", "+1/8", "3/8/2", "3 / 8", "a/b", "99999999999/8"]
        {
            assert_eq!(text.parse::<Shard>(), Err(ShardError::Text(text.to_owned())));
        }
        assert_eq!("0/0".parse::<Shard>(), Err(ShardError::Count(0)));
        assert_eq!("0/10001".parse::<Shard>(), Err(ShardError::Count(10_001)));
        let error = "8/8".parse::<Shard>().unwrap_err();
        assert_eq!(error.to_string(), "8 shards are 0/8 to 7/8; there is no 8/8");
    }

    #[test]
    fn a_folder_is_named_for_its_shard() {
        assert_eq!(Shard::new(3, 8).unwrap().folder(), "shard-3");
        assert_eq!(Shard::of_folder("shard-3"), Some(3));
        for name in ["shard-03", "shard-", "shard-x", "shard-+3", "shard3", "audit"] {
            assert_eq!(Shard::of_folder(name), None, "{name}");
        }
    }
}
