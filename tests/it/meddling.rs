//! Somebody else at our files while a batch runs: noticed, nothing sealed that is not what was written, nothing of
//! theirs taken, and the next start counts what is really there, once.

use crate::exposition::Exposition;
use crate::gateway::Gateway;
use crate::story::{Ended, Story, count_lines};
use mutation_agent::units::BatchId;
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

struct Meddled {
    story: Story,
    gateway: Gateway,
    id: BatchId,
    ended: Ended,
}

/// Runs a short batch, and then a long one in whose journal somebody meddles while it stands still.
fn meddled(meddle: impl FnOnce(&Story, &Path)) -> Meddled {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
    story.wait_for_journal();
    gateway.wait_for(3);
    running.stop();
    let id = story.newest();
    meddle(&story, &story.audit().open_journal(&id));
    running.signal(Signal::CONT);
    let ended = running.end();
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(ended.stderr.contains("while the batch ran, and not by this program"));
    assert!(!story.audit().sealed(&id).exists(), "nothing is sealed");
    Meddled { story, gateway, id, ended }
}

impl Meddled {
    fn told(&self, what: &str) {
        assert!(self.ended.stderr.contains(what), "{}", self.ended.stderr);
    }

    /// The last push of the batch, the state after the next start, and the next start's last push say
    /// the same of it: so many records, beside the 60 of the first batch.
    fn counted(&self, records: usize) -> Ended {
        let shown = |push: &Exposition| push.count("exit_mutations_total");
        assert_eq!(shown(&self.gateway.newest()), 60 + records as u64, "shown when it ended");
        assert_eq!(self.gateway.newest().count("mutation_batch_last_exit_code"), 74);
        let ended = self.story.expect(0, &["push", "--all"]);
        assert_eq!(shown(&self.gateway.newest()), 60 + records as u64, "shown afterwards");
        self.story.expect(0, &["push", "--all"]);
        assert_eq!(shown(&self.gateway.newest()), 60 + records as u64, "counted once");
        self.story.expect(0, &["run"]);
        assert_eq!(self.story.state()["totals"]["tally"]["attempts"], 120 + records);
        assert_eq!(shown(&self.gateway.newest()), 120 + records as u64);
        assert_eq!(self.gateway.newest().batches("completed"), 2);
        ended
    }

    /// The batch is sealed as crashed with these lines.
    fn sealed(&self, lines: usize) {
        assert_eq!(self.story.lines(&self.id).len(), lines);
        let manifest = self.story.manifest(&self.id);
        assert_eq!(manifest["status"], "crashed");
        assert_eq!(manifest["records"], lines);
        assert_eq!(self.gateway.newest().batches("crashed"), 1);
        self.story.expect(0, &["audit", "verify"]);
    }
}

#[test]
fn a_journal_that_is_deleted_or_moved_away_ends_the_batch_and_leaves_no_phantom() {
    let moved = |story: &Story, path: &Path| fs::rename(path, story.path("elsewhere")).unwrap();
    let deleted = |_: &Story, path: &Path| fs::remove_file(path).unwrap();
    for (batch, told) in
        [(meddled(deleted), "it was deleted while"), (meddled(moved), "it was moved away while")]
    {
        batch.told(told);
        let next = batch.counted(0);
        assert!(next.stderr.contains("has a manifest and no log"), "{}", next.stderr);
        assert_eq!(batch.gateway.newest().batches("crashed"), 0);
        let ended = batch.story.expect(0, &["push"]);
        assert!(!ended.stderr.contains("no log"), "said until there is a newer batch");
        // It was never sealed, so nobody has changed it since; that its log is gone is said once.
        let said = batch.story.expect(65, &["audit", "verify"]).stdout;
        let manifest = batch.story.audit().manifest(&batch.id);
        let told = "says that the batch is running, and its log is gone: nothing of it is counted";
        let name = manifest.file_name().unwrap().to_str().unwrap();
        assert!(said.starts_with(&format!("{name}: {told}")), "{said}");
        assert!(said.ends_with("2 batches, 120 records verified: 1 finding\n"), "{said}");
        fs::remove_file(manifest).unwrap();
        batch.story.expect(0, &["audit", "verify"]);
    }
}

#[test]
fn a_journal_that_is_cut_ends_the_batch_and_its_whole_lines_count() {
    let batch = meddled(|_, path| {
        OpenOptions::new().write(true).open(path).unwrap().set_len(100_000).unwrap();
    });
    batch.told("it was cut from ");
    let left = fs::read(batch.story.audit().open_journal(&batch.id)).unwrap();
    let lines = count_lines(&left[..100_000]);
    batch.counted(lines);
    batch.sealed(lines);
}

