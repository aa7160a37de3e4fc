//! agent.toml.example is documentation that a program keeps true.

use super::{assert_same, environment};
use crate::config::{Config, Environment};
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../agent.toml.example");

fn parse(text: &str, environment: &Environment) -> Config {
    Config::parse(text, Path::new("agent.toml"), environment)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The key of `# key = value` or `# e.g. key = value` and the line without the comment.
fn uncommented<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let key_value = line.strip_prefix(prefix)?;
    let (key, _) = key_value.split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(key_value)
}

fn with_line(at: usize, line: &str) -> String {
    let lines = EXAMPLE.lines().enumerate();
    lines.map(|(n, old)| if n == at { line } else { old }).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_parses_and_warns_of_nothing() {
    let config = parse(EXAMPLE, &environment());
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.gateways.len(), 1);
}

#[test]
fn each_commented_default_is_the_default() {
    let plain = parse(EXAMPLE, &environment());
    let mut keys = 0;
    for (at, line) in EXAMPLE.lines().enumerate() {
        let Some(line) = uncommented(line, "# ") else { continue };
        assert_same(&parse(&with_line(at, line), &environment()), &plain);
        keys += 1;
    }
    assert!(keys >= 29, "only {keys} defaults are shown");
}

#[test]
fn all_commented_defaults_together_are_the_defaults() {
    let all: Vec<&str> =
        EXAMPLE.lines().map(|line| uncommented(line, "# ").unwrap_or(line)).collect();
    assert_same(&parse(&all.join("\n"), &environment()), &parse(EXAMPLE, &environment()));
}

#[test]
fn each_key_without_a_default_parses_when_it_is_uncommented() {
    let folder = tempfile::tempdir().unwrap();
    let environment =
        Environment { credentials_directory: Some(folder.path().to_owned()), ..environment() };
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
    let files = [
        ("gateway-password", "hunter2\n"),
        ("gateway.token", "hunter2\n"),
        ("ca.pem", certificate),
        ("client.pem", certificate),
        ("client-key", key),
    ];
    for (name, text) in files {
        super::write(&folder.path().join(name), text.as_bytes());
    }
    let plain = parse(EXAMPLE, &environment);
    let mut keys = Vec::new();
    for (at, line) in EXAMPLE.lines().enumerate() {
        let Some(line) = uncommented(line, "# e.g. ") else { continue };
        let here = format!("{}/", folder.path().display());
        let text = with_line(at, &line.replace("/etc/mutation-agent/", &here));
        // TLS is refused for http, which is what the example's gateway speaks.
        let text = if line.starts_with("tls") { text.replace("http:", "https:") } else { text };
        let config = parse(&text, &environment);
        assert_ne!(config.to_toml(), plain.to_toml(), "{line} changes nothing");
        keys.push(line.split(' ').next().unwrap());
    }
    assert_eq!(
        keys,
        [
            "seed",
            "occurrence",
            "patience",
            "command",
            "textfile",
            "grouping",
            "basic",
            "bearer",
            "tls"
        ]
    );
}

/// The lines of the tables that are not there, by table.
fn absent_tables() -> Vec<Vec<usize>> {
    let mut tables: Vec<Vec<usize>> = Vec::new();
    for (at, line) in EXAMPLE.lines().enumerate() {
        let Some(line) = line.strip_prefix('#').filter(|line| !line.starts_with([' ', '#'])) else {
            continue;
        };
        if line.starts_with('[') {
            tables.push(vec![at]);
        } else if line.contains(" = ") {
            tables.last_mut().unwrap().push(at);
        }
    }
    tables
}

fn with(wanted: &[usize]) -> String {
    let lines = EXAMPLE.lines().enumerate();
    let typed = |(at, line): (usize, &'static str)| {
        if wanted.contains(&at) { line.strip_prefix('#').unwrap() } else { line }
    };
    lines.map(typed).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_table_that_is_not_there_parses_when_it_is_uncommented() {
    let plain = parse(EXAMPLE, &environment());
    let tables = absent_tables();
    let heads: Vec<&str> =
        tables.iter().map(|table| EXAMPLE.lines().nth(table[0]).unwrap()).collect();
    assert_eq!(heads, ["#[[constraint]]", "#[[variant]]", "#[evaluator]", "#[schedule]"]);
    for table in &tables {
        let all = parse(&with(table), &environment());
        assert_ne!(all.to_toml(), plain.to_toml(), "{table:?} changes nothing");
    }
    // Of the evaluator, all but the command and the two limits are defaults.
    let evaluator = &tables[2];
    let lines = EXAMPLE.lines().collect::<Vec<_>>();
    let needed = |at: &&usize| {
        ["#[", "#command", "#memory", "#cpu"].iter().any(|start| lines[**at].starts_with(start))
    };
    let needed: Vec<usize> = evaluator.iter().filter(needed).copied().collect();
    assert_eq!((needed.len(), evaluator.len()), (4, 9));
    assert_same(&parse(&with(&needed), &environment()), &parse(&with(evaluator), &environment()));
    // Of the schedule, all but the cron expression.
    let schedule = &tables[3];
    assert_eq!(schedule.len(), 6);
    assert_same(
        &parse(&with(&schedule[..2]), &environment()),
        &parse(&with(schedule), &environment()),
    );
}

#[test]
fn the_example_shows_every_key_that_there_is() {
    let mut missing = Vec::new();
    let raw = include_str!("../raw.rs");
    for line in raw.lines() {
        let Some(key) = line.trim().strip_prefix("pub(super) ").and_then(|l| l.split(':').next())
        else {
            continue;
        };
        let key = if key == "kind" { "type" } else { key };
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let shown = [format!("{key} = "), format!("[{key}]")].iter().any(|k| EXAMPLE.contains(k));
        if is_key && !shown {
            missing.push(key);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_parameters_of_the_example_are_the_default_ones() {
    let example = parse(EXAMPLE, &environment());
    assert_eq!(super::config("").parameters, example.parameters);
}

#[test]
fn the_example_needs_nothing_but_its_strategies_and_gateway() {
    let minimal = "[strategies]\ninclude = [\"examples/strategies/*.py\"]\n[[gateway]]\nurl = \"http://127.0.0.1:9091\"\n";
    assert_same(&parse(minimal, &environment()), &parse(EXAMPLE, &environment()));
}
