//! The one idea: what is pushed is the fold over what stands in the audit, batch after batch.

use crate::exposition::{Exposition, assert_nothing_fell};
use crate::gateway::Gateway;
use crate::story::{Story, count_lines};
use mutation_agent::audit::{Folder, Manifest, read_records};
use mutation_agent::metrics::{Buckets, Statistics, Tally, Totals};
use mutation_agent::state::State;
use mutation_agent::units::BatchId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// Every counter over the records, counted here from the lines themselves.
fn counted(lines: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut count = |series: String| *counts.entry(series).or_default() += 1;
    for line in lines {
        let text = |key: &str| line[key].as_str().unwrap();
        let (parameter, operator) = (text("parameter"), text("operator"));
        count("exit_mutations_total".to_owned());
        count("mutation_audit_records_total".to_owned());
        count("exit_mutation_duration_seconds_count".to_owned());
        if line["success"] == true {
            count("exit_mutations_success".to_owned());
        }
        count(format!("exit_mutation_draws_total{{parameter=\"{parameter}\"}}"));
        if line["clamped"] == true {
            count(format!("exit_mutations_clamped_total{{parameter=\"{parameter}\"}}"));
        }
        count(format!(
            "exit_mutation_outcomes_total{{parameter=\"{parameter}\",operator=\"{operator}\",outcome=\"{}\"}}",
            text("outcome")
        ));
    }
    counts
}

/// The same series as they were pushed, without those that are 0.
fn shown(push: &Exposition) -> BTreeMap<String, u64> {
    let mut shown = BTreeMap::new();
    for family in [
        "exit_mutations_total",
        "exit_mutations_success",
        "mutation_audit_records_total",
        "exit_mutation_duration_seconds_count",
        "exit_mutations_clamped_total",
        "exit_mutation_draws_total",
        "exit_mutation_outcomes_total",
    ] {
        for series in push.family(family).into_keys() {
            shown.insert(series.to_owned(), push.count(series));
        }
    }
    shown.retain(|_, count| *count > 0);
    shown
}

fn folded(folder: &Folder, id: &BatchId) -> Tally {
    let mut tally = Tally::new(Buckets::default());
    let path = Some(folder.sealed(id)).filter(|path| path.exists());
    let path = path.unwrap_or_else(|| folder.compressed(id));
    read_records(&path, |record, _| tally.add(record)).unwrap();
    tally
}

#[test]
fn totals_over_three_batches_are_the_audit_lines_counted_and_never_fall() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    // Narrow bounds, so that some proposals leave them; and steps so small that some change nothing.
    story.table("[[parameter]]\nname = \"stop_loss_pct\"\nmin = 0.04\nmax = 0.13\nsigma = 0.5");
    story.table("[[parameter]]\nname = \"take_profit_pct\"\nmin = 0.05\nmax = 0.5\nsigma = 0.0015");
    for (batch, seed) in (1..=3).zip(["7", "8", "9"]) {
        let ended = story.expect(0, &["run", "--seed", seed]);
        assert!(ended.stdout.contains("delivered to 1 of 1 gateways"), "{}", ended.stdout);
        let push = gateway.newest();
        assert_eq!(push.batches("completed"), batch);
        assert_eq!(shown(&push), counted(&story.all_lines()));
        assert_eq!(push.count("exit_mutations_total"), 60 * batch);
    }
    let counted = counted(&story.all_lines());
    for kind in ["clamped", "no_change", "outcome=\"success\""] {
        assert!(counted.keys().any(|series| series.contains(kind)), "no {kind} in the story");
    }
    assert_nothing_fell(&gateway.pushes());
}

#[test]
fn the_pushed_histogram_is_cumulative_and_holds_the_logged_durations() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let durations: Vec<f64> =
        story.all_lines().iter().map(|line| line["duration_ms"].as_f64().unwrap() / 1e3).collect();
    let push = gateway.newest();
    let buckets = push.family("exit_mutation_duration_seconds_bucket");
    assert_eq!(buckets.len(), Buckets::default().seconds().len() + 1);
    for series in buckets.into_keys() {
        let bound = series.split('"').nth(1).unwrap();
        let bound: f64 = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
        let below = durations.iter().filter(|seconds| **seconds <= bound).count() as u64;
        assert_eq!(push.count(series), below, "{series}");
    }
    let sum: f64 = durations.iter().sum();
    assert!((push.get("exit_mutation_duration_seconds_sum") - sum).abs() < 1e-9);
    assert_eq!(push.types()["exit_mutation_duration_seconds"], "histogram");
}

