//! Random numbers: a stream of its own for every attempt, so that no order of work can matter.

use chacha20::ChaCha8Rng;
use rand::{Rng, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// The streams of one strategy in one round of a batch.
///
/// The key is a SHA-256 digest of seed, round and strategy; the attempt's number is the ChaCha
/// stream (nonce). So any worker can start any attempt, in any order, and draws what a single
/// worker would have drawn. This is ChaCha (D. J. Bernstein, "ChaCha, a variant of Salsa20",
/// 2008) with 8 rounds, which no test tells from randomness (J.-P. Aumasson, "Too Much Crypto", 2019).
#[derive(Clone, Debug)]
pub struct Streams {
    key: [u8; 32],
}

/// Tells these keys from any other use of SHA-256; a new version means new candidates.
const TAG: &[u8] = b"mutation-agent/streams/1\0";

impl Streams {
    /// The streams of `strategy`, named as in the records, in `round` of the batch with `seed`.
    pub fn new(seed: u64, round: u32, strategy: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(TAG)
            .chain_update(seed.to_le_bytes())
            .chain_update(round.to_le_bytes())
            .chain_update(strategy.as_bytes());
        Self { key: digest.finalize().into() }
    }

    /// The generator of one attempt, from its first number on.
    pub fn attempt(&self, attempt: u64) -> impl Rng + use<> {
        self.generator(attempt)
    }

    /// The key as ChaCha takes it.
    pub(super) fn words(&self) -> [u32; 8] {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(self.key.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        words
    }

    pub(super) fn generator(&self, attempt: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        // Nothing has been generated yet, and nothing is generated before the first draw.
        rng.set_stream(attempt);
        rng
    }
}

/// Tells these digests from the keys of streams.
const EVALUATION_TAG: &[u8] = b"mutation-agent/evaluation/1\0";

/// The seed that the evaluator is given for a mutation's candidate, 0 standing for what is no mutation: of 53 bits,
/// which every reader of JSON keeps, and nothing that the mutation itself draws from.
pub fn evaluation_seed(seed: u64, mutation: u64) -> u64 {
    let digest = Sha256::new()
        .chain_update(EVALUATION_TAG)
        .chain_update(seed.to_le_bytes())
        .chain_update(mutation.to_le_bytes());
    let bytes: [u8; 32] = digest.finalize().into();
    bytes[..8].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte)) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt as _;
    use std::collections::BTreeSet;

    fn first(seed: u64, round: u32, strategy: &str, attempt: u64) -> u64 {
        Streams::new(seed, round, strategy).attempt(attempt).random()
    }

    #[test]
    fn every_part_of_the_name_makes_another_stream() {
        let firsts = BTreeSet::from([
            first(1, 1, "a.py", 0),
            first(2, 1, "a.py", 0),
            first(1, 2, "a.py", 0),
            first(1, 1, "b.py", 0),
            first(1, 1, "a.py", 1),
            first(1, 1, "a.py", 1 << 32),
        ]);
        assert_eq!(firsts.len(), 6);
    }

    #[test]
    fn the_first_numbers_of_the_attempts_are_evenly_spread() {
        let streams = Streams::new(42, 1, "strategies/momentum.py");
        let mut counts = [0_u32; 256];
        for attempt in 0..256_000 {
            counts[streams.attempt(attempt).random_range(0..256)] += 1;
        }
        let chi_square: f64 = counts.iter().map(|n| (f64::from(*n) - 1e3).powi(2) / 1e3).sum();
        // 255 degrees of freedom: 330 is exceeded once in a thousand, 190 missed as seldom.
        assert!((190.0..330.0).contains(&chi_square), "{chi_square}");
    }

    #[test]
    fn neighbouring_attempts_are_not_alike() {
        let streams = Streams::new(42, 1, "a.py");
        let first = |attempt| streams.attempt(attempt).random::<u64>();
        let ones: u32 = (0..10_000).map(|n| (first(n) ^ first(n + 1)).count_ones()).sum();
        // 640,000 fair coins: standard deviation 400.
        assert!(ones.abs_diff(320_000) < 2_000, "{ones}");
    }

    /// Pinned, so that a dependency that changes its streams is noticed: old batches could not be replayed.
    #[test]
    fn the_first_numbers_are_these() {
        let mut rng = Streams::new(42, 3, "strategies/momentum.py").attempt(7);
        let numbers: [u64; 3] = rng.random();
        assert_eq!(
            numbers,
            [9_690_632_700_576_165_271, 11_889_965_239_980_531_657, 10_371_089_318_497_745_591]
        );
    }
}
