//! `ingest`: logs of the Python system become batches, each line once.

use crate::exposition::Exposition;
use crate::gateway::{ClosedPort, Gateway};
use crate::scripted_gateway::Step;
use crate::story::{Story, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

/// So many lines as the Python system writes them, from `first` on; each third fails, each fourth has no duration.
fn lines(first: u32, count: u32) -> String {
    let mut text = String::new();
    for number in first..first + count {
        let (minute, second) = (number / 60 % 60, number % 60);
        let success = !number.is_multiple_of(3);
        let error = if success { "null" } else { "\"line 7: invalid syntax\"" };
        let duration = if number.is_multiple_of(4) {
            String::new()
        } else {
            format!(", \"duration_ms\": {number}.5")
        };
        writeln!(
            text,
            "{{\"timestamp\": \"2026-11-23T02:{minute:02}:{second:02}.{number:06}\", \
             \"parameter\": \"stop_loss_pct\", \"old_value\": 0.1, \"new_value\": 0.12, \"clamped\": false, \
             \"success\": {success}, \"validation_passed\": {success}, \"error\": {error}, \
             \"mutation_id\": \"exit_mut_{:06}\"{duration}}}",
            number % 7 + 1
        )
        .unwrap();
    }
    text
}

/// Which lines of which logs are on record; a line that is there twice fails the test.
fn places(story: &Story) -> BTreeSet<(String, u64)> {
    let mut places = BTreeSet::new();
    for line in story.all_lines() {
        let place = (line["strategy"].as_str().unwrap().to_owned(), line["line"].as_u64().unwrap());
        assert!(places.insert(place.clone()), "{place:?} is counted twice");
    }
    places
}

fn total(story: &Story) -> u64 {
    story.state()["totals"]["tally"]["attempts"].as_u64().unwrap()
}

const UTC: [&str; 3] = ["ingest", "--timezone", "UTC"];

fn ingest(story: &Story, code: i32, files: &[&str]) -> String {
    let args: Vec<&str> = UTC.iter().chain(files).copied().collect();
    let ended = story.expect(code, &args);
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn a_line_becomes_a_record_that_says_no_more_than_the_line() {
    let story = Story::new();
    let nan = lines(8, 1).replace("0.12", "NaN");
    story.write("old.log", &format!("{}{nan}", lines(1, 1)));
    ingest(&story, 0, &["old.log"]);
    let id = story.newest();
    let expected = json!({
        "timestamp": "2026-11-23T02:00:01.000001Z", "batch_id": id.as_str(), "mutation_id": "exit_mut_000001",
        "round": 1, "strategy": "old.log", "line": 1, "parameter": "stop_loss_pct",
        "operator": "compat-gaussian", "variant": null, "parent": null, "old_value": 0.1, "new_value": 0.12,
        "clamped": false, "outcome": "success", "success": true, "validation_passed": true, "error": null,
        "fitness": null, "duration_ms": 1.5, "evaluation_ms": null,
    });
    let found = story.lines(&id);
    assert_eq!(found[0], expected);
    assert_eq!((&found[1]["new_value"], &found[1]["duration_ms"]), (&Value::Null, &Value::Null));
    assert!(found[1]["success"].as_bool().unwrap());
    let stats: Value = serde_json::from_str(&story.expect(0, &["stats", "--json"]).stdout).unwrap();
    assert_eq!((&stats["total"], &stats["total_duration_samples"]), (&json!(2), &json!(1)));
    story.expect(0, &["audit", "verify"]);
    story.expect(0, &["report"]);
}

#[test]
fn each_line_counts_once_whatever_becomes_of_the_log() {
    let story = Story::new();
    story.write("old.log", &lines(1, 20));
    let said = ingest(&story, 0, &["old.log"]);
    assert!(said.contains("old.log: 20 records taken, from line 1 to 20\n"), "{said}");
    assert!(said.contains("completed: 20 mutations, 14 succeeded"), "{said}");
    let said = ingest(&story, 0, &["old.log"]);
    assert_eq!((said.as_str(), story.batches().len()), ("old.log: nothing new\n", 1));

    // It grew, was renamed, copied, packed; and the copies are named beside it.
    story.write("renamed.log", &lines(1, 25));
    let packed = zstd::encode_all(lines(1, 25).as_bytes(), 1).unwrap();
    story.write_bytes("packed", &packed);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines(1, 30).as_bytes()).unwrap();
    story.write_bytes("old.log.1.gz", &gzip.finish().unwrap());
    let said = ingest(&story, 0, &["renamed.log", "packed", "renamed.log", "old.log.1.gz"]);
    assert!(said.contains("renamed.log: 5 records taken, from line 21 to 25\n"), "{said}");
    assert!(!said.contains("packed"), "there is nothing to tell: {said}");
    assert!(said.contains("old.log.1.gz: 5 records taken, from line 26 to 30\n"), "{said}");
    let lines: BTreeSet<u64> = places(&story).into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines.into_iter().collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());

    // Of the log as it was before, and without the state, nothing is new.
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    let said = ingest(&story, 0, &["old.log", "packed", "old.log.1.gz"]);
    assert!(said.contains("old.log: shorter than what was taken of it before: nothing"), "{said}");
    assert_eq!(total(&story), 30);
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn a_torn_line_takes_no_whole_one_with_it_and_an_unfinished_one_waits() {
    let story = Story::new();
    let (one, two) = (lines(1, 1), lines(2, 2));
    let torn = format!("{}{}not a record\n\n{}", &one[..50], one, two.trim_end());
    story.write("old.log", &torn);
    let said = ingest(&story, 0, &["old.log"]);
    let left_out = "left out: 1 torn (first in line 1), 1 no JSON object (first in line 2)";
    assert!(said.contains(&format!("3 records taken, from line 1 to 5; {left_out}")), "{said}");
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["ingest"]["sources"][0]["left_out"], json!({"torn": 1, "not_json": 1}));
    // The last line had no newline, and the next process goes on in it; what it writes is not whole yet.
    let more = lines(4, 2);
    story.write("old.log", &format!("{torn}{}", &more[..more.len() - 9]));
    assert!(ingest(&story, 0, &["old.log"]).contains("1 record taken, from line 5 to 5"));
    story.write("old.log", &format!("{torn}{more}"));
    assert!(ingest(&story, 0, &["old.log"]).contains("1 record taken, from line 6 to 6"));
    assert_eq!(total(&story), 5);
}

