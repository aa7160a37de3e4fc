//! Reading a line as the journal writes it: the fields in their order, no blanks, texts without escapes.
//!
//! Reading an audit back is most of the work of `stats` and of a recovery. Of most lines all but the time, the number, the value
//! and the duration has been read before: as the writer writes it from a template, the reader takes it from what it knows.
//! What is not exactly such a line is left to `serde_json`, which alone decides what is a record and what is wrong with one.

use crate::mutation::Operator;
use crate::record::{Also, Millis, Outcome, Record};
use crate::units::{BatchId, MutationId, Number, Timestamp};
use std::borrow::Cow;
use std::ops::Range;

/// `2026-11-23T02:00:00`
const SECOND: usize = 19;
/// `20261123T020000Z-7f3a9c`
const BATCH: usize = 23;
/// So many digits always fit.
const DIGITS: usize = 18;

/// Reads lines, and remembers what they have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct LineReader {
    second: Option<Second>,
    batch: Option<BatchId>,
    /// In an evaluated log nearly all are new.
    targets: Known<Target, 96>,
    ends: Known<End, 32>,
}

impl LineReader {
    /// Reads the line that `text` begins with, hands what `serde_json` would read to `visit`, and gives the line's length,
    /// newline included. `None` where it is not written as the journal does, or is no record, or has no newline.
    #[inline]
    pub(super) fn read(
        &mut self,
        text: &[u8],
        visit: impl FnOnce(&Record<'_>, &[u8]),
    ) -> Option<usize> {
        let mut rest = Rest { text, at: 0 };
        rest.skip(b"{\"timestamp\":\"")?;
        let timestamp = timestamp(&mut self.second, &mut rest)?;
        rest.skip(b"Z\",\"batch_id\":\"")?;
        let batch_id = Cow::Borrowed(batch(&mut self.batch, &mut rest)?);
        rest.skip(b"\",\"mutation_id\":\"exit_mut_")?;
        let mutation_id = MutationId(rest.digits()?.0);
        let (said, target) = self.targets.read(&mut rest, Target::read)?;
        let new_value = rest.value()?;
        let (end_said, end) = self.ends.read(&mut rest, End::read)?;
        let duration = rest.or_null(Rest::millis)?;
        rest.skip(b",\"evaluation_ms\":")?;
        let evaluation = rest.or_null(Rest::millis)?;
        let also = rest.also()?;
        rest.skip(b"}\n")?;
        let part = |place: &Range<usize>| Cow::Borrowed(&said[place.clone()]);
        let record = Record {
            timestamp,
            batch_id,
            mutation_id,
            round: target.round,
            strategy: part(&target.strategy),
            line: target.line,
            parameter: part(&target.parameter),
            operator: target.operator,
            variant: target.variant.as_ref().map(part),
            parent: target.parent.as_ref().map(part),
            old_value: target.old_value,
            new_value,
            clamped: end.clamped,
            outcome: end.outcome,
            success: end.success,
            validation_passed: end.validation_passed,
            error: end.error.as_ref().map(|place| Cow::Borrowed(&end_said[place.clone()])),
            fitness: end.fitness,
            duration,
            evaluation,
            also,
        };
        visit(&record, &text[..rest.at]);
        Some(rest.at)
    }
}

/// The second of the line before.
#[derive(Clone, Debug)]
struct Second {
    text: [u8; SECOND],
    micros: i64,
}

impl Second {
    fn of(text: &[u8; SECOND]) -> Option<Self> {
        let whole = format!("{}.000000Z", str::from_utf8(text).ok()?);
        let time: Timestamp = whole.parse().ok()?;
        // A leap second, or a time that cannot be kept, is another one when it is written again.
        (time.to_string() == whole).then(|| Self { text: *text, micros: time.micros() })
    }
}

#[inline]
fn timestamp(known: &mut Option<Second>, rest: &mut Rest<'_>) -> Option<Timestamp> {
    let text: &[u8; SECOND] = rest.take()?;
    if known.as_ref().is_none_or(|known| known.text != *text) {
        *known = Some(Second::of(text)?);
    }
    let second = known.as_ref()?;
    rest.skip(b".")?;
    let (micros, 6) = rest.digits()? else { return None };
    Some(Timestamp::from_micros(second.micros + i64::try_from(micros).ok()?))
}

#[inline]
fn batch<'a>(known: &'a mut Option<BatchId>, rest: &mut Rest<'_>) -> Option<&'a BatchId> {
    let text: &[u8; BATCH] = rest.take()?;
    if known.as_ref().is_none_or(|known| known.as_str().as_bytes() != text) {
        *known = Some(str::from_utf8(text).ok()?.parse().ok()?);
    }
    known.as_ref()
}

/// What the lines of one target mostly have in common in one round: from the mutation's number to the new value.
#[derive(Clone, Debug)]
struct Target {
    round: u32,
    strategy: Range<usize>,
    line: u32,
    parameter: Range<usize>,
    operator: Operator,
    variant: Option<Range<usize>>,
    parent: Option<Range<usize>>,
    old_value: Number,
}

impl Target {
    fn read(rest: &mut Rest<'_>) -> Option<Self> {
        rest.skip(b"\",\"round\":")?;
        let round = rest.small()?;
        rest.skip(b",\"strategy\":")?;
        let strategy = rest.text()?;
        rest.skip(b",\"line\":")?;
        let line = rest.small()?;
        rest.skip(b",\"parameter\":")?;
        let parameter = rest.text()?;
        rest.skip(b",\"operator\":\"")?;
        let operator = rest.operator()?;
        rest.skip(b"\",\"variant\":")?;
        let variant = rest.or_null(Rest::text)?;
        rest.skip(b",\"parent\":")?;
        let parent = rest.or_null(Rest::text)?;
        rest.skip(b",\"old_value\":")?;
        let old_value = rest.value()?;
        // With it, for a number is the beginning of many others.
        rest.skip(b",\"new_value\":")?;
        Some(Self { round, strategy, line, parameter, operator, variant, parent, old_value })
    }
}

/// What comes of most attempts: from the new value to the duration.
#[derive(Clone, Debug)]
struct End {
    clamped: bool,
    outcome: Outcome,
    success: bool,
    validation_passed: bool,
    error: Option<Range<usize>>,
    fitness: Option<f64>,
}

impl End {
    fn read(rest: &mut Rest<'_>) -> Option<Self> {
        rest.skip(b",\"clamped\":")?;
        let clamped = rest.truth()?;
        rest.skip(b",\"outcome\":\"")?;
        let outcome = rest.outcome()?;
        rest.skip(b"\",\"success\":")?;
        let success = rest.truth()?;
        rest.skip(b",\"validation_passed\":")?;
        let validation_passed = rest.truth()?;
        rest.skip(b",\"error\":")?;
        let error = rest.or_null(Rest::text)?;
        rest.skip(b",\"fitness\":")?;
        let fitness = rest.or_null(Rest::number)?.map(Number::to_f64);
        rest.skip(b",\"duration_ms\":")?;
        Some(Self { clamped, outcome, success, validation_passed, error, fitness })
    }
}

/// Stretches of lines that were read, and what they say, each in the place that its first `WINDOW` bytes give it.
#[derive(Clone, Debug)]
struct Known<T, const WINDOW: usize> {
    places: Vec<Stretch<T>>,
}

#[derive(Clone, Debug)]
struct Stretch<T> {
    /// Empty where none was read yet.
    text: String,
    says: Option<T>,
}

impl<T, const WINDOW: usize> Default for Known<T, WINDOW> {
    fn default() -> Self {
        let none = || Stretch { text: String::new(), says: None };
        Self { places: std::iter::repeat_with(none).take(Self::PLACES).collect() }
    }
}

impl<T, const WINDOW: usize> Known<T, WINDOW> {
    const PLACES: usize = 256;
    /// So that what is remembered stays small, whatever somebody writes into a log.
    const LONGEST: usize = 4096;

