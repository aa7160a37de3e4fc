//! A record as a line of JSON, written by hand: this is most of the work of a mutation.
//!
//! The result is, byte for byte, what serde writes (a test holds it). It is quicker because the
//! date is formatted once a second and no field name goes through a serializer.

use crate::record::Record;
use crate::units::{MutationId, Timestamp};
use std::io::Write as _;

/// Writes records as lines, remembering the second it is in.
#[derive(Debug)]
pub(super) struct LineWriter {
    second: i64,
    /// `2026-11-23T02:00:00`
    date: String,
}

impl LineWriter {
    pub(super) const fn new() -> Self {
        Self { second: i64::MIN, date: String::new() }
    }

    /// Appends the record and a newline.
    pub(super) fn write(&mut self, record: &Record<'_>, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"timestamp\":\"");
        self.write_time(record.timestamp, line);
        line.extend_from_slice(b"\",\"batch_id\":\"");
        line.extend_from_slice(record.batch_id.as_str().as_bytes());
        line.extend_from_slice(b"\",\"mutation_id\":\"");
        write_id(record.mutation_id, line);
        line.extend_from_slice(b"\",\"round\":");
        write_int(record.round.into(), line);
        line.extend_from_slice(b",\"strategy\":");
        write_text(&record.strategy, line);
        line.extend_from_slice(b",\"line\":");
        write_int(record.line.into(), line);
        line.extend_from_slice(b",\"parameter\":");
        write_text(&record.parameter, line);
        line.extend_from_slice(b",\"operator\":\"");
        line.extend_from_slice(record.operator.as_str().as_bytes());
        line.extend_from_slice(b"\",\"variant\":");
        write_optional_text(record.variant.as_deref(), line);
        line.extend_from_slice(b",\"parent\":");
        write_optional_text(record.parent.as_deref(), line);
        line.extend_from_slice(b",\"old_value\":");
        write_json(&record.old_value, line);
        line.extend_from_slice(b",\"new_value\":");
        write_json(&record.new_value, line);
        line.extend_from_slice(b",\"clamped\":");
        write_bool(record.clamped, line);
        line.extend_from_slice(b",\"outcome\":\"");
        line.extend_from_slice(record.outcome.as_str().as_bytes());
        line.extend_from_slice(b"\",\"success\":");
        write_bool(record.success, line);
        line.extend_from_slice(b",\"validation_passed\":");
        write_bool(record.validation_passed, line);
        line.extend_from_slice(b",\"error\":");
        write_optional_text(record.error.as_deref(), line);
        line.extend_from_slice(b",\"fitness\":");
        write_json(&record.fitness, line);
        line.extend_from_slice(b",\"duration_ms\":");
        write_json(&record.duration, line);
        line.extend_from_slice(b",\"evaluation_ms\":");
        write_json(&record.evaluation, line);
        line.extend_from_slice(b"}\n");
    }

    fn write_time(&mut self, time: Timestamp, line: &mut Vec<u8>) {
        if time.seconds() != self.second {
            self.second = time.seconds();
            self.date = time.to_string();
            self.date.truncate("2026-11-23T02:00:00".len());
        }
        line.extend_from_slice(self.date.as_bytes());
        line.push(b'.');
        write_padded(time.micros().rem_euclid(1_000_000).unsigned_abs(), line);
        line.push(b'Z');
    }
}

fn write_id(id: MutationId, line: &mut Vec<u8>) {
    line.extend_from_slice(MutationId::PREFIX.as_bytes());
    if id.0 < 1_000_000 {
        write_padded(id.0, line);
    } else {
        write_int(id.0, line);
    }
}

/// Six digits with leading zeros; `number` is less than a million.
fn write_padded(number: u64, line: &mut Vec<u8>) {
    let mut digits = [b'0'; 6];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    line.extend_from_slice(&digits);
}

fn write_int(number: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

const fn bool_text(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

fn write_bool(value: bool, line: &mut Vec<u8>) {
    line.extend_from_slice(bool_text(value));
}

fn write_optional_text(text: Option<&str>, line: &mut Vec<u8>) {
    match text {
        Some(text) => write_text(text, line),
        None => line.extend_from_slice(b"null"),
    }
}

fn write_text(text: &str, line: &mut Vec<u8>) {
    let plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    if text.as_bytes().iter().all(plain) {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    } else {
        write_json(text, line);
    }
}

fn write_json<T: serde::Serialize + ?Sized>(value: &T, line: &mut Vec<u8>) {
    let before = line.len();
    if serde_json::to_writer(&mut *line, value).is_err() {
        // Numbers, text and null always can be written to memory.
        line.truncate(before);
        let _ = line.write_all(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Operator;
    use crate::record::{Millis, Outcome};
    use crate::units::Number;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn numbers() -> impl Strategy<Value = Number> {
        prop_oneof![any::<i64>().prop_map(Number::Int), any::<f64>().prop_map(Number::Float)]
    }

    prop_compose! {
        fn records()(
            (micros, id, round, line) in (-1_i64 << 50..1 << 52, any::<u64>(), any::<u32>(), any::<u32>()),
            (strategy, parameter, error) in (".*", ".*", proptest::option::of(".*")),
            (variant, parent) in (proptest::option::of("[a-z\"]*"), proptest::option::of("[a-z_0-9]*")),
            (old_value, new_value, fitness) in (numbers(), numbers(), proptest::option::of(any::<f64>())),
            (nanos, evaluation, clamped) in (any::<u64>(), proptest::option::of(any::<u64>()), any::<bool>()),
            (outcome, operator) in (0..Outcome::ALL.len(), 0..Operator::ALL.len()),
        ) -> Record<'static> {
            let outcome = Outcome::ALL[outcome];
            Record {
                timestamp: Timestamp::from_micros(micros),
                batch_id: Cow::Owned("20261123T020000Z-7f3a9c".parse().unwrap()),
                mutation_id: MutationId(id),
                round, strategy: strategy.into(), line, parameter: parameter.into(),
                operator: Operator::ALL[operator],
                variant: variant.map(Cow::Owned), parent: parent.map(Cow::Owned),
                old_value, new_value, clamped, outcome,
                success: outcome.is_success(), validation_passed: outcome.is_valid(),
                error: error.map(Cow::Owned), fitness,
                duration: Millis::from_nanos(nanos), evaluation: evaluation.map(Millis::from_nanos),
            }
        }
    }

    proptest! {
        #[test]
        fn a_line_is_what_serde_writes(records in prop::collection::vec(records(), 1..4)) {
            let mut writer = LineWriter::new();
            let mut ours = Vec::new();
            let mut serdes = Vec::new();
            for record in &records {
                writer.write(record, &mut ours);
                serde_json::to_writer(&mut serdes, record).unwrap();
                serdes.push(b'\n');
            }
            prop_assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(serdes).unwrap());
        }
    }
}
