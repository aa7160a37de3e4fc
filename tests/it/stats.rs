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
fn what_a_shell_makes_of_a_star_counts_each_batch_once() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let names = fs::read_dir(story.path("mutation-data/audit")).unwrap();
    let names = names.map(|entry| entry.unwrap().path().display().to_string());
    let star: Vec<String> = names.filter(|name| name.contains(".jsonl")).collect();
    let star: Vec<&str> = star.iter().map(String::as_str).collect();
    assert_eq!(star.len(), 3, "two logs and the link: {star:?}");
    assert_eq!(total(&story, &star), 120);
    assert_eq!(total(&story, &[&star[..], &["mutation-data", star[0]]].concat()), 120);
    // A copy elsewhere is the same batch, and that is said.
    let id = story.newest();
    let copy = format!("{id}.jsonl");
    fs::copy(story.audit().sealed(&id), story.path(&copy)).unwrap();
    let ended = story.expect(0, &["stats", "--json", "mutation-data", &copy]);
    assert!(ended.stdout.starts_with("{\"total\":120,"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("is of a batch that is read already, left out"),
        "{}",
        ended.stderr
    );
    story.expect(0, &["report", "-o", "report.html", "mutation-data", &copy]);
    let page = fs::read_to_string(story.path("report.html")).unwrap();
    assert!(page.contains("120 records in 2 batches"), "{page}");
}

#[test]
fn names_in_a_log_of_anybodys_do_nothing_to_a_terminal() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let text = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    let loud = text
        .replace("\"parameter\":\"", "\"parameter\":\"\\u001b[2J")
        .replace("\"variant\":null", "\"variant\":\"\\u001b]0;x\\u0007\"");
    story.write("loud.jsonl", &loud);
    for by in [&[][..], &["--by", "parameter,variant"]] {
        let table = story.expect(0, &[&["stats", "loud.jsonl"][..], by].concat()).stdout;
        assert!(table.contains("\u{fffd}[2J") && !table.contains(['\u{1b}', '\u{7}']), "{table:?}");
    }
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
        ended.stderr.contains("error: garbage.jsonl:61:1: not an audit record"),
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
fn the_table_for_people_says_what_the_failures_were() {
    let mut story = Story::new();
    story.expect(0, &["run"]);
    let table = story.expect(0, &["stats"]).stdout;
    assert!(table.contains("\n  failures                    0\n  mean"), "{table}");
    story.table("[[constraint]]\nrule = \"stop_loss_pct < 0.06\"\n");
    story.expect(0, &["run"]);
    let table = story.expect(0, &["stats"]).stdout;
    let broken = story.all_lines().iter().filter(|line| line["error"].is_string()).count();
    assert!(broken > 9, "{table}");
    let told =
        format!("  failures                   {broken}\n    constraint_violated      {broken}\n");
    assert!(table.contains(&told), "{table}");
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

/// The records of all sealed logs, as JSON.
fn records(story: &Story) -> Vec<Value> {
    let logs = story.batches().into_iter().map(|id| fs::read_to_string(story.audit().sealed(&id)));
    let text: String = logs.map(Result::unwrap).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_group_has_all_the_figures_of_its_own_records() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let said = story.expect(0, &["stats", "--json", "--by", "round,outcome"]).stdout;
    let figures: Value = serde_json::from_str(&said).unwrap();
    let groups = figures["groups"].as_array().unwrap();
    let records = records(&story);
    let mut total = 0;
    for group in groups {
        let own: Vec<_> = records
            .iter()
            .filter(|one| one["round"] == group["round"] && one["outcome"] == group["outcome"])
            .collect();
        let seconds = own.iter().map(|one| one["duration_ms"].as_f64().unwrap() / 1e3);
        let longest = seconds.fold(0.0, f64::max);
        assert_eq!(group["total"], own.len(), "{group}");
        assert!((group["duration_statistics"]["max"].as_f64().unwrap() - longest).abs() < 1e-12);
        assert_eq!(group["successes"], own.iter().filter(|one| one["success"] == true).count());
        total += own.len();
    }
    assert!(groups.len() > 1 && total == records.len() && figures["total"] == total, "{said}");
    let rounds: Vec<_> = groups.iter().map(|group| group["round"].as_u64().unwrap()).collect();
    assert!(rounds.is_sorted(), "{rounds:?}");
    let table = story.expect(0, &["stats", "--by", "strategy"]).stdout;
    assert!(table.lines().nth(2).unwrap().starts_with("  strategy "), "{table}");
}

#[test]
fn since_and_until_cut_at_the_record_and_a_day_is_meant_whole() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let records = records(&story);
    let middle = records[30]["timestamp"].as_str().unwrap();
    let is_before = |one: &Value| one["timestamp"].as_str().unwrap() < middle;
    let before = records.iter().filter(|one| is_before(one)).count();
    let count = |args: &[&str]| total(&story, args).as_u64().unwrap();
    assert_eq!(count(&["--until", middle]), before as u64);
    assert_eq!(count(&["--since", middle]), (records.len() - before) as u64);
    let day = &middle[..10];
    let last_day = &records[records.len() - 1]["timestamp"].as_str().unwrap()[..10];
    assert_eq!(count(&["--since", day, "--until", last_day]), records.len() as u64);
    assert_eq!(count(&["--since", "1h"]), records.len() as u64);
    assert_eq!(count(&["--until", "1h"]), 0);
    let said = story.expect(2, &["stats", "--since", "yesterday"]).stderr;
    assert!(said.contains("expected a day (2026-11-23)"), "{said}");
}

