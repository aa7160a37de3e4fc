//! What the documentation says is what the program does: tables, commands, snippets, names of tests.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking and write their fixtures plainly"
)]

use mutation_agent::config::{Config, Environment};
use mutation_agent::exit::Exit;
use mutation_agent::metrics::{FAMILIES, Family, FamilyKind};
use mutation_agent::mutation::Operator;
use mutation_agent::record::{Also, Millis, Outcome, Record};
use mutation_agent::units::{BatchId, MutationId, Number};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const README: &str = include_str!("../README.md");
const METRICS: &str = include_str!("../docs/METRICS.md");
const AUDIT: &str = include_str!("../docs/AUDIT.md");
const ARCHITECTURE: &str = include_str!("../docs/ARCHITECTURE.md");
const SCALE: &str = include_str!("../docs/SCALE.md");
const LIB: &str = include_str!("../src/lib.rs");

const BEGIN: &str = "<!-- metrics: begin; tests/docs.rs holds this table to the code -->";
const END: &str = "<!-- metrics: end -->";

#[test]
fn the_table_of_metrics_is_made_from_the_code() {
    let table = metrics_table();
    let (_, rest) = METRICS.split_once(BEGIN).unwrap();
    let (written, _) = rest.split_once(END).unwrap();
    assert!(
        written.trim() == table.trim(),
        "docs/METRICS.md is not what the code says; between its markers must stand:\n\n{table}"
    );
}

#[test]
fn the_readme_names_no_metric_that_there_is_not() {
    let known: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = [README, METRICS, SCALE].into_iter().flat_map(|text| text.split(|c| !is_name(c)));
    for word in words.filter(|word| {
        ["exit_mutation_", "exit_mutations_", "mutation_batch", "mutation_push_", "mutation_audit_"]
            .iter()
            .any(|start| word.starts_with(start) && word.len() > start.len())
    }) {
        let series = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        let is_call = word == "exit_mutation_statistics";
        assert!(is_call || known.contains(word) || known.contains(series.unwrap_or("")), "{word}");
    }
}

#[test]
fn the_readmes_exit_codes_are_the_codes() {
    let rows: Vec<(String, String)> = README
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let code = cells.next()?.trim().to_owned();
            let name = cells.next()?.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned();
            code.parse::<u8>().ok().map(|_| (code, name))
        })
        .collect();
    let expected = EXITS.map(|exit| (exit.code().to_string(), format!("{exit:?}")));
    assert_eq!(rows, expected);
}

#[test]
fn the_readmes_commands_and_flags_exist() {
    let help = help(&[]);
    let (_, listed) = help.split_once("Commands:").unwrap();
    let commands: BTreeSet<&str> =
        listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let mut seen = BTreeSet::new();
    for call in calls(README) {
        let Some(command) = call.iter().find(|word| !word.starts_with('-')) else { continue };
        assert!(commands.contains(command), "`mutation-agent {command}` does not exist");
        // A command of commands has its flags on the second word.
        let of_command = match call.get(1) {
            Some(second) if *command == "audit" => self::help(&[command, second]),
            _ => self::help(&[command]),
        };
        for flag in call.iter().filter(|word| word.starts_with("--")) {
            assert!(of_command.contains(*flag), "`mutation-agent {command}` has no {flag}");
        }
        seen.insert(*command);
    }
    assert!(seen.is_superset(&BTreeSet::from(["run", "check", "push", "stats", "demo"])));
}