#[test]
fn a_killed_ingest_goes_on_behind_what_is_on_record() {
    let story = Story::new();
    story.write("a.log", &lines(1, 30_000));
    story.write("b.log", &lines(50_001, 30_000));
    let mut killed = 0;
    for _ in 0..3 {
        let running = story.start(&[&UTC[..], &["a.log", "b.log"]].concat());
        let before = story.batches().len();
        wait_until("there is a journal with lines", || {
            let batches = story.audit().batches().unwrap_or_default();
            let open = batches.iter().find(|(_, files)| files.open);
            batches.len() > before
                || open.is_some_and(|(id, _)| {
                    story.audit().open_journal(id).metadata().is_ok_and(|it| it.len() > 100_000)
                })
        });
        running.signal(Signal::KILL);
        running.end();
        let batches = story.audit().batches().unwrap();
        killed += usize::from(batches.values().any(|files| files.open));
    }
    assert!(killed > 0, "it was never killed in the middle");
    ingest(&story, 0, &["a.log", "b.log"]);
    assert_eq!(places(&story).len(), 60_000);
    assert_eq!(total(&story), 60_000);
    assert_eq!(ingest(&story, 0, &["a.log", "b.log"]), "nothing new in 2 logs\n");
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn a_signal_seals_what_was_taken_and_the_rest_comes_later() {
    let story = Story::new();
    story.write("old.log", &lines(1, 60_000));
    let running = story.start(&[&UTC[..], &["old.log"]].concat());
    story.wait_for_journal();
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    assert_eq!(story.manifest(&story.newest())["status"], "interrupted");
    let taken = total(&story);
    assert!((1..60_000).contains(&taken), "{taken}");
    let told = format!("old.log: 60000 records found, {taken} taken, from line 1 to 60000\n");
    assert!(ended.stdout.starts_with(&told), "{}", ended.stdout);
    ingest(&story, 0, &["old.log"]);
    assert_eq!(places(&story).len(), 60_000);
}

#[test]
fn what_must_not_be_counted_is_refused_before_anything_is_written() {
    let story = Story::new();
    story.write("old.log", &lines(1, 20));
    ingest(&story, 0, &["old.log"]);
    let before = story.listing();
    story.write("unknown.log", &lines(100, 9).replace("stop_loss_pct", "moon_phase"));
    story.write("edited.log", &format!("{}{}", lines(1, 10), lines(40, 30)));
    story.write("prose.log", "nothing\nof\ninterest\n");
    story.write_bytes("damaged.gz", &[0x1f, 0x8b, 8, 0, 1, 2, 3]);
    story.write("new.log", &lines(200, 5));
    for (code, file, told) in [
        (65, "unknown.log", "no parameter \"moon_phase\" (9 records, first at unknown.log:1)"),
        (
            65,
            "edited.log",
            "edited.log begins as a log that was taken in before and goes on otherwise",
        ),
        (65, "prose.log", "prose.log:1: no JSON object, and no other line is a record"),
        (65, "damaged.gz", "damaged.gz is damaged: "),
        (74, "none.log", "cannot open none.log: "),
        (74, "strategies", "cannot open strategies: it is a folder; name the logs in it"),
        (74, "/dev/null", "cannot open /dev/null: it is no regular file"),
    ] {
        // What is wrong with one of them is found before another is taken.
        let files: &[&str] = if file == "prose.log" { &[file] } else { &["new.log", file] };
        let said = ingest(&story, code, files);
        assert!(said.contains(told), "{said}");
    }
    let said = story.expect(2, &["ingest", "--timezone", "Mars/Olympus", "old.log"]).stderr;
    assert!(said.contains("failed to find time zone `Mars/Olympus`"), "{said}");
    story.write("empty.log", "");
    assert_eq!(ingest(&story, 0, &["empty.log"]), "empty.log: nothing new\n");
    let data = story.path("mutation-data");
    for (path, was) in before.iter().filter(|(path, _)| path.starts_with(&data)) {
        assert_eq!(story.listing().get(path), Some(was), "{}", path.display());
    }
}

#[test]
fn gateways_see_the_old_programs_figures_and_when_it_last_succeeded() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.write("old.log", &lines(1, 30));
    ingest(&story, 0, &["old.log"]);
    let push = gateway.newest();
    assert_eq!(
        (push.count("exit_mutations_total"), push.count("exit_mutations_success")),
        (30, 20)
    );
    assert_eq!(push.count("exit_mutation_duration_seconds_count"), 23, "7 have no duration");
    // The last success is that of line 29, at 02:00:29 UTC; not when it was read.
    let last_success = push.get("mutation_batch_last_success_timestamp_seconds");
    assert!((last_success - 1_795_399_229.000_029).abs() < 1e-3, "{last_success}");

    // Failures alone: the batch did its work, and nothing succeeded.
    let failed = lines(30, 1).repeat(3);
    story.write("failed.log", &failed);
    assert!(ingest(&story, 0, &["failed.log"]).contains("completed: 3 mutations, 0 succeeded"));
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), 33);
    assert_eq!(
        push.get("mutation_batch_last_success_timestamp_seconds").to_bits(),
        last_success.to_bits()
    );

    // What a run finds out about targets stays where only logs are read.
    story.expect(0, &["run"]);
    let targets = |push: &Exposition| push.family("exit_mutation_targets").len();
    let before = targets(&gateway.newest());
    assert!(before > 0);
    story.write("more.log", &lines(90, 3));
    ingest(&story, 0, &["more.log"]);
    assert_eq!(targets(&gateway.newest()), before);
}

