//! What kind of error a message is of: its text without what differs from one to the next.

/// Characters of a kind.
const LONGEST: usize = 300;

/// `#` for numbers and ids, `…` for paths; of several lines the first and the last, which in a traceback says what it was.
pub(super) fn kind(error: &str) -> String {
    // The agent writes what an evaluator said on one line.
    let error = error.replace("\\n", "\n").replace("\\t", " ");
    let is_hint = |line: &&str| line.starts_with("note:") || line.starts_with("hint:");
    let lines: Vec<&str> = error.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rev().find(|line| !is_hint(line));
    let text = match (lines.as_slice(), last) {
        ([first, .., _], Some(last)) if first != last => {
            // Of a message that was too long the start is missing, and the first line begins anywhere.
            let first = first.find('…').map_or(*first, |cut| &first[..cut]);
            format!("{} … {}", generic(first), generic(last))
        }
        _ => generic(error.trim()),
    };
    shortened(&text, LONGEST)
}

/// Not more than so many characters: the beginning and the end.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let half = longest / 2;
    let begin = text.chars().take(half);
    begin.chain(['…']).chain(text.chars().skip(length - (longest - half - 1))).collect()
}

fn generic(line: &str) -> String {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(begin) = rest.find(|c: char| !c.is_whitespace()) {
        rest = &rest[begin..];
        let end = quoted_path(rest).or_else(|| rest.find(char::is_whitespace));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(if is_path(core(word)) {
            word.replace(core(word), "…")
        } else {
            without_numbers(word)
        });
        rest = after;
    }
    words.join(" ")
}

/// A word without its brackets, quotes and stops.
fn core(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '.' | '~'))
}

/// Where a quoted path with spaces in it ends, if the text begins with one.
fn quoted_path(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'))?;
    let end = text[1..].find(quote)? + 2;
    text[1..].starts_with(['/', '~']).then_some(end)
}

/// `/data/x.csv`, `a/b/c`, `strategies/a.py:12`; not `bid/ask`.
fn is_path(word: &str) -> bool {
    let file = word.rsplit_once('/').map(|(_, file)| file);
    word.len() > 1
        && file.is_some_and(|file| {
            word.starts_with(['/', '~']) || word.matches('/').count() > 1 || file.contains('.')
        })
}

/// Numbers with their sign and exponent, and runs of hexadecimal digits as in addresses, digests and UUIDs.
fn without_numbers(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let follows_word = text.ends_with(|c: char| c.is_alphanumeric() || c == '#');
        let length = if follows_word { digits(rest) } else { id(rest).max(number(rest)) };
        if length == 0 {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            if !text.ends_with('#') {
                text.push('#');
            }
            rest = &rest[length..];
        }
    }
    text
}

fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    run(text, |c| c.is_ascii_digit())
}

/// The length of a number that begins here.
fn number(text: &str) -> usize {
    let sign = run(text, |c| matches!(c, '-' | '+')).min(1);
    if digits(&text[sign..]) == 0 {
        return 0;
    }
    let mut length =
        sign + run(&text[sign..], |c| c.is_ascii_digit() || matches!(c, '.' | '_' | ','));
    // What ends a sentence is none of its digits.
    length = text[..length].trim_end_matches(['.', '_', ',']).len();
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let sign = run(exponent, |c| matches!(c, '-' | '+')).min(1);
        let power = digits(&exponent[sign..]);
        length += if power > 0 { 1 + sign + power } else { 0 };
    }
    length
}

/// The length of an address, a digest or a UUID that begins here.
fn id(text: &str) -> usize {
    const FEWEST: usize = 6;
    let prefix = if text.starts_with("0x") { 2 } else { 0 };
    let length =
        prefix + run(&text[prefix..], |c| c.is_ascii_hexdigit() || c == '-' && prefix == 0);
    let length = text[..length].trim_end_matches('-').len();
    let goes_on = text[length..].starts_with(char::is_alphanumeric);
    let has_digit = digits_within(&text[prefix..length]);
    let is_long = length - prefix >= if prefix > 0 { 1 } else { FEWEST };
    if is_long && !goes_on && (has_digit || prefix > 0) { length } else { 0 }
}

fn digits_within(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_one_error_to_the_next_is_no_part_of_its_kind() {
        for (errors, expected) in [
            (
                [
                    "line 12: no prices in /data/2026-11-23/x.csv (3.5 s)",
                    "line 7: no prices in /y.csv (12.25 s)",
                ],
                "line #: no prices in … (# s)",
            ),
            (
                ["<Model object at 0x7f3a91c2> is gone", "<Model object at 0x10> is gone"],
                "<Model object at #> is gone",
            ),
            (
                ["run 3f2b8c1e-77aa-4c1d-9f00-0a1b2c3d4e5f failed", "run deadbee5 failed"],
                "run # failed",
            ),
            (
                ["fitness was -0.5, not 1e-05.", "fitness was 12, not 1_000.25."],
                "fitness was #, not #.",
            ),
            (["no file '/my data/a b.csv' here", "no file '/x' here"], "no file '…' here"),
            (["shape (3, 4) (1,2)", "shape (30, 41) (12,999)"], "shape (#, #) (#)"),
        ] {
            for error in errors {
                assert_eq!(kind(error), expected, "{error}");
            }
        }
    }

    #[test]
    fn words_that_say_what_it_was_are_kept() {
        for error in [
            "bid/ask is missing",
            "KeyError: 'close'",
            "a decade ago",
            "naïve … café",
            "ValueError: NaN",
        ] {
            assert_eq!(kind(error), error);
        }
        assert_eq!(kind("np.float64 of p95"), "np.float# of p#");
        assert_eq!(kind(""), "");
    }

    #[test]
    fn of_a_traceback_the_end_says_what_it_was() {
        let traceback = |path: &str, error: &str| {
            format!(
                "exit status 1: Traceback (most recent call last):\\n  File \\\"{path}\\\", line 12, in run\\n    f()\\n{error}\\n"
            )
        };
        let expected =
            "exit status #: Traceback (most recent call last): … ValueError: day # is no day";
        assert_eq!(kind(&traceback("/a/b.py", "ValueError: day 7 is no day")), expected);
        assert_eq!(kind(&traceback("/c.py", "ValueError: day 12 is no day")), expected);
        assert_ne!(kind(&traceback("/c.py", "KeyError: 'close'")), expected);
        // Where the start is cut off, the first line may begin anywhere.
        let cut = |from: usize| {
            format!("exit status 1: …{}", &traceback("/c/d.py", "KeyError: 'x'")[from..])
        };
        assert_eq!(kind(&cut(30)), "exit status #: … KeyError: 'x'");
        assert_eq!(kind(&cut(30)), kind(&cut(33)));
        let panic = "exit status 101: panicked at src/main.rs:3:5:\\nno day\\nnote: run with `RUST_BACKTRACE=1`";
        assert_eq!(kind(panic), "exit status #: panicked at …: … no day");
    }

    #[test]
    fn of_a_long_text_both_ends_are_kept() {
        let text = format!("begin {} end", "é".repeat(5_000));
        let kind = kind(&text);
        assert_eq!(kind.chars().count(), LONGEST);
        assert!(kind.starts_with("begin é") && kind.ends_with("é end"), "{kind}");
    }
}