#[test]
fn the_first_push_says_that_a_batch_runs_and_the_last_that_it_has_ended() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let pushes = gateway.pushes();
    assert_eq!(pushes.len(), 2);
    assert_eq!(pushes[0].count("mutation_batch_in_progress"), 1);
    assert_eq!(pushes[0].count("exit_mutations_total"), 0);
    assert!(pushes[0].get("exit_mutation_success_rate").is_nan(), "before the first attempt");
    assert_eq!(pushes[0].batches("completed"), 0);
    assert_eq!(pushes[1].count("mutation_batch_in_progress"), 0);
    assert_eq!(pushes[1].count("mutation_batch_rounds_completed"), 3);
    assert_eq!(pushes[1].count("mutation_batch_last_exit_code"), 0);
    assert_eq!(pushes[1].count("exit_mutation_targets{state=\"usable\"}"), 16);
    let started = pushes[0].get("mutation_batch_last_start_timestamp_seconds");
    let completed = pushes[1].get("mutation_batch_last_completion_timestamp_seconds");
    let took = pushes[1].get("mutation_batch_last_duration_seconds");
    assert!((completed - started - took).abs() < 1e-3, "{started} + {took} = {completed}");
    assert_eq!(
        completed.to_bits(),
        pushes[1].get("mutation_batch_last_success_timestamp_seconds").to_bits()
    );
}

#[test]
fn the_time_of_the_last_success_survives_batches_that_fail_in_whichever_way() {
    let gateway = Gateway::accepting();
    let mut story = Story::of("stop_loss_pct = 0.10\n");
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let success = "mutation_batch_last_success_timestamp_seconds";
    let first = gateway.newest().get(success);

    // No usable target: 10 beside bounds of 0.01 to 0.20 is a percent that someone wrote.
    story.write("strategies/only.py", "stop_loss_pct = 10.0\n");
    story.expect(65, &["run"]);
    assert_eq!(gateway.newest().get(success).to_bits(), first.to_bits());
    assert_eq!(gateway.newest().batches("failed"), 1);
    assert_eq!(gateway.newest().count("mutation_batch_last_exit_code"), 65);

    // Steps that are far narrower than the grid: no mutation succeeds.
    story.write("strategies/only.py", "stop_loss_pct = 0.10\n");
    story.table("[[parameter]]\nname = \"stop_loss_pct\"\nmin = 0.01\nmax = 0.2\nsigma = 1e-9");
    let ended = story.expect(1, &["run"]);
    assert!(ended.stdout.contains("60 mutations, 0 succeeded (0.0 %)"), "{}", ended.stdout);
    let pushes = gateway.pushes();
    for push in &pushes[1..] {
        assert_eq!(push.get(success).to_bits(), first.to_bits(), "also while a batch runs");
    }
    let last = &pushes[pushes.len() - 1];
    assert_eq!((last.batches("completed"), last.batches("failed")), (1, 2));
    assert_eq!(last.count("mutation_batch_last_exit_code"), 1);
    assert_eq!(last.get("exit_mutation_success_rate").to_bits(), 0.0_f64.to_bits());
    assert_nothing_fell(&pushes);
}

