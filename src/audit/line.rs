//! A record as a line of JSON, written by hand: this is most of the work of a mutation.
//!
//! It is what serde would write (a test holds it), and takes less: what the lines of one target have in common is put
//! together once a second, and what those of one outcome have in common once.

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

/// The last line of a target as far as its new value. The next one has another time and number in it, and seldom more.
#[derive(Debug, Default)]
struct Template {
    text: Vec<u8>,
    /// Where the mutation's number stands.
    id_at: usize,
    /// What of a record it depends on; none where there is no text, or a parent in it.
    made_for: Option<Common>,
}

/// What the lines of one target have in common for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Common {
    second: i64,
    round: u32,
    id_digits: usize,
    old_value: Number,
    /// 0 and -0 are equal, and another text.
    is_negative: bool,
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
        self.write_head(record, target, line);
        write_number(record.new_value, line);
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

    /// As far as the new value.
    fn write_head(&mut self, record: &Record<'_>, target: usize, line: &mut Vec<u8>) {
        if record.timestamp.seconds() != self.second {
            self.begin_second(record.timestamp);
        }
        if self.templates.len() <= target {
            self.templates.resize_with(target + 1, Template::default);
        }
        let template = &mut self.templates[target];
        let Record { round, old_value, .. } = *record;
        let mut room = itoa::Buffer::new();
        let mut id: &[u8] = &six_digits(record.mutation_id.0);
        if record.mutation_id.0 >= 1_000_000 {
            id = room.format(record.mutation_id.0).as_bytes();
        }
        let is_negative = old_value.to_f64().is_sign_negative();
        let common =
            Common { second: self.second, round, id_digits: id.len(), old_value, is_negative };
        if template.made_for != Some(common) {
            template.make(&self.date, id, record);
            template.made_for = record.parent.is_none().then_some(common);
        }
        let line_at = line.len();
        line.extend_from_slice(&template.text);
        let line = &mut line[line_at..];
        let micros = record.timestamp.micros().rem_euclid(1_000_000).unsigned_abs();
        line[self.date.len()..][..6].copy_from_slice(&six_digits(micros));
        line[template.id_at..][..id.len()].copy_from_slice(id);
    }

    fn begin_second(&mut self, time: Timestamp) {
        self.second = time.seconds();
        self.date.clear();
        self.date.extend_from_slice(b"{\"timestamp\":\"");
        let date = time.to_string();
        self.date.extend_from_slice(&date.as_bytes()[.."2026-11-23T02:00:00.".len()]);
    }
}

impl Template {
    fn make(&mut self, date: &[u8], id: &[u8], record: &Record<'_>) {
        let text = &mut self.text;
        text.clear();
        text.extend_from_slice(date);
        text.extend_from_slice(b"000000Z\",\"batch_id\":\"");
        text.extend_from_slice(record.batch_id.as_str().as_bytes());
        text.extend_from_slice(b"\",\"mutation_id\":\"");
        text.extend_from_slice(MutationId::PREFIX.as_bytes());
        self.id_at = text.len();
        text.extend_from_slice(id);
        text.extend_from_slice(b"\",\"round\":");
        write_int(record.round.into(), text);
        text.extend_from_slice(b",\"strategy\":");
        write_text(&record.strategy, text);
        text.extend_from_slice(b",\"line\":");
        write_int(record.line.into(), text);
        text.extend_from_slice(b",\"parameter\":");
        write_text(&record.parameter, text);
        text.extend_from_slice(b",\"operator\":\"");
        text.extend_from_slice(record.operator.as_str().as_bytes());
        text.extend_from_slice(b"\",\"variant\":");
        write_optional_text(record.variant.as_deref(), text);
        text.extend_from_slice(b",\"parent\":");
        write_optional_text(record.parent.as_deref(), text);
        text.extend_from_slice(b",\"old_value\":");
        write_number(record.old_value, text);
        text.extend_from_slice(b",\"new_value\":");
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
        write_number(one.old_value, line);
        line.extend_from_slice(b",\"new_value\":");
        write_number(one.new_value, line);
        line.extend_from_slice(b",\"clamped\":");
        line.extend_from_slice(bool_text(one.clamped));
        line.push(b'}');
        opening = b",";
    }
    if !also.is_empty() {
        line.push(b']');
    }
}

