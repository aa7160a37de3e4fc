//! The best candidates: as files with their provenance, beside their source, and in its place.

use crate::story::{Story, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const SOURCE: &str = "# stop_loss_pct = 0.5 was too loose\r\nstop_loss_pct = 0.10  # why\r\ntake_profit_pct = .2\r\nname = '\u{4e2d}\u{6587}'";

/// A lower stop loss is better.
fn story() -> Story {
    let mut story = Story::of(SOURCE);
    story.write("judge.sh", r#"sed -n 's/^stop_loss_pct = \([0-9.]*\).*/-\1/p' "$1""#);
    story.set("batch", "mutations_per_round", "8");
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    story.set("output", "keep", "3");
    story
}

/// The one strategy's name.
fn strategy(story: &Story) -> String {
    let entry = &story.manifest(&story.newest())["strategies"][0];
    entry["path"].as_str().unwrap().to_owned()
}

fn files(story: &Story, ending: &str) -> Vec<PathBuf> {
    let folder = story.path("evolved/latest").join(strategy(story)).with_extension("");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    files.sort();
    files
}

fn champion(story: &Story) -> Value {
    let shown = story.expect(0, &["best", "--json"]).stdout;
    let mut all: Vec<Value> = serde_json::from_str(&shown).unwrap();
    assert_eq!(all.len(), 1, "{shown}");
    all.remove(0)
}

fn promotions(story: &Story) -> Vec<Value> {
    let text = story.read("mutation-data/promotions.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether the process whose number the check wrote to `child` has ended; it may not be reaped yet.
fn child_is_gone(story: &Story) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", story.read("child").trim()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

/// The text with the two literals taken out.
fn skeleton(text: &str) -> Vec<String> {
    let literal = |line: &str| {
        let (name, value) = line.split_once(" = ").unwrap_or((line, ""));
        let end = value.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(value.len());
        if name.starts_with('#') { line.to_owned() } else { format!("{name} = {}", &value[end..]) }
    };
    text.split('\n').map(literal).collect()
}

#[test]
fn the_best_are_kept_each_with_the_way_from_its_source() {
    let story = story();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    assert_eq!((files(&story, "py").len(), files(&story, "json").len()), (3, 3));
    let mut fitness = Vec::new();
    for (path, json) in files(&story, "py").iter().zip(files(&story, "json")) {
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(skeleton(&text), skeleton(SOURCE), "only literals differ");
        let said: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        let mut values = said["source_values"].clone();
        for step in said["lineage"].as_array().unwrap() {
            for change in step["changes"].as_array().unwrap() {
                let name = change["parameter"].as_str().unwrap();
                assert_eq!(values[name], change["old"], "{said}");
                values[name] = change["new"].clone();
            }
        }
        assert_eq!(values, said["values"]);
        fitness.push(said["fitness"].as_f64().unwrap());
    }
    let best = champion(&story)["fitness"].as_f64().unwrap();
    assert!(fitness.iter().any(|one| (one - best).abs() < 1e-12), "{fitness:?} {best}");
    let all = story.all_lines();
    let seen = all.iter().filter_map(|line| line["fitness"].as_f64()).fold(-1.0, f64::max);
    assert!((best - seen).abs() < 1e-12, "over both nights");
}

#[test]
fn best_shows_a_diff_that_patch_would_take() {
    let story = story();
    assert!(story.expect(0, &["best"]).stdout.contains("no candidate was evaluated yet"));
    story.expect(0, &["run"]);
    let diff = story.expect(0, &["best", "--diff"]).stdout;
    assert!(diff.starts_with("--- a/"), "{diff}");
    assert!(diff.contains("-stop_loss_pct = 0.10  # why\r\n"), "{diff}");
    assert!(diff.contains("+stop_loss_pct = "), "{diff}");
    assert!(story.expect(2, &["best", "another.py"]).stderr.contains("no strategy is named"));
}

#[test]
fn promote_replaces_the_source_alone_and_keeps_what_it_was() {
    let story = story();
    story.expect(0, &["run"]);
    let name = strategy(&story);
    let path = story.path(&name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let best = champion(&story);
    story.expect(0, &["promote", &name, "--dry-run"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), SOURCE);
    story.expect(0, &["promote", &name]);
    let text = fs::read_to_string(&path).unwrap();
    assert_ne!(text, SOURCE);
    assert_eq!(skeleton(&text), skeleton(SOURCE));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let [line, outcome] = promotions(&story).try_into().unwrap();
    assert_eq!(line["candidate_sha256"], best["candidate_sha256"]);
    assert_eq!(outcome["candidate_sha256"], best["candidate_sha256"]);
    assert_eq!((&outcome["done"], &outcome["strategy"]), (&true.into(), &name.into()));
    assert!(outcome["timestamp"].is_string() && outcome.get("error").is_none(), "{outcome}");
    let name = strategy(&story);
    let backup = fs::read_to_string(story.path(line["backup"].as_str().unwrap())).unwrap();
    assert_eq!(backup, SOURCE);
    // The source is another one now, and the search begins anew from it.
    let again = story.expect(1, &["promote", &name]).stderr;
    assert!(again.contains("was changed or promoted since"), "{again}");
    story.expect(0, &["run"]);
    assert_eq!(story.state()["searches"].as_array().unwrap().len(), 2);
}

#[test]
fn nothing_is_promoted_that_does_not_pass_the_gate() {
    let mut story = story();
    story.expect(0, &["run"]);
    let name = strategy(&story);
    story.set("promote", "min_improvement", "0.5");
    let refused = story.expect(1, &["promote", &name]).stderr;
    assert!(refused.contains("`min_improvement` asks for more than 0.5"), "{refused}");
    story.set("promote", "min_improvement", "0.0");
    story.set("promote", "command", r#"["sh", "-c", "exit 3"]"#);
    let refused = story.expect(1, &["promote", &name]).stderr;
    assert!(refused.contains("said no (exit status: 3)"), "{refused}");
    story.set("promote", "command", r#"["no-such-program"]"#);
    assert!(story.expect(1, &["promote", &name]).stderr.contains("cannot be run"));
    assert_eq!(fs::read_to_string(story.path(&name)).unwrap(), SOURCE);
    let check = r#"grep -q why "$0" && ! cmp -s "$0" "$1""#;
    let command = format!("['sh', '-c', '{check}', '{{candidate}}', '{{source}}']");
    story.set("promote", "command", &command);
    story.expect(0, &["promote", &name]);
}

#[test]
fn promote_leads_through_a_link_to_the_file_itself() {
    let story = story();
    story.expect(0, &["run"]);
    let path = story.path(&strategy(&story));
    let real = story.path("elsewhere.py");
    fs::copy(&path, &real).unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    story.expect(0, &["promote", &strategy(&story)]);
    assert!(path.is_symlink());
    assert_ne!(fs::read_to_string(&real).unwrap(), SOURCE);
}

#[test]
fn nothing_is_shown_or_promoted_whose_parameters_are_others_than_those_it_was_evaluated_with() {
    let mut story = Story::of("a = 0.10\nb = 0.10\nc = 0.10\n");
    story.write("judge.sh", r#"sed -n 's/^a = \([0-9.]*\).*/-\1/p' "$1""#);
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    let parameter = |name: &str, target: &str| {
        format!("[[parameter]]\nname = \"{name}\"\ntarget = \"{target}\"\nmin = 0.01\nmax = 0.2\n")
    };
    let config = |first: &str, second: &str| {
        let plain = story.config();
        let start = plain.find("[[parameter]]").unwrap_or(plain.len());
        format!("{}{first}{second}", &plain[..start])
    };
    story.write("one.toml", &config(&parameter("x", "a"), &parameter("y", "b")));
    story.write("fewer.toml", &config(&parameter("x", "a"), ""));
    story.write("moved.toml", &config(&parameter("x", "c"), &parameter("y", "b")));
    let with = |config: &str| story.path(config).to_str().unwrap().to_owned();
    story.expect(0, &["--config", &with("one.toml"), "run"]);
    let name = strategy(&story);
    for other in ["fewer.toml", "moved.toml"] {
        let refused = story.expect(1, &["--config", &with(other), "promote", &name]).stderr;
        assert!(refused.contains("are others than those"), "{other}: {refused}");
        assert_eq!(story.expect(0, &["--config", &with(other), "best", "--json"]).stdout, "[]\n");
    }
    story.expect(0, &["--config", &with("one.toml"), "promote", &name, "--dry-run"]);
    // Another literal: whatever was found means nothing there, and the next batch does not go on from it.
    story.expect(0, &["--config", &with("moved.toml"), "run"]);
    let search = &story.state()["searches"][0];
    assert!(search["population"].as_array().unwrap().iter().all(|one| one["fitness"] == -0.1));
}

#[test]
fn of_equally_good_ones_the_older_are_kept_whenever_their_evaluations_end() {
    let kept = |workers: &str, judge: &str| {
        let mut story = story();
        story.set("batch", "rounds", "1");
        story.set("batch", "seed", "5");
        story.set("evaluator", "workers", workers);
        story.write("judge.sh", judge);
        story.expect(0, &["run"]);
        let names = files(&story, "py");
        names.iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let slow_at_first =
        "case $MUTATION_ID in *1) while [ ! -e go ]; do :; done ;; *4) : >go ;; esac; echo 1";
    assert_eq!(kept("1", "echo 1"), kept("4", slow_at_first));
}

#[test]
fn a_promotion_that_does_not_come_to_pass_is_on_record_as_that() {
    let story = story();
    story.expect(0, &["run"]);
    let name = strategy(&story);
    fs::hard_link(story.path(&name), story.path("second")).unwrap();
    let refused = story.expect(74, &["promote", &name]).stderr;
    assert!(refused.contains("2 hard links"), "{refused}");
    assert_eq!(fs::read_to_string(story.path(&name)).unwrap(), SOURCE);
    let [line, outcome] = promotions(&story).try_into().unwrap();
    assert_eq!(line["candidate_sha256"], outcome["candidate_sha256"]);
    assert_eq!(outcome["done"], false);
    assert!(outcome["error"].as_str().unwrap().contains("2 hard links"), "{outcome}");
}

#[test]
fn a_check_sees_its_candidate_alone_and_nothing_that_it_started_outlives_it() {
    let mut story = story();
    story.expect(0, &["run"]);
    story.write("mutation-data/promoting/deep/old.py", "of a promote that was killed");
    let check = r#"ls "$(dirname "$0")" >seen; sleep 1000 & echo $! >child"#;
    story.set("promote", "command", &format!("['sh', '-c', '{check}', '{{candidate}}']"));
    story.expect(0, &["promote", &strategy(&story)]);
    assert_eq!(story.read("seen").lines().count(), 1, "{}", story.read("seen"));
    assert!(!story.path("mutation-data/promoting").exists());
    wait_until("the check's child ends", || child_is_gone(&story));
}

#[test]
fn a_check_that_takes_too_long_is_killed_and_nothing_is_promoted() {
    let mut story = story();
    story.expect(0, &["run"]);
    story.set("evaluator", "timeout", "\"20ms\"");
    let check = r#"["sh", "-c", "trap '' TERM; sleep 1000 & echo $! >child; wait"]"#;
    story.set("promote", "command", check);
    let refused = story.expect(1, &["promote", &strategy(&story)]).stderr;
    assert!(refused.contains("was ended after 200ms; it may take 10 times"), "{refused}");
    wait_until("the check's child ends", || child_is_gone(&story));
    assert_eq!(fs::read_to_string(story.path(&strategy(&story))).unwrap(), SOURCE);
    assert!(!story.path("mutation-data/promotions.jsonl").exists());
}

#[test]
fn whoever_stops_promote_stops_its_check_and_nothing_is_promoted() {
    let mut story = story();
    story.expect(0, &["run"]);
    let check = r#"["sh", "-c", "sleep 1000 & echo $! >child.new; mv child.new child; wait"]"#;
    story.set("promote", "command", check);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let running = story.start(&["promote", &strategy(&story)]);
        wait_until("the check has begun", || story.path("child").exists());
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stderr.contains("is not promoted"), "{}", ended.stderr);
        wait_until("the check's child ends", || child_is_gone(&story));
        fs::remove_file(story.path("child")).unwrap();
        assert!(!story.path("mutation-data/promoting").exists());
    }
    assert_eq!(fs::read_to_string(story.path(&strategy(&story))).unwrap(), SOURCE);
    assert!(!story.path("mutation-data/promotions.jsonl").exists());
}
