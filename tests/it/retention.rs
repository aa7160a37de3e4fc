//! What goes of the audit and what never does, on disk: by count, age and bytes, after a batch and by `audit prune`.

use crate::story::Story;
use mutation_agent::units::{BatchId, Timestamp};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

const DAY: i64 = 86_400_000_000;

/// Batches that were all kept, oldest first.
fn kept(count: usize) -> (Story, Vec<BatchId>) {
    let story = Story::new();
    for _ in 0..count {
        story.expect(0, &["run"]);
    }
    let ids = story.batches();
    (story, ids)
}

fn retain(story: &mut Story, retention: &str) {
    story.set("audit", "retention", &format!("{{ {retention} }}"));
}

fn is_sound(story: &Story) {
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn a_dry_run_says_what_a_prune_does_and_does_not_do_it() {
    let (mut story, ids) = kept(4);
    retain(&mut story, "batches = 2");
    story.expect(0, &["audit", "list"]);
    let before = story.listing();
    let said = story.expect(0, &["audit", "prune", "--dry-run"]).stdout;
    assert!(story.listing() == before, "the folder is as it was");
    let done = story.expect(0, &["audit", "prune"]).stdout;
    assert_eq!(done, said.replace("would go", "gone"));
    for id in &ids[..2] {
        assert!(done.contains(&format!("{id}  ")), "{done}");
        assert!(done.contains("gone: not among the newest 2\n"), "{done}");
    }
    assert!(done.contains("2 batches gone ("), "{done}");
    assert_eq!(story.batches(), ids[2..]);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 240, "what is counted is not lost");
    is_sound(&story);
    let again = story.expect(0, &["audit", "prune"]).stdout;
    assert!(again.starts_with("0 batches gone (0 B), 2 batches kept ("), "{again}");
}

#[test]
fn what_was_pruned_is_on_record_with_its_digest() {
    let (mut story, ids) = kept(3);
    assert_eq!(story.state()["pruned"], "nothing");
    let digest = story.manifest(&ids[2])["previous_sha256"].clone();
    retain(&mut story, "batches = 1");
    story.expect(0, &["audit", "prune"]);
    assert_eq!(
        story.state()["pruned"],
        json!({"up_to": {"batch_id": ids[1].as_str(), "manifest_sha256": digest}})
    );
    // The tidying after a batch keeps the same record.
    story.expect(0, &["run"]);
    assert_eq!(story.state()["pruned"]["up_to"]["batch_id"], ids[2].as_str());
    is_sound(&story);
}

#[test]
fn batches_go_by_their_bytes() {
    let (mut story, ids) = kept(3);
    // The bound is a mebibyte at the least; one log is made to take that much, and is not to be opened for it.
    let log = story.audit().compressed(&ids[1]);
    fs::OpenOptions::new().write(true).open(log).unwrap().set_len(2 << 20).unwrap();
    retain(&mut story, "bytes = \"1MiB\"");
    let said = story.expect(0, &["audit", "prune"]).stdout;
    assert!(said.contains("gone: it and the newer ones take more than 1.0 MiB\n"), "{said}");
    assert_eq!(story.batches(), ids[2..], "the great one went, and all before it");
}

#[test]
fn batches_go_by_their_age_and_the_newest_stays_however_old() {
    let (mut story, ids) = kept(9);
    retain(&mut story, "age = \"2days\"");
    let now = ids[8].start();
    // Age counts from the seventh newest on, so what is older than eight days goes.
    let ages = [15, 9, 6, 5, 4, 3, 2, 1];
    // As if they had run days ago: their ids say when.
    for (id, days) in ids.iter().zip(ages) {
        rename_batch(&story, id, &earlier(id, now, days));
    }
    let said = story.expect(0, &["audit", "prune", "--dry-run"]).stdout;
    assert_eq!(said.matches("would go: older than 2days\n").count(), 2, "{said}");
    story.expect(0, &["audit", "prune"]);
    assert_eq!(story.batches().len(), 7);
}

