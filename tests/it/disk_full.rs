//! A disk that is full: what was written stands, what was not is not counted.

use crate::gateway::Gateway;
use crate::story::Story;
use serde_json::json;

#[test]
fn a_full_disk_ends_the_batch_at_its_last_whole_line_and_it_is_pushed() {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    let ended = story.start_on_a_full_disk(500, &["run"]).end();
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);

    let id = story.newest();
    let manifest = story.manifest(&id);
    assert_eq!(manifest["status"], "failed");
    assert_eq!(manifest["ended_by"], "error");
    assert_eq!(manifest["exit_code"], 74);
    // Whole lines, and so many as the manifest says: `lines` asserts the first.
    let lines = story.lines(&id);
    assert!(lines.len() > 300, "{} lines", lines.len());
    assert_eq!(manifest["records"], lines.len());
    assert_eq!(manifest["tally"]["attempts"], lines.len());
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), lines.len() as u64);
    assert_eq!(push.count("mutation_batch_last_exit_code"), 74);
    assert_eq!(push.batches("failed"), 1);

    // With room again, everything goes on.
    story.set("batch", "rounds", "1");
    story.expect(0, &["run"]);
    assert_eq!(gateway.newest().count("exit_mutations_total"), lines.len() as u64 + 100);
}

#[test]
fn a_disk_without_room_for_a_batch_is_found_before_the_first_mutation() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    let ended = story.start_on_a_full_disk(1, &["run"]).end();
    assert_eq!(ended.code, 73, "{}", ended.stderr);
    assert!(ended.stderr.contains("manifest.json"), "{}", ended.stderr);
    assert_eq!(gateway.requests().len(), 0);

    // There was no batch, so the next start finds none that was killed.
    story.expect(0, &["run"]);
    assert_eq!(story.state()["totals"]["batches"], json!({"completed": 1}));
    assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
}

#[test]
fn no_candidate_is_written_for_a_mutation_that_is_in_no_record() {
    let mut story = Story::new();
    // All records wait in memory until there is no room for them.
    story.set("audit", "buffer", "2000");
    story.set("audit", "flush_interval", "\"1h\"");
    story.set("batch", "mutations_per_round", "1000");
    let ended = story.start_on_a_full_disk(120, &["run"]).end();
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert_eq!(story.all_lines().len(), 0);
    assert!(!story.path("evolved").exists());
}