/// The last six digits, with leading zeros.
fn six_digits(number: u64) -> [u8; 6] {
    let [_, _, digits @ ..] = (eight_digits(number % 1_000_000) | ZEROS).to_le_bytes();
    digits
}

const ZEROS: u64 = u64::from_le_bytes(*b"00000000");

/// The digits of a number below 10^8, a byte for each, the first one lowest. They are parted in halves, all at once,
/// and not one after the other: there are four such numbers in a line.
const fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // Division by 100 and by 10, exact for four digits and for two.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// Milliseconds with up to six decimals: the very digits of the nanoseconds.
fn write_optional_millis(duration: Option<Millis>, line: &mut Vec<u8>) {
    match duration {
        Some(duration) => write_millionths(duration.nanos(), line),
        None => line.extend_from_slice(b"null"),
    }
}

/// As serde writes it.
fn write_number(number: Number, line: &mut Vec<u8>) {
    match number {
        Number::Float(value) => match millionths(value.abs()) {
            Some(count) => {
                if value.is_sign_negative() {
                    line.push(b'-');
                }
                write_millionths(count, line);
            }
            None => write_json(&value, line),
        },
        Number::Int(value) => line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// How many millionths a number is, where that is its shortest text: nearly always, and sooner found than the
/// shortest text of any double (`cargo bench --bench pieces -- records`).
fn millionths(value: f64) -> Option<u64> {
    // Of up to fifteen digits no two are the same double. Less than ten millionths are written with an exponent.
    const FIFTEEN_DIGITS: u64 = 1_000_000_000_000_000;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and NaN is 0"
    )]
    let count = (value * 1e6 + 0.5) as u64;
    let is_short = count == 0 || (10..FIFTEEN_DIGITS).contains(&count);
    #[expect(clippy::float_cmp, reason = "the very double")]
    let is_exact = count as f64 / 1e6 == value;
    (is_short && is_exact).then_some(count)
}

/// With one to six decimals.
fn write_millionths(count: u64, line: &mut Vec<u8>) {
    match count / 1_000_000 {
        0 => line.push(b'0'),
        whole => write_int(whole, line),
    }
    let digits = eight_digits(count % 1_000_000);
    let mut text = (digits | ZEROS).to_le_bytes();
    text[1] = b'.';
    line.extend_from_slice(&text[1..]);
    let zeros = digits.leading_zeros() / 8;
    line.truncate(line.len() - zeros.min(5) as usize);
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
        let decimals = (any::<i64>(), 0..64_u32, 0..9)
            .prop_map(|(number, shift, scale)| (number >> shift) as f64 / 10_f64.powi(scale));
        prop_oneof![
            any::<i64>().prop_map(Number::Int),
            any::<f64>().prop_map(Number::Float),
            decimals.prop_map(Number::Float)
        ]
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

    #[test]
    fn a_zero_keeps_its_sign() {
        let id = "20261123T020000Z-7f3a9c".parse().unwrap();
        let mut writer = LineWriter::new();
        for value in [0.0, -0.0, 0.0].map(Number::Float) {
            let mut line = Vec::new();
            let sample = crate::record::tests::sample(Cow::Borrowed(&id));
            let record = Record { old_value: value, new_value: value, ..sample };
            writer.write(&record, 0, &mut line);
            let serdes = serde_json::to_string(&record).unwrap() + "\n";
            assert_eq!(String::from_utf8(line).unwrap(), serdes);
        }
    }

    #[test]
    fn all_numbers_of_six_digits_are_written() {
        for number in 0..1_000_000 {
            assert_eq!(six_digits(number), format!("{number:06}").as_bytes());
        }
        assert_eq!(eight_digits(98_765_432).to_le_bytes(), [9, 8, 7, 6, 5, 4, 3, 2]);
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
