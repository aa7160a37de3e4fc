//! `audit list`: a row per batch, whatever state it is in.

use crate::story::Story;
use serde_json::{Value, json};
use std::fs;

fn rows(story: &Story) -> Vec<Value> {
    let said = story.expect(0, &["audit", "list", "--json"]).stdout;
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_batch_is_a_row_and_the_last_line_sums_up() {
    let story = Story::new();
    for _ in 0..3 {
        story.expect(0, &["run"]);
    }
    let said = story.expect(0, &["audit", "list"]).stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines[0].starts_with("batch                    status       started "), "{said}");
    for (line, (id, form)) in
        lines[1..].iter().zip(story.batches().iter().zip(["zst", "zst", "plain"]))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(&words[..2], [id.as_str(), "completed"]);
        // A duration and a size are two words each.
        assert_eq!(&words[5..8], ["60", "60", "100.0"], "{line}");
        assert_eq!(&words[10..], [form, "yes"], "{line}");
    }
    assert!(lines[4].starts_with("3 batches, 180 records, "), "{said}");
}

#[test]
fn rows_are_json_where_that_is_asked_for() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let row = &rows(&story)[0];
    let id = story.newest();
    let manifest = story.manifest(&id);
    let bytes = story.audit().bytes(&id, story.audit().files(&id));
    for (key, value) in [
        ("batch_id", json!(id.as_str())),
        ("status", json!("completed")),
        ("started", manifest["started"].clone()),
        ("duration_seconds", manifest["duration_seconds"].clone()),
        ("records", json!(60)),
        ("successes", json!(60)),
        ("success_percentage", json!(100.0)),
        ("bytes", json!(bytes)),
        ("form", json!("plain")),
        ("counted", json!(true)),
        ("shard", Value::Null),
        ("problem", Value::Null),
    ] {
        assert_eq!(row[key], value, "{key}");
    }
    assert_eq!(row.as_object().unwrap().len(), 12);
}

#[test]
fn a_batch_with_a_problem_is_a_row_that_says_so() {
    let story = Story::new();
    for _ in 0..3 {
        story.expect(0, &["run"]);
    }
    let ids = story.batches();
    fs::write(story.audit().manifest(&ids[0]), "{").unwrap();
    fs::remove_file(story.audit().compressed(&ids[1])).unwrap();
    fs::remove_file(story.audit().manifest(&ids[2])).unwrap();
    let rows = rows(&story);
    let problem = |row: usize| rows[row]["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem(0).contains(".manifest.json is not a manifest: EOF"), "{rows:?}");
    assert_eq!((&rows[0]["status"], &rows[0]["form"]), (&Value::Null, &json!("zst")));
    assert_eq!((problem(1).as_str(), &rows[1]["form"]), ("", &json!("missing")));
    assert!(problem(2).ends_with(".manifest.json is missing"), "{rows:?}");
    let said = story.expect(0, &["audit", "list"]).stdout;
    assert!(
        said.ends_with("; 3 with a problem: `mutation-agent audit verify` says more\n"),
        "{said}"
    );
}

#[test]
fn without_a_state_nobody_knows_what_is_counted() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", "{");
    let ended = story.expect(0, &["audit", "list", "--json"]);
    assert!(ended.stdout.contains("\"counted\":null"), "{}", ended.stdout);
    assert!(ended.stderr.contains("state.json is corrupt"), "{}", ended.stderr);
}

#[test]
fn absurd_numbers_in_a_manifest_are_a_row_and_a_sum() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let id = story.newest();
    let good = fs::read_to_string(story.audit().manifest(&id)).unwrap();
    let absurd = good.replace("\"attempts\":60,", &format!("\"attempts\":{},", u64::MAX));
    let absurd = absurd.replace("\"success\":60", &format!("\"success\":{}", u64::MAX));
    assert_ne!(absurd, good);
    fs::write(story.audit().manifest(&id), absurd).unwrap();
    let other = "20200101T000000Z-000000".parse().unwrap();
    fs::copy(story.audit().manifest(&id), story.audit().manifest(&other)).unwrap();
    let ended = story.expect(0, &["audit", "list"]);
    assert!(ended.stdout.contains(&format!("2 batches, {} records", u64::MAX)), "{}", ended.stdout);
}

#[test]
fn of_an_open_journal_what_the_next_start_counts_is_listed() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let first = fs::read(story.audit().sealed(&story.newest())).unwrap();
    let state = story.read("mutation-data/state.json");
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", &state);
    let (id, audit) = (story.newest(), story.audit());
    let second = fs::read(audit.sealed(&id)).unwrap();
    fs::remove_file(audit.sealed(&id)).unwrap();
    fs::remove_file(audit.manifest(&id)).unwrap();
    // After a line of its own, another batch's, and the first one once more.
    let line = second.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    for theirs in [&first[..], line] {
        fs::write(audit.open_journal(&id), [line, theirs].concat()).unwrap();
        assert_eq!(rows(&story)[1]["records"], 1);
    }
    story.expect(0, &["run"]);
    assert_eq!(story.lines(&id).len(), 1);
}
