//! A batch that was killed is folded in by the next start, exactly once.

use crate::exposition::assert_nothing_fell;
use crate::gateway::Gateway;
use crate::story::{Story, count_lines, wait_until};
use mutation_agent::units::BatchId;
use rustix::process::Signal;
use serde_json::json;
use std::fs;

/// Starts a long batch and kills it once it is well under way.
fn kill_a_long_batch(story: &Story) -> BatchId {
    let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
    story.wait_for_journal();
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, -1);
    story.newest()
}

/// The whole lines of an open journal, as they stand there.
fn whole_lines(story: &Story, id: &BatchId) -> Vec<u8> {
    let mut bytes = fs::read(story.audit().open_journal(id)).unwrap();
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    bytes.truncate(end);
    bytes
}

#[test]
fn a_push_with_no_gateway_to_push_to_seals_a_killed_batch() {
    let story = Story::new();
    let killed = kill_a_long_batch(&story);
    let lines = whole_lines(&story, &killed);
    let ended = story.expect(0, &["push"]);
    assert!(ended.stdout.contains("nothing to deliver to"), "{}", ended.stdout);
    assert!(fs::read(story.audit().sealed(&killed)).unwrap() == lines, "all whole lines are kept");
    assert_eq!(story.manifest(&killed)["status"], "crashed");
}

#[test]
fn a_killed_batch_is_counted_once_with_all_its_whole_lines() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let killed = kill_a_long_batch(&story);
    let lines = whole_lines(&story, &killed);

    let ended = story.expect(0, &["run"]);
    assert!(ended.stderr.contains(&format!("batch {killed} was killed; its ")), "{}", ended.stderr);
    assert!(!story.audit().open_journal(&killed).exists());
    let sealed = zstd::decode_all(fs::File::open(story.audit().compressed(&killed)).unwrap());
    assert!(sealed.unwrap() == lines, "all whole lines are kept");
    let manifest = story.manifest(&killed);
    assert_eq!(manifest["status"], "crashed");
    assert_eq!(manifest["ended_by"], "crash");
    assert_eq!(manifest["records"], count_lines(&lines));
    assert_eq!(manifest["seed"], 7, "what its first manifest said is still there");

    let push = gateway.newest();
    let all = story.all_lines().len() as u64;
    assert_eq!(push.count("exit_mutations_total"), all);
    assert_eq!(push.count("exit_mutation_duration_seconds_count"), all);
    assert_eq!(push.batches("crashed"), 1);
    assert_eq!(push.batches("completed"), 2);

    // A second restart has nothing to do.
    let totals = story.state()["totals"]["tally"].clone();
    let ended = story.expect(0, &["push", "--all"]);
    assert!(!ended.stderr.contains("killed"), "{}", ended.stderr);
    assert_eq!(story.state()["totals"]["tally"], totals);
    assert_eq!(gateway.newest().count("exit_mutations_total"), all);
    assert_eq!(gateway.newest().batches("crashed"), 1);
}

#[test]
fn no_counter_falls_over_a_kill() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("push", "interval", "\"100ms\"");
    for _ in 0..2 {
        let before = gateway.requests().len();
        let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
        gateway.wait_for(before + 3);
        running.signal(Signal::KILL);
        running.end();
    }
    story.expect(0, &["run"]);
    assert_nothing_fell(&gateway.pushes());
    let last = gateway.newest();
    assert_eq!(last.count("exit_mutations_total"), story.all_lines().len() as u64);
    assert_eq!((last.batches("crashed"), last.batches("completed")), (2, 1));
}

#[test]
fn push_alone_recovers_a_killed_batch_too() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    let killed = kill_a_long_batch(&story);
    story.expect(0, &["push"]);
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), story.lines(&killed).len() as u64);
    assert_eq!(push.batches("crashed"), 1);
    assert_eq!(push.count("mutation_batch_in_progress"), 0);
}

#[test]
fn a_torn_tail_is_cut_at_the_last_newline_and_kept_as_broken() {
    let story = Story::new();
    let killed = kill_a_long_batch(&story);
    let lines = whole_lines(&story, &killed);
    let torn = b"{\"timestamp\":\"2026-11-23T02:00:00.12";
    fs::write(story.audit().open_journal(&killed), [&lines[..], torn].concat()).unwrap();
    let ended = story.expect(0, &["run"]);
    let told = format!("{} bytes of a torn line are kept as {killed}.jsonl.broken", torn.len());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(fs::read(story.audit().broken(&killed)).unwrap(), torn);
    assert_eq!(story.lines(&killed).len(), count_lines(&lines));
    assert_eq!(story.state()["totals"]["tally"]["attempts"], count_lines(&lines) + 60);
}

#[test]
fn zeros_that_a_power_cut_left_are_cut_off_as_well() {
    let story = Story::new();
    let killed = kill_a_long_batch(&story);
    let lines = whole_lines(&story, &killed);
    let journal = [&lines[..], &[0; 5000], b"\n"].concat();
    fs::write(story.audit().open_journal(&killed), journal).unwrap();
    story.expect(0, &["run"]);
    assert_eq!(fs::read(story.audit().broken(&killed)).unwrap().len(), 5001);
    assert_eq!(story.lines(&killed).len(), count_lines(&lines));
}

