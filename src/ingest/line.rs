//! What stands in a line of the old program's log.
//!
//! Mostly one record. A process that was killed in the middle of a line leaves a torn piece, and the next one goes on
//! behind it: then a line has several pieces, and none that is whole is lost.

use crate::record::{Millis, Outcome};
use crate::units::{Number, Timestamp};
use jiff::civil::DateTime;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::time::Duration;

/// Longer texts are cut: an error's text may hold a whole trace.
const LONGEST_ERROR: usize = 4096;
/// So many bytes of one line are gone through for what is no JSON.
const MOST_REPAIRED: usize = 64 << 20;
/// The year 5138: greater numbers are no seconds since 1970.
const LAST_SECOND: f64 = 1e11;

/// A mutation as the old program logged it.
#[derive(Clone, Debug, PartialEq)]
pub struct OldRecord {
    /// When it was logged.
    pub when: When,
    /// The parameter's name.
    pub parameter: String,
    /// The value before; not a number where the log has none.
    pub old_value: Number,
    /// The value proposed; not a number where the log has none.
    pub new_value: Number,
    /// The proposal was brought back into its bounds.
    pub clamped: bool,
    /// What became of it, in our words.
    pub outcome: Outcome,
    /// What went wrong, in the log's words; at most 4096 bytes.
    pub error: Option<String>,
    /// How long it took, where the log says so.
    pub duration: Option<Millis>,
}

/// A time as it stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With its zone.
    At(Timestamp),
    /// Without: the clock on the wall of whoever wrote it.
    Local(DateTime),
}

/// Why something in a log is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// A piece of a record.
    Torn,
    /// No JSON object.
    NotJson,
    /// Not even text as we know it.
    NotUtf8,
    /// It names no parameter.
    NoParameter,
    /// It does not say whether it succeeded.
    NoSuccess,
    /// It has no time, or none that is understood.
    NoTimestamp,
}

impl LeftOut {
    /// Its name in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::NotJson => "not_json",
            Self::NotUtf8 => "not_utf8",
            Self::NoParameter => "no_parameter",
            Self::NoSuccess => "no_success",
            Self::NoTimestamp => "no_timestamp",
        }
    }

    /// The same for people.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::NotJson => "no JSON object",
            Self::NotUtf8 => "not UTF-8",
            Self::NoParameter => "without `parameter`",
            Self::NoSuccess => "without `success`",
            Self::NoTimestamp => "without a `timestamp` that is understood",
        }
    }
}

/// What a line consists of.
pub type Piece = Result<OldRecord, LeftOut>;

/// The pieces of a line, with or without its newline; none of a blank one.
pub fn pieces(line: &[u8]) -> Vec<Piece> {
    split(line).into_iter().map(|(piece, _)| piece).collect()
}

/// Where the first record in a line ends; `None` where there is none.
pub(super) fn end_of_first_record(line: &[u8]) -> Option<usize> {
    split(line).into_iter().find_map(|(piece, end)| piece.is_ok().then_some(end))
}

/// The pieces of a line, and where each ends.
fn split(line: &[u8]) -> Vec<(Piece, usize)> {
    let end = line.trim_ascii_end().len();
    let text = line[..end].trim_ascii_start();
    // With which some editors and programs begin a file.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    // Almost always it is one object.
    match serde_json::from_slice(text) {
        Ok(object) => vec![(record(&object), end)],
        Err(_) => broken(&line[..end], end - text.len()),
    }
}

