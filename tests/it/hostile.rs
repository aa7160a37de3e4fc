//! Something else in the place of each of our files: refused or put right, never followed, never waited for.

use crate::story::{Ended, Story};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// What can be put in the place of a file without being root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To a file of somebody else's, which must stay as it is.
    Link,
    /// To nothing: writing through it would make a file.
    Dangling,
    /// A second name of a file of somebody else's.
    HardLink,
    /// Without anybody at its other end: opening it plainly waits for ever.
    Pipe,
    /// With something in it.
    Folder,
    Socket,
}

const KINDS: [Kind; 6] =
    [Kind::Link, Kind::Dangling, Kind::HardLink, Kind::Pipe, Kind::Folder, Kind::Socket];

impl Kind {
    /// Puts it at `place`, with what was there before as somebody else's content.
    fn plant(self, story: &Story, place: &Path) {
        let before = fs::read(place).unwrap_or_default();
        fs::write(story.path("theirs"), &before).unwrap();
        let _ = fs::remove_file(place);
        match self {
            Self::Link => symlink(story.path("theirs"), place).unwrap(),
            Self::Dangling => symlink(story.path("nothing"), place).unwrap(),
            Self::HardLink => fs::hard_link(story.path("theirs"), place).unwrap(),
            Self::Pipe => {
                mknodat(CWD, place, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            }
            Self::Folder => {
                fs::create_dir(place).unwrap();
                fs::write(place.join("theirs"), &before).unwrap();
            }
            // Bound by a short name: a socket's path may not be long.
            Self::Socket => {
                let short = tempfile::tempdir_in(story.path("")).unwrap();
                let bound = short.path().join("s");
                drop(UnixListener::bind(&bound).unwrap());
                fs::rename(&bound, place).unwrap();
            }
        }
    }

    /// The word for it in a refusal.
    fn word(self) -> &'static str {
        match self {
            Self::Link | Self::Dangling => "a symbolic link, not a regular file; move it away",
            Self::HardLink => "2 names (hard links)",
            Self::Pipe => "a pipe, not a regular file; move it away",
            Self::Folder => "a folder",
            Self::Socket => "a socket, not a regular file; move it away",
        }
    }
}

/// A folder with two batches, the newer of which was killed before the state knew of it: every file
/// that a start reads is there and is read.
fn killed() -> (Story, [PathBuf; 5]) {
    let story = Story::new();
    story.expect(0, &["run"]);
    let state = story.read("mutation-data/state.json");
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", &state);
    let id = story.newest();
    let (open, sealed) = (story.audit().open_journal(&id), story.audit().sealed(&id));
    let manifest = story.audit().manifest(&id);
    let [lock, state] = ["lock", "state.json"].map(|name| story.path("mutation-data").join(name));
    (story, [lock, state, open, manifest, sealed])
}

