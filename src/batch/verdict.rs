//! What becomes of proposed values before anybody runs them: constraints, then the literals read back.

use super::BatchPlan;
use super::planned::PlannedStrategy;
use crate::evolution::Constraint;
use crate::record::Outcome;
use crate::units::{Decimal, Kind, Number};

/// A parameter's new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Index into the strategy's targets.
    pub(super) target: u32,
    /// Proposed; the value before where nothing changed.
    pub(super) value: Decimal,
    /// The proposal had left its bounds.
    pub(super) clamped: bool,
}

/// What became of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `success`, `constraint_violated` or `invalid_source`.
    pub(super) outcome: Outcome,
    /// Index of the constraint that does not hold.
    pub(super) rule: Option<usize>,
}

/// Why an attempt came to nothing, in the words of a record, where its outcome says all of it.
pub(super) const fn in_words(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::NoChange => Some("ten redraws gave the value that was there before"),
        Outcome::Duplicate => Some("ten redraws gave values that were evaluated before"),
        Outcome::InvalidSource => Some("the rendered literal does not read as the value"),
        Outcome::Success
        | Outcome::ConstraintViolated
        | Outcome::EvaluatorFailed
        | Outcome::EvaluatorTimeout
        | Outcome::EvaluatorOutputInvalid
        | Outcome::Failed => None,
    }
}

/// A constraint that does not hold, in the words of a record.
pub(super) fn broken(rule: &Constraint) -> String {
    format!("the constraint `{rule}` does not hold")
}

/// Judges the candidate that `changes` make of a parent, whose values `parent` gives by target.
///
/// `text` is room for the literals. Nothing is allocated where there are no constraints.
pub(super) fn judge(
    plan: &BatchPlan,
    strategy: &PlannedStrategy,
    parent: impl Fn(usize) -> Number,
    changes: &[Change],
    text: &mut String,
) -> Verdict {
    let value = |target: usize| {
        let change = changes.iter().find(|change| change.target as usize == target);
        change.map_or_else(
            || parent(target),
            |change| Number::of(change.value, strategy.targets[target].mutator.domain().kind()),
        )
    };
    if let Some(rule) = strategy.violated(&plan.constraints, value) {
        return Verdict { outcome: Outcome::ConstraintViolated, rule: Some(rule) };
    }
    let valid = changes.iter().all(|change| {
        let target = &strategy.targets[change.target as usize];
        let digits = target.site.render(change.value, text);
        reads_as(text, digits, change.value, target.mutator.domain().kind())
    });
    let outcome = if valid { Outcome::Success } else { Outcome::InvalidSource };
    Verdict { outcome, rule: None }
}

/// Whether Python reads the rendered piece, sign and number, as exactly `value`. Nothing else of
/// the file changes, so this decides for all of it; what gets written is parsed whole as well.
///
/// The number starts at byte `start`: between it and the sign may stand anything that Python lets.
pub(super) fn reads_as(piece: &str, start: usize, value: Decimal, kind: Kind) -> bool {
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
        // An int with a point is none of Python's.
        let fifty = Decimal::new(50, 1).unwrap();
        assert!(reads_as("5.0", 0, fifty, Kind::Float) && !reads_as("5.0", 0, fifty, Kind::Int));
        for (piece, start) in [("-0.12", 1), ("+0.12", 0), ("0.12", 2), ("0.12", 4), ("0.12", 9)] {
            assert!(!reads_as(piece, start, value, Kind::Float), "{piece} {start}");
        }
    }
}