#[test]
fn a_journal_that_grows_by_somebody_elses_hand_ends_the_batch_and_their_lines_do_not_count() {
    for copy in [false, true] {
        let mut lines = 0;
        let batch = meddled(|_, path| {
            let before = fs::read(path).unwrap();
            lines = count_lines(&before);
            // A line that is no record, or one that is there already.
            let first = before.split_inclusive(|byte| *byte == b'\n').next().unwrap();
            let theirs = if copy { first } else { b"theirs\n" };
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(theirs).unwrap();
        });
        batch.told(" bytes were added to it while");
        // The round that was under way was written after the foreign line, and is kept with it.
        let open = fs::read(batch.story.audit().open_journal(&batch.id)).unwrap();
        let whole: usize =
            open.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum();
        let kept = count_lines(&open[..whole]);
        assert_eq!(kept, lines);
        batch.counted(lines);
        batch.sealed(lines);
        let broken = fs::read(batch.story.audit().broken(&batch.id)).unwrap();
        assert_eq!(broken, &open[whole..]);
    }
}

#[test]
fn a_line_that_was_changed_before_the_disk_is_full_is_not_sealed_and_what_is_before_it_counts() {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    let running = story.start_on_a_full_disk(20_000, &["run"]);
    story.wait_for_journal();
    running.stop();
    let id = story.newest();
    let path = story.audit().open_journal(&id);
    let before = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    let at = before.find("exit_mut_000010").unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"exit_mut_000009", at as u64).unwrap();
    running.signal(Signal::CONT);
    let ended = running.end();
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    for told in ["File too large", "its lines were changed while the batch ran"] {
        assert!(ended.stderr.contains(told), "{told:?} is not in\n{}", ended.stderr);
    }
    assert!(!story.audit().sealed(&id).exists(), "nothing is sealed");
    assert_eq!(gateway.newest().count("exit_mutations_total"), 9);
    story.expect(0, &["push"]);
    assert_eq!(story.lines(&id).len(), 9);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 9);
}

#[test]
fn a_file_put_in_the_place_of_the_journal_ends_the_batch_and_is_not_counted() {
    let batch = meddled(|story, path| {
        // The log of another batch: each line is a record, and none is one of this batch.
        let first = story.audit().sealed(&story.batches()[0]);
        fs::copy(first, story.path("other")).unwrap();
        fs::rename(story.path("other"), path).unwrap();
    });
    batch.told("another file was put in its place while");
    let theirs = fs::read(batch.story.audit().open_journal(&batch.id)).unwrap();
    assert_eq!(count_lines(&theirs), 60, "left as it is");
    batch.counted(0);
    batch.sealed(0);
    assert_eq!(fs::read(batch.story.audit().broken(&batch.id)).unwrap(), theirs, "and kept");
}

#[test]
fn a_link_put_in_the_place_of_the_journal_is_refused_by_the_next_start_until_it_is_away() {
    let batch = meddled(|story, path| {
        fs::rename(path, story.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(story.path("elsewhere"), path).unwrap();
    });
    batch.told("another file was put in its place while");
    let ended = batch.story.expect(73, &["run"]);
    assert!(ended.stderr.contains("it is a symbolic link"), "{}", ended.stderr);
    let elsewhere = fs::read(batch.story.path("elsewhere")).unwrap();
    fs::rename(batch.story.path("elsewhere"), batch.story.audit().open_journal(&batch.id)).unwrap();
    // It is the journal after all, and whole.
    batch.story.expect(0, &["run"]);
    assert_eq!(batch.story.lines(&batch.id).len(), count_lines(&elsewhere));
}

#[test]
fn a_second_name_of_the_journal_ends_the_batch() {
    let batch = meddled(|story, path| fs::hard_link(path, story.path("second")).unwrap());
    batch.told("it was given another name (a hard link) while");
    batch.story.expect(73, &["run"]);
    fs::remove_file(batch.story.path("second")).unwrap();
    batch.story.expect(0, &["run"]);
    let manifest = batch.story.manifest(&batch.id);
    assert_eq!(manifest["records"], batch.story.lines(&batch.id).len());
}

#[test]
fn a_lock_file_that_is_deleted_during_a_batch_lets_no_second_one_at_its_journal() {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    let running = story.start(&["run"]);
    story.wait_for_journal();
    gateway.wait_for(1);
    fs::remove_file(story.path("mutation-data/lock")).unwrap();
    for command in ["run", "push"] {
        let ended = story.expect(75, &[command]);
        assert!(ended.stderr.contains("another mutation-agent is writing"), "{}", ended.stderr);
    }
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143, "the first goes on as if nothing had been");
    story.set("batch", "rounds", "1");
    story.expect(0, &["run"]);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], story.all_lines().len());
}

#[test]
fn a_sealed_log_with_another_batchs_lines_and_no_manifest_stops_the_start() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let state = story.read("mutation-data/state.json");
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", &state);
    let [first, second] = &story.batches()[..] else { panic!("two batches") };
    fs::remove_file(story.audit().manifest(second)).unwrap();
    let theirs = zstd::decode_all(fs::File::open(story.audit().compressed(first)).unwrap());
    fs::write(story.audit().sealed(second), theirs.unwrap()).unwrap();
    let ended = story.expect(73, &["run"]);
    assert!(ended.stderr.contains(":1: not the next record of this batch"), "{}", ended.stderr);
}
