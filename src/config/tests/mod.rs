//! Facts about whole configs.

use super::{Config, ConfigError, Environment};
use std::path::Path;

mod credentials;
mod errors;
mod evolution;
mod example;
mod floors;
mod fuzz;
mod ranges;
mod strategies;
mod values;

/// The least that a config needs, for tests to add to.
const STRATEGIES: &str = "[strategies]\ninclude = [\"*.py\"]\n";

fn environment() -> Environment {
    Environment { host_name: "test-host".to_owned(), ..Environment::default() }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("agent.toml"), &environment())
}

/// A config of the strategies and `text`.
fn config(text: &str) -> Config {
    parse(&format!("{text}\n{STRATEGIES}")).unwrap_or_else(|error| panic!("{error}"))
}

/// What is said about `text`, which comes first, with the strategies after it.
fn complaint(text: &str) -> String {
    match parse(&format!("{text}\n{STRATEGIES}")) {
        Ok(config) => panic!("accepted:\n{config}"),
        Err(error) => error.to_string(),
    }
}

/// The first line of what is said, without the file's name.
fn first_line(text: &str) -> String {
    let complaint = complaint(text);
    let line = complaint.lines().next().unwrap_or_default();
    line.strip_prefix("agent.toml:").unwrap_or_else(|| panic!("no place: {line}")).to_owned()
}

/// Checks pairs of a text and the first line of what is said about it.
fn assert_said(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(first_line(text), *expected, "about:\n{text}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a fixture needs no careful replacing")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// Two configs are equal if they print and debug alike.
fn assert_same(left: &Config, right: &Config) {
    assert_eq!(left.to_toml(), right.to_toml());
    assert_eq!(format!("{left:#?}"), format!("{right:#?}"));
}
