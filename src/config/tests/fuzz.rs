//! No text makes the config panic, and what it accepts it prints as what it accepts.

use super::{assert_same, environment, parse};
use crate::config::Config;
use proptest::prelude::*;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../agent.toml.example");

/// The example with its comments removed, so that changes meet all keys.
fn full() -> String {
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    lines
        .filter(|line| line.contains(" = ") && !line.starts_with("e.g.") || line.starts_with('['))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Pieces that mean something in TOML or in this config.
const PIECES: [&str; 32] = [
    "",
    " ",
    "\n",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ".",
    ",",
    "#",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "-",
    "0",
    "1e999",
    "nan",
    "-inf",
    "18446744073709551616",
    "true",
    "\"\"",
    "\"0s\"",
    "\"99999999999y\"",
    "\u{feff}",
    "é日",
    "\0",
    "\u{1b}[31m",
    "\r",
    "[gateway.basic]\n",
];

fn check(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(config) => {
            let again = parse(&config.to_toml());
            prop_assert!(again.is_ok(), "{}\n{config}", again.unwrap_err());
            assert_same(&config, &again.unwrap());
        }
        Err(error) => {
            let shown = error.to_string();
            prop_assert!(shown.starts_with("agent.toml:"), "{}", shown);
            prop_assert!(!shown.contains(['\u{1b}', '\0', '\r']), "{:?}", shown);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_example_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, 0..PIECES.len()), 1..5),
    ) {
        let mut text = full();
        for (at, removed, piece) in edits {
            let start = text.floor_char_boundary(at.index(text.len().max(1)));
            let end = text.ceil_char_boundary((start + removed).min(text.len()));
            text.replace_range(start..end, PIECES[piece]);
        }
        check(&text)?;
    }

    #[test]
    fn a_value_of_any_type_is_read_or_refused(line in any::<prop::sample::Index>(), value in 0..PIECES.len()) {
        let text = full();
        let keys: Vec<usize> = text.lines().enumerate().filter(|(_, l)| l.contains(" = ")).map(|(n, _)| n).collect();
        let chosen = keys[line.index(keys.len())];
        let lines: Vec<String> = text.lines().enumerate().map(|(n, line)| match line.split_once(" = ") {
            Some((key, _)) if n == chosen => format!("{key} = {}", PIECES[value]),
            _ => line.to_owned(),
        }).collect();
        check(&lines.join("\n"))?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check(&text)?;
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("{}b = 1", "a.".repeat(100_000)),
    ] {
        assert!(Config::parse(&text, Path::new("agent.toml"), &environment()).is_err());
    }
}
