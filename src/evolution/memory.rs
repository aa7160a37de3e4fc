//! What was evaluated already.

use super::Fingerprint;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// The last value sets of a strategy that were evaluated, the oldest first; each is there once.
///
/// In JSON it is one text, base64 of eight bytes each. It is most of a search, of which a batch holds several: how it was
/// last night, as the batch began, and now; so those that remember the same share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: Arc<Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    order: VecDeque<Fingerprint>,
    known: HashSet<Fingerprint>,
}

impl Memory {
    /// Whether these values are remembered.
    pub fn contains(&self, values: Fingerprint) -> bool {
        self.kept.known.contains(&values)
    }

    /// Remembers these values, and of all at most the last `limit`. What is known keeps its place.
    pub fn insert(&mut self, values: Fingerprint, limit: usize) {
        if limit > 0 && !self.contains(values) {
            let kept = Arc::make_mut(&mut self.kept);
            kept.known.insert(values);
            kept.order.push_back(values);
        }
        self.shrink(limit);
    }

    /// Forgets all but the last `limit`.
    pub fn shrink(&mut self, limit: usize) {
        let surplus = self.len().saturating_sub(limit);
        if surplus == 0 {
            return;
        }
        let kept = Arc::make_mut(&mut self.kept);
        for forgotten in kept.order.drain(..surplus) {
            kept.known.remove(&forgotten);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.shrink(0);
    }

    /// How many value sets are remembered.
    pub fn len(&self) -> usize {
        self.kept.order.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.kept.order.is_empty()
    }
}

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.kept.order == other.kept.order
    }
}

impl FromIterator<Fingerprint> for Memory {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(all: I) -> Self {
        let mut memory = Self::default();
        for values in all {
            memory.insert(values, usize::MAX);
        }
        memory
    }
}

impl Serialize for Memory {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.kept.order.iter().flat_map(|one| one.0.to_be_bytes()).collect();
        serializer.serialize_str(&BASE64_STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD_NO_PAD.decode(&*text).map_err(serde::de::Error::custom)?;
        let (whole, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(serde::de::Error::custom("a memory that is cut off"));
        }
        Ok(whole.iter().map(|bytes| Fingerprint(u64::from_be_bytes(*bytes))).collect())
    }
}
