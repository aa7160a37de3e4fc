//! `audit verify`: whatever is done to the folder is found, and said in one line with the file's name.

use crate::story::{Story, wait_until};
use crate::tamperings::{ABSURD, BATCHES_AND_STATE, Case, Folders, LOGS, MANIFESTS};
use mutation_agent::audit::{Finding, Folder};
use mutation_agent::state::{Store, verify};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn hold(folders: &Folders, cases: &[Case]) {
    assert_eq!(folders.findings(0), ["4 batches, 240 records verified: sound"]);
    for (what, tamper, expected) in cases {
        tamper(folders);
        let said = folders.findings(65);
        let (last, said) = said.split_last().unwrap();
        assert_eq!(said.len(), expected.len(), "{what}: {said:#?}");
        for (line, start) in said.iter().zip(*expected) {
            assert!(line.starts_with(start), "{what}:\n{line}\n{start}");
        }
        let findings = expected.iter().filter(|line| !line.starts_with("note")).count();
        let count =
            if findings == 1 { "1 finding".to_owned() } else { format!("{findings} findings") };
        assert!(last.ends_with(&format!(" records verified: {count}")), "{what}: {last}");
        folders.restore();
    }
    assert_eq!(folders.findings(0), ["4 batches, 240 records verified: sound"], "all is restored");
}

#[test]
fn whatever_is_done_to_a_plain_log_is_found_and_named() {
    hold(&Folders::new(false), LOGS);
}

#[test]
fn whatever_is_done_to_a_packed_log_is_found_and_named() {
    let folders = Folders::new(true);
    assert!(folders.log(1).extension().unwrap() == "zst");
    hold(&folders, LOGS);
    let log = folders.log(1);
    let bytes = fs::read(&log).unwrap();
    for (spoilt, start) in [
        (&bytes[..bytes.len() - 5], "B.jsonl: cannot be decompressed: "),
        (b"not packed at all", "B.jsonl: cannot be decompressed: "),
        (&[&bytes[..], b"more"].concat(), "B.jsonl: cannot be decompressed: "),
    ] {
        fs::write(&log, spoilt).unwrap();
        let said = folders.findings(65);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with(start), "{said:?}");
    }
}

#[test]
fn whatever_is_done_to_a_manifest_is_found_and_named() {
    hold(&Folders::new(true), MANIFESTS);
}

#[test]
fn absurd_numbers_are_findings() {
    hold(&Folders::new(true), ABSURD);
}

#[test]
fn a_batch_that_was_removed_is_missed_wherever_it_was() {
    hold(&Folders::new(true), BATCHES_AND_STATE);
}

#[test]
fn a_copy_beside_a_packed_log_must_be_the_same() {
    let folders = Folders::new(true);
    let plain = folders.story.audit().sealed(&folders.ids[1]);
    // Killed between packing and removing.
    let text = folders.lines(1).concat();
    fs::write(&plain, &text).unwrap();
    assert_eq!(folders.findings(0), ["4 batches, 240 records verified: sound"]);
    let packed = folders.story.audit().compressed(&folders.ids[1]);
    fs::write(&packed, zstd::encode_all(&text.as_bytes()[1..], 3).unwrap()).unwrap();
    assert_eq!(folders.findings(65)[0], "B.jsonl: is not what `B.jsonl` beside it says");
}

/// The findings over a folder, without a process.
fn found(data: &Path) -> Vec<Finding> {
    let folder = Folder::new(data.join("audit"));
    verify(&Store::new(data), &folder, || ()).unwrap().0.findings
}

/// Changes every byte of a file, one at a time, and demands a finding that names the file.
fn flip_every_byte(data: &Path, path: &Path) -> usize {
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = fs::read(path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        // Case, a neighbour, no ASCII at all.
        changed[at] ^= [0x20, 0x01, 0x80][at % 3];
        fs::write(path, &changed).unwrap();
        let found = found(data);
        assert!(!found.is_empty(), "byte {at} of {name} may be changed");
        assert!(found.iter().any(|one| one.file == name), "byte {at} of {name}: {found:?}");
    }
    fs::write(path, &bytes).unwrap();
    assert_eq!(found(data), []);
    bytes.len()
}

/// A batch of one mutation.
fn smallest() -> Story {
    let mut story = Story::of("stop_loss_pct = 0.10\n");
    story.set("metrics", "buckets", "[0.001]");
    story.expect(0, &["run", "--rounds", "1", "--mutations", "1"]);
    story
}

#[test]
fn no_byte_of_a_log_can_be_changed() {
    let story = smallest();
    let log = story.audit().sealed(&story.newest());
    assert!(flip_every_byte(&story.path("mutation-data"), &log) > 400);
}

#[test]
fn no_byte_of_a_manifest_can_be_changed() {
    let story = smallest();
    let manifest = story.audit().manifest(&story.newest());
    assert!(flip_every_byte(&story.path("mutation-data"), &manifest) > 1000);
}