/// An id of some days before.
fn earlier(id: &BatchId, now: Timestamp, days: i64) -> BatchId {
    let then = Timestamp::from_micros(now.micros() - days * DAY).to_compact();
    format!("{then}{}", &id.as_str()[16..]).parse().unwrap()
}

/// Retention looks at names alone, so they are all that is changed.
fn rename_batch(story: &Story, from: &BatchId, to: &BatchId) {
    let audit = story.audit();
    fs::rename(audit.manifest(from), audit.manifest(to)).unwrap();
    fs::rename(audit.compressed(from), audit.compressed(to)).unwrap();
}

#[test]
fn a_batch_that_is_not_counted_stays_however_little_is_kept() {
    let (mut story, ids) = kept(2);
    let state = story.read("mutation-data/state.json");
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    // As if the state had not been saved since: a dry run must not touch what it does not know.
    story.write("mutation-data/state.json", &state);
    retain(&mut story, "batches = 1");
    story.expect(0, &["audit", "list"]);
    let before = story.listing();
    let said = story.expect(0, &["audit", "prune", "--dry-run"]).stdout;
    assert_eq!(
        said.matches("  not touched: not counted yet: the next start does it\n").count(),
        2,
        "{said}"
    );
    assert!(said.contains(&format!("{}  ", ids[0])), "{said}");
    assert!(said.contains("1 batch would go ("), "{said}");
    assert!(story.listing() == before, "the folder is as it was");
    // A prune that is meant counts them first, as every start does.
    story.expect(0, &["audit", "prune"]);
    assert_eq!(story.batches().len(), 1);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 240);
    is_sound(&story);
}

#[test]
fn a_batch_that_was_killed_is_counted_before_anything_goes() {
    let (mut story, ids) = kept(2);
    let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
    story.wait_for_journal();
    running.signal(Signal::KILL);
    running.end();
    retain(&mut story, "batches = 1");
    let open = story.newest();
    let said = story.expect(0, &["audit", "prune", "--dry-run"]).stdout;
    assert!(
        said.contains(&format!("{open}  not touched: open: it runs, or the next start seals it\n")),
        "{said}"
    );
    assert!(said.contains("1 batch would go ("), "the newest that is counted stays: {said}");
    let ended = story.expect(0, &["audit", "prune"]);
    assert!(ended.stderr.contains(&format!("batch {open} was killed")), "{}", ended.stderr);
    assert_eq!(story.batches(), [open]);
    assert!(!ids.is_empty());
    is_sound(&story);
}

#[test]
fn what_a_killed_prune_left_behind_goes_with_the_next() {
    let (mut story, ids) = kept(4);
    let before = story.path("as-it-was");
    fs::create_dir(&before).unwrap();
    let names = |id: &BatchId| {
        let audit = story.audit();
        [audit.compressed(id), audit.manifest(id)]
    };
    let copied = |path: &Path| before.join(path.file_name().unwrap());
    for path in ids[..2].iter().flat_map(&names) {
        fs::copy(&path, copied(&path)).unwrap();
    }
    let all = ids[..2].iter().flat_map(&names).collect::<Vec<_>>();
    retain(&mut story, "batches = 2");
    story.expect(0, &["audit", "prune"]);
    // Killed after each of the files that went: the ones after it are there again.
    for gone in 0..all.len() {
        for path in &all[gone..] {
            fs::copy(copied(path), path).unwrap();
        }
        let said = story.expect(0, &["audit", "verify"]).stdout;
        // A log goes before its manifest, so only a manifest alone is told from what was put there again.
        let whole = all[gone..].len() / 2;
        assert_eq!(said.matches(" was pruned, and is there again\n").count(), whole, "{said}");
        let left = " is pruned; the next prune removes what is left of it\n";
        assert_eq!(said.matches(left).count(), gone % 2, "{said}");
        let said = story.expect(0, &["audit", "prune"]).stdout;
        let left = "gone: left behind by a prune that was killed\n";
        assert_eq!(said.matches(left).count(), gone % 2, "{said}");
        assert_eq!(said.matches("gone: not among the newest 2\n").count(), whole, "{said}");
        assert_eq!(story.batches(), ids[2..]);
        assert_eq!(
            story.expect(0, &["audit", "verify"]).stdout,
            "2 batches, 120 records verified: sound\n"
        );
    }
    for path in &all {
        fs::copy(copied(path), path).unwrap();
    }
    story.expect(0, &["run"]);
    assert_eq!(
        story.batches(),
        [&ids[3..], &[story.newest()]].concat(),
        "the end of a batch does it too"
    );
}

