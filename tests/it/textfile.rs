//! `[metrics] textfile`: the same exposition for `node_exporter`, whatever the gateways do.

use crate::exposition::Exposition;
use crate::gateway::{ClosedPort, Gateway};
use crate::story::{Story, wait_until};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

fn textfile(story: &Story) -> Exposition {
    Exposition::parse(&fs::read(story.path("node/agent.prom")).unwrap())
}

/// A story with a textfile in a folder of its own.
fn story() -> Story {
    let mut story = Story::new();
    fs::create_dir(story.path("node")).unwrap();
    story.set("metrics", "textfile", "\"node/agent.prom\"");
    story
}

#[test]
fn the_textfile_has_what_the_gateway_got_and_the_push_itself() {
    let gateway = Gateway::accepting();
    let mut story = story();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let (file, push) = (textfile(&story), gateway.newest());
    // The file is written once more after the push, which it then counts.
    let but_pushes = |exposition: &Exposition| {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for family in
            exposition.types().keys().filter(|name| *name != "mutation_push_attempts_total")
        {
            for part in ["", "_bucket", "_sum", "_count"] {
                for (series, value) in exposition.family(&format!("{family}{part}")) {
                    all.insert(series.to_owned(), value.to_bits());
                }
            }
        }
        all
    };
    assert!(but_pushes(&push).len() > 60);
    assert_eq!(but_pushes(&file), but_pushes(&push));
    assert_eq!(file.push_attempts("main", "delivered"), 2);
    // The push shows those that were saved before it: the manifest has them. One that ended during the seal is not
    // among them, and stands in the file.
    let saved = &story.manifest(&story.newest())["pushes"]["main"]["attempts"]["delivered"];
    assert_eq!(push.push_attempts("main", "delivered"), saved.as_u64().unwrap_or(0));
    assert_eq!(gateway.requests().len(), 2);
}

#[test]
fn the_textfile_is_written_without_a_gateway_and_with_one_that_is_down() {
    let mut story = story();
    story.expect(0, &["run"]);
    assert_eq!(textfile(&story).count("exit_mutations_total"), 60);
    story.push_to_url("main", &ClosedPort::reserve().url());
    story.set("push", "deadline", "\"50ms\"");
    story.set("push", "attempt_timeout", "\"50ms\"");
    story.expect(75, &["run"]);
    let file = textfile(&story);
    assert_eq!(file.count("exit_mutations_total"), 120);
    assert_eq!(file.count("mutation_batch_last_exit_code"), 75);
    assert!(file.push_attempts("main", "failed") >= 2);
}

#[test]
fn the_textfile_is_replaced_whole_and_others_may_read_it() {
    let story = story();
    story.expect(0, &["run"]);
    let path = story.path("node/agent.prom");
    let first = fs::File::open(&path).unwrap();
    story.expect(0, &["run"]);
    let metadata = path.metadata().unwrap();
    assert_ne!(metadata.ino(), first.metadata().unwrap().ino(), "a new file, renamed over the old");
    let old = std::io::read_to_string(first).unwrap();
    assert_eq!(Exposition::parse(old.as_bytes()).count("exit_mutations_total"), 60, "whole still");
    // As far as this machine's umask lets anybody read a file of ours.
    let usual = story.path("agent.toml").metadata().unwrap().permissions().mode();
    assert_eq!(metadata.permissions().mode() & 0o777, usual & 0o644);
    assert_eq!(fs::read_dir(story.path("node")).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn the_textfile_shows_a_running_batch() {
    let mut story = story();
    story.set("batch", "rounds", "100000");
    let running = story.start(&["run"]);
    wait_until("the textfile is there", || story.path("node/agent.prom").exists());
    assert_eq!(textfile(&story).count("mutation_batch_in_progress"), 1);
    running.signal(Signal::TERM);
    running.end();
    assert_eq!(textfile(&story).count("mutation_batch_in_progress"), 0);
}

#[test]
fn a_textfile_that_cannot_be_written_undoes_nothing() {
    let mut story = Story::new();
    story.set("metrics", "textfile", "\"nowhere/agent.prom\"");
    let ended = story.expect(0, &["run"]);
    assert!(ended.stderr.contains("textfile not written"), "{}", ended.stderr);
    assert_eq!(story.manifest(&story.newest())["status"], "completed");
}