#[test]
fn a_dry_run_says_what_is_new_and_writes_nothing() {
    let story = Story::new();
    story.write("old.log", &lines(1, 20));
    let dry = [&UTC[..], &["--dry-run", "old.log"]].concat();
    let said = story.expect(0, &dry).stdout;
    assert_eq!(
        said,
        "old.log: 20 records would be taken, from line 1 to 20\nnothing was written or sent\n"
    );
    assert!(!story.path("mutation-data").exists());
    ingest(&story, 0, &["old.log"]);
    assert!(story.expect(0, &dry).stdout.starts_with("old.log: nothing new\n"));
}

#[test]
fn programs_are_told_in_json_and_nothing_is_drawn_again() {
    let story = Story::new();
    story.write("old.log", &format!("{}oops\n", lines(1, 20)));
    let args = ["--log-format", "json", "ingest", "--timezone", "UTC", "old.log"];
    let said: Value = serde_json::from_str(&story.expect(0, &args).stdout).unwrap();
    assert_eq!((&said["attempts"], &said["exit_code"]), (&json!(20), &json!(0)));
    let log = json!({"log": "old.log", "records": 20, "left_out": {"not_json": 1}});
    assert_eq!(said["logs"], json!([log]));
    let again: Value = serde_json::from_str(&story.expect(0, &args).stdout).unwrap();
    assert_eq!((&again["batch_id"], &again["logs"][0]["records"]), (&Value::Null, &json!(0)));
    let said = story.expect(0, &["replay"]).stdout;
    assert!(said.ends_with(": its records are another program's: nothing was drawn\n"), "{said}");
    story.expect(65, &["replay", "latest"]);
}