    /// Takes a stretch off, and gives it with what it says; texts in it are told by their places in it.
    #[inline]
    fn read(
        &mut self,
        rest: &mut Rest<'_>,
        read: impl FnOnce(&mut Rest<'_>) -> Option<T>,
    ) -> Option<(&str, &T)> {
        let text = &rest.text[rest.at..];
        let stretch = &mut self.places[Self::place(text.first_chunk()?)];
        let length = stretch.text.len();
        if stretch.says.is_some() && text.get(..length) == Some(stretch.text.as_bytes()) {
            rest.at += length;
        } else {
            stretch.says = None;
            let mut inner = Rest { text, at: 0 };
            let says = read(&mut inner)?;
            (inner.at <= Self::LONGEST).then_some(())?;
            stretch.text.clear();
            stretch.text.push_str(str::from_utf8(&text[..inner.at]).ok()?);
            stretch.says = Some(says);
            rest.at += inner.at;
        }
        Some((&stretch.text, stretch.says.as_ref()?))
    }

    #[expect(clippy::cast_possible_truncation, reason = "eight bits are left")]
    #[inline]
    fn place(window: &[u8; WINDOW]) -> usize {
        // As `FxHasher` does, of rustc: a multiplication for each eight bytes.
        let hash = window.as_chunks().0.iter().fold(0_u64, |hash, bytes| {
            (hash.rotate_left(5) ^ u64::from_le_bytes(*bytes)).wrapping_mul(0x517c_c1b7_2722_0a95)
        });
        (hash >> (u64::BITS - Self::PLACES.ilog2())) as usize
    }
}

/// A text, and from where on it is still to be read. Each step takes its part off, or is `None` where something else stands there.
struct Rest<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Rest<'a> {
    #[inline]
    fn skip<const LENGTH: usize>(&mut self, text: &[u8; LENGTH]) -> Option<()> {
        (self.take::<LENGTH>()? == text).then_some(())
    }