fn refused(story: &Story, place: &Path, kind: Kind) {
    kind.plant(story, place);
    // Somebody else's file is at rest, and so is everything of ours but the lock's file.
    let before = story.listing();
    for command in ["run", "push"] {
        let ended = story.expect(73, &[command]);
        let name = place.file_name().unwrap().to_str().unwrap();
        assert!(ended.stderr.contains(name), "{kind:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(kind.word()), "{kind:?}: {}", ended.stderr);
    }
    assert_eq!(story.listing(), before, "{kind:?} at {}", place.display());
}

#[test]
fn what_stands_in_the_place_of_a_file_of_ours_is_refused_and_left_alone() {
    for kind in KINDS {
        // In the order of `killed`: each start reads as far as the file that is wrong.
        for at in 0..5 {
            let (mut story, files) = killed();
            story.push_to_url("main", "http://127.0.0.1:9");
            let [_, _, open, manifest, sealed] = &files;
            match at {
                // The journal is still open.
                2 => fs::rename(sealed, open).unwrap(),
                // The log is read only where there is no manifest.
                4 => fs::remove_file(manifest).unwrap(),
                _ => {}
            }
            story.write("agent.toml", &story.config());
            refused(&story, &files[at], kind);
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_temporary_file_is_removed_and_never_followed() {
    for kind in KINDS {
        for name in [".state.json.tmp", "audit/.latest.jsonl.tmp", "audit/.ID.zst.tmp"] {
            let story = Story::new();
            story.expect(0, &["run"]);
            let name = name.replace("ID", story.newest().as_str());
            let place = story.path("mutation-data").join(name);
            kind.plant(&story, &place);
            fs::write(story.path("theirs"), "theirs").unwrap();
            if kind != Kind::Folder {
                let ended = story.expect(0, &["run"]);
                assert!(place.symlink_metadata().is_err(), "{kind:?}: {}", ended.stderr);
            } else if place.ends_with(".state.json.tmp") {
                // Found before the batch, not after it.
                let ended = story.expect(73, &["run"]);
                assert!(ended.stderr.contains("a folder is in its place"), "{}", ended.stderr);
                assert_eq!(story.batches().len(), 1);
            } else {
                let ended = story.expect(0, &["run"]);
                assert!(ended.stderr.contains("a folder is in its place"), "{}", ended.stderr);
                assert!(place.join("theirs").exists());
            }
            assert_eq!(story.read("theirs"), "theirs");
            assert!(!story.path("nothing").exists());
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_torn_tail_is_removed_and_never_followed() {
    for kind in KINDS {
        let (story, [_, _, open, _, sealed]) = killed();
        let id = story.newest();
        let torn = [&fs::read(&sealed).unwrap()[..], b"{\"timest"].concat();
        fs::remove_file(&sealed).unwrap();
        fs::write(&open, torn).unwrap();
        kind.plant(&story, &story.audit().broken(&id));
        fs::write(story.path("theirs"), "theirs").unwrap();
        if kind == Kind::Folder {
            let ended = story.expect(73, &["run"]);
            assert!(ended.stderr.contains("a folder is in its place"), "{}", ended.stderr);
        } else {
            story.expect(0, &["run"]);
            assert_eq!(fs::read(story.audit().broken(&id)).unwrap(), b"{\"timest");
        }
        assert_eq!(story.read("theirs"), "theirs");
        assert!(!story.path("nothing").exists());
    }
}

/// What a batch says that finds `kind` at `place` and is done all the same.
fn goes_on(story: &Story, place: &Path, kind: Kind) -> Ended {
    if place.is_dir() && !place.is_symlink() {
        fs::remove_dir_all(place).unwrap();
    }
    kind.plant(story, place);
    fs::write(story.path("theirs"), "theirs").unwrap();
    let batches = story.batches().len();
    let ended = story.expect(0, &["run"]);
    assert_eq!(story.batches().len(), batches + 1);
    assert!(story.audit().sealed(&story.newest()).is_file(), "{kind:?}: sealed");
    assert_eq!(story.read("theirs"), "theirs", "{kind:?} is not followed");
    assert!(!story.path("nothing").exists(), "{kind:?} is not followed");
    ended
}

#[test]
fn a_link_for_people_or_a_textfile_that_is_something_else_undoes_no_batch() {
    for kind in KINDS {
        for (name, told) in [
            ("mutation-data/audit/latest.jsonl", "latest.jsonl does not lead to the newest log"),
            ("evolved/latest", "`latest` does not lead to the newest candidates"),
            ("agent.prom", "textfile not written"),
        ] {
            let mut story = Story::new();
            story.set("metrics", "textfile", "\"agent.prom\"");
            story.expect(0, &["run"]);
            let place = story.path(name);
            let ended = goes_on(&story, &place, kind);
            let warned = ended.stderr.contains(told);
            assert_eq!(warned, kind == Kind::Folder, "{kind:?} at {name}: {}", ended.stderr);
            if kind == Kind::Folder {
                assert!(place.join("theirs").exists(), "what is in it is not destroyed");
            } else if name == "agent.prom" {
                assert!(place.symlink_metadata().unwrap().is_file());
            } else {
                assert!(place.is_symlink(), "{kind:?} at {name}");
            }
        }
    }
}

#[test]
fn statistics_are_read_from_files_of_anybody_and_with_several_names_but_from_no_pipe() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let log = story.audit().sealed(&story.newest());
    fs::hard_link(&log, story.path("second-name")).unwrap();
    story.expect(0, &["stats", "second-name"]);
    story.expect(0, &["stats"]);
    Kind::Pipe.plant(&story, &story.path("pipe"));
    let ended = story.expect(74, &["stats", "pipe"]);
    assert!(ended.stderr.contains("it is a pipe"), "{}", ended.stderr);
}

#[test]
fn those_who_only_look_read_a_state_of_anybodys_but_follow_no_link() {
    let looking = [&["list"][..], &["verify"], &["prune", "--dry-run"]];
    let story = Story::new();
    story.expect(0, &["run"]);
    let state = story.path("mutation-data/state.json");
    fs::hard_link(&state, story.path("second-name")).unwrap();
    for args in looking {
        story.expect(0, &[&["audit"], args].concat());
    }
    story.expect(73, &["run"]);
    for kind in [Kind::Link, Kind::Dangling, Kind::Pipe, Kind::Folder, Kind::Socket] {
        kind.plant(&story, &state);
        for args in looking {
            // To verify it is a finding; the others cannot go on.
            let code = if args == ["verify"] { 65 } else { 74 };
            let ended = story.expect(code, &[&["audit"], args].concat());
            let said = ended.stdout + &ended.stderr;
            assert!(said.contains(kind.word()), "{kind:?}: {said}");
        }
        let away = if kind == Kind::Folder { fs::remove_dir_all } else { fs::remove_file };
        away(&state).unwrap();
        fs::copy(story.path("second-name"), &state).unwrap();
    }
}

#[test]
fn a_data_folder_in_a_folder_of_everybodys_is_refused_before_anything_is_made() {
    let mut story = Story::new();
    fs::create_dir(story.path("shared")).unwrap();
    story.set("", "data_dir", "\"shared/agent\"");
    story.write("agent.toml", &story.config());
    fs::set_permissions(story.path("shared"), fs::Permissions::from_mode(0o777)).unwrap();
    let before = story.listing();
    let ended = story.expect(77, &["run"]);
    assert!(ended.stderr.contains("run: chmod o-w "), "{}", ended.stderr);
    assert!(story.listing() == before, "nothing was made");
    assert!(story.expect(77, &["check"]).stdout.contains("can be swapped by anybody"));
    // With the sticky bit, as in /tmp, nobody can swap it.
    fs::set_permissions(story.path("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
    story.expect(0, &["check"]);
    story.expect(0, &["run"]);
}

#[test]
fn a_data_folder_may_be_a_link_as_systemd_makes_it() {
    let story = Story::new();
    fs::create_dir_all(story.path("private/agent")).unwrap();
    fs::set_permissions(story.path("private/agent"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("private/agent", story.path("mutation-data")).unwrap();
    story.expect(0, &["run"]);
    assert!(story.path("private/agent/state.json").is_file());
    story.expect(0, &["run"]);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 120);
    fs::set_permissions(story.path("private/agent"), fs::Permissions::from_mode(0o777)).unwrap();
    story.expect(77, &["run"]);
}