#[test]
fn a_batch_killed_before_its_first_record_counts_as_crashed_with_none() {
    let story = Story::new();
    let killed = kill_a_long_batch(&story);
    fs::write(story.audit().open_journal(&killed), "").unwrap();
    fs::remove_file(story.audit().manifest(&killed)).unwrap();
    story.expect(0, &["run"]);
    let manifest = story.manifest(&killed);
    assert_eq!((&manifest["status"], &manifest["records"]), (&json!("crashed"), &json!(0)));
    assert_eq!(story.state()["totals"]["batches"], json!({"completed": 1, "crashed": 1}));
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 60);
}

/// A story of two batches in which the state is the one from before the second.
fn killed_before_the_state_was_saved() -> Story {
    let story = Story::new();
    story.expect(0, &["run"]);
    let state = story.read("mutation-data/state.json");
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", &state);
    story
}

#[test]
fn a_batch_killed_between_seal_and_state_is_folded_once_as_it_ended() {
    let story = killed_before_the_state_was_saved();
    for _ in 0..2 {
        story.expect(0, &["run", "--rounds", "1", "--mutations", "10"]);
    }
    let totals = &story.state()["totals"];
    assert_eq!(totals["tally"]["attempts"], 140);
    assert_eq!(totals["batches"], json!({"completed": 4}));
}

#[test]
fn a_batch_killed_between_manifest_and_rename_keeps_the_end_that_it_had() {
    let story = killed_before_the_state_was_saved();
    let id = story.newest();
    fs::rename(story.audit().sealed(&id), story.audit().open_journal(&id)).unwrap();
    let ended = story.expect(0, &["run"]);
    let told = format!("batch {id} was killed while it was sealed");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(story.manifest(&id)["status"], "completed");
    let totals = &story.state()["totals"];
    assert_eq!(totals["tally"]["attempts"], 180);
    assert_eq!(totals["batches"], json!({"completed": 3}));
}

#[test]
fn candidates_that_a_killed_batch_left_unfinished_are_cleared_away() {
    let story = Story::new();
    story.write("evolved/.20260101T000000Z-abcdef.tmp/strategies/momentum/exit_mut_000001.py", "x");
    let ours: BatchId = "20260101T000000Z-abcdef".parse().unwrap();
    let manifest = story.audit().manifest(&ours);
    fs::create_dir_all(manifest.parent().unwrap()).unwrap();
    fs::write(manifest, "x").unwrap();
    // Another agent may write to the same folder.
    story.write("evolved/.20260101T000000Z-fedcba.tmp/keep", "x");
    story.write("evolved/.not-ours.tmp/keep", "x");
    story.expect(0, &["run"]);
    assert!(story.path("evolved/.20260101T000000Z-fedcba.tmp/keep").exists());
    assert!(!story.path("evolved/.20260101T000000Z-abcdef.tmp").exists());
    assert!(story.path("evolved/.not-ours.tmp/keep").exists());
}

#[test]
fn a_second_start_leaves_the_first_alone() {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    let running = story.start(&["run"]);
    story.wait_for_journal();
    gateway.wait_for(1);
    // While the first stands still, nothing in the folder may change but by the second.
    running.stop();
    let before = story.listing();
    for args in [&["run"][..], &["push"], &["push", "--all"]] {
        let ended = story.expect(75, args);
        assert!(ended.stderr.contains("another mutation-agent is at work"), "{}", ended.stderr);
    }
    // Those who only look are let in.
    story.expect(0, &["check"]);
    story.expect(0, &["stats"]);
    story.expect(0, &["run", "--dry-run"]);
    assert!(story.listing() == before, "the folder is as it was");
    assert_eq!(gateway.requests().len(), 1, "nothing was sent");
    running.signal(Signal::CONT);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143, "the first goes on as if nothing had been");
    assert_eq!(story.batches().len(), 1);
}

#[test]
fn an_audit_folder_of_another_agents_batch_is_left_alone() {
    let mut first = Story::long();
    let audit = first.path("shared-audit");
    first.set("audit", "dir", &format!("{:?}", audit.display().to_string()));
    let running = first.start(&["run"]);
    wait_until("the first has begun", || {
        fs::read_dir(&audit).is_ok_and(|entries| entries.count() > 1)
    });
    let mut second = Story::new();
    second.set("audit", "dir", &format!("{:?}", audit.display().to_string()));
    let refused = second.expect(75, &["run"]);
    assert!(refused.stderr.contains("another mutation-agent is at work"), "{}", refused.stderr);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143);
}

#[test]
fn a_link_that_cannot_be_swapped_undoes_no_batch() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let latest = story.audit().latest();
    fs::remove_file(&latest).unwrap();
    fs::create_dir(&latest).unwrap();
    let ended = story.expect(0, &["run"]);
    assert!(
        ended.stderr.contains("latest.jsonl does not lead to the newest log"),
        "{}",
        ended.stderr
    );
    assert_eq!(story.state()["totals"]["batches"], json!({"completed": 2}));
}

#[test]
fn another_job_is_another_group_that_has_seen_nothing() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let before = gateway.requests().len();
    assert!(story.expect(0, &["push"]).stdout.contains("has seen the newest totals"));
    assert_eq!(gateway.requests().len(), before);
    story.set("batch", "job", "\"other\"");
    assert!(story.expect(0, &["push"]).stdout.contains("delivered"));
    assert_eq!(gateway.requests().len(), before + 1);
}
