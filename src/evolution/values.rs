//! A candidate's values, and the number by which a memory knows them.

use crate::units::Number;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A candidate's values by parameter name, all that its strategy has.
pub type Values = BTreeMap<String, Number>;

/// 64 bits of a digest of [`Values`]: the same in every version and on every machine.
///
/// Of a million value sets, two share one with a chance of 1 in 37 million; what that costs is one
/// candidate that is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub(super) u64);

impl Fingerprint {
    /// Of `values`. An integer and a double of the same value differ, for they are written differently.
    pub fn of(values: &Values) -> Self {
        let mut digest = Sha256::new();
        for (name, value) in values {
            digest.update((name.len() as u64).to_le_bytes());
            digest.update(name.as_bytes());
            match value {
                Number::Int(value) => {
                    digest.update(b"i");
                    digest.update(value.to_le_bytes());
                }
                // Zero has two signs and one meaning.
                Number::Float(value) => {
                    digest.update(b"f");
                    digest.update((value + 0.0).to_le_bytes());
                }
            }
        }
        let bytes: [u8; 32] = digest.finalize().into();
        Self(bytes[..8].iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }
}