#[test]
fn the_fold_over_records_read_back_is_what_manifest_state_and_gateway_have() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    let mut totals = Totals::new(Buckets::default());
    for _ in 0..3 {
        story.expect(0, &["run"]);
        let (folder, id) = (story.audit(), story.newest());
        let (manifest, _) = Manifest::read(&folder, &id).unwrap();
        assert_eq!(folded(&folder, &id), manifest.summary.tally);
        totals.fold(&manifest.summary);
        let (push, tally) = (gateway.newest(), totals.tally());
        assert_eq!(push.count("exit_mutations_total"), tally.attempts());
        assert_eq!(push.count("exit_mutations_success"), tally.successes());
        let pushed = push.family("exit_mutation_duration_seconds_bucket");
        let mut pushed: Vec<_> = pushed.into_values().collect();
        pushed.sort_by(f64::total_cmp);
        let mut ours: Vec<_> =
            tally.duration_histogram().cumulative().map(|(_, count)| count as f64).collect();
        ours.push(tally.attempts() as f64);
        assert_eq!(pushed, ours);
    }
    let state: State = serde_json::from_str(&story.read("mutation-data/state.json")).unwrap();
    assert_eq!(state.totals.tally(), totals.tally());
    // From the files alone, compressed ones among them, in the order of the batches.
    let mut all = Tally::new(Buckets::default());
    for id in story.batches() {
        all.merge(&folded(&story.audit(), &id));
    }
    assert_eq!(&all, totals.tally());
}

#[test]
fn what_stats_says_is_what_the_gateway_shows() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let said: Value = serde_json::from_str(&story.expect(0, &["stats", "--json"]).stdout).unwrap();
    let push = gateway.newest();
    assert_eq!(said["total"], push.count("exit_mutations_total"));
    assert_eq!(said["successes"], push.count("exit_mutations_success"));
    assert_eq!(said["total_duration_samples"], push.count("exit_mutation_duration_seconds_count"));
    let mut tally = Tally::new(Buckets::default());
    for id in story.batches() {
        tally.merge(&folded(&story.audit(), &id));
    }
    assert_eq!(said, serde_json::to_value(Statistics::of(&tally)).unwrap());
}

#[test]
fn a_run_may_be_made_larger_or_smaller_on_the_command_line() {
    let story = Story::new();
    story.expect(0, &["run", "--rounds", "2", "--mutations", "7", "--seed", "99"]);
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["records"], 14);
    assert_eq!(manifest["rounds_completed"], 2);
    assert_eq!(manifest["seed"], 99);
    assert_eq!(story.all_lines().len(), 14);
}

#[test]
fn a_batch_ends_at_its_deadline_and_is_complete_as_far_as_it_went() {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    story.set("batch", "deadline", "\"300ms\"");
    story.expect(0, &["run"]);
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["ended_by"], "deadline");
    assert_eq!(manifest["status"], "completed");
    let lines = story.all_lines();
    assert_eq!(manifest["records"], lines.len());
    assert_eq!(gateway.newest().count("exit_mutations_total"), lines.len() as u64);
}

#[test]
fn pushes_during_a_batch_show_only_what_is_on_disk_and_rise() {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    story.set("push", "interval", "\"100ms\"");
    story.set("batch", "rounds", "2");
    story.set("batch", "mutations_per_round", "1000000");
    // A buffer that is never full and never old: what is pushed was written for the push.
    story.set("audit", "buffer", "100000");
    story.set("audit", "flush_interval", "\"1h\"");
    let running = story.start(&["run"]);
    for count in 1..=5 {
        gateway.wait_for(count);
        let shown = gateway.pushes()[count - 1].count("exit_mutations_total");
        let journal = fs::read(story.audit().open_journal(&story.newest())).unwrap();
        let lines = count_lines(&journal) as u64;
        assert!(lines >= shown, "{shown} were pushed and {lines} are on disk");
    }
    let pushes = gateway.pushes();
    assert!(pushes[4].count("exit_mutations_total") > 0);
    assert!(pushes.iter().all(|push| push.count("mutation_batch_in_progress") == 1));
    assert_nothing_fell(&pushes);
    drop(running);
}

#[test]
fn other_buckets_begin_the_histogram_anew_and_the_log_says_so() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    story.set("metrics", "buckets", "[0.001, 1.0]");
    let ended = story.expect(0, &["run"]);
    assert!(ended.stderr.contains("the duration histogram starts anew"), "{}", ended.stderr);
    let push = gateway.newest();
    assert_eq!(push.family("exit_mutation_duration_seconds_bucket").len(), 3);
    assert_eq!(push.count("exit_mutation_duration_seconds_count"), 60);
    assert_eq!(push.count("exit_mutations_total"), 120, "the counters go on");
}