#[test]
fn a_stretch_of_time_that_ends_before_it_begins_is_a_mistake() {
    let story = Story::new();
    for command in ["stats", "report"] {
        let ended = story.expect(2, &[command, "--since", "2026-11-28", "--until", "2026-11-27"]);
        assert!(ended.stderr.contains("`--until` is not after `--since`"), "{}", ended.stderr);
        story.expect(0, &[command, "--since", "2026-11-28", "--until", "2026-11-28"]);
    }
}

#[test]
fn a_folder_is_all_that_is_in_it_whosever_configuration() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    for folder in ["mutation-data", "mutation-data/audit"] {
        assert_eq!(total(&story, &[folder, "--config", "none.toml"]), 120, "{folder}");
    }
    story.expect(74, &["stats", "none.jsonl"]);
    let nothing = story.expect(0, &["stats", "evolved"]);
    assert!(nothing.stderr.contains("no audit log is there"), "{}", nothing.stderr);
}

#[test]
fn a_batch_is_counted_once_however_often_and_by_whichever_of_its_names_it_is_named() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    // As a shell finds them with `audit/*`: two manifests, a packed and a plain log, and the link.
    let all: Vec<_> = fs::read_dir(story.audit().path()).unwrap().map(|one| one.unwrap()).collect();
    let mut names: Vec<_> = all.iter().map(|one| one.path().display().to_string()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    names.sort();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(total(&story, &names), 120);
    names.push("mutation-data");
    assert_eq!(total(&story, &names), 120, "a folder, and what is in it");
    fs::copy(story.audit().sealed(&story.newest()), story.path("copy.jsonl")).unwrap();
    assert_eq!(total(&story, &["copy.jsonl", "./copy.jsonl"]), 60);
    let page = story.expect(0, &[&["report", "-o", "-"], names.as_slice()].concat()).stdout;
    assert!(page.contains("120 records in 2 batches."), "{page}");
}

#[test]
fn names_that_take_two_columns_a_character_push_no_row_aside() {
    let story = Story::new();
    let source = fs::read(story.path("strategies/momentum.py")).unwrap();
    story.write_bytes("strategies/\u{52a8}\u{91cf}.py", &source);
    story.expect(0, &["run"]);
    let table = story.expect(0, &["stats", "--by", "strategy"]).stdout;
    let length = |name: &str| {
        let row = table.lines().find(|row| row.contains(name)).unwrap();
        row.chars().count()
    };
    assert_eq!(length("\u{52a8}\u{91cf}.py") + 2, length("momentum.py"), "{table}");
}
