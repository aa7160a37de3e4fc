//! One attempt: propose, render the literal, read it back. The hot path; nothing here allocates.

use super::BatchPlan;
use super::turns::Turns;
use crate::mutation::Streams;
use crate::record::{Millis, Outcome};
use crate::units::{Decimal, Kind, Number};
use std::time::Instant;

/// What one attempt gave, small enough to be handed between threads by the thousand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempted {
    /// Index into the plan's strategies.
    pub(super) strategy: u32,
    /// Index into the strategy's targets.
    pub(super) target: u32,
    /// Proposed; the value in the source where nothing changed.
    pub(super) value: Decimal,
    pub(super) outcome: Outcome,
    pub(super) clamped: bool,
    pub(super) ended: Instant,
    pub(super) duration: Millis,
}

/// Makes the attempts of one round. Each has a random stream of its own, so it is the same
/// whichever thread makes it, and whichever came before.
pub(super) struct Proposer<'a> {
    plan: &'a BatchPlan,
    /// By index into the plan's usable strategies.
    streams: &'a [Streams],
    turns: Turns,
    text: String,
}

/// The streams of a round, by index into the plan's usable strategies.
pub(super) fn streams(plan: &BatchPlan, round: u32) -> Vec<Streams> {
    let names = plan.usable().iter().map(|index| &plan.strategies[*index].name);
    names.map(|name| Streams::new(plan.seed, round, name)).collect()
}

impl<'a> Proposer<'a> {
    /// For `round`, from 1. The plan has a usable strategy.
    pub(super) fn new(plan: &'a BatchPlan, streams: &'a [Streams], round: u32) -> Self {
        let turns = Turns::new(plan.usable().len(), round, plan.mutations_per_round);
        Self { plan, streams, turns, text: String::with_capacity(64) }
    }

    /// The round's attempt number `index`, from 0.
    pub(super) fn attempt(&mut self, index: u32) -> Attempted {
        let started = Instant::now();
        let usable = self.plan.usable();
        let (slot, number) = self.turns.of(index);
        let strategy = &self.plan.strategies[usable[slot]];
        let mut random = self.streams[slot].attempt(number);
        let target = strategy.weights().map_or(0, |weights| weights.pick(&mut random));
        let chosen = &strategy.targets[target];
        let proposal = chosen.mutator.propose(chosen.value.to_f64(), &mut random);
        let outcome = if proposal.changed {
            let digits = chosen.site.render(proposal.value, &mut self.text);
            if reads_as(&self.text, digits, proposal.value, chosen.mutator.domain().kind()) {
                Outcome::Success
            } else {
                Outcome::InvalidSource
            }
        } else {
            Outcome::NoChange
        };
        let ended = Instant::now();
        Attempted {
            strategy: index_of(usable[slot]),
            target: index_of(target),
            value: proposal.value,
            outcome,
            clamped: proposal.clamped,
            ended,
            duration: Millis::from(ended.duration_since(started)),
        }
    }
}

/// A proposed value as it stands in a record.
pub(super) fn number(value: Decimal, kind: Kind) -> Number {
    match kind {
        Kind::Float => Number::Float(value.to_f64()),
        Kind::Int => value.to_int().map_or(Number::Float(value.to_f64()), Number::Int),
    }
}

/// Whether Python reads the rendered piece, sign and number, as exactly `value`. Nothing else of
/// the file changes, so this decides for all of it; what gets written is parsed whole as well.
///
/// The number starts at byte `start`: between it and the sign may stand anything that Python lets.
fn reads_as(piece: &str, start: usize, value: Decimal, kind: Kind) -> bool {
    let Some(number) = piece.get(start..) else { return false };
    // Rust would read a second sign, which is none of Python's number.
    if number.starts_with(['-', '+']) {
        return false;
    }
    let negative = piece.starts_with('-');
    let mut digits = [0_u8; 80];
    let Some(text) = without_underscores(number, &mut digits) else { return false };
    match kind {
        Kind::Int => {
            let read = text.parse::<i64>().map(|read| if negative { -read } else { read });
            read.ok() == value.to_int()
        }
        Kind::Float => {
            let read = text.parse::<f64>().map(|read| if negative { -read } else { read });
            read.is_ok_and(|read| read.to_bits() == value.to_f64().to_bits())
        }
    }
}

/// Rust reads no underscores. Almost no literal has them.
fn without_underscores<'a>(number: &'a str, digits: &'a mut [u8; 80]) -> Option<&'a str> {
    if !number.as_bytes().contains(&b'_') {
        return Some(number);
    }
    let mut length = 0;
    for byte in number.bytes().filter(|byte| *byte != b'_') {
        *digits.get_mut(length)? = byte;
        length += 1;
    }
    std::str::from_utf8(&digits[..length]).ok()
}

/// Strategies and targets are far fewer than 2^32.
fn index_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{PythonVersion, Source};

    #[test]
    fn a_rendered_number_is_read_back_whatever_stands_after_its_sign() {
        let mut piece = String::new();
        for gap in [
            "",
            " ",
            "\t",
            "\x0c",
            "\\\n",
            " \\\r\n ",
            "(",
            " ( (",
            "(\n",
            "(  # why -1\n ",
            "(# 0.5\n\n\t",
        ] {
            let close = ")".repeat(gap.matches('(').count());
            for (sign, digits) in
                [("-", "0.10"), ("+", "0.10"), ("-", "5"), ("-", ".5"), ("-", "1_0.0e-1")]
            {
                let text = format!("x = {sign}{gap}{digits}{close}\n");
                let source = Source::parse(text.clone().into(), PythonVersion::default()).unwrap();
                let site = source.site(&"x".parse().unwrap(), None).unwrap();
                let kind = if digits == "5" { Kind::Int } else { Kind::Float };
                for value in [Decimal::new(-12, 0), Decimal::new(7, 0), Decimal::new(0, 0)] {
                    let value = value.unwrap();
                    let start = site.render(value, &mut piece);
                    assert!(reads_as(&piece, start, value, kind), "{text:?} gave {piece:?}");
                    let other = Decimal::new(value.mantissa() + 1, 0).unwrap();
                    assert!(!reads_as(&piece, start, other, kind), "{text:?} gave {piece:?}");
                }
            }
        }
    }

    #[test]
    fn a_piece_with_another_sign_or_start_is_not_read() {
        let value = Decimal::new(12, 2).unwrap();
        assert!(reads_as("+ 0.12", 2, value, Kind::Float));
        for (piece, start) in [("-0.12", 1), ("+0.12", 0), ("0.12", 2), ("0.12", 4), ("0.12", 9)] {
            assert!(!reads_as(piece, start, value, Kind::Float), "{piece} {start}");
        }
    }
}
