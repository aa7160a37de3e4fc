//! The same seed gives the same batch, whatever machine and whichever threads.

use crate::story::Story;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A batch without its times and its id: records, and candidates by their path.
type Essence = (Vec<Value>, BTreeMap<PathBuf, Vec<u8>>);

fn batch(workers: &str, mutations: &str, seed: &str) -> Essence {
    let mut story = Story::new();
    story.set("batch", "workers", workers);
    story.expect(0, &["run", "--rounds", "2", "--mutations", mutations, "--seed", seed]);
    essence(&story)
}

fn essence(story: &Story) -> Essence {
    let mut lines = story.lines(&story.newest());
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        for varying in ["timestamp", "batch_id", "duration_ms"] {
            line.remove(varying).unwrap();
        }
    }
    let latest = story.path("evolved/latest");
    let candidates = files(&latest).into_iter();
    let within =
        |path: PathBuf| (path.strip_prefix(&latest).unwrap().to_owned(), fs::read(&path).unwrap());
    (lines, candidates.map(within).collect())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn any_number_of_workers_gives_the_same_records_and_candidates() {
    let one = batch("1", "3000", "11");
    assert_eq!(one.0.len(), 6000);
    assert_eq!(one.1.len(), 40, "ten candidates for each of four strategies");
    for workers in ["2", "5"] {
        let many = batch(workers, "3000", "11");
        assert!(many == one, "{workers} workers give what one gives");
    }
}

#[test]
fn another_seed_gives_other_values() {
    let (one, other) = (batch("2", "50", "11"), batch("2", "50", "12"));
    assert_eq!(one.0.len(), other.0.len());
    let values = |essence: &Essence| {
        essence.0.iter().map(|line| line["new_value"].clone()).collect::<Vec<_>>()
    };
    assert_ne!(values(&one), values(&other));
}

#[test]
fn a_batch_is_replayed_from_its_manifest() {
    let mut story = Story::new();
    story.set("batch", "seed", "4294967296");
    story.expect(0, &["run"]);
    let first = essence(&story);
    let seed = story.manifest(&story.newest())["seed"].to_string();
    story.set("batch", "seed", "1");
    story.expect(0, &["run", "--seed", &seed]);
    assert!(essence(&story) == first);
}

#[test]
fn without_a_seed_each_batch_draws_its_own_and_notes_it() {
    let story = Story::new();
    let config = story.config().replace("seed = 7\n", "");
    story.write("agent.toml", &config);
    let mut seeds = Vec::new();
    for _ in 0..2 {
        assert_eq!(story.start_as_it_is(&["run"], &[]).end().code, 0);
        seeds.push(story.manifest(&story.newest())["seed"].as_u64().unwrap());
    }
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn attempts_are_spread_evenly_over_the_strategies() {
    let story = Story::new();
    story.expect(0, &["run", "--rounds", "5", "--mutations", "7"]);
    let mut counts = BTreeMap::<String, u32>::new();
    for line in story.all_lines() {
        *counts.entry(line["strategy"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|count| (8..=9).contains(count)), "35 over 4: {counts:?}");
}
