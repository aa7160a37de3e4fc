//! From bytes to text, as strictly as Python: UTF-8, no NUL, and no cookie that says otherwise.

use super::refusal::{SourceError, SourceProblem};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The text of `bytes`, byte for byte.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, SourceError> {
    check_cookie(&bytes)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        SourceError::in_bytes(error.as_bytes(), offset, SourceProblem::NotUtf8 { offset })
    })?;
    match text.find('\0') {
        Some(offset) => Err(SourceError::in_text(&text, offset, SourceProblem::Nul)),
        None => Ok(text),
    }
}

/// Refuses a cookie (PEP 263) on the first two lines that names another encoding than UTF-8.
fn check_cookie(bytes: &[u8]) -> Result<(), SourceError> {
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let has_bom = body.len() < bytes.len();
    let (first, rest) = split_line(body);
    let (second, _) = split_line(rest);
    let (name, offset) = match cookie(first) {
        Some(name) => (name, bytes.len() - body.len()),
        None if is_blank_or_comment(first) => match cookie(second) {
            Some(name) => (name, bytes.len() - rest.len()),
            None => return Ok(()),
        },
        None => return Ok(()),
    };
    let name = String::from_utf8_lossy(name).into_owned();
    let problem = if !is_utf8(&name) {
        SourceProblem::Encoding { name }
    } else if has_bom && !is_utf8_in_the_tokenizer(&name) {
        SourceProblem::EncodingWithBom { name }
    } else {
        return Ok(());
    };
    Err(SourceError::in_bytes(bytes, offset, problem))
}

/// The first line without its end, and what follows.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or(rest);
    (line, rest)
}

fn is_blank_or_comment(line: &[u8]) -> bool {
    let text = line.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'));
    matches!(text, None | Some(b'#'))
}

/// The encoding named in a comment line: `^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`.
fn cookie(line: &[u8]) -> Option<&[u8]> {
    const WORD: &[u8] = b"coding";
    if line.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c')) != Some(&b'#') {
        return None;
    }
    line.windows(WORD.len()).enumerate().filter(|(_, window)| *window == WORD).find_map(
        |(at, _)| {
            let (separator, rest) = line[at + WORD.len()..].split_first()?;
            let rest = rest.trim_ascii_start();
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            let end = rest.iter().position(|byte| !is_name(byte)).unwrap_or(rest.len());
            (matches!(separator, b':' | b'=') && end > 0).then(|| &rest[..end])
        },
    )
}

/// What `CPython`'s tokenizer itself takes for UTF-8 (`get_normal_name`): the first twelve
/// characters in lower case with hyphens are `utf-8`, or `utf-8-` and more. Anything else is
/// "encoding problem: … with BOM" in a file with a byte order mark, an alias as well.
fn is_utf8_in_the_tokenizer(name: &str) -> bool {
    let normal: String = name
        .chars()
        .take(12)
        .map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() })
        .collect();
    normal == "utf-8" || normal.starts_with("utf-8-")
}

/// The tokenizer's own spellings, and the aliases of the codec (`encodings/aliases.py`).
fn is_utf8(name: &str) -> bool {
    const ALIASES: [&str; 6] = ["utf_8", "u8", "utf", "utf8", "utf8_ucs2", "utf8_ucs4"];
    const CODE_PAGE: &str = "cp65001";
    // The codec registry reads runs of other characters than letters, digits and dots as one `_`.
    let words = name.split(['-', '_']).filter(|word| !word.is_empty());
    let normal = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    is_utf8_in_the_tokenizer(name) || ALIASES.contains(&normal.as_str()) || normal == CODE_PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each measured against `compile` of `CPython` 3.11: without and with a byte order mark.
    const SPELLINGS: [(&str, bool, bool); 16] = [
        ("utf-8", true, true),
        ("UTF_8", true, true),
        ("utf-8-unix", true, true),
        ("utf-8-sig", true, true),
        ("UTF_8_foo", true, true),
        ("utf8", true, false),
        ("Utf8", true, false),
        ("u8", true, false),
        ("utf", true, false),
        ("cp65001", true, false),
        ("utf8_ucs2", true, false),
        ("utf--8", true, false),
        ("utf.8", false, false),
        ("utf-8x", false, false),
        ("latin-1", false, false),
        ("nonsense", false, false),
    ];

    fn problem(bytes: &[u8]) -> Option<String> {
        decode(bytes.to_vec()).err().map(|error| error.to_string())
    }

    #[test]
    fn cookies_are_taken_as_cpython_takes_them() {
        for (name, plain, with_bom) in SPELLINGS {
            let source = format!("# -*- coding: {name} -*-\nx = 1\n");
            assert_eq!(problem(source.as_bytes()).is_none(), plain, "{name}");
            let source = format!("\u{feff}{source}");
            assert_eq!(problem(source.as_bytes()).is_none(), with_bom, "{name} with BOM");
        }
    }

    #[test]
    fn a_cookie_counts_on_the_first_two_lines_only() {
        for source in [
            "#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\n",
            "\t\x0c\r\n#coding:latin-1",
            "#\r# coding=\tlatin-1\n",
        ] {
            assert!(problem(source.as_bytes()).unwrap().starts_with("line 2"), "{source:?}");
        }
        for source in [
            "#\n#\n# coding: latin-1\n",
            "x = 1\n# coding: latin-1\n",
            "x = '# coding: latin-1'\n",
            "# encoding latin-1\n# coding:\n",
            "# coding: utf-8\n# coding: latin-1\n",
        ] {
            assert_eq!(problem(source.as_bytes()), None, "{source:?}");
        }
    }

    #[test]
    fn a_refused_cookie_is_named_before_the_bytes_it_explains() {
        let message = problem(b"# coding: latin-1\nx = '\xe9'\n").unwrap();
        assert_eq!(
            message,
            "line 1, column 1: the encoding `latin-1` is declared, only UTF-8 is read; save the file as UTF-8 and drop the declaration"
        );
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused_with_their_place() {
        let message = problem(b"x = 1\ny = '\xff'\n").unwrap();
        assert_eq!(message, "line 2, column 6: not UTF-8 at byte 11; save the file as UTF-8");
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(problem(b"x = 1\n\0").unwrap(), "line 2, column 1: a NUL byte is not Python");
    }
}
