//! A record as a line of JSON, written by hand: this is most of the work of a mutation.
//!
//! It is what serde would write (a test holds it), and takes less: the date is formatted once a second, what the lines
//! of one target have in common once a round, and what those of one outcome have in common once.

use crate::record::{Also, Millis, Outcome, Record};
use crate::units::{MutationId, Number, Timestamp};

/// Writes records as lines.
#[derive(Debug)]
pub(super) struct LineWriter {
    second: i64,
    /// `{"timestamp":"2026-11-23T02:00:00.`
    date: Vec<u8>,
    /// By target.
    templates: Vec<Template>,
    /// From the new value to the duration, where there was neither error nor evaluation; by outcome.
    verdicts: [[Vec<u8>; 2]; Outcome::ALL.len()],
}

/// What the lines of one target have in common in one round.
#[derive(Debug, Default)]
struct Template {
    /// None until it is made.
    round: Option<u32>,
    /// From the time to the mutation's number.
    head: Vec<u8>,
    /// From the mutation's number to the parent.
    middle: Vec<u8>,
    /// The last old value, and its text with what is around it.
    old_value: Option<Number>,
    old_text: Vec<u8>,
}

impl LineWriter {
    pub(super) fn new() -> Self {
        let verdicts = Outcome::ALL.map(|outcome| {
            [false, true].map(|clamped| {
                let mut verdict = Vec::new();
                write_verdict(outcome, clamped, None, None, &mut verdict);
                verdict
            })
        });
        Self { second: i64::MIN, date: Vec::new(), templates: Vec::new(), verdicts }
    }

    /// Makes the templates anew.
    pub(super) fn forget(&mut self) {
        self.templates.clear();
    }

    /// Appends the record and a newline. Records of the same `target` (for a variant it is another)
    /// and round have batch, strategy, line, parameter, operator and variant in common.
    pub(super) fn write(&mut self, record: &Record<'_>, target: usize, line: &mut Vec<u8>) {
        self.write_time(record.timestamp, line);
        if self.templates.len() <= target {
            self.templates.resize_with(target + 1, Template::default);
        }
        let template = &mut self.templates[target];
        if template.round != Some(record.round) {
            template.make(record);
        }
        line.extend_from_slice(&template.head);
        write_id(record.mutation_id, line);
        line.extend_from_slice(&template.middle);
        write_optional_text(record.parent.as_deref(), line);
        template.write_old_value(record.old_value, line);
        write_json(&record.new_value, line);
        let Record { outcome, clamped, fitness, .. } = *record;
        match (&record.error, fitness) {
            (None, None) => {
                line.extend_from_slice(&self.verdicts[outcome as usize][usize::from(clamped)]);
            }
            (error, fitness) => write_verdict(outcome, clamped, error.as_deref(), fitness, line),
        }
        write_optional_millis(record.duration, line);
        line.extend_from_slice(b",\"evaluation_ms\":");
        write_optional_millis(record.evaluation, line);
        write_also(&record.also, line);
        line.extend_from_slice(b"}\n");
    }

    fn write_time(&mut self, time: Timestamp, line: &mut Vec<u8>) {
        if time.seconds() != self.second {
            self.second = time.seconds();
            self.date.clear();
            self.date.extend_from_slice(b"{\"timestamp\":\"");
            let date = time.to_string();
            self.date.extend_from_slice(&date.as_bytes()[.."2026-11-23T02:00:00.".len()]);
        }
        line.extend_from_slice(&self.date);
        line.extend_from_slice(&six_digits(time.micros().rem_euclid(1_000_000).unsigned_abs()));
    }
}

