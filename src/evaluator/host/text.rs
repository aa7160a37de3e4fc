//! What an evaluator says, as text for one line of a record.

/// The most bytes of a text.
const LIMIT: usize = 1024;

/// What went wrong, and the end of what the evaluator said about it.
pub(super) fn with_tail(what: &str, said: &[u8]) -> String {
    let what = printable(what.as_bytes());
    if said.is_empty() {
        return cut_end(what);
    }
    let room = LIMIT.saturating_sub(what.len() + 2);
    let said = printable(said);
    if said.len() <= room {
        return format!("{what}: {said}");
    }
    // The last lines say most.
    let mut from = said.len() - room.saturating_sub('…'.len_utf8()).min(said.len());
    while !said.is_char_boundary(from) {
        from += 1;
    }
    cut_end(format!("{what}: …{}", &said[from..]))
}

/// A piece of what was read, to be shown within a sentence.
pub(super) fn quoted(said: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = printable(&said[..said.len().min(2 * SHOWN)]);
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() || said.len() > 2 * SHOWN {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Valid UTF-8 on one line, control characters escaped.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn cut_end(mut text: String) -> String {
    let mut end = LIMIT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_become_one_short_line(what in ".{0,300}", said in proptest::collection::vec(any::<u8>(), 0..5000)) {
            for text in [with_tail(&what, &said), quoted(&said)] {
                prop_assert!(text.len() <= LIMIT);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn the_end_is_kept_and_the_beginning_goes() {
        let said = format!("{}ValueError: no trades\n", "x\n".repeat(2000));
        let text = with_tail("exit code 1", said.trim().as_bytes());
        assert!(text.starts_with("exit code 1: …"), "{text}");
        assert!(text.ends_with("\\nValueError: no trades"), "{text}");
        assert_eq!(with_tail("exit code 1", b""), "exit code 1");
        assert_eq!(with_tail("exit code 1", b"a\tb\x1b[31m"), "exit code 1: a\\tb\\u{1b}[31m");
    }
}
