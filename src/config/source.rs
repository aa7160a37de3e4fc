//! The text of a config, for pointing into it.

use super::{ConfigError, Location};
use std::fmt;
use std::ops::Range;
use std::path::Path;

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
        let excerpt = if may_hold_secret(shown) || self.is_inside_credentials(start) {
            format!("\n{line:>4} | (not shown: this line may hold a secret)")
        } else {
            excerpt(line, shown, before, marked)
        };
        Box::new(Location::new(self.path.to_owned(), line, before + 1, excerpt))
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.at(span).line
    }

    /// A value that does not make sense.
    pub(super) fn invalid(&self, span: &Range<usize>, message: impl fmt::Display) -> ConfigError {
        ConfigError::Invalid { at: self.at(span), message: printable(&message.to_string()) }
    }

    /// True below a header like `[gateway.basic]`, where a misspelt key may be followed by a password.
    fn is_inside_credentials(&self, offset: usize) -> bool {
        let header =
            self.text[..offset].lines().rev().find(|line| line.trim_start().starts_with('['));
        header.is_some_and(|line| line.contains("basic") || line.contains("bearer"))
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
        ] {
            let at = text.find("hunter2").unwrap();
            let (_, excerpt) = show(text, at..at + 7);
            assert!(excerpt.ends_with("(not shown: this line may hold a secret)"), "{excerpt}");
        }
    }
}