#[test]
fn what_is_put_back_from_a_backup_stays_while_retention_keeps_it() {
    let (mut story, ids) = kept(5);
    let files = |id: &BatchId| [story.audit().compressed(id), story.audit().manifest(id)];
    let saved = |path: PathBuf| (fs::read(&path).unwrap(), path);
    let copied: Vec<_> = ids[..3].iter().flat_map(files).map(saved).collect();
    retain(&mut story, "batches = 2");
    story.expect(0, &["audit", "prune"]);
    let pruned = story.state()["pruned"].clone();
    retain(&mut story, "batches = 9");
    // All three, and each with the ones around it missing.
    for batches in [&[0, 1, 2][..], &[0], &[1], &[2], &[0, 2]] {
        for (bytes, path) in batches.iter().flat_map(|batch| &copied[2 * batch..2 * batch + 2]) {
            fs::write(path, bytes).unwrap();
        }
        let said = story.expect(0, &["audit", "prune"]).stdout;
        assert!(said.starts_with("0 batches gone"), "{said}");
        let said = story.expect(0, &["audit", "verify"]).stdout;
        let notes = said.matches(" was pruned, and is there again\n").count();
        assert_eq!(notes, batches.len(), "{said}");
        assert!(said.ends_with(" records verified: sound\n"), "{said}");
        retain(&mut story, "batches = 2");
        let said = story.expect(0, &["audit", "prune"]).stdout;
        assert_eq!(said.matches("gone: not among the newest 2\n").count(), batches.len(), "{said}");
        assert_eq!(story.state()["pruned"], pruned, "no older batch is put on record");
        is_sound(&story);
        retain(&mut story, "batches = 9");
    }
}

#[test]
fn a_log_that_was_stolen_is_missed_after_the_batches_around_it_were_pruned() {
    let (mut story, ids) = kept(5);
    fs::remove_file(story.audit().compressed(&ids[1])).unwrap();
    let missing = format!("{}.jsonl: is missing; its manifest counts 60 records\n", ids[1]);
    let is_missed = |story: &Story| {
        let said = story.expect(65, &["audit", "verify"]).stdout;
        assert!(said.starts_with(&missing), "{said}");
        assert!(said.ends_with(": 1 finding\n"), "{said}");
    };
    is_missed(&story);
    for (keep, left) in [(2, 3), (1, 2), (1, 2)] {
        retain(&mut story, &format!("batches = {keep}"));
        let said = story.expect(0, &["audit", "prune"]).stdout;
        let told = "not touched: a manifest without its log; see `mutation-agent audit verify`\n";
        assert!(said.contains(told), "{said}");
        assert_eq!(story.batches().len(), left);
        is_missed(&story);
    }
    fs::remove_file(story.audit().manifest(&ids[1])).unwrap();
    is_sound(&story);
}

#[test]
fn the_broken_end_of_a_pruned_journal_goes_with_it() {
    let (mut story, ids) = kept(2);
    let broken = story.audit().broken(&ids[0]);
    fs::write(&broken, "half a li").unwrap();
    retain(&mut story, "batches = 1");
    story.expect(0, &["audit", "prune"]);
    assert!(!broken.exists());
}

#[test]
fn a_batch_whose_manifest_is_gone_is_pruned_by_the_digest_that_the_next_one_names() {
    let (mut story, ids) = kept(3);
    let digest = story.manifest(&ids[2])["previous_sha256"].clone();
    fs::remove_file(story.audit().manifest(&ids[1])).unwrap();
    retain(&mut story, "batches = 1");
    story.expect(0, &["audit", "prune"]);
    assert_eq!(story.state()["pruned"]["up_to"]["manifest_sha256"], digest);
    is_sound(&story);
}