#[test]
fn the_readmes_config_snippets_are_configs() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
    for (name, text) in [
        ("gateway-password", "hunter2\n"),
        ("gateway.token", "hunter2\n"),
        ("ca.pem", certificate),
        ("client.pem", certificate),
        ("client-key", key),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let environment = Environment {
        credentials_directory: Some(folder.path().to_owned()),
        host_name: "night-runner".to_owned(),
        shard: None,
    };
    let here = format!("{}/", folder.path().display());
    let snippets: Vec<&str> = README
        .split("\n```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("\n```").unwrap().0)
        .collect();
    assert!(snippets.len() >= 3, "only {} snippets", snippets.len());
    for snippet in snippets {
        let text = snippet.replace("/etc/mutation-agent/", &here);
        let strategies = "\n[strategies]\ninclude = [\"*.py\"]\n";
        let text = if text.contains("[strategies]") { text } else { text + strategies };
        Config::parse(&text, Path::new("agent.toml"), &environment)
            .unwrap_or_else(|error| panic!("{error}\n{snippet}"));
    }
}

#[test]
fn every_row_of_what_happens_when_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = fs::read_to_string(root.join("tests/run.sh")).unwrap();
    // Scripts that are not in the list are not run.
    let (_, checks) = run.split_once("checks=(").unwrap();
    let checks: BTreeSet<&str> = checks.split_once(')').unwrap().0.split_whitespace().collect();
    let mut sources = String::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        let entries: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in entries {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(end) if end == "rs" || end == "py" => {
                    sources += &fs::read_to_string(&path).unwrap();
                }
                _ => {}
            }
        }
    }
    let (_, rest) = README.split_once("## What happens when").unwrap();
    let table = rest.split("\n## ").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 30, "only {} rows are found", rows.len());
    for row in rows {
        let cell = row.strip_suffix(" |").and_then(|row| row.rsplit(" | ").next()).unwrap();
        let mut names = cell.split('`').skip(1).step_by(2).peekable();
        assert!(names.peek().is_some(), "a row without a test: {row}");
        for name in names {
            let is_test =
                ["fn", "def"].iter().any(|word| sources.contains(&format!("{word} {name}(")));
            assert!(is_test || checks.contains(name), "there is no test `{name}`");
        }
    }
}

#[test]
fn the_map_has_every_floor() {
    for floor in LIB.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        let named = [format!("`{floor}/`"), format!("`{floor}.rs`")];
        assert!(named.iter().any(|name| ARCHITECTURE.contains(name)), "{floor} is on no floor");
    }
}

#[test]
fn nothing_of_the_documentation_names_a_folder_of_ours() {
    let others = [include_str!("../docs/CHANGELOG.md"), include_str!("../docs/RUNBOOK.md")];
    for text in [README, METRICS, AUDIT, ARCHITECTURE, SCALE].into_iter().chain(others) {
        assert!(!["work", "tmp", "root"].iter().any(|name| text.contains(&format!("/{name}/"))));
    }
}

#[test]
fn the_table_of_fields_is_what_a_record_is() {
    let (_, rest) = AUDIT.split_once("<!-- fields: begin").unwrap();
    let table = rest.split("<!-- fields: end -->").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").map(str::trim).collect())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let [bare, full] =
        [record(false), record(true)].map(|record| serde_json::to_string(&record).unwrap());
    let places: Vec<usize> =
        names.iter().map(|name| full.find(&format!("\"{name}\":")).expect(name)).collect();
    assert!(places.is_sorted(), "the fields are written in another order: {names:?}");
    let [bare, full] =
        [bare, full].map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
    let there: BTreeSet<&str> = full.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(there, names.iter().copied().collect());
    for (row, name) in rows.iter().zip(names) {
        let kind = match &full[name] {
            serde_json::Value::String(_) => "text",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::Bool(_) => "boolean",
            serde_json::Value::Array(_) => "list",
            other => panic!("{name}: {other}"),
        };
        assert_eq!(row[1].replace("integer", "number"), kind, "the type of {name}");
        let may_be_null = bare.get(name).is_some_and(serde_json::Value::is_null);
        assert_eq!(row[row.len() - 2] != "never", may_be_null, "whether {name} is ever null");
    }
    let cell = |name: &str| rows.iter().find(|row| row[0] == name).unwrap()[2];
    let outcomes = Outcome::ALL.map(|outcome| format!("`{outcome}`", outcome = outcome.as_str()));
    assert_eq!(cell("`outcome`"), outcomes.join(", "));
    let operators = Operator::ALL.map(|operator| format!("`{}`", operator.as_str()));
    let listed: BTreeSet<&str> = cell("`operator`").split(", ").collect();
    assert_eq!(listed, operators.iter().map(String::as_str).collect());
    let also = full["also"][0].as_object().unwrap().keys().map(|key| format!("`{key}`"));
    let row = rows.last().unwrap();
    assert!(also.into_iter().all(|key| row[row.len() - 1].contains(&key)), "`also`: {row:?}");
}

