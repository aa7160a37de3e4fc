//! The text exposition format, version 0.0.4, read back: strictly, and only what a scrape shows.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use super::grouping::is_label_name;
use std::borrow::Cow;

/// One sample of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<Label<'a>>,
    pub(super) value: f64,
}

/// Name and value.
pub(super) type Label<'a> = (&'a str, Cow<'a, str>);

/// A gateway has two or three for a group, and a metric hardly more; each is held to all before it.
const MOST_LABELS: usize = 200;

/// A text that is no exposition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no sample of the text format: {why}")]
pub(super) struct TextError {
    /// From 1.
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// Hands all samples whose names start with `start` to `visit`, one after the other, since a scrape may be long;
/// comments, types and help are passed over.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    start: &str,
    mut visit: impl FnMut(Sample<'a>),
) -> Result<(), TextError> {
    if bytes.last().is_some_and(|last| *last != b'\n') {
        let line = bytes.split(|byte| *byte == b'\n').count();
        return Err(TextError { line, why: "the last line has no end" });
    }
    for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if !bytes.trim_ascii_start().starts_with(start.as_bytes()) {
            continue;
        }
        let failed = |why| TextError { line, why };
        let text = str::from_utf8(bytes).map_err(|_| failed("it is not UTF-8"))?;
        let text = text.trim_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with('#') {
            visit(sample(text).map_err(failed)?);
        }
    }
    Ok(())
}

fn sample(text: &str) -> Result<Sample<'_>, &'static str> {
    let end = text.find(['{', ' ', '\t']).ok_or("there is no value")?;
    let name = &text[..end];
    if !is_metric_name(name) {
        return Err("it does not start with a metric's name");
    }
    let mut rest = text[end..].trim_start_matches([' ', '\t']);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = read_labels(inner, &mut labels)?;
    }
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().ok_or("there is no value")?;
    let value = value.parse().map_err(|_| "the value is no number")?;
    // A timestamp may follow.
    let timestamp = words.next().map_or(Ok(0), str::parse::<i64>);
    if timestamp.is_err() || words.next().is_some() {
        return Err("something follows the value");
    }
    Ok(Sample { name, labels, value })
}

/// A label's name with colons.
pub(super) fn is_metric_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && name.bytes().all(is_letter)
}

/// Reads up to the closing brace and gives what follows it.
fn read_labels<'a>(
    mut rest: &'a str,
    labels: &mut Vec<Label<'a>>,
) -> Result<&'a str, &'static str> {
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = rest.split_once('=').ok_or("a label has no value")?;
        let name = name.trim_end_matches([' ', '\t']);
        if !is_label_name(name) || labels.iter().any(|(known, _)| *known == name) {
            return Err("a label's name is none, or is there twice");
        }
        if labels.len() == MOST_LABELS {
            return Err("it has too many labels");
        }
        let quoted = after.trim_start_matches([' ', '\t']).strip_prefix('"');
        let (value, after) = read_value(quoted.ok_or("a label's value is not quoted")?)?;
        labels.push((name, value));
        rest = after.trim_start_matches([' ', '\t']);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("labels are not set apart by commas"),
        }
    }
}

const ENDLESS: &str = "a label's value has no end";

/// Reads up to the closing quotation mark and gives what follows it.
fn read_value(rest: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let end = rest.find(['"', '\\']).ok_or(ENDLESS)?;
    if rest[end..].starts_with('"') {
        return Ok((Cow::Borrowed(&rest[..end]), &rest[end + 1..]));
    }
    let mut value = String::new();
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Cow::Owned(value), &rest[at + 1..])),
            '\\' => value.push(match letters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                Some(_) | None => return Err("an unknown escape in a label's value"),
            }),
            letter => value.push(letter),
        }
    }
    Err(ENDLESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<Sample<'_>>, TextError> {
        let mut samples = Vec::new();
        parse(bytes, "", |sample| samples.push(sample))?;
        Ok(samples)
    }

    #[test]
    fn samples_are_read_as_a_gateway_writes_them() {
        let text = b"# HELP a b\n# TYPE a counter\na 1\nb{c=\"d\",e=\"f\\\"\\\\\\n}\"} 1e+06\n\nc{} NaN\nd +Inf 17\n";
        let samples = all(text).unwrap();
        assert_eq!(samples.len(), 4);
        assert_eq!(samples[1].labels, [("c", "d".into()), ("e", "f\"\\\n}".into())]);
        assert_eq!(
            [samples[0].value, samples[1].value].map(|value| value.to_string()),
            ["1", "1000000"]
        );
        assert!(samples[2].value.is_nan());
        assert!(samples[3].value.is_infinite());
        assert_eq!(all(b"").unwrap(), []);
        assert_eq!(all(b"a:b::c: 1\n:_9 1\n").unwrap().len(), 2);
        let mut some = Vec::new();
        parse(text, "b", |sample| some.push(sample.name)).unwrap();
        assert_eq!(some, ["b"]);
    }

    #[test]
    fn what_is_no_sample_is_refused_with_its_line() {
        for line in [
            "a",
            "a b",
            "9a 1",
            "a{b} 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a{b=\"c\"",
            "a{b=\"c\"d=\"e\"} 1",
            "a{b=\"\\x\"} 1",
            "a{b=\"1\",b=\"2\"} 1",
            "a 1 x",
            "a 1 2 3",
            "<html>",
            "{b=\"c\"} 1",
            "a{,} 1",
        ] {
            assert!(all(format!("{line}\n").as_bytes()).is_err(), "{line}");
        }
        let labels = |count: usize| {
            let labels: Vec<String> = (0..count).map(|label| format!("b{label}=\"\"")).collect();
            format!("a{{{}}} 1\n", labels.join(","))
        };
        assert_eq!(all(labels(MOST_LABELS).as_bytes()).unwrap()[0].labels.len(), MOST_LABELS);
        assert!(all(labels(MOST_LABELS + 1).as_bytes()).is_err());
        assert_eq!(all(b"a 1\nb x\n").unwrap_err().line, 2);
        assert_eq!(all(b"a 1\nb 2").unwrap_err().line, 2);
        assert_eq!(all(b"a 1\n\xff 2\n").unwrap_err().why, "it is not UTF-8");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[a-c{}=\",\\\\ 0-9\n]{0,60}") {
            let _ = all(&bytes);
            let _ = all(text.as_bytes());
        }

        #[test]
        fn a_value_that_was_escaped_reads_back(value in ".*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let line = format!("a{{b=\"{escaped}\"}} 1\n");
            let samples = all(line.as_bytes()).unwrap();
            prop_assert_eq!(&samples[0].labels[0].1, &value);
        }
    }
}