#[test]
fn a_follower_takes_whole_lines_as_they_come_and_holds_no_lock_between_batches() {
    let story = Story::new();
    let follow = [&UTC[..], &["--follow", "--idle", "1s", "old.log"]].concat();
    let running = story.start(&follow);
    let text = lines(1, 12);
    let cut = text.len() - 30;
    story.write("old.log", &text[..cut]);
    let sealed = |count| {
        let batches = story.audit().batches().unwrap_or_default();
        batches.values().filter(|files| files.is_sealed()).count() == count
    };
    wait_until("the first batch is sealed", || sealed(1));
    assert_eq!(story.all_lines().len(), 11, "the last line is not whole");
    wait_until("the lock is free", || story.run(&["run"]).code == 0);

    let mut log = fs::OpenOptions::new().append(true).open(story.path("old.log")).unwrap();
    log.write_all(&text.as_bytes()[cut..]).unwrap();
    wait_until("the third batch is sealed", || sealed(3));

    // Renamed, and written once more under its old handle.
    fs::rename(story.path("old.log"), story.path("old.log.1")).unwrap();
    log.write_all(lines(13, 1).as_bytes()).unwrap();
    story.write("old.log", &lines(70, 4));
    wait_until("the next log is taken", || sealed(5));

    // Cut to nothing, as copytruncate does.
    story.write("old.log", &lines(90, 2));
    wait_until("so is the one after it", || sealed(6));
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 5, "{}", ended.stdout);
    let ours: Vec<Value> =
        story.all_lines().into_iter().filter(|line| line["strategy"] == "old.log").collect();
    assert_eq!(ours.len(), 12 + 1 + 4 + 2);
    let times: BTreeSet<&str> = ours.iter().filter_map(|line| line["timestamp"].as_str()).collect();
    assert_eq!(times.len(), ours.len(), "each once");
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn a_log_that_is_followed_by_two_names_counts_once() {
    let story = Story::new();
    story.write("old.log", &lines(1, 5));
    std::os::unix::fs::symlink("old.log", story.path("link.log")).unwrap();
    story.write("copy.log", &lines(1, 3));
    let follow =
        [&UTC[..], &["--follow", "--idle", "1s", "old.log", "link.log", "copy.log"]].concat();
    let running = story.start(&follow);
    wait_until("the first lines are taken", || !story.state_or_null()["totals"].is_null());
    // More for all of them, and at last for the copy alone.
    story.write("copy.log", &lines(1, 8));
    let mut log = fs::OpenOptions::new().append(true).open(story.path("old.log")).unwrap();
    log.write_all(lines(6, 3).as_bytes()).unwrap();
    wait_until("so are the next", || story.state_or_null()["totals"]["tally"]["attempts"] == 8);
    story.write("copy.log", &lines(1, 9));
    wait_until("and the last", || story.state_or_null()["totals"]["tally"]["attempts"] == 9);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 0);
    assert_eq!(total(&story), 9);
    let times: BTreeSet<String> =
        story.all_lines().iter().map(|line| line["timestamp"].to_string()).collect();
    assert_eq!(times.len(), 9, "each once");
}

#[test]
fn a_follower_ends_where_a_parameter_comes_that_is_not_configured() {
    let story = Story::new();
    story.write("old.log", &lines(1, 5));
    let running = story.start(&[&UTC[..], &["--follow", "old.log"]].concat());
    wait_until("the batch is open", || {
        story.audit().batches().is_ok_and(|batches| batches.values().any(|files| files.open))
    });
    let mut log = fs::OpenOptions::new().append(true).open(story.path("old.log")).unwrap();
    log.write_all(lines(6, 1).replace("stop_loss_pct", "moon_phase").as_bytes()).unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 65, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("\"moon_phase\" (1 record, first at old.log:6)"),
        "{}",
        ended.stderr
    );
    assert_eq!((places(&story).len(), total(&story)), (5, 5), "what came before is sealed");
}

#[test]
fn a_follower_begins_with_what_was_not_delivered() {
    let port = ClosedPort::reserve();
    let mut story = Story::new();
    story.push_to_url("main", &port.url());
    story.set("push", "attempt_timeout", "\"200ms\"");
    story.set("push", "deadline", "\"300ms\"");
    story.write("old.log", &lines(1, 3));
    ingest(&story, 75, &["old.log"]);
    let gateway = port.open(vec![Step::ok()]);
    story.set("push", "deadline", "\"40s\"");
    story.set("push", "attempt_timeout", "\"20s\"");
    let running = story.start(&[&UTC[..], &["--follow", "old.log"]].concat());
    gateway.wait_for(1);
    wait_until("that is remembered", || {
        story.state()["gateways"]["main"]["delivered"] == story.newest().as_str()
    });
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 0);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 3);
}

#[test]
fn a_follower_that_is_told_to_stop_seals_what_it_has() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.write("old.log", &lines(1, 12));
    let running = story.start(&[&UTC[..], &["--follow", "old.log"]].concat());
    wait_until("the batch is open", || {
        story.audit().batches().is_ok_and(|batches| batches.values().any(|files| files.open))
    });
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(story.manifest(&story.newest())["status"], "completed");
    assert_eq!(story.manifest(&story.newest())["ended_by"], "ingested");
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), story.all_lines().len() as u64);
    assert_eq!(push.count("mutation_batch_in_progress"), 0);
    ingest(&story, 0, &["old.log"]);
    assert_eq!(places(&story).len(), 12);
}