    #[inline]
    fn take<const LENGTH: usize>(&mut self) -> Option<&'a [u8; LENGTH]> {
        let taken = self.text.get(self.at..)?.first_chunk()?;
        self.at += LENGTH;
        Some(taken)
    }

    #[inline]
    fn first(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[expect(clippy::option_option, reason = "null is one of the things that may stand there")]
    #[inline]
    fn or_null<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.first() == Some(b'n') {
            self.skip(b"null")?;
            return Some(None);
        }
        read(self).map(Some)
    }

    #[inline]
    fn truth(&mut self) -> Option<bool> {
        if self.first() == Some(b't') {
            self.skip(b"true")?;
            return Some(true);
        }
        self.skip(b"false")?;
        Some(false)
    }

    /// The place of a text without escapes; its quotes are taken off too.
    fn text(&mut self) -> Option<Range<usize>> {
        self.skip(b"\"")?;
        let begin = self.at;
        let rest = &self.text[begin..];
        let end = begin + rest.iter().position(|byte| ENDS_TEXT[usize::from(*byte)])?;
        self.at = end;
        self.skip(b"\"")?;
        Some(begin..end)
    }

    fn operator(&mut self) -> Option<Operator> {
        Operator::ALL.into_iter().find(|one| self.is_next(one.as_str()))
    }

