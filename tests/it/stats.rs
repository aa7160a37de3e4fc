//! `stats` over files in each of their forms.

use crate::story::{Story, count_lines};
use mutation_agent::metrics::{Buckets, Tally};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;

fn total(story: &Story, files: &[&str]) -> Value {
    let mut args = vec!["stats", "--json"];
    args.extend(files);
    let said = story.expect(0, &args).stdout;
    serde_json::from_str::<Value>(&said).unwrap()["total"].clone()
}

#[test]
fn plain_packed_and_open_files_are_all_read() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
    story.wait_for_journal();
    running.signal(Signal::KILL);
    running.end();
    let ids = story.batches();
    let (packed, plain, open) = (
        story.audit().compressed(&ids[0]),
        story.audit().sealed(&ids[1]),
        story.audit().open_journal(&ids[2]),
    );
    let (packed, plain, open) =
        (packed.to_str().unwrap(), plain.to_str().unwrap(), open.to_str().unwrap());
    let lines = count_lines(&fs::read(open).unwrap());
    assert_eq!(total(&story, &[packed]), 60);
    assert_eq!(total(&story, &[plain]), 60);
    assert_eq!(total(&story, &[open]), lines);
    assert_eq!(total(&story, &[packed, plain, open]), 120 + lines);
    assert_eq!(total(&story, &[]), 120 + lines, "all in the audit folder");
}

#[test]
fn the_link_to_the_newest_log_may_be_given() {
    let story = Story::new();
    story.expect(0, &["run"]);
    assert_eq!(total(&story, &["mutation-data/audit/latest.jsonl"]), 60);
}

#[test]
fn a_torn_last_line_is_left_out_and_said() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let text = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    story.write("torn.jsonl", &text[..text.len() - 10]);
    let ended = story.expect(0, &["stats", "--json", "torn.jsonl"]);
    assert!(ended.stdout.starts_with("{\"total\":59,"), "{}", ended.stdout);
    assert!(ended.stderr.contains("ends in an unfinished line, left out"), "{}", ended.stderr);
}

#[test]
fn what_is_no_audit_file_is_named_with_its_line() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let text = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    story.write("garbage.jsonl", &format!("{text}garbage\n{text}"));
    let ended = story.expect(65, &["stats", "garbage.jsonl"]);
    assert!(
        ended.stderr.contains("error: garbage.jsonl:61: not an audit record"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
    story.write("garbage.jsonl.zst", "not packed at all");
    let ended = story.expect(74, &["stats", "garbage.jsonl.zst"]);
    assert!(ended.stderr.contains("error: cannot read garbage.jsonl.zst: "), "{}", ended.stderr);
    let ended = story.expect(74, &["stats", "none.jsonl"]);
    assert!(ended.stderr.contains("error: cannot open none.jsonl: "), "{}", ended.stderr);
}

#[test]
fn nothing_attempted_is_null_and_no_error() {
    let story = Story::new();
    let said = story.expect(0, &["stats", "--json"]).stdout;
    let value: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(value["total"], 0);
    assert_eq!(value["success_rate"], Value::Null);
    assert_eq!(value["duration_statistics"]["p99"], Value::Null);
    let table = story.expect(0, &["stats"]).stdout;
    assert!(table.starts_with("0 audit files\n"), "{table}");
    assert!(!table.contains("NaN"), "{table}");
}

#[test]
fn the_table_for_people_has_the_same_figures() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let table = story.expect(0, &["stats"]).stdout;
    let mut tally = Tally::new(Buckets::default());
    let path = story.audit().sealed(&story.newest());
    mutation_agent::audit::read_records(&path, |record, _| tally.add(record)).unwrap();
    assert!(table.contains(&format!("  mutations        {:>12}\n", tally.attempts())), "{table}");
    assert!(table.contains(&format!("  successes        {:>12}   ", tally.successes())), "{table}");
    for parameter in tally.parameters().keys() {
        assert!(table.contains(&format!("\n  {parameter}")), "{table}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let story = Story::new();
    story.write("agent.toml", &story.config());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_mutation-agent"))
        .arg("man")
        .current_dir(story.path(""))
        .env_clear()
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
}