impl Template {
    fn make(&mut self, record: &Record<'_>) {
        self.round = Some(record.round);
        self.head.clear();
        self.head.extend_from_slice(b"Z\",\"batch_id\":\"");
        self.head.extend_from_slice(record.batch_id.as_str().as_bytes());
        self.head.extend_from_slice(b"\",\"mutation_id\":\"");
        self.head.extend_from_slice(MutationId::PREFIX.as_bytes());
        let middle = &mut self.middle;
        middle.clear();
        middle.extend_from_slice(b"\",\"round\":");
        write_int(record.round.into(), middle);
        middle.extend_from_slice(b",\"strategy\":");
        write_text(&record.strategy, middle);
        middle.extend_from_slice(b",\"line\":");
        write_int(record.line.into(), middle);
        middle.extend_from_slice(b",\"parameter\":");
        write_text(&record.parameter, middle);
        middle.extend_from_slice(b",\"operator\":\"");
        middle.extend_from_slice(record.operator.as_str().as_bytes());
        middle.extend_from_slice(b"\",\"variant\":");
        write_optional_text(record.variant.as_deref(), middle);
        middle.extend_from_slice(b",\"parent\":");
    }

    /// Without selection it is the value in the source, again and again.
    fn write_old_value(&mut self, value: Number, line: &mut Vec<u8>) {
        if self.old_value != Some(value) {
            self.old_value = Some(value);
            self.old_text.clear();
            self.old_text.extend_from_slice(b",\"old_value\":");
            write_json(&value, &mut self.old_text);
            self.old_text.extend_from_slice(b",\"new_value\":");
        }
        line.extend_from_slice(&self.old_text);
    }
}

/// From the new value to the duration.
fn write_verdict(
    outcome: Outcome,
    clamped: bool,
    error: Option<&str>,
    fitness: Option<f64>,
    line: &mut Vec<u8>,
) {
    line.extend_from_slice(b",\"clamped\":");
    line.extend_from_slice(bool_text(clamped));
    line.extend_from_slice(b",\"outcome\":\"");
    line.extend_from_slice(outcome.as_str().as_bytes());
    line.extend_from_slice(b"\",\"success\":");
    line.extend_from_slice(bool_text(outcome.is_success()));
    line.extend_from_slice(b",\"validation_passed\":");
    line.extend_from_slice(bool_text(outcome.is_valid()));
    line.extend_from_slice(b",\"error\":");
    write_optional_text(error, line);
    line.extend_from_slice(b",\"fitness\":");
    match fitness {
        Some(fitness) => write_json(&fitness, line),
        None => line.extend_from_slice(b"null"),
    }
    line.extend_from_slice(b",\"duration_ms\":");
}

