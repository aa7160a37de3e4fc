//! Several parameters at once, A/B variants, and constraints between parameters.

use crate::gateway::Gateway;
use crate::story::Story;
use mutation_agent::config::{Config, Environment};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Four parameters, of which three are mutated and one is text.
const ONLY: &str = "stop_loss_pct = 0.1\ntake_profit_pct = 0.25\ntrailing_stop_offset = 'no'\nholding_period_days = 20\n";

fn also(line: &Value) -> &[Value] {
    line["also"].as_array().map_or(&[], Vec::as_slice)
}

/// Values by parameter after the record's mutation.
fn values(line: &Value) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::from([
        ("stop_loss_pct".to_owned(), 0.1),
        ("take_profit_pct".to_owned(), 0.25),
        ("holding_period_days".to_owned(), 20.0),
    ]);
    for change in std::iter::once(line).chain(also(line)) {
        let name = change["parameter"].as_str().unwrap();
        values.insert(name.to_owned(), change["new_value"].as_f64().unwrap());
    }
    values
}

#[test]
fn a_mutation_of_several_parameters_is_one_record_and_one_candidate() {
    let mut story = Story::of(ONLY);
    story.set("evolution", "parameters_per_mutation", "2");
    story.set("output", "keep", "3");
    story.expect(0, &["run"]);
    let lines = story.all_lines();
    assert_eq!(lines.len(), 60);
    for line in &lines {
        let names: BTreeSet<_> =
            std::iter::once(line).chain(also(line)).map(|one| one["line"].as_u64()).collect();
        assert_eq!(names.len(), also(line).len() + 1, "each parameter once: {line}");
        assert!(also(line).iter().all(|one| one["new_value"] != one["old_value"]), "{line}");
    }
    assert!(lines.iter().filter(|line| also(line).len() == 1).count() > 50);
    let folder = story.path("evolved/latest/strategies/only");
    let entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 3);
    for path in entries {
        let id = path.file_stem().unwrap().to_str().unwrap();
        let line = lines.iter().find(|line| line["mutation_id"] == id).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (name, value) in values(line) {
            let literal = text.lines().find_map(|one| one.strip_prefix(&format!("{name} = ")));
            assert_eq!(
                literal.unwrap().parse::<f64>().unwrap().to_bits(),
                value.to_bits(),
                "{name}: {text}"
            );
        }
    }
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn more_parameters_than_a_strategy_has_are_all_of_them() {
    let mut story = Story::of(ONLY);
    story.set("evolution", "parameters_per_mutation", "100");
    story.expect(0, &["run"]);
    assert!(story.all_lines().iter().any(|line| also(line).len() == 2));
    assert!(story.all_lines().iter().all(|line| also(line).len() <= 2));
}

#[test]
fn one_parameter_at_a_time_is_written_as_before_there_were_several() {
    let mut story = Story::of(ONLY);
    story.set("evolution", "parameters_per_mutation", "1");
    story.expect(0, &["run"]);
    let text = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    assert!(!text.contains("\"also\""), "{text}");
    let ends = text.lines().filter(|line| line.ends_with(",\"evaluation_ms\":null}"));
    assert_eq!(ends.count(), 60);
}

/// Shares, operators and the number of parameters of two variants.
fn with_variants(story: &mut Story) {
    story.table("[[variant]]\nname = \"plain\"\nweight = 1");
    story.table(
        "[[variant]]\nname = \"bold\"\nweight = 3\noperator = \"uniform\"\nparameters_per_mutation = 2",
    );
}