    fn outcome(&mut self) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|one| self.is_next(one.as_str()))
    }

    fn is_next(&mut self, name: &str) -> bool {
        let is_next = self.text[self.at..].starts_with(name.as_bytes());
        self.at += if is_next { name.len() } else { 0 };
        is_next
    }

    /// Null is how JSON writes what is not a number.
    #[inline]
    fn value(&mut self) -> Option<Number> {
        Some(self.or_null(Self::number)?.unwrap_or(Number::Float(f64::NAN)))
    }

    /// At least one digit, and how many there are; with more than [`DIGITS`] the value is not theirs.
    #[inline]
    fn any_digits(&mut self) -> Option<(u64, usize)> {
        let (mut value, mut count) = (0_u64, 0);
        for byte in self.text.get(self.at..)?.iter().take_while(|byte| byte.is_ascii_digit()) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            count += 1;
        }
        self.at += count;
        (count > 0).then_some((value, count))
    }

    #[inline]
    fn digits(&mut self) -> Option<(u64, usize)> {
        self.any_digits().filter(|(_, count)| *count <= DIGITS)
    }

    /// A whole number as JSON has it: without leading zeros.
    #[inline]
    fn whole(&mut self) -> Option<(u64, usize)> {
        let leading_zero = self.first() == Some(b'0');
        self.digits().filter(|(_, count)| !leading_zero || *count == 1)
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.whole()?.0).ok()
    }

    fn number(&mut self) -> Option<Number> {
        let begin = self.at;
        let negative = self.first() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let (whole, places) = self.whole()?;
        let (mut fraction, mut decimals) = (0, 0);
        match self.first()? {
            b'.' => {
                self.skip(b".")?;
                (fraction, decimals) = self.any_digits()?;
            }
            b'e' | b'E' => {}
            _ => {
                let value = i64::try_from(whole).ok()?;
                // Minus zero is a double.
                let value =
                    if negative { Some(-value).filter(|value| *value != 0) } else { Some(value) };
                return value.map(Number::Int);
            }
        }
        let exponent = self.exponent()?;
        let few = places + decimals <= DIGITS && !exponent;
        let mantissa = few.then(|| whole * POWERS[decimals] + fraction);
        let value = if let Some(mantissa) = mantissa.filter(|mantissa| *mantissa < 1 << 53) {
            // Both are doubles exactly, and so their quotient is the double that is nearest (Clinger 1990).
            let value = mantissa as f64 / POWERS[decimals] as f64;
            if negative { -value } else { value }
        } else {
            str::from_utf8(&self.text[begin..self.at]).ok()?.parse().ok()?
        };
        // What is too great for a double is no number to serde_json.
        f64::is_finite(value).then_some(Number::Float(value))
    }

    /// Whether there is an exponent; it is taken off.
    fn exponent(&mut self) -> Option<bool> {
        if !matches!(self.first(), Some(b'e' | b'E')) {
            return Some(false);
        }
        self.at += 1;
        if matches!(self.first(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        self.any_digits().map(|_| true)
    }

    /// Milliseconds with up to six decimals, taken for the digits that they are: far below 2^51 ns what a double makes of
    /// them is off by less than half a nanosecond.
    fn millis(&mut self) -> Option<Millis> {
        const LIMIT: u64 = 1 << 50;
        let (whole, _) = self.whole()?;
        let mut nanos = whole.checked_mul(1_000_000)?;
        if self.first() == Some(b'.') {
            self.skip(b".")?;
            let (fraction, decimals) = self.digits()?;
            let missing = 6_usize.checked_sub(decimals)?;
            nanos = nanos.checked_add(fraction * POWERS[missing])?;
        }
        (nanos < LIMIT).then_some(Millis::from_nanos(nanos))
    }

    fn also(&mut self) -> Option<Vec<Also<'a>>> {
        let mut all = Vec::new();
        if self.first() != Some(b',') {
            return Some(all);
        }
        self.skip(b",\"also\":[")?;
        loop {
            all.push(self.one_also()?);
            match self.take()? {
                b"," => {}
                b"]" => return Some(all),
                _ => return None,
            }
        }
    }

    fn one_also(&mut self) -> Option<Also<'a>> {
        self.skip(b"{\"parameter\":")?;
        let parameter = self.text()?;
        let parameter = str::from_utf8(&self.text[parameter]).ok()?.into();
        self.skip(b",\"line\":")?;
        let line = self.small()?;
        self.skip(b",\"operator\":\"")?;
        let operator = self.operator()?;
        self.skip(b"\",\"old_value\":")?;
        let old_value = self.number()?;
        self.skip(b",\"new_value\":")?;
        let new_value = self.number()?;
        self.skip(b",\"clamped\":")?;
        let clamped = self.truth()?;
        self.skip(b"}")?;
        Some(Also { parameter, line, operator, old_value, new_value, clamped })
    }
}

