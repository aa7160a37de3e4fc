//! The text of a config, for pointing into it.

use super::{ConfigError, Location};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A config's text and the name of its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

/// Characters of a long line that are shown.
const WIDTH: usize = 100;
/// Characters of it that are shown before the offender.
const LEAD: usize = 40;

impl Source<'_> {
    /// The place of a span of bytes, with its excerpt.
    #[expect(
        clippy::unnecessary_box_returns,
        reason = "it goes into an error, which must stay small"
    )]
    pub(super) fn at(&self, span: &Range<usize>) -> Box<Location> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let line = self.text[..line_start].matches('\n').count() + 1;
        let before = self.text[line_start..start].chars().count();
        let marked = self.text[start..end.min(line_end)].trim_end().chars().count();
        let shown = self.text[line_start..line_end].trim_end();
        let is_secret = may_hold_secret(shown) || self.touches_credentials(&(line_start..line_end));
        let excerpt = if is_secret {
            format!("\n{line:>4} | (not shown: this line may hold a secret)")
        } else {
            excerpt(line, shown, before, marked)
        };
        Box::new(Location::new(self.path.to_owned(), line, before + 1, excerpt))
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let start = self.text.floor_char_boundary(span.start);
        self.text[..start].matches('\n').count() + 1
    }

    /// A value that does not make sense.
    pub(super) fn invalid(&self, span: &Range<usize>, message: impl fmt::Display) -> ConfigError {
        ConfigError::Invalid { at: self.at(span), message: printable(&message.to_string()) }
    }

    /// Whether a line has anything of the tables where a misspelt key may stand before a password:
    /// `basic`, `bearer` and `tls` of a gateway, in whatever way they are written.
    fn touches_credentials(&self, line: &Range<usize>) -> bool {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        let gateways = root.get_ref().iter().filter(|(key, _)| key.get_ref() == "gateway");
        let is_there = gateways.into_iter().any(|(_, value)| match value.get_ref() {
            DeValue::Array(items) => items.iter().any(|item| gateway_touches(item.get_ref(), line)),
            one => gateway_touches(one, line),
        });
        // What the reader could not read may be missing in its tables.
        is_there || !errors.is_empty() && self.may_be_inside_credentials(line)
    }

    /// For text that cannot be read: whether any of these tables is named before the line and after
    /// the last header but their own.
    fn may_be_inside_credentials(&self, line: &Range<usize>) -> bool {
        let names = |line: &str| ["basic", "bearer", "tls"].iter().any(|name| line.contains(name));
        for line in self.text[..line.end].lines().rev() {
            if names(line) {
                return true;
            }
            let line = line.trim();
            if line.starts_with('[') && line.ends_with(']') && !line.contains(['"', '\'', ',']) {
                return false;
            }
        }
        false
    }
}

fn gateway_touches(gateway: &DeValue<'_>, line: &Range<usize>) -> bool {
    let DeValue::Table(gateway) = gateway else { return false };
    gateway.iter().any(|(key, value)| {
        // No other table than `grouping` is harmless; this one may be a misspelt `basic`.
        let is_table = matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
        let is_named = matches!(&**key.get_ref(), "basic" | "bearer" | "tls");
        (is_named || is_table && key.get_ref() != "grouping")
            && entry_touches(key.span(), value, line)
    })
}

fn entry_touches(key: Range<usize>, value: &Spanned<DeValue<'_>>, line: &Range<usize>) -> bool {
    let touches = |span: &Range<usize>| span.start <= line.end && line.start <= span.end;
    // The span of a table with a header is its header: its entries are looked at one by one.
    if touches(&key) || touches(&value.span()) {
        return true;
    }
    match value.get_ref() {
        DeValue::Table(inner) => {
            inner.iter().any(|(key, value)| entry_touches(key.span(), value, line))
        }
        DeValue::Array(items) => items.iter().any(|item| entry_touches(item.span(), item, line)),
        _ => false,
    }
}

/// Whether a line may hold a secret that someone typed where its file's name belongs.
fn may_hold_secret(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let in_url = line.find("://").is_some_and(|at| line[at..].contains('@'));
    let words =
        ["pass", "pw", "token", "secret", "bearer", "basic", "auth", "credential", "begin "];
    in_url || words.iter().any(|word| line.contains(word))
}

fn excerpt(line: usize, text: &str, before: usize, marked: usize) -> String {
    let skipped = if text.chars().count() > WIDTH { before.saturating_sub(LEAD) } else { 0 };
    let lead = if skipped > 0 { "…" } else { "" };
    let window: String = text.chars().skip(skipped).take(WIDTH).collect();
    let tail = if text.chars().count() > skipped + WIDTH { "…" } else { "" };
    let column = before - skipped + lead.chars().count();
    let carets = marked.clamp(1, WIDTH.saturating_sub(before - skipped).max(1));
    let gap = " ".repeat(column);
    let carets = "^".repeat(carets);
    let window = printable(&window);
    format!("\n{line:>4} | {lead}{window}{tail}\n     | {gap}{carets}")
}

