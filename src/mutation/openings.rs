//! The first numbers of several attempts, made at once.
//!
//! An attempt draws a few numbers from a stream of its own. The crate makes four blocks of it at once, of which nearly all is thrown
//! away, and each step waits for the one before. The first blocks of four streams side by side take less than a third:
//! `cargo bench --bench pieces -- streams`.

use super::Streams;
use chacha20::ChaCha8Rng;
use rand::{Rng as _, TryRng};
use std::array;
use std::convert::Infallible;
use wide::u32x4;

/// How many attempts begin at once.
pub const LANES: usize = 4;

const WORDS: usize = 16;

/// "expand 32-byte k", as ChaCha begins.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The first block of the streams of several attempts.
#[derive(Debug)]
pub struct Openings<'a> {
    attempts: [(&'a Streams, u64); LANES],
    words: [[u32; LANES]; WORDS],
}

impl<'a> Openings<'a> {
    /// Of these attempts, each of its own strategy.
    pub fn of(attempts: [(&'a Streams, u64); LANES]) -> Self {
        let keys = attempts.map(|(streams, _)| streams.words());
        let mut start = [u32x4::splat(0); WORDS];
        for (row, constant) in start.iter_mut().zip(CONSTANTS) {
            *row = u32x4::splat(constant);
        }
        for (word, row) in start[4..12].iter_mut().enumerate() {
            *row = u32x4::new(array::from_fn(|lane| keys[lane][word]));
        }
        // Words 12 and 13 count the blocks.
        let [low, high] = halves(attempts.map(|(_, attempt)| attempt));
        (start[14], start[15]) = (u32x4::new(low), u32x4::new(high));
        let mut rows = start;
        for _ in 0..4 {
            for column in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]] {
                quarter_round(&mut rows, column);
            }
            for diagonal in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
                quarter_round(&mut rows, diagonal);
            }
        }
        let words = array::from_fn(|word| (rows[word] + start[word]).to_array());
        Self { attempts, words }
    }

    /// The numbers of one of the attempts: those of [`Streams::attempt`].
    pub fn attempt(&self, lane: usize) -> impl rand::Rng + '_ {
        Opened { openings: self, lane, drawn: 0, rest: None }
    }
}

fn halves(numbers: [u64; LANES]) -> [[u32; LANES]; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
    let halves = [numbers.map(|number| number as u32), numbers.map(|number| (number >> 32) as u32)];
    halves
}

/// RFC 8439, 2.1, in every lane.
#[inline(always)]
#[expect(clippy::inline_always, reason = "called, it would keep the sixteen words in memory")]
fn quarter_round(rows: &mut [u32x4; WORDS], [a, b, c, d]: [usize; 4]) {
    rows[a] += rows[b];
    rows[d] = left::<16>(rows[d] ^ rows[a]);
    rows[c] += rows[d];
    rows[b] = left::<12>(rows[b] ^ rows[c]);
    rows[a] += rows[b];
    rows[d] = left::<8>(rows[d] ^ rows[a]);
    rows[c] += rows[d];
    rows[b] = left::<7>(rows[b] ^ rows[c]);
}

fn left<const BITS: u32>(row: u32x4) -> u32x4 {
    (row << BITS) | (row >> (32 - BITS))
}

/// One lane.
#[derive(Debug)]
struct Opened<'a> {
    openings: &'a Openings<'a>,
    lane: usize,
    drawn: usize,
    /// For those who draw more than is there.
    rest: Option<Box<ChaCha8Rng>>,
}

impl Opened<'_> {
    /// The next `N` words, if they are there.
    fn take<const N: usize>(&mut self) -> Option<[u32; N]> {
        let rows = self.openings.words.get(self.drawn..self.drawn + N)?;
        self.drawn += N;
        Some(array::from_fn(|word| rows[word][self.lane]))
    }

    #[cold]
    fn rest(&mut self) -> &mut ChaCha8Rng {
        let (streams, attempt) = self.openings.attempts[self.lane];
        let drawn = std::mem::replace(&mut self.drawn, WORDS);
        self.rest.get_or_insert_with(|| {
            let mut rng = streams.generator(attempt);
            rng.set_word_pos(drawn as u128);
            Box::new(rng)
        })
    }
}

impl TryRng for Opened<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.take().map_or_else(|| self.rest().next_u32(), |[word]| word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let both = self.take().map(|[low, high]| u64::from(high) << 32 | u64::from(low));
        Ok(both.unwrap_or_else(|| self.rest().next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rest().fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_attempt_draws_what_its_own_stream_has(
            seed: u64, attempts: [u64; LANES], draws in prop::collection::vec(0..3, 0..60),
        ) {
            let all = [1, 2, 3, 4].map(|round| Streams::new(seed, round, "a.py"));
            let both = array::from_fn(|lane| (&all[lane], attempts[lane]));
            let openings = Openings::of(both);
            for (lane, (streams, attempt)) in both.into_iter().enumerate() {
                let (mut one, mut other) = (openings.attempt(lane), streams.attempt(attempt));
                for draw in &draws {
                    match draw {
                        0 => prop_assert_eq!(one.next_u32(), other.next_u32()),
                        1 => prop_assert_eq!(one.next_u64(), other.next_u64()),
                        _ => {
                            let mut bytes = [[0; 5]; 2];
                            one.fill_bytes(&mut bytes[0]);
                            other.fill_bytes(&mut bytes[1]);
                            prop_assert_eq!(bytes[0], bytes[1]);
                        }
                    }
                }
            }
        }
    }
}
