//! The audit's files: their lines, their modes, their chain.

use crate::story::Story;
use mutation_agent::units::Digest;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The fields of DESIGN.md's example, in its order.
const FIELDS: [&str; 20] = [
    "timestamp",
    "batch_id",
    "mutation_id",
    "round",
    "strategy",
    "line",
    "parameter",
    "operator",
    "variant",
    "parent",
    "old_value",
    "new_value",
    "clamped",
    "outcome",
    "success",
    "validation_passed",
    "error",
    "fitness",
    "duration_ms",
    "evaluation_ms",
];

/// The keys of a flat JSON object in the order in which they stand there; serde's map sorts them.
fn keys(line: &str) -> Vec<&str> {
    let (mut keys, mut rest) = (Vec::new(), line.trim_start_matches('{'));
    while let Some((key, after)) = rest.trim_start_matches('"').split_once("\":") {
        keys.push(key);
        // No text of these stories has a comma or a quotation mark in it.
        rest = after.split_once(',').map_or("", |(_, rest)| rest);
    }
    keys
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_line_has_the_fields_of_the_example_in_its_order() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let text = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    assert_eq!(text.lines().count(), 60);
    for line in text.lines() {
        assert_eq!(keys(line), FIELDS, "{line}");
        assert!(!line.contains(' '), "no blanks: {line}");
    }
}