#[test]
fn an_old_state_that_knows_of_no_pruning_is_taken() {
    let (mut story, _) = kept(3);
    let mut state: Value = story.state();
    state.as_object_mut().unwrap().remove("pruned");
    story.write("mutation-data/state.json", &state.to_string());
    is_sound(&story);
    retain(&mut story, "batches = 2");
    story.expect(0, &["audit", "prune"]);
    assert!(story.state()["pruned"]["up_to"].is_object());
    is_sound(&story);
}

#[test]
fn a_log_that_was_changed_is_never_packed() {
    let mut story = Story::new();
    story.set("audit", "compress", "false");
    story.expect(0, &["run"]);
    let id = story.newest();
    let log = story.audit().sealed(&id);
    let text = fs::read_to_string(&log).unwrap().replacen("\"line\":1", "\"line\":2", 1);
    fs::write(&log, &text).unwrap();
    story.set("audit", "compress", "true");
    let ended = story.expect(0, &["run"]);
    assert!(
        ended.stderr.contains("does not have the digest that its manifest gives"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), text, "it is as it was");
    assert!(!story.audit().compressed(&id).exists());
    let mut entries = fs::read_dir(story.audit().path()).unwrap();
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    assert!(
        !entries.any(|entry| is_hidden(&entry.unwrap().file_name())),
        "no temporary file is left"
    );
}

#[test]
fn what_was_pruned_is_on_record_before_a_file_goes() {
    let (mut story, ids) = kept(3);
    // A folder is no file of ours and is not removed, so the prune breaks off there.
    let obstacle = story.audit().broken(&ids[0]);
    fs::create_dir(&obstacle).unwrap();
    retain(&mut story, "batches = 1");
    let ended = story.expect(74, &["audit", "prune"]);
    assert!(ended.stderr.contains("cannot remove "), "{}", ended.stderr);
    assert_eq!(story.state()["pruned"]["up_to"]["batch_id"], ids[1].as_str());
    let said = story.expect(0, &["audit", "verify"]).stdout;
    assert_eq!(said.matches(" is pruned; the next prune removes what is left of it\n").count(), 1);
    assert_eq!(said.matches(" was pruned, and is there again\n").count(), 1);
    fs::remove_dir(obstacle).unwrap();
    story.expect(0, &["audit", "prune"]);
    assert_eq!(story.batches(), ids[2..]);
}

#[test]
fn totals_that_are_not_sealed_are_not_saved_by_the_tidying() {
    let (mut story, _) = kept(3);
    retain(&mut story, "batches = 1");
    let running = story.start(&["run", "--rounds", "500", "--mutations", "100"]);
    story.wait_for_journal();
    running.stop();
    let id = story.newest();
    // The seal cannot put its manifest where a folder is.
    fs::remove_file(story.audit().manifest(&id)).unwrap();
    fs::create_dir(story.audit().manifest(&id)).unwrap();
    running.signal(Signal::CONT);
    let ended = running.end();
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(ended.stderr.contains("left to the next start"), "{}", ended.stderr);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 180);
    fs::remove_dir(story.audit().manifest(&id)).unwrap();
    story.expect(0, &["audit", "prune"]);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 50_180);
    is_sound(&story);
}

#[test]
fn a_state_from_elsewhere_has_no_batch_removed() {
    let (story, ids) = kept(3);
    let mut state = story.state();
    let digest = "0".repeat(64);
    for up_to in [ids[1].as_str(), ids[2].as_str(), "20990101T000000Z-000000"] {
        state["pruned"] = json!({"up_to": {"batch_id": up_to, "manifest_sha256": digest}});
        story.write("mutation-data/state.json", &state.to_string());
        story.expect(65, &["audit", "verify"]);
        let said = story.expect(0, &["audit", "prune"]).stdout;
        assert!(said.starts_with("0 batches gone"), "{said}");
    }
    story.expect(0, &["run"]);
    assert_eq!(story.batches()[..3], ids);
}
