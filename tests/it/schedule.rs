//! `schedule` as it begins and ends, and `schedule next`; what needs a clock that moves is in `tests/e2e/schedule.py`.

use crate::story::{Story, wait_until};
use jiff::Timestamp;
use mutation_agent::disk::{self, Mode};
use rustix::process::Signal;
use std::collections::BTreeSet;

/// With one start a year, so that none comes while a test runs.
fn yearly() -> Story {
    let mut story = Story::new();
    story.set("schedule", "cron", "\"0 0 29 2 *\"");
    story
}

#[test]
fn without_a_schedule_in_the_config_there_is_none_to_keep() {
    let story = Story::new();
    for args in [&["schedule"][..], &["schedule", "next"]] {
        let ended = story.expect(78, args);
        assert!(ended.stderr.contains("agent.toml: there is no [schedule]"), "{}", ended.stderr);
    }
    assert!(!story.path("mutation-data").exists(), "nothing is made for it");
}

#[test]
fn a_cron_expression_that_is_none_is_shown_with_its_place() {
    let mut story = Story::new();
    story.set("schedule", "cron", "\"0 24 * * *\"");
    for args in [&["schedule"][..], &["schedule", "next"], &["check"], &["run"]] {
        let ended = story.expect(78, args);
        let place = "agent.toml:14:8: `cron`: the hour cannot be `24`";
        assert!(ended.stderr.contains(place), "{}", ended.stderr);
    }
}

#[test]
fn one_schedule_keeps_a_folder_and_batches_go_on_beside_it() {
    let story = yearly();
    let running = story.start(&["schedule"]);
    let remembered = story.path("mutation-data/schedule.json");
    wait_until("it is kept", || remembered.exists());
    let second = story.expect(75, &["schedule"]);
    assert!(second.stderr.contains("another `mutation-agent schedule`"), "{}", second.stderr);
    story.expect(0, &["run"]);
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    let remembered = story.read("mutation-data/schedule.json");
    assert!(remembered.contains("\"schedule\":\"0 0 29 2 * in UTC\""), "{remembered}");
}

#[test]
fn what_a_newer_schedule_remembers_is_left_alone() {
    let story = yearly();
    story.expect(0, &["run"]);
    let newer = "{\"schema\":2}\n";
    story.write("mutation-data/schedule.json", newer);
    let ended = story.expect(78, &["schedule"]);
    assert!(ended.stderr.contains("schema 2"), "{}", ended.stderr);
    assert_eq!(story.read("mutation-data/schedule.json"), newer);
}

#[test]
fn a_batch_of_a_schedule_is_of_the_shard_that_the_schedule_was_asked_for() {
    let mut story = Story::new();
    story.set("schedule", "cron", "\"* * * * *\"");
    story.expect(0, &["run", "--shard", "1/2"]);
    // Starts of the last minutes were missed; the newest is late by less than a minute.
    let remembered = format!(
        "{{\"schema\":1,\"until\":\"{}\",\"schedule\":\"* * * * * in UTC\"}}",
        Timestamp::now() - jiff::SignedDuration::from_mins(5)
    );
    let path = story.path("mutation-data/shard-1/schedule.json");
    disk::replace(&path, remembered.as_bytes(), Mode::Private).unwrap();
    let running = story.start(&["--log-format", "json", "schedule", "--shard", "1/2"]);
    wait_until("a batch has ended", || running.log().contains("the batch's process has ended"));
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let result: serde_json::Value =
        serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(result["exit_code"], 0, "{result}");
    assert!(result["audit"].as_str().unwrap().contains("/shard-1/"), "{result}");
}

/// The starts that `schedule next` prints, by their first column.
fn next(story: &Story, count: usize) -> Vec<Timestamp> {
    let ended = story.expect(0, &["schedule", "next", "-n", &count.to_string()]);
    let lines: Vec<(&str, &str)> =
        ended.stdout.lines().map(|line| line.split_once("  ").unwrap()).collect();
    assert_eq!(lines.len(), count, "{}", ended.stdout);
    for (local, utc) in &lines {
        assert!(utc.ends_with('Z') && !local.ends_with('Z'), "{local} {utc}");
        assert_eq!(local.parse::<Timestamp>().unwrap(), utc.parse().unwrap());
    }
    let days: BTreeSet<&str> = lines.iter().map(|(local, _)| &local[..10]).collect();
    assert_eq!(days.len(), count, "once a day");
    lines.iter().map(|(_, utc)| utc.parse().unwrap()).collect()
}

#[test]
fn the_coming_starts_are_printed_in_the_zone_and_in_utc_and_check_shows_the_next() {
    let mut story = Story::new();
    story.set("schedule", "cron", "\"30 2 * * *\"");
    story.set("schedule", "time_zone", "\"Europe/Berlin\"");
    let starts = next(&story, 400);
    assert!(starts.is_sorted_by(|a, b| a < b) && starts[0] > Timestamp::now());
    story.set("schedule", "splay", "\"1h\"");
    let later = next(&story, 400);
    // Between a start and the later one, that day is still to come for the second alone.
    let later = later.iter().skip_while(|later| **later < starts[0]);
    let moved: BTreeSet<i64> =
        later.zip(&starts).map(|(later, plain)| later.as_second() - plain.as_second()).collect();
    assert_eq!(moved.len(), 1, "by the same on each day: {moved:?}");
    assert!(moved.iter().all(|seconds| (0..3600).contains(seconds)), "{moved:?}");
    let check = story.expect(0, &["check"]).stdout;
    assert!(check.contains("\n# schedule\n30 2 * * * in Europe/Berlin"), "{check}");
    assert!(check.contains("  next start 2"), "{check}");
}