#[test]
fn variants_are_drawn_by_weight_and_make_their_own_proposals() {
    let mut story = Story::of(ONLY);
    with_variants(&mut story);
    story.set("batch", "mutations_per_round", "200");
    story.expect(0, &["run"]);
    let lines = story.all_lines();
    let (bold, plain): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line["variant"] == "bold");
    // 600 draws of 3 in 4: five standard deviations are 53.
    assert!(bold.len().abs_diff(450) < 53, "{} of 600", bold.len());
    assert!(plain.iter().all(|line| line["variant"] == "plain" && also(line).is_empty()));
    assert!(plain.iter().all(|line| line["operator"] != "uniform"));
    assert!(bold.iter().all(|line| line["operator"] == "uniform"));
    assert!(bold.iter().flat_map(|line| also(line)).all(|one| one["operator"] == "uniform"));
    assert!(bold.iter().filter(|line| also(line).len() == 1).count() > 400);
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn variants_are_compared_by_stats() {
    let mut story = Story::of(ONLY);
    with_variants(&mut story);
    story.expect(0, &["run"]);
    let said: Value = serde_json::from_str(&story.expect(0, &["stats", "--json"]).stdout).unwrap();
    let total = |name: &str| said["variants"][name]["total"].as_u64().unwrap();
    assert_eq!(total("plain") + total("bold"), 60);
    let text = story.expect(0, &["stats"]).stdout;
    let row = text.lines().find(|line| line.trim_start().starts_with("bold ")).unwrap();
    assert!(row.contains(&total("bold").to_string()), "{text}");
}

#[test]
fn every_variant_has_its_series_from_the_first_push_on() {
    let gateway = Gateway::accepting();
    let mut story = Story::of(ONLY);
    with_variants(&mut story);
    story.set("batch", "rounds", "1");
    story.set("batch", "mutations_per_round", "1");
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let pushed = String::from_utf8(gateway.requests().pop().unwrap().body).unwrap();
    for variant in ["plain", "bold"] {
        let label = format!("variant=\"{variant}\"");
        let series = pushed.lines().filter(|line| line.contains(&label)).count();
        // Eight outcomes of four parameters.
        assert_eq!(series, 32, "{pushed}");
    }
    let outcomes = pushed.lines().filter(|line| line.starts_with("exit_mutation_outcomes_total{"));
    assert_eq!(outcomes.count(), 64, "no series without a variant: {pushed}");
}

#[test]
fn any_number_of_workers_draws_the_same_variants_and_parameters() {
    let batch = |workers: &str| {
        let mut story = Story::new();
        with_variants(&mut story);
        story.set("batch", "workers", workers);
        story.expect(0, &["run", "--rounds", "2", "--mutations", "2000"]);
        let mut lines = story.all_lines();
        for line in lines.iter_mut().map(|line| line.as_object_mut().unwrap()) {
            for varying in ["timestamp", "batch_id", "duration_ms"] {
                line.remove(varying).unwrap();
            }
        }
        lines
    };
    assert!(batch("1") == batch("3"));
}