/// What a text without escapes does not have in it.
const ENDS_TEXT: [bool; 256] = {
    let mut ends = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        ends[control] = true;
        control += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

/// The powers of ten that have at most [`DIGITS`] zeros; a double holds each exactly.
const POWERS: [u64; DIGITS + 1] = {
    let mut powers = [1; DIGITS + 1];
    let mut zeros = 1;
    while zeros <= DIGITS {
        powers[zeros] = powers[zeros - 1] * 10;
        zeros += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use super::super::line::LineWriter;
    use super::super::line::tests::records;
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// What both make of a line is the same to the last bit: `-0.0` and `NaN` are told apart by their texts.
    fn hold(reader: &mut LineReader, line: &[u8]) -> bool {
        let mut ours = String::new();
        let read = reader.read(line, |record, whole| {
            assert_eq!(whole, line, "up to the newline");
            ours = format!("{record:?}");
        });
        if read.is_some() {
            let serdes: Record<'_> = serde_json::from_slice(line).unwrap();
            assert_eq!(ours, format!("{serdes:?}"));
        }
        read.is_some()
    }

    fn written(record: &Record<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        LineWriter::new().write(record, 0, &mut line);
        line
    }

    fn is_escaped(line: &[u8]) -> bool {
        line.contains(&b'\\')
    }

    /// Numbers that are on the edge of something, and what is none.
    const NUMBERS: &[&str] = &[
        "0",
        "-0",
        "-0.0",
        "0.0",
        "1",
        "-1",
        "00",
        "01",
        "-01",
        "1.",
        ".5",
        "-",
        "-.5",
        "+1",
        "1e5",
        "1E+5",
        "1e-7",
        "1e",
        "1e+",
        "1e400",
        "-1e400",
        "1e-400",
        "0.1",
        "0.30000000000000004",
        "123456.123456",
        "0.000001",
        "0.0000001",
        "0.1234567",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993.0",
        "900719925474099.3",
        "90071992547409.93",
        "999999999999999999",
        "9999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "1234567890.123456789012345",
        "0.123456789012345678",
        "0.000000000000000000000123",
        "5e-324",
        "1.7976931348623157e308",
        "4294967295",
        "4294967296",
        "1125899906.842623",
        "1125899906.842624",
        "2251799813.685248",
        "1e13",
        "10000000000001",
        "null",
        "true",
        "\"1\"",
        "NaN",
        "1.5.5",
        "1_0",
        "0x1",
        "0.10",
        "1.000000000000000000",
        "12.50",
        "2.5e3",
        "100000000000000000000.5",
        " 1",
        "1 ",
    ];

    #[test]
    fn numbers_on_the_edge_are_those_of_serde() {
        let line = String::from_utf8(written(&crate::record::tests::sample(Cow::Owned(
            "20261123T020000Z-7f3a9c".parse().unwrap(),
        ))))
        .unwrap();
        let mut reader = LineReader::default();
        let mut canonical = 0;
        for field in
            ["round", "line", "old_value", "new_value", "fitness", "duration_ms", "evaluation_ms"]
        {
            let (head, rest) = line.split_once(&format!("\"{field}\":")).unwrap();
            let tail = &rest[rest.find([',', '}']).unwrap()..];
            for number in NUMBERS {
                let changed = format!("{head}\"{field}\":{number}{tail}");
                canonical += usize::from(hold(&mut reader, changed.as_bytes()));
            }
        }
        assert!(canonical > 120, "{canonical} of them were read");
    }

    #[test]
    fn lines_that_begin_alike_are_told_apart() {
        let sample =
            crate::record::tests::sample(Cow::Owned("20261123T020000Z-7f3a9c".parse().unwrap()));
        let mut reader = LineReader::default();
        for value in [0.1, 0.12, 0.1, 0.125, 0.12] {
            let number = Number::Float(value);
            let record = Record { old_value: number, fitness: Some(value), ..sample.clone() };
            assert!(hold(&mut reader, &written(&record)), "{value}");
        }
        let long = "x".repeat(Known::<Target, 96>::LONGEST);
        let record = Record { error: Some(long.into()), ..sample };
        assert!(!hold(&mut reader, &written(&record)), "it would be kept");
    }

    #[test]
    fn times_on_the_edge_are_those_of_serde() {
        let line = String::from_utf8(written(&crate::record::tests::sample(Cow::Owned(
            "20261123T020000Z-7f3a9c".parse().unwrap(),
        ))))
        .unwrap();
        let tail = &line[line.find("\",\"batch_id").unwrap()..];
        let mut reader = LineReader::default();
        for (time, is_read) in [
            ("2026-11-23T02:00:00.123456Z", true),
            ("2026-11-23T02:00:00.999999Z", true),
            ("1969-12-31T23:59:59.000001Z", true),
            ("0001-01-01T00:00:00.000000Z", true),
            ("0000-01-01T00:00:00.000000Z", false),
            ("9999-12-30T23:59:59.999999Z", false),
            ("2026-11-23T23:59:60.500000Z", false),
            ("2026-02-29T00:00:00.000000Z", false),
            ("2026-11-23T24:00:00.000000Z", false),
            ("2026-11-23t02:00:00.000000Z", false),
            ("2026-11-23 02:00:00.000000Z", false),
            ("2026-11-23T02:00:00.12345Z", false),
            ("2026-11-23T02:00:00.1234567Z", false),
            ("2026-11-23T02:00:00Z", false),
            ("2026-11-23T02:00:00.123456+00:00", false),
            ("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0.000000Z", false),
        ] {
            let changed = format!("{{\"timestamp\":\"{time}{tail}");
            // As the first line of all, and after another one.
            for reader in [&mut LineReader::default(), &mut reader] {
                assert_eq!(hold(reader, changed.as_bytes()), is_read, "{time}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_the_journal_writes_is_read_as_serde_reads_it(records in prop::collection::vec(records(), 1..6)) {
            let mut reader = LineReader::default();
            for record in &records {
                let line = written(record);
                let is_read = hold(&mut reader, &line);
                // Only what is written in another way than most lines is left to serde.
                let rare = is_escaped(&line) || record.mutation_id.0 >= 10_u64.pow(18)
                    || record.duration.max(record.evaluation).is_some_and(|time| time.nanos() >= 1 << 50)
                    || [record.old_value, record.new_value].iter().chain(record.also.iter().flat_map(|one| [&one.old_value, &one.new_value]))
                        .any(|value| matches!(value, Number::Int(value) if value.unsigned_abs() >= 10_u64.pow(18)))
                    || !record.also.iter().all(|one| one.old_value.to_f64().is_finite() && one.new_value.to_f64().is_finite());
                prop_assert!(is_read || rare, "{}", String::from_utf8_lossy(&line));
            }
        }

        #[test]
        fn a_line_with_a_byte_changed_is_what_serde_reads_or_is_left_to_it(
            record in records(),
            changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), prop::sample::select(&b"0123456789.-+eE\"\\,:{}[]ntf \x1f\x7f\xc3"[..])], 0..3), 1..4),
        ) {
            let mut line = written(&record);
            for (place, byte, how) in changes {
                let place = place.index(line.len());
                match how {
                    0 => line[place] = byte,
                    1 => line.insert(place, byte),
                    _ => drop(line.remove(place)),
                }
            }
            let mut reader = LineReader::default();
            hold(&mut reader, &line);
            // With what it remembers of another line too.
            hold(&mut reader, &written(&record));
            hold(&mut reader, &line);
        }
    }
}