#[test]
fn a_running_batch_is_no_finding_and_is_not_disturbed() {
    let mut story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    story.set("batch", "rounds", "100000");
    story.set("batch", "mutations_per_round", "100");
    let running = story.start(&["run"]);
    story.wait_for_journal();
    for stands_still in [false, true] {
        if stands_still {
            running.stop();
        }
        let said = story.expect(0, &["audit", "verify"]).stdout;
        assert!(said.contains(" is open with "), "{said}");
        assert!(said.ends_with("2 batches, 120 records verified: sound\n"), "{said}");
        let listed = story.expect(0, &["audit", "list"]).stdout;
        assert!(listed.contains("  running  "), "{listed}");
        assert!(listed.ends_with("; 1 open\n"), "{listed}");
        story.expect(0, &["audit", "prune", "--dry-run"]);
        story.expect(75, &["audit", "prune"]);
    }
    running.signal(Signal::CONT);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143);
    let said = story.expect(0, &["audit", "verify"]).stdout;
    assert!(said.starts_with("3 batches, "), "{said}");
}

#[test]
fn batches_that_come_and_go_are_no_findings() {
    let mut story = Story::new();
    story.set("audit", "retention", "{ batches = 2 }");
    story.expect(0, &["run"]);
    let data = story.path("mutation-data");
    for _ in 0..5 {
        let mut running = story.start(&["run"]);
        wait_until("the batch is over", || {
            assert_eq!(found(&data), []);
            running.is_over()
        });
        assert_eq!(running.end().code, 0);
        assert_eq!(found(&data), []);
    }
}

#[test]
fn a_killed_batch_is_sound_before_and_after_its_recovery() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
    story.wait_for_journal();
    running.signal(Signal::KILL);
    running.end();
    let said = story.expect(0, &["audit", "verify"]).stdout;
    assert!(said.contains("it runs, or was killed and is sealed by the next start"), "{said}");
    story.expect(0, &["run"]);
    let said = story.expect(0, &["audit", "verify"]).stdout;
    assert!(said.starts_with("3 batches, "), "{said}");
}

#[test]
fn a_line_that_is_no_record_is_found_in_an_open_journal_too() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let open = "20990101T000000Z-abcdef.jsonl.partial";
    story.write(&format!("mutation-data/audit/{open}"), "nothing\n{\"torn");
    let said = story.expect(65, &["audit", "verify"]).stdout;
    assert!(said.starts_with(&format!("{open}: line 1 is no audit record: ")), "{said}");
}

#[test]
fn what_is_not_counted_yet_is_a_note() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let state = story.read("mutation-data/state.json");
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", &state);
    let said = story.expect(0, &["audit", "verify"]).stdout;
    let id = story.newest();
    assert!(
        said.starts_with(&format!("note: {id} is not counted yet; the next start counts it\n")),
        "{said}"
    );
    let listed = story.expect(0, &["audit", "list"]).stdout;
    assert!(listed.ends_with("; 1 not counted yet\n"), "{listed}");
}

#[test]
fn a_rebuilt_state_is_sound_and_says_what_it_cannot_know() {
    let mut story = Story::new();
    story.set("audit", "retention", "{ batches = 2 }");
    for _ in 0..3 {
        story.expect(0, &["run"]);
    }
    assert_eq!(
        story.expect(0, &["audit", "verify"]).stdout,
        "2 batches, 120 records verified: sound\n"
    );
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    story.set("audit", "retention", "{ batches = 9 }");
    story.expect(0, &["run"]);
    let said = story.expect(0, &["audit", "verify"]).stdout;
    assert!(said.starts_with("note: state.json does not know what was pruned: "), "{said}");
    // The next prune puts it on record again.
    story.set("audit", "retention", "{ batches = 2 }");
    story.expect(0, &["audit", "prune"]);
    assert_eq!(
        story.expect(0, &["audit", "verify"]).stdout,
        "2 batches, 120 records verified: sound\n"
    );
}

#[test]
fn other_buckets_start_a_histogram_anew_and_the_chain_holds() {
    let mut story = Story::new();
    story.expect(0, &["run"]);
    story.set("metrics", "buckets", "[0.001, 1]");
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    assert_eq!(
        story.expect(0, &["audit", "verify"]).stdout,
        "3 batches, 180 records verified: sound\n"
    );
}

#[test]
fn findings_are_json_where_that_is_asked_for() {
    let folders = Folders::new(true);
    folders.edit_log(1, |lines| drop(lines.remove(4)));
    let said = folders.story.expect(65, &["audit", "verify", "--json"]).stdout;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["fault"]["kind"], "removed");
    assert_eq!(lines[0]["fault"]["first"], "exit_mut_000005");
    assert_eq!(lines[0]["file"], format!("{}.jsonl.zst", folders.ids[1]));
    assert_eq!(lines[1]["sound"], false);
    assert_eq!((&lines[1]["batches"], &lines[1]["exit_code"]), (&json!(4), &json!(65)));
}

#[test]
fn nothing_is_written_and_nothing_needs_to_be_there() {
    let story = Story::new();
    let said = story.expect(0, &["audit", "verify"]).stdout;
    assert!(said.starts_with("no batch is in "), "{said}");
    assert!(said.ends_with("0 batches, 0 records verified: sound\n"), "{said}");
    story.expect(0, &["audit", "list"]);
    story.expect(0, &["audit", "prune"]);
    assert!(!story.path("mutation-data").exists());
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let before = story.listing();
    story.expect(0, &["audit", "verify"]);
    story.expect(0, &["audit", "list"]);
    story.expect(0, &["audit", "prune", "--dry-run"]);
    assert!(story.listing() == before, "the folder is as it was");
}

#[test]
fn a_state_of_a_newer_schema_is_not_judged() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", "{\"schema\":2}");
    for command in ["list", "verify"] {
        let ended = story.expect(78, &["audit", command]);
        assert!(ended.stderr.contains("has schema 2"), "{}", ended.stderr);
    }
}