/// Text without characters that would act on a terminal or break a line; one for one.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, span: Range<usize>) -> (String, String) {
        let at = Source { path: Path::new("a.toml"), text }.at(&span);
        let error = ConfigError::Invalid { at: at.clone(), message: String::new() };
        let shown = error.to_string();
        let excerpt = shown.split_once('\n').map_or("", |(_, excerpt)| excerpt);
        (at.to_string(), excerpt.to_owned())
    }

    #[test]
    fn lines_and_columns_count_from_one_and_columns_are_characters() {
        let text = "# 日本\nname = \"é\" x\n";
        let at = text.find('x').unwrap();
        let (place, excerpt) = show(text, at..at + 1);
        assert_eq!(place, "a.toml:2:12");
        assert_eq!(excerpt, "   2 | name = \"é\" x\n     |            ^");
    }

    #[test]
    fn the_end_of_the_text_and_beyond_is_a_place() {
        assert_eq!(show("a = ", 4..4).0, "a.toml:1:5");
        assert_eq!(show("", 0..0).0, "a.toml:1:1");
        assert_eq!(show("a\n", 900..7000).0, "a.toml:2:1");
    }

    #[test]
    fn only_the_first_line_of_a_long_span_is_marked() {
        assert_eq!(show("ab = [\n1,\n]", 5..11).1, "   1 | ab = [\n     |      ^");
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_offender() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let (place, excerpt) = show(&text, 500..501);
        assert_eq!(place, "a.toml:1:501");
        let (line, carets) = excerpt.split_once('\n').unwrap();
        assert_eq!(line.chars().position(|c| c == 'X'), carets.chars().position(|c| c == '^'));
        assert!(line.chars().count() < 120, "{line}");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let (_, excerpt) = show("a = \u{1b}[31m", 0..1);
        assert!(!excerpt.contains('\u{1b}'), "{excerpt:?}");
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_shown() {
        for text in [
            "url = \"http://me:hunter2@host\"",
            "basic = { user = \"me\", pasword = \"hunter2\" }",
            "bearer = \"hunter2\"",
            "[gateway.basic]\nuser = \"me\"\npsword = \"hunter2\"",
            "[[gateway]]\n[gateway.\"b\\u0061sic\"]\nuser = \"me\"\npswd = \"hunter2\"",
            "[[gateway]]\nbasic = {\n user = \"me\",\n pswd = \"hunter2\"\n}",
            "[[gateway]]\nbasic = {\n user = \"me\",\n pswd = \"hunter2\n}",
            "[[gateway]]\nbasic = {\n user = \"me\",\n pswd = hunter2\n}\n[push]\n",
            "[[gateway]]\nbasic = {\n user = \"me\",\n pswd = [\n[\"hunter2\"]]\n}",
            "[[gateway]]\nbasic = {\n user = \"me\",\n pswd = \"\"\"\nhunter2\"\"\"\n}",
            "[[gateway]]\nbasik = {\n user = \"me\",\n pswd = \"hunter2\"\n}",
            "[[gateway]]\ntls = {\n key = \"hunter2\"\n}",
            "[[gateway]]\n[gateway.tls]\nkey = \"hunter2\"",
            "[[gateway]]\ntls.key = \"hunter2\"",
            "gateway = [{\n basic = {\n pswd = \"hunter2\"\n}\n}]",
            "[gateway.bearer]\n# [push]\nkey = \"hunter2\"",
        ] {
            let at = text.find("hunter2").unwrap();
            let (_, excerpt) = show(text, at..at + 7);
            assert!(excerpt.ends_with("(not shown: this line may hold a secret)"), "{excerpt}");
        }
    }

    #[test]
    fn the_lines_around_credentials_are_shown() {
        for text in [
            "[[gateway]]\nurl = 1 # X\nbasic = {\n user = \"me\"\n}",
            "[[gateway]]\nbasic = {\n user = \"me\"\n}\nurl = 1 # X",
            "[[gateway]]\n[gateway.tls]\nkey = \"k\"\n[[gateway]]\nname = 1 # X",
            "[[gateway]]\n[gateway.basic]\nuser = \"me\"\n[push]\ninterval = 1 # X",
            "[[gateway]]\n[gateway.basic]\nuser = \"me\"\n[push]\ninterval = = 1 # X",
            "[[gateway]]\ngrouping = {\n a = 1 # X\n}",
            "[[gateway]]\ngrouping.a = 1 # X\nbasic.user = \"me\"",
        ] {
            let at = text.find('X').unwrap();
            let (_, excerpt) = show(text, at..at + 1);
            assert!(excerpt.contains("1 # X"), "{text}: {excerpt}");
        }
    }
}
