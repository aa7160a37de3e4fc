//! SHA-256, in the one form in which digests appear: 64 lower-case hexadecimal digits.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
use std::fmt;

/// A SHA-256 digest as hexadecimal text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest in the making, for what is too long to hold.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    inner: sha2::Sha256,
    length: u64,
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// How many bytes were added.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The digest of all that was added.
    pub fn finish(&self) -> Digest {
        Digest(to_hex(&self.inner.clone().finalize()))
    }

    /// All that is known of the bytes so far, to go on from after a crash; hexadecimal.
    pub fn midstate(&self) -> String {
        to_hex(&self.inner.serialize())
    }

    /// Goes on from a midstate, after `length` bytes. `None` where it is none.
    pub fn resume(midstate: &str, length: u64) -> Option<Self> {
        let state = SerializedState::<sha2::Sha256>::try_from(&*from_hex(midstate)?).ok()?;
        Some(Self { inner: sha2::Sha256::deserialize(&state).ok()?, length })
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_digest_of_abc_is_the_published_one() {
        assert_eq!(
            Digest::of(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_goes_on_from_any_midstate() {
        let bytes: Vec<u8> = (0..=255).collect();
        for at in 0..bytes.len() {
            let mut before = Hasher::default();
            before.update(&bytes[..at]);
            let mut after = Hasher::resume(&before.midstate(), before.length()).unwrap();
            after.update(&bytes[at..]);
            assert_eq!((after.finish(), after.length()), (Digest::of(&bytes), 256));
        }
    }

    #[test]
    fn what_is_no_midstate_is_none() {
        let midstate = Hasher::default().midstate();
        for wrong in [
            "",
            "0",
            "zz",
            "é0",
            &midstate[2..],
            &format!("{midstate}00"),
            &midstate.replace('0', "f"),
        ] {
            assert!(Hasher::resume(wrong, 0).is_none(), "{wrong}");
        }
    }
}
