//! Where an individual came about.

use crate::units::{BatchId, MutationId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A mutation by its batch and its number there: `20261123T020000Z-7f3a9c/exit_mut_000042`.
///
/// The order is that of time, as ids of batches are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The batch.
    pub batch: BatchId,
    /// The mutation in it.
    pub mutation: MutationId,
}

/// Text that names no mutation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mutation like 20261123T020000Z-7f3a9c/exit_mut_000042 or exit_mut_000042")]
pub struct OriginError(String);

impl Origin {
    /// How a record of `batch` names it as its parent: by its number alone if it is of the same batch.
    pub fn seen_from(&self, batch: &BatchId) -> String {
        if self.batch == *batch { self.mutation.to_string() } else { self.to_string() }
    }

    /// What a record of `batch` names as its parent.
    pub fn read(text: &str, batch: &BatchId) -> Result<Self, OriginError> {
        match text.parse() {
            Ok(mutation) => Ok(Self { batch: batch.clone(), mutation }),
            Err(_) => text.parse(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.batch, self.mutation)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (batch, mutation) = text.split_once('/')?;
            Some(Self { batch: batch.parse().ok()?, mutation: mutation.parse().ok()? })
        };
        parse().ok_or_else(|| OriginError(text.to_owned()))
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_of_the_same_batch_is_named_by_its_number_alone() {
        let batch: BatchId = "20261123T020000Z-7f3a9c".parse().unwrap();
        let later: BatchId = "20261124T020000Z-000000".parse().unwrap();
        let origin = Origin { batch: batch.clone(), mutation: MutationId(42) };
        assert_eq!(origin.seen_from(&batch), "exit_mut_000042");
        assert_eq!(origin.seen_from(&later), "20261123T020000Z-7f3a9c/exit_mut_000042");
        for from in [batch, later] {
            assert_eq!(Origin::read(&origin.seen_from(&from), &from), Ok(origin.clone()));
        }
        assert!("exit_mut_000042".parse::<Origin>().is_err());
    }
}
