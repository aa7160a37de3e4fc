//! `compare`: which sets are taken, and what is said where they are none.

use crate::story::Story;
use serde_json::Value;
use std::fs;

const VARIANTS: &str = "[[variant]]\nname = \"usual\"\n[[variant]]\nname = \"wide\"\noperator = \"lognormal\"\nsigma = 0.4\n";

fn story() -> Story {
    let mut story = Story::new();
    story.table(VARIANTS);
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    story
}

fn compared(story: &Story, a: &str, b: &str, more: &[&str]) -> Value {
    let args = [&["compare", a, b, "--json"], more].concat();
    serde_json::from_str(&story.expect(0, &args).stdout).unwrap()
}

#[test]
fn both_sets_are_counted_from_the_log() {
    let story = story();
    let lines = story.all_lines();
    for (kind, a, b) in
        [("variant", "usual", "wide"), ("parameter", "stop_loss_pct", "take_profit_pct")]
    {
        let found = compared(&story, a, b, &[]);
        for (name, value) in [("a", a), ("b", b)] {
            let count = lines.iter().filter(|line| line[kind] == value).count();
            assert_eq!(found[name]["attempts"], count, "{kind} {value}");
        }
        assert_eq!(found["fitness"], Value::Null);
    }
    let said = story.expect(0, &["compare", "usual", "wide"]).stdout;
    assert!(said.starts_with("No difference in success can be told: A "), "{said}");
    assert_eq!(said, story.expect(0, &["compare", "usual", "wide"]).stdout, "each time the same");
}

#[test]
fn two_audit_folders_are_compared_as_they_are() {
    let (here, there) = (story(), story());
    there.expect(0, &["run"]);
    let (a, b) = (here.audit().path().to_owned(), there.audit().path().to_owned());
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    fs::remove_file(here.path("agent.toml")).unwrap();
    let found = compared(&here, a, b, &[]);
    assert_eq!((&found["a"]["batches"], &found["b"]["batches"]), (&2.into(), &3.into()));
    let of_b = format!("path={b},variant=wide");
    let found = compared(&here, &format!("path={a},variant=wide"), &of_b, &[]);
    let wide = there.all_lines().iter().filter(|line| line["variant"] == "wide").count();
    assert_eq!(found["b"]["attempts"], wide);
}

#[test]
fn a_misspelt_name_is_told_with_the_nearest_one() {
    let story = story();
    for (code, a, said) in [
        (
            65,
            "variant=wied",
            "A (variant=wied) has no attempts: there is no variant `wied`; did you mean `wide`?",
        ),
        (65, "date=2001-01-01", "A (date=2001-01-01) has no attempts: none of the 120 attempts"),
        (2, "wied", "did you mean `wide`?"),
        (2, "operator=gausian", "did you mean `gaussian`?"),
        (2, "variante=wide", "did you mean `variant`?"),
        (2, "date=yesterday", "`yesterday` is no date"),
        (2, "batch=x", "`x` is not a batch id"),
        (2, "variant=usual,", "has an empty term"),
        (2, "date=2026-11-17..2026-11-15", "`2026-11-17..2026-11-15` ends before it begins"),
    ] {
        let ended = story.expect(code, &["compare", a, "variant=usual"]);
        assert!(ended.stderr.contains(said), "{a}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn sets_that_overlap_are_not_compared() {
    let story = story();
    let audit = story.audit().path().to_owned();
    let path = format!("path={}", audit.to_str().unwrap());
    let whole = story.audit().sealed(&story.newest());
    for (a, b) in [
        ("variant=wide", "operator=lognormal"),
        (path.as_str(), "variant=wide"),
        (path.as_str(), whole.to_str().unwrap()),
    ] {
        let ended = story.expect(2, &["compare", a, b]);
        assert!(ended.stderr.contains("error: the sets overlap"), "{}", ended.stderr);
    }
}

#[test]
fn since_and_files_narrow_both_sets() {
    let story = story();
    let newest = story.newest();
    let file = story.audit().sealed(&newest);
    let found = compared(&story, "usual", "wide", &[file.to_str().unwrap()]);
    let sum = found["a"]["attempts"].as_u64().unwrap() + found["b"]["attempts"].as_u64().unwrap();
    assert_eq!(sum, 60);
    let ended = story.expect(65, &["compare", "usual", "wide", "--until", "2001-01-01"]);
    assert!(ended.stderr.contains("no attempt was read at all"), "{}", ended.stderr);
}

#[test]
fn a_strategy_goes_by_its_path_although_a_file_is_there() {
    let story = story();
    let lines = story.all_lines();
    let of = |path: &str| lines.iter().filter(|line| line["strategy"] == path).count();
    let (a, b) = ("strategies/momentum.py", "strategies/pairs.py");
    let found = compared(&story, a, b, &[]);
    assert_eq!(found["a"]["attempts"], of(a));
    assert_eq!(found["b"]["attempts"], of(b));
}

#[test]
fn a_batch_that_attempted_nothing_is_not_said_to_be_missing() {
    let story = story();
    for file in fs::read_dir(story.path("strategies")).unwrap() {
        fs::write(file.unwrap().path(), "this is no Python (").unwrap();
    }
    story.expect(65, &["run"]);
    let batch = format!("batch={}", story.newest());
    let ended = story.expect(65, &["compare", "usual", &batch]);
    assert!(ended.stderr.contains("none of the 120 attempts"), "{}", ended.stderr);
}

#[test]
fn a_small_p_is_never_written_as_nothing() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let id = story.newest().to_string();
    let log = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    let slow = log
        .replace(&id, "20010101T020000Z-7f3a9c")
        .replace("\"duration_ms\":", "\"duration_ms\":9");
    story.write("slow.jsonl", &slow);
    let said = story.expect(0, &["compare", "mutation-data", "slow.jsonl"]).stdout;
    assert_eq!(said.matches("p < 0.001").count(), 2, "a sentence and a row\n{said}");
    assert!(!said.contains("p = 0.000"), "{said}");
}