#[test]
fn a_candidate_that_breaks_a_constraint_is_recorded_and_not_written() {
    let mut story = Story::of(ONLY);
    story.set("evolution", "parameters_per_mutation", "2");
    story.set("output", "keep", "50");
    story.table("[[constraint]]\nrule = \"2 * stop_loss_pct < take_profit_pct\"");
    story.table("[[constraint]]\nrule = \"trailing_stop_offset < stop_loss_pct\"");
    story.expect(0, &["run"]);
    let lines = story.all_lines();
    let mut violated = 0;
    for line in &lines {
        let values = values(line);
        let holds = 2.0 * values["stop_loss_pct"] < values["take_profit_pct"];
        let outcome = line["outcome"].as_str().unwrap();
        assert_eq!(outcome == "constraint_violated", !holds, "{line}");
        if !holds {
            violated += 1;
            assert_eq!(line["validation_passed"], false);
            let error = line["error"].as_str().unwrap();
            assert_eq!(error, "the constraint `2 * stop_loss_pct < take_profit_pct` does not hold");
            let id = line["mutation_id"].as_str().unwrap();
            let file = format!("evolved/latest/strategies/only/{id}.py");
            assert!(!story.path(&file).exists());
        }
    }
    assert!((5..55).contains(&violated), "{violated} of 60: the test would show nothing");
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn check_and_run_tell_of_a_source_that_breaks_a_constraint_and_of_rules_that_do_not_apply() {
    let mut story = Story::of(ONLY);
    story.table("[[constraint]]\nrule = \"take_profit_pct < stop_loss_pct\"");
    story.table("[[constraint]]\nrule = \"trailing_stop_offset < stop_loss_pct\"");
    let broken = "the source itself breaks the constraint `take_profit_pct < stop_loss_pct`";
    let said = story.expect(0, &["check"]).stdout;
    assert!(said.contains(&format!("warning: strategies/only.py: {broken}")), "{said}");
    let unfit = "does not apply: constraint `trailing_stop_offset < stop_loss_pct`: there is no number `trailing_stop_offset`";
    assert!(said.contains(unfit), "{said}");
    let ended = story.run(&["run"]);
    assert!(ended.stderr.contains(broken), "{}", ended.stderr);
}

#[test]
fn a_number_that_is_not_mutated_is_held_against_the_constraints_all_the_same() {
    // 90 is above what the parameter may be, so it stays, and so no candidate can be right.
    let mut story = Story::of("stop_loss_pct = 0.1\ntake_profit_pct = 90.0\n");
    story.table("[[constraint]]\nrule = \"stop_loss_pct > take_profit_pct\"");
    let ended = story.run(&["run"]);
    let lines = story.all_lines();
    assert_eq!(lines.len(), 60, "{}", ended.stderr);
    assert!(lines.iter().all(|line| line["outcome"] != "success"));
    assert!(lines.iter().any(|line| line["outcome"] == "constraint_violated"));
}

#[test]
fn a_manifest_holds_the_config_that_its_batch_was_made_with() {
    let mut story = Story::of(ONLY);
    with_variants(&mut story);
    story.expect(0, &["run", "--rounds", "2"]);
    let manifest = story.manifest(&story.newest());
    let text = manifest["config"].as_str().unwrap();
    let config = Config::parse(text, &story.path("agent.toml"), &Environment::default()).unwrap();
    assert_eq!(config.batch.rounds, 2, "as it was in force");
    assert_eq!(config.digest().to_string(), manifest["config_sha256"].as_str().unwrap());
}

#[test]
fn evaluated_attempts_have_variants_and_what_breaks_a_rule_is_never_evaluated() {
    let mut story = Story::of(ONLY);
    with_variants(&mut story);
    story.table("[[constraint]]\nrule = \"2 * stop_loss_pct < take_profit_pct\"");
    // Says what it was asked about, and that the first value is its fitness.
    let script = "echo \"$MUTATION_ID\" >> asked; sed -n 's/^stop_loss_pct = //p' \"$0\"";
    story.set("evaluator", "command", &format!("['sh', '-c', '''{script}''', '{{candidate}}']"));
    story.set("evaluator", "workers", "2");
    story.set("evolution", "parameters_per_mutation", "1");
    story.expect(0, &["run"]);
    let lines = story.all_lines();
    assert_eq!(lines.len(), 60);
    let asked = story.read("asked");
    let asked: BTreeSet<&str> = asked.lines().collect();
    let mut outcomes = BTreeMap::new();
    for line in &lines {
        assert_eq!(line["operator"] == "uniform", line["variant"] == "bold", "{line}");
        assert!(line["variant"] == "bold" || also(line).is_empty(), "{line}");
        let outcome = line["outcome"].as_str().unwrap();
        let evaluated = asked.contains(line["mutation_id"].as_str().unwrap());
        assert_eq!(evaluated, outcome == "success", "{line}");
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    assert!(outcomes["success"] > 5 && outcomes["constraint_violated"] > 2, "{outcomes:?}");
    assert!(lines.iter().any(|line| !line["parent"].is_null() && line["variant"] == "plain"));
    story.expect(0, &["audit", "verify"]);
}