/// Nothing where the record's own parameter is all that changed.
fn write_also(also: &[Also<'_>], line: &mut Vec<u8>) {
    let mut opening: &[u8] = b",\"also\":[";
    for one in also {
        line.extend_from_slice(opening);
        line.extend_from_slice(b"{\"parameter\":");
        write_text(&one.parameter, line);
        line.extend_from_slice(b",\"line\":");
        write_int(one.line.into(), line);
        line.extend_from_slice(b",\"operator\":\"");
        line.extend_from_slice(one.operator.as_str().as_bytes());
        line.extend_from_slice(b"\",\"old_value\":");
        write_json(&one.old_value, line);
        line.extend_from_slice(b",\"new_value\":");
        write_json(&one.new_value, line);
        line.extend_from_slice(b",\"clamped\":");
        line.extend_from_slice(bool_text(one.clamped));
        line.push(b'}');
        opening = b",";
    }
    if !also.is_empty() {
        line.push(b']');
    }
}

fn write_id(id: MutationId, line: &mut Vec<u8>) {
    if id.0 < 1_000_000 {
        line.extend_from_slice(&six_digits(id.0));
    } else {
        write_int(id.0, line);
    }
}

/// Six digits with leading zeros; `number` is less than a million.
fn six_digits(number: u64) -> [u8; 6] {
    // Not one after the other, each from what the one before left.
    let pairs = [number / 10_000, number / 100 % 100, number % 100];
    let mut digits = [b'0'; 6];
    for (two, pair) in digits.chunks_exact_mut(2).zip(pairs) {
        let pair = u8::try_from(pair).unwrap_or(0);
        two[0] += pair / 10;
        two[1] += pair % 10;
    }
    digits
}

fn write_optional_millis(duration: Option<Millis>, line: &mut Vec<u8>) {
    match duration {
        Some(duration) => write_millis(duration, line),
        None => line.extend_from_slice(b"null"),
    }
}

/// Milliseconds with up to six decimals: the very digits of the nanoseconds.
fn write_millis(duration: Millis, line: &mut Vec<u8>) {
    write_int(duration.nanos() / 1_000_000, line);
    line.push(b'.');
    let decimals = six_digits(duration.nanos() % 1_000_000);
    let zeros = decimals.iter().rev().take(5).take_while(|digit| **digit == b'0').count();
    line.extend_from_slice(&decimals[..decimals.len() - zeros]);
}

fn write_int(number: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

const fn bool_text(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
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
        // Numbers and text always can be written to memory.
        line.truncate(before);
        line.extend_from_slice(b"null");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::Operator;
    use crate::record::{Also, Millis, Outcome};
    use crate::units::Number;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn numbers() -> impl Strategy<Value = Number> {
        prop_oneof![any::<i64>().prop_map(Number::Int), any::<f64>().prop_map(Number::Float)]
    }

    prop_compose! {
        fn also()(
            (parameter, line, clamped) in (".*", any::<u32>(), any::<bool>()),
            (old_value, new_value, operator) in (numbers(), numbers(), 0..Operator::ALL.len()),
        ) -> Also<'static> {
            let operator = Operator::ALL[operator];
            Also { parameter: parameter.into(), line, operator, old_value, new_value, clamped }
        }
    }

    prop_compose! {
        pub(in crate::audit) fn records()(
            (micros, id, round, line) in (-1_i64 << 50..1 << 52, any::<u64>(), any::<u32>(), any::<u32>()),
            (strategy, parameter, error) in (".*", ".*", proptest::option::of(".*")),
            (variant, parent) in (proptest::option::of("[a-z\"]*"), proptest::option::of("[a-z_0-9]*")),
            (old_value, new_value, fitness) in (numbers(), numbers(), proptest::option::of(any::<f64>())),
            (nanos, evaluation, clamped) in (proptest::option::of(any::<u64>()), proptest::option::of(any::<u64>()), any::<bool>()),
            (outcome, operator) in (0..Outcome::ALL.len(), 0..Operator::ALL.len()),
            also in prop::collection::vec(also(), 0..3),
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
                duration: nanos.map(Millis::from_nanos), evaluation: evaluation.map(Millis::from_nanos), also,
            }
        }
    }

    proptest! {
        #[test]
        fn a_line_is_what_serde_writes(records in prop::collection::vec(records(), 1..4)) {
            let mut writer = LineWriter::new();
            for (target, record) in records.iter().enumerate() {
                // Twice: made, and from the template.
                for _ in 0..2 {
                    let mut ours = Vec::new();
                    writer.write(record, target, &mut ours);
                    let ours = String::from_utf8(ours).unwrap();
                    let serdes = serde_json::to_string(record).unwrap() + "\n";
                    prop_assert_eq!(plain(&ours), plain(&serdes));
                    let read: Record<'_> = serde_json::from_str(&ours).unwrap();
                    prop_assert_eq!(&read.duration, &record.duration);
                }
            }
        }
    }

    /// With the two durations, which serde may write as 1e-6, taken out.
    fn plain(line: &str) -> String {
        let (start, rest) = line.rsplit_once("\"duration_ms\":").unwrap();
        let (duration, end) = rest.split_once(",\"evaluation_ms\":").unwrap();
        let rest = end.find([',', '}']).unwrap();
        let kind = |text: &str| if text == "null" { "null" } else { "number" };
        format!("{start}{} {}{}", kind(duration), kind(&end[..rest]), &end[rest..])
    }
}