/// A line that is no JSON object, or more than one.
fn broken(line: &[u8], mut at: usize) -> Vec<(Piece, usize)> {
    let is_object = line[at..].starts_with(b"{");
    let mut repairs = Repairs { left: MOST_REPAIRED };
    let (mut pieces, mut is_torn) = (Vec::new(), false);
    while at < line.len() {
        match repairs.first(&line[at..]) {
            // What looks like an object inside a torn one has not what a record needs.
            Some((object, length)) if !is_torn || record(&object).is_ok() => {
                if std::mem::take(&mut is_torn) {
                    pieces.push((Err(LeftOut::Torn), at));
                }
                at += length;
                pieces.push((record(&object), at));
                at += line[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            }
            _ => {
                is_torn = true;
                let start = line[at..].iter().skip(1).position(|byte| *byte == b'{');
                at = start.map_or(line.len(), |further| at + 1 + further);
            }
        }
    }
    if is_torn {
        // A piece of a record begins as one.
        let why = match std::str::from_utf8(line) {
            _ if is_object || !pieces.is_empty() => LeftOut::Torn,
            Ok(_) => LeftOut::NotJson,
            Err(_) => LeftOut::NotUtf8,
        };
        pieces.push((Err(why), line.len()));
    }
    pieces
}

/// Reads what Python's `json` writes and JSON does not have. Each try goes through all that follows, so that there is a
/// limit to it, which no line reaches that was not made to.
struct Repairs {
    /// Bytes.
    left: usize,
}

impl Repairs {
    /// The object that `text` begins with, and its length.
    fn first(&mut self, text: &[u8]) -> Option<(Map<String, Value>, usize)> {
        let is_object = text.strip_prefix(b"{")?.trim_ascii_start().starts_with(b"\"");
        let read = |text: &[u8]| {
            let mut objects = serde_json::Deserializer::from_slice(text).into_iter();
            let object = objects.next()?.ok()?;
            Some((object, objects.byte_offset()))
        };
        let read_repaired = || {
            self.left = self.left.checked_sub(text.len())?;
            read(&repaired(text)?)
        };
        if is_object { read(text).or_else(read_repaired) } else { None }
    }
}

/// As JSON, and as long as before: `NaN`, `Infinity`, `-Infinity` and numbers that no double holds become an empty
/// object, which is no number either; half a surrogate pair (an undecodable byte of a file's name) becomes U+FFFD.
/// `None` where there is nothing of these.
fn repaired(text: &[u8]) -> Option<Vec<u8>> {
    let mut repaired: Option<Vec<u8>> = None;
    let (mut at, mut in_text) = (0, false);
    while at < text.len() {
        let rest = &text[at..];
        let mut length = 1;
        match rest[0] {
            b'\\' if in_text => match half_a_pair(rest) {
                Some(true) => {
                    length = 6;
                    repaired.get_or_insert_with(|| text.to_vec())[at + 2..at + 6]
                        .copy_from_slice(b"fffd");
                }
                Some(false) => length = 12,
                None => length = 2,
            },
            b'"' => in_text = !in_text,
            b'-' | b'I' | b'N' | b'0'..=b'9' if !in_text => {
                let is_inside = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                length = rest.iter().take_while(is_inside).count();
                if is_no_number(&rest[..length]) {
                    let repaired = repaired.get_or_insert_with(|| text.to_vec());
                    repaired[at..at + length].fill(b' ');
                    repaired[at..at + 2].copy_from_slice(b"{}");
                }
            }
            _ => {}
        }
        at += length;
    }
    repaired
}

/// Whether a value is one that Python reads as a number and JSON does not.
fn is_no_number(word: &[u8]) -> bool {
    match word {
        b"NaN" | b"Infinity" | b"-Infinity" => true,
        _ => {
            let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
            word.len() > 2
                && word.iter().any(u8::is_ascii_digit)
                && number.is_some_and(f64::is_infinite)
        }
    }
}

/// Whether `text`, which begins with a backslash, begins with half a surrogate pair; `Some(false)` is a whole one.
fn half_a_pair(text: &[u8]) -> Option<bool> {
    let unit = |text: &[u8]| {
        let digits = std::str::from_utf8(text.strip_prefix(b"\\u")?.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(text)? {
        0xd800..=0xdbff => {
            let second = text.get(6..).and_then(unit);
            Some(!second.is_some_and(|second| (0xdc00..=0xdfff).contains(&second)))
        }
        0xdc00..=0xdfff => Some(true),
        _ => None,
    }
}

/// What an object says.
fn record(object: &Map<String, Value>) -> Piece {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let truth = |name: &str| match object.get(name)? {
        Value::Bool(truth) => Some(*truth),
        // As some programs write them.
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        _ => None,
    };
    let parameter =
        text("parameter").filter(|name| !name.is_empty()).ok_or(LeftOut::NoParameter)?;
    let succeeded = truth("success").ok_or(LeftOut::NoSuccess)?;
    let when = object.get("timestamp").and_then(time).ok_or(LeftOut::NoTimestamp)?;
    let (old_value, new_value) = (number(object.get("old_value")), number(object.get("new_value")));
    let is_unchanged = old_value.to_f64().partial_cmp(&new_value.to_f64()) == Some(Ordering::Equal);
    let is_missing = matches!(object.get("new_value"), None | Some(Value::Null));
    let passed = truth("validation_passed");
    let outcome = match (succeeded, passed) {
        (true, Some(true) | None) => Outcome::Success,
        (false, _) if is_missing || is_unchanged => Outcome::NoChange,
        (false, Some(true)) => Outcome::Failed,
        // What did not pass is no success, whatever else the log says.
        (true, Some(false)) | (false, Some(false) | None) => Outcome::InvalidSource,
    };
    let error = match object.get("error") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(cut(text)),
        Some(other) => Some(cut(&other.to_string())),
    };
    let contradiction = succeeded && !outcome.is_success();
    let error = error.or_else(|| {
        contradiction
            .then(|| "the log says success, and that it did not pass validation".to_owned())
    });
    Ok(OldRecord {
        when,
        parameter: parameter.to_owned(),
        old_value,
        new_value,
        clamped: truth("clamped").unwrap_or(false),
        outcome,
        error,
        duration: object.get("duration_ms").and_then(millis),
    })
}

fn number(value: Option<&Value>) -> Number {
    let Some(Value::Number(number)) = value else { return Number::Float(f64::NAN) };
    number.as_i64().map_or_else(|| Number::Float(number.as_f64().unwrap_or(f64::NAN)), Number::Int)
}

fn millis(value: &Value) -> Option<Millis> {
    let millis = value.as_f64().filter(|millis| (0.0..=1e13).contains(millis))?;
    Duration::try_from_secs_f64(millis / 1e3).ok().map(Millis::from)
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_ERROR);
    text[..end].to_owned()
}

/// ISO 8601, with or without a zone, or seconds since 1970.
fn time(value: &Value) -> Option<When> {
    match value {
        Value::String(text) => {
            let text = text.trim();
            let zoned = text.parse().ok().map(When::At);
            zoned.or_else(|| text.parse().ok().map(When::Local))
        }
        Value::Number(seconds) => {
            let seconds =
                seconds.as_f64().filter(|seconds| (0.0..LAST_SECOND).contains(seconds))?;
            let since = Duration::try_from_secs_f64(seconds).ok()?;
            Some(When::At(Timestamp::from_micros(0).plus(since)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"{"timestamp": "2026-11-23T02:00:00.523456", "parameter": "stop_loss_pct", "old_value": 0.1, "new_value": 0.12, "clamped": false, "success": true, "validation_passed": true, "error": null, "mutation_id": "exit_mut_000001", "duration_ms": 254.26}"#;

    fn one(line: &str) -> Piece {
        let mut found = pieces(line.as_bytes());
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        found.remove(0)
    }

    fn but(old: &str, new: &str) -> Piece {
        assert!(LINE.contains(old), "{old}");
        one(&LINE.replace(old, new))
    }

    #[test]
    fn a_line_of_the_old_program_is_read() {
        let record = one(LINE).unwrap();
        assert_eq!(record.when, When::Local("2026-11-23T02:00:00.523456".parse().unwrap()));
        assert_eq!((record.parameter.as_str(), record.clamped), ("stop_loss_pct", false));
        assert_eq!((record.old_value, record.new_value), (Number::Float(0.1), Number::Float(0.12)));
        assert_eq!((record.outcome, record.error), (Outcome::Success, None));
        assert_eq!(record.duration.map(Millis::nanos), Some(254_260_000));
        assert_eq!(one(&format!("  {LINE}\r\n")).unwrap().outcome, Outcome::Success);
        assert_eq!(pieces(b" \r\n"), []);
    }

    #[test]
    fn what_the_log_does_not_say_stays_unsaid() {
        let record = but(r#", "duration_ms": 254.26"#, "").unwrap();
        assert_eq!(record.duration, None);
        for odd in ["-1", "null", "\"fast\"", "NaN", "1e300"] {
            assert_eq!(but("254.26", odd).unwrap().duration, None, "{odd}");
        }
        let record = but("\"old_value\": 0.1", "\"old_value\": 5").unwrap();
        assert_eq!(record.old_value, Number::Int(5), "integers stay integers");
        let same = LINE.replace("0.1,", "5,").replace("0.12", "5.0").replace(": true", ": false");
        assert_eq!(one(&same).unwrap().outcome, Outcome::NoChange);
        for odd in ["NaN", "-Infinity", "null", "\"5\"", "[]"] {
            let record = but("0.12", odd).unwrap();
            assert!(record.new_value.to_f64().is_nan(), "{odd}");
            assert_eq!(record.outcome, Outcome::Success, "{odd}: as the log says");
        }
        let text = but("\"error\": null", r#""error": "a \" NaN here", "x": NaN"#).unwrap();
        assert_eq!(text.error.as_deref(), Some("a \" NaN here"));
    }

    #[test]
    fn outcomes_are_never_better_than_the_log_says() {
        for (success, passed, new, outcome) in [
            ("true", "true", "0.12", Outcome::Success),
            ("true", "null", "0.1", Outcome::Success),
            ("true", "false", "0.12", Outcome::InvalidSource),
            ("false", "true", "0.12", Outcome::Failed),
            ("false", "false", "0.12", Outcome::InvalidSource),
            ("false", "null", "0.12", Outcome::InvalidSource),
            ("false", "true", "0.1", Outcome::NoChange),
            ("false", "false", "null", Outcome::NoChange),
            ("0", "1", "0.10", Outcome::NoChange),
            ("1", "0", "0.12", Outcome::InvalidSource),
            ("1", "1", "0.12", Outcome::Success),
        ] {
            let line = LINE
                .replace("0.12", new)
                .replace("\"success\": true", &format!("\"success\": {success}"))
                .replace(
                    "\"validation_passed\": true",
                    &format!("\"validation_passed\": {passed}"),
                );
            assert_eq!(one(&line).unwrap().outcome, outcome, "{line}");
        }
        let contradiction = but("\"validation_passed\": true", "\"validation_passed\": false");
        assert!(contradiction.unwrap().error.unwrap().contains("did not pass validation"));
        let long = but("null", &format!("\"{}\"", "é".repeat(5000))).unwrap().error.unwrap();
        assert_eq!((long.len(), long.chars().count()), (4096, 2048));
    }

    #[test]
    fn times_have_a_zone_or_none() {
        let at = |text: &str| When::At(text.parse().unwrap());
        for (text, when) in [
            ("\"2026-11-23T02:00:00Z\"", at("2026-11-23T02:00:00Z")),
            ("\"2026-11-23 02:00:00.5+01:00\"", at("2026-11-23T01:00:00.5Z")),
            ("\"2026-11-23 02:00:00,500\"", When::Local("2026-11-23T02:00:00.5".parse().unwrap())),
            ("1795399200.25", at("2026-11-23T02:00:00.25Z")),
            ("1795399200", at("2026-11-23T02:00:00Z")),
        ] {
            assert_eq!(but("\"2026-11-23T02:00:00.523456\"", text).unwrap().when, when, "{text}");
        }
        for text in ["null", "\"yesterday\"", "\"2026-13-01T00:00:00\"", "-1", "1e12", "NaN"] {
            let found = but("\"2026-11-23T02:00:00.523456\"", text);
            assert_eq!(found, Err(LeftOut::NoTimestamp), "{text}");
        }
    }

    #[test]
    fn what_is_no_record_says_why() {
        assert_eq!(one("Traceback (most recent call last):"), Err(LeftOut::NotJson));
        assert_eq!(one("[1, 2]"), Err(LeftOut::NotJson));
        assert_eq!(one("\u{feff}x\u{0}"), Err(LeftOut::NotJson));
        assert_eq!(pieces(b"\xff\xfe{\0\"\0"), [Err(LeftOut::NotUtf8)], "UTF-16");
        assert_eq!(pieces(format!("\u{feff}{LINE}").as_bytes()), [one(LINE)]);
        assert_eq!(one("{}"), Err(LeftOut::NoParameter));
        assert_eq!(but("\"success\": true", "\"success\": \"yes\""), Err(LeftOut::NoSuccess));
        assert_eq!(but("\"stop_loss_pct\"", "7"), Err(LeftOut::NoParameter));
    }

    #[test]
    fn what_python_writes_and_json_has_not_is_read() {
        let error =
            |text: &str| but("\"error\": null", &format!("\"error\": \"{text}\"")).unwrap().error;
        assert_eq!(error("caf\\udce9.py").as_deref(), Some("caf\u{fffd}.py"));
        assert_eq!(error("\\ud83d\\ude00\\ud83d \\udce9").as_deref(), Some("😀\u{fffd} \u{fffd}"));
        assert_eq!(error("\\\\udce9").as_deref(), Some("\\udce9"), "a backslash and no escape");
        for number in ["1e999", "-1E+999", &"9".repeat(400), "NaN", "-Infinity"] {
            assert!(but("0.12", number).unwrap().new_value.to_f64().is_nan(), "{number}");
        }
        let failed = LINE.replace("\"success\": true", "\"success\": false").replace("0.12", "NaN");
        assert_eq!(one(&failed).unwrap().outcome, Outcome::Failed, "it is a value, if a bad one");
    }

    #[test]
    fn a_torn_piece_takes_no_whole_record_with_it() {
        let whole = || one(LINE);
        let torn = || Err(LeftOut::Torn);
        for cut in 1..LINE.len() {
            assert_eq!(one(&LINE[..cut]), torn(), "{cut}");
            assert_eq!(
                pieces(format!("{}{LINE}", &LINE[..cut]).as_bytes()),
                [torn(), whole()],
                "{cut}"
            );
            assert_eq!(
                pieces(format!("{LINE}{}", &LINE[..cut]).as_bytes()),
                [whole(), torn()],
                "{cut}"
            );
        }
        assert_eq!(pieces(format!("{LINE}{LINE}").as_bytes()), [whole(), whole()]);
        assert_eq!(pieces(format!("{LINE} {LINE}").as_bytes()), [whole(), whole()]);
        // What a file system may leave of a power cut.
        assert_eq!(pieces(format!("\0\0\0{LINE}").as_bytes()), [torn(), whole()]);
        let braces = format!(r#"{{"timestamp": "x", "error": "{}"#, r#"{\"a\": {"#.repeat(500));
        assert_eq!(pieces(format!("{braces}{LINE}").as_bytes()), [torn(), whole()]);
        let nan = LINE.replace("0.1,", "NaN,");
        let found = pieces(format!("{}{nan}{nan}", &LINE[..99]).as_bytes());
        assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_no_more_found_than_can_be_there(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let found = pieces(&bytes);
            prop_assert!(found.len() <= 1 + bytes.len() / 2);
        }

        #[test]
        fn a_broken_line_is_read_whatever_was_broken(at in 0..LINE.len(), byte in any::<u8>(), glued in any::<bool>()) {
            let mut bytes = LINE.as_bytes().to_vec();
            bytes[at] = byte;
            if glued {
                bytes.extend_from_slice(LINE.as_bytes());
            }
            let whole = pieces(&bytes).iter().filter(|piece| piece.is_ok()).count();
            prop_assert!(!glued || whole >= 1 || byte == b'"' || byte == b'\\');
        }
    }
}