#[test]
fn a_line_says_what_was_done_where_and_with_what_result() {
    let story = Story::of("import os\n\nstop_loss_pct = 0.10\nholding_period_days = 20\n");
    story.expect(0, &["run"]);
    let id = story.newest();
    let lines = story.lines(&id);
    let mut seen = [false; 2];
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(line["batch_id"], id.as_str());
        assert_eq!(line["mutation_id"], format!("exit_mut_{number:06}"), "ids rise by one");
        assert_eq!(line["round"], (number - 1) / 20 + 1);
        assert_eq!(line["strategy"], "strategies/only.py");
        assert_eq!(line["operator"], "lognormal");
        assert_eq!(line["success"], line["outcome"] == "success");
        assert_eq!(line["validation_passed"], line["success"]);
        for empty in ["variant", "parent", "fitness", "evaluation_ms"] {
            assert_eq!(line[empty], Value::Null);
        }
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
        match line["parameter"].as_str().unwrap() {
            "stop_loss_pct" => {
                seen[0] = true;
                assert_eq!((&line["line"], &line["old_value"]), (&json!(3), &json!(0.1)));
                assert!(line["new_value"].is_f64(), "a float stays one: {line}");
                assert!((0.01..=0.2).contains(&line["new_value"].as_f64().unwrap()));
            }
            "holding_period_days" => {
                seen[1] = true;
                assert_eq!((&line["line"], &line["old_value"]), (&json!(4), &json!(20)));
                assert!(line["new_value"].is_u64(), "an integer stays one: {line}");
                assert!((1..=60).contains(&line["new_value"].as_u64().unwrap()));
            }
            other => panic!("nobody asked for {other}"),
        }
    }
    assert_eq!(seen, [true; 2]);
    let times: Vec<_> = lines.iter().map(|line| line["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "timestamps rise");
    assert!(times.iter().all(|time| time.len() == 27 && time.ends_with('Z')), "{}", times[0]);
}

#[test]
fn folders_and_files_are_for_their_owner_alone() {
    let mut story = Story::new();
    story.set("", "data_dir", "\"made/by/the/agent\"");
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let data = story.path("made/by/the/agent");
    for folder in [&data, &data.join("audit")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for entry in fs::read_dir(data.join("audit")).unwrap().chain(fs::read_dir(&data).unwrap()) {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_file() {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn the_open_journal_is_private_too_and_has_the_name_partial() {
    let story = Story::long();
    let running = story.start(&["run"]);
    story.wait_for_journal();
    let id = story.newest();
    let journal = story.audit().open_journal(&id);
    assert!(journal.to_str().unwrap().ends_with(".jsonl.partial"));
    assert_eq!(mode(&journal), 0o600);
    assert_eq!(story.manifest(&id)["status"], "running");
    assert!(!story.audit().sealed(&id).exists());
    drop(running);
}

#[test]
fn manifests_are_a_chain_and_describe_their_logs_also_when_these_are_packed() {
    let story = Story::new();
    for _ in 0..4 {
        story.expect(0, &["run"]);
    }
    let batches = story.batches();
    assert_eq!(batches.len(), 4);
    let newest = &batches[3];
    let mut previous = Value::Null;
    for id in &batches {
        let manifest = story.manifest(id);
        assert_eq!(manifest["previous_sha256"], previous, "{id}");
        previous = Digest::of(&fs::read(story.audit().manifest(id)).unwrap()).as_str().into();

        let (plain, packed) = (story.audit().sealed(id), story.audit().compressed(id));
        assert_eq!((plain.exists(), packed.exists()), (id == newest, id != newest), "{id}");
        let log = if id == newest {
            fs::read(plain).unwrap()
        } else {
            zstd::decode_all(fs::File::open(packed).unwrap()).unwrap()
        };
        assert_eq!(manifest["bytes"], log.len());
        assert_eq!(manifest["sha256"], Digest::of(&log).as_str());
        assert_eq!(manifest["records"], story.lines(id).len());
        assert_eq!(manifest["tally"]["attempts"], 60);
        assert_eq!(manifest["status"], "completed");
        assert_eq!(manifest["ended_by"], "rounds");
    }
    assert_eq!(story.state()["last_batch"]["manifest_sha256"], previous);
    let latest = fs::read_link(story.audit().latest()).unwrap();
    assert_eq!(latest.to_str().unwrap(), format!("{newest}.jsonl"));
}

#[test]
fn the_digest_of_the_manifest_goes_to_the_log() {
    let story = Story::new();
    let ended = story.expect(0, &["run"]);
    let digest = Digest::of(&fs::read(story.audit().manifest(&story.newest())).unwrap());
    assert!(ended.stderr.contains(digest.as_str()), "{}", ended.stderr);
}

#[test]
fn a_manifest_names_the_strategies_with_digest_and_targets() {
    let story = Story::new();
    story.write("strategies/broken.py", "def (:\n");
    story.write("strategies/odd.py", "stop_loss_pct = 10.0\ntake_profit_pct = 2 * 0.1\n");
    story.expect(0, &["run"]);
    let manifest = story.manifest(&story.newest());
    let of = |name: &str| {
        let all = manifest["strategies"].as_array().unwrap();
        all.iter().find(|one| one["path"] == format!("strategies/{name}.py")).unwrap().clone()
    };
    let momentum = of("momentum");
    let text = fs::read(story.path("strategies/momentum.py")).unwrap();
    assert_eq!(momentum["sha256"], Digest::of(&text).as_str());
    assert_eq!(
        momentum["usable"][0],
        json!({"parameter": "stop_loss_pct", "line": 3, "value": 0.1})
    );
    let reasons = |one: &Value| {
        let all = one["unusable"].as_array().unwrap().iter();
        all.map(|one| one["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(&of("odd")),
        ["start_out_of_bounds", "not_numeric_literal", "not_found", "not_found"]
    );
    assert_eq!(reasons(&of("broken")), ["invalid_source"; 4]);
    assert_eq!(manifest["targets"]["usable"], 16);
    assert_eq!(manifest["targets"]["invalid_source"], 4);
    assert_eq!(manifest["seed"], 7);
}

#[test]
fn retention_by_count_prunes_the_oldest_and_the_totals_stand() {
    let mut story = Story::new();
    story.set("audit", "retention", "{ batches = 2 }");
    let mut ids = Vec::new();
    for _ in 0..4 {
        story.expect(0, &["run"]);
        ids.push(story.newest());
    }
    assert_eq!(story.batches(), ids[2..], "the two newest are there");
    assert!(!story.audit().manifest(&ids[0]).exists());
    assert!(story.audit().sealed(&ids[3]).exists(), "the newest stays plain");
    assert!(story.audit().compressed(&ids[2]).exists());
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 240, "what is counted is not lost");
}

#[test]
fn without_compression_all_logs_stay_plain() {
    let mut story = Story::new();
    story.set("audit", "compress", "false");
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    for id in story.batches() {
        assert!(story.audit().sealed(&id).exists());
        assert!(!story.audit().compressed(&id).exists());
    }
}

#[test]
fn ids_of_batches_rise_within_a_second() {
    let story = Story::new();
    let mut last = None;
    for _ in 0..5 {
        story.expect(0, &["run", "--rounds", "1", "--mutations", "1"]);
        let newest = Some(story.newest());
        assert!(newest > last);
        last = newest;
    }
    assert_eq!(story.batches().len(), 5);
}

#[test]
fn the_audit_may_have_a_folder_of_its_own() {
    let mut story = Story::new();
    story.set("audit", "dir", "\"elsewhere/audit\"");
    story.expect(0, &["run"]);
    assert!(story.path("elsewhere/audit/latest.jsonl").exists());
    assert!(!story.path("mutation-data/audit").exists());
    assert_eq!(mode(&story.path("elsewhere/audit")), 0o700);
}
