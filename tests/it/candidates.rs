//! `[output]`: candidates for people, and originals that nobody touches.

use crate::story::Story;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The candidates of a strategy in the folder `latest`, by mutation.
fn candidates(story: &Story, strategy: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = story.path("evolved/latest/strategies").join(strategy);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
    };
    entries.map(of).collect()
}

#[test]
fn candidates_differ_from_their_original_in_the_literal_alone() {
    // CRLF, a byte order mark, a tab, Chinese, and no newline at the end.
    let text = "\u{feff}# 止损\r\nstop_loss_pct\t=\t0.10  # keep\r\nholding_period_days = 2_0\r\nx = \"止\"";
    let mut story = Story::of(text);
    story.set("output", "keep", "4");
    let before = story.listing();
    story.expect(0, &["run"]);
    let lines = story.all_lines();
    let found = candidates(&story, "only");
    assert_eq!(found.len(), 4);
    for (mutation, candidate) in found {
        let line = lines.iter().find(|line| line["mutation_id"] == mutation.as_str()).unwrap();
        let literal = match line["parameter"].as_str().unwrap() {
            "stop_loss_pct" => "0.10",
            "holding_period_days" => "2_0",
            other => panic!("nobody asked for {other}"),
        };
        let at = text.find(literal).unwrap();
        let (head, tail) = (&text[..at], &text[at + literal.len()..]);
        let candidate = String::from_utf8(candidate).unwrap();
        let new = candidate.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        let new = new.unwrap_or_else(|| panic!("more than the literal changed: {candidate:?}"));
        assert_ne!(new, literal);
        let value: f64 = new.replace('_', "").parse().unwrap();
        assert_eq!(value.to_bits(), line["new_value"].as_f64().unwrap().to_bits(), "as logged");
    }
    let after = story.listing();
    for (path, was) in before.iter().filter(|(path, _)| path.ends_with("only.py")) {
        assert_eq!(&after[path], was, "bytes, mode and time of the original");
    }
}

#[test]
fn there_are_up_to_keep_for_each_strategy_and_latest_leads_to_the_newest_batch() {
    let mut story = Story::new();
    story.set("output", "keep", "3");
    for _ in 0..2 {
        let ended = story.expect(0, &["run"]);
        let id = story.newest();
        let folder = story.path("evolved").join(id.as_str());
        assert!(ended.stdout.contains("evolved/"), "{}", ended.stdout);
        assert!(folder.is_dir());
        assert_eq!(
            fs::read_link(story.path("evolved/latest")).unwrap().to_str(),
            Some(id.as_str())
        );
        for strategy in ["momentum", "mean_reversion", "pairs", "trend_following"] {
            let found = candidates(&story, strategy);
            assert_eq!(found.len(), 3, "{strategy}");
            let different: std::collections::BTreeSet<_> = found.values().collect();
            assert_eq!(different.len(), 3, "no two are the same");
        }
    }
    let left: Vec<_> = fs::read_dir(story.path("evolved")).unwrap().collect();
    assert_eq!(left.len(), 3, "two batches and a link, nothing unfinished");
}

#[test]
fn the_originals_are_as_they_were_to_the_byte_and_to_the_time() {
    let story = Story::new();
    let before = story.listing();
    story.expect(0, &["run"]);
    let after = story.listing();
    let strategies = before.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "py"));
    let mut count = 0;
    for (path, was) in strategies {
        assert_eq!(&after[path], was);
        count += 1;
    }
    assert_eq!(count, 4);
    assert_eq!(fs::read_dir(story.path("strategies")).unwrap().count(), 4);
}

#[test]
fn keep_0_writes_none() {
    let mut story = Story::new();
    story.set("output", "keep", "0");
    let ended = story.expect(0, &["run"]);
    assert!(!story.path("evolved").exists());
    assert!(!ended.stdout.contains("candidates"), "{}", ended.stdout);
}

#[test]
fn a_strategy_outside_of_the_configs_folder_gets_its_candidates_inside_of_the_output() {
    let mut story = Story::new();
    story.write("../home/alpha.py", "stop_loss_pct = 0.10\n");
    story.set("strategies", "include", "[\"../home/alpha.py\"]");
    story.expect(0, &["run"]);
    let folder = story.path("evolved/latest/__/home/alpha");
    assert!(fs::read_dir(folder).unwrap().count() > 0);
    assert_eq!(fs::read_dir(story.path("../home")).unwrap().count(), 1, "beside it is nothing new");
}

#[test]
fn an_output_that_cannot_be_made_fails_the_batch_and_keeps_its_records() {
    let story = Story::new();
    story.write("evolved", "a file in the place of the folder");
    let ended = story.expect(73, &["run"]);
    assert!(ended.stderr.contains("candidates are not written"), "{}", ended.stderr);
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["status"], "failed");
    assert_eq!(manifest["exit_code"], 73);
    assert_eq!(story.all_lines().len(), 60);
}