/// A record with nothing in it that may be left out, or with all of it.
fn record(full: bool) -> Record<'static> {
    let batch: BatchId = "20261123T231239Z-104a43".parse().unwrap();
    let also = Also {
        parameter: "b".into(),
        line: 2,
        operator: Operator::Lognormal,
        old_value: Number::Int(1),
        new_value: Number::Int(2),
        clamped: false,
    };
    Record {
        timestamp: batch.start(),
        batch_id: Cow::Owned(batch),
        mutation_id: MutationId(1),
        round: 1,
        strategy: "a.py".into(),
        line: 1,
        parameter: "a".into(),
        operator: Operator::Lognormal,
        variant: full.then(|| "v".into()),
        parent: full.then(|| "p".into()),
        old_value: Number::Float(if full { 0.1 } else { f64::NAN }),
        new_value: Number::Float(if full { 0.2 } else { f64::NAN }),
        clamped: false,
        outcome: Outcome::Success,
        success: true,
        validation_passed: true,
        error: full.then(|| "e".into()),
        fitness: full.then_some(1.0),
        duration: full.then_some(Millis::from_nanos(1)),
        evaluation: full.then_some(Millis::from_nanos(1)),
        also: if full { vec![also] } else { Vec::new() },
    }
}

/// All codes, as in the README; `listed` does not compile when one is missing.
const EXITS: [Exit; 13] = [
    Exit::Done,
    Exit::Failed,
    Exit::Usage,
    Exit::NoStrategy,
    Exit::Internal,
    Exit::CannotCreate,
    Exit::Io,
    Exit::TryLater,
    Exit::Permission,
    Exit::Config,
    Exit::HungUp,
    Exit::Interrupted,
    Exit::Terminated,
];

#[test]
fn no_exit_code_is_left_out() {
    let listed = |exit: Exit| match exit {
        Exit::Done
        | Exit::Failed
        | Exit::Usage
        | Exit::NoStrategy
        | Exit::Internal
        | Exit::CannotCreate
        | Exit::Io
        | Exit::TryLater
        | Exit::Permission
        | Exit::Config
        | Exit::HungUp
        | Exit::Interrupted
        | Exit::Terminated => EXITS.contains(&exit),
    };
    assert!(EXITS.into_iter().all(listed));
}

fn metrics_table() -> String {
    let mut table =
        "| Metric | Type | Labels | Unit | Meaning |\n|---|---|---|---|---|\n".to_owned();
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let cells = [
            format!("`{}`", family.name),
            family.kind.as_str().to_owned(),
            labels.join(", "),
            unit(family).to_owned(),
            family.help.to_owned(),
        ];
        table.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    table
}

/// Prometheus' rule: the unit is the end of the name.
fn unit(family: &Family) -> &'static str {
    match (family.name, family.kind) {
        (name, _) if name.ends_with("_timestamp_seconds") => "seconds since 1970",
        (name, _) if name.ends_with("_seconds") => "seconds",
        (name, _) if name.ends_with("_rate") => "0 to 1",
        (name, _) if name.ends_with("_fitness") => "the evaluator's",
        (name, _) if name.ends_with("_sigma") => "of the value, or of max − min",
        (name, _) if name.ends_with("_exit_code") => "exit code",
        (name, _) if name.ends_with("_in_progress") => "0 or 1",
        (name, _) if name.ends_with("_info") => "always 1",
        (_, FamilyKind::Counter | FamilyKind::Gauge | FamilyKind::Histogram) => "count",
    }
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mutation-agent"))
        .args(command)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The words after each `mutation-agent` in code: a subcommand, flags, and nothing after that.
fn calls(text: &str) -> Vec<Vec<&str>> {
    let lines = code(text).flat_map(|code| code.split("mutation-agent ").skip(1));
    lines
        .filter_map(|rest| {
            let line = rest.lines().next()?;
            let words: Vec<&str> = line
                .split_whitespace()
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                .collect();
            (!words.is_empty()).then_some(words)
        })
        .collect()
}

/// Fenced blocks, and what stands between backticks in a line.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").enumerate().flat_map(|(at, part)| {
        let is_block = at % 2 == 1;
        let inline = part.split('`').skip(1).step_by(2).filter(move |_| !is_block);
        inline.chain(is_block.then_some(part))
    })
}
