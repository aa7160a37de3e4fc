//! Batches with an evaluator, told as stories with one of `sh`. What needs more is in `tests/e2e/evolution.py` and
//! `tests/e2e/evaluation_ends.py`.

use crate::gateway::Gateway;
use crate::story::Story;
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::symlink;

/// The evaluator: it notes what it is asked, and finds a lower stop loss better.
const JUDGE: &str = r#"
while read -r name _ value; do
    case $name in stop_loss_pct) stop=$value ;; take_profit_pct) take=$value ;; esac
done <"$1"
echo "$MUTATION_ID $stop $take" >>calls
case $stop in 0.*) echo "-${stop}" ;; *) exit 2 ;; esac
"#;

fn story() -> Story {
    let mut story = Story::of("stop_loss_pct = 0.1\ntake_profit_pct = 0.2\n");
    story.write("judge.sh", JUDGE);
    story.set("batch", "mutations_per_round", "6");
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    story.set("evaluator", "workers", "2");
    story
}

/// What the evaluator was asked: id and values.
fn calls(story: &Story) -> Vec<(String, String)> {
    let calls = story.read("calls");
    let calls = calls.lines().map(|line| line.split_once(' ').unwrap());
    calls.map(|(id, values)| (id.to_owned(), values.to_owned())).collect()
}

fn outcomes(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect()
}

#[test]
fn an_evaluated_record_says_fitness_and_parent_and_its_time_apart() {
    let story = story();
    story.expect(0, &["run"]);
    let lines = story.lines(&story.newest());
    assert_eq!(lines.len(), 18);
    for line in lines.iter().filter(|line| line["outcome"] == "success") {
        assert!(line["fitness"].as_f64().unwrap() < 0.0, "{line}");
        assert!(line["evaluation_ms"].as_f64().unwrap() > 0.0, "{line}");
    }
    let parents: Vec<_> = lines.iter().filter_map(|line| line["parent"].as_str()).collect();
    assert!(parents.iter().any(|parent| parent.starts_with("exit_mut_")), "{parents:?}");
    let (asked, judged) = (calls(&story), lines.iter().filter(|line| !line["fitness"].is_null()));
    assert_eq!(asked.len(), judged.count() + 1, "the source, and each candidate once");
    assert_eq!(asked[0], ("exit_mut_000000".to_owned(), "0.1 0.2".to_owned()));
    story.expect(0, &["audit", "verify"]);
}

#[test]
fn the_manifest_has_the_search_as_it_began_and_the_state_as_it_is() {
    let story = story();
    story.expect(0, &["run"]);
    let manifest = story.manifest(&story.newest());
    let begun = &manifest["evolution"]["searches"][0];
    assert_eq!(begun["population"].as_array().unwrap().len(), 1, "the source alone");
    assert_eq!(begun["baseline"], -0.1);
    let lines = story.lines(&story.newest());
    let fitness = lines.iter().filter_map(|line| line["fitness"].as_f64());
    let best = fitness.fold(-0.1, f64::max);
    let search = &story.state()["searches"][0];
    assert_eq!(search["population"][0]["fitness"], best);
    story.expect(0, &["run"]);
    assert_eq!(
        story.manifest(&story.newest())["evolution"]["searches"][0]["population"],
        search["population"]
    );
}

#[test]
fn an_evaluator_that_fails_for_the_source_ends_the_batch_before_its_first_attempt() {
    let story = story();
    story.write("judge.sh", "echo no prices >&2; exit 1");
    let ended = story.expect(1, &["run"]);
    assert!(
        ended.stderr.contains("the evaluator fails for the unmutated strategies"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("no prices"), "{}", ended.stderr);
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["ended_by"], "evaluator");
    assert_eq!((&manifest["status"], &manifest["records"]), (&"failed".into(), &0.into()));
}

#[test]
fn a_candidate_that_the_evaluator_fails_for_is_a_record_and_no_end() {
    let story = story();
    story.write(
        "judge.sh",
        "[ $MUTATION_ID = exit_mut_000000 ] && echo 1 && exit; echo of no use >&2; exit 3",
    );
    story.expect(1, &["run"]);
    let lines = story.lines(&story.newest());
    assert_eq!(lines.len(), 18);
    assert!(outcomes(&lines).iter().all(|outcome| *outcome == "evaluator_failed"));
    assert!(lines.iter().all(|line| line["error"].as_str().unwrap().contains("of no use")));
    assert_eq!(story.manifest(&story.newest())["ended_by"], "rounds");
}

#[test]
fn patience_ends_a_batch_that_finds_nothing_better() {
    let mut story = story();
    story.write("judge.sh", "echo 1");
    story.set("batch", "rounds", "50");
    story.set("evolution", "patience", "2");
    story.expect(0, &["run"]);
    let manifest = story.manifest(&story.newest());
    assert_eq!((&manifest["ended_by"], &manifest["records"]), (&"patience".into(), &12.into()));
}

#[test]
fn what_breaks_a_rule_is_recorded_and_never_evaluated() {
    let mut story = story();
    story.set("batch", "mutations_per_round", "20");
    story.table("[[constraint]]\nrule = \"stop_loss_pct <= 0.1\"");
    story.expect(0, &["run"]);
    let lines = story.lines(&story.newest());
    let broken = lines.iter().filter(|line| line["outcome"] == "constraint_violated");
    let broken: Vec<_> = broken.map(|line| line["mutation_id"].as_str().unwrap()).collect();
    assert!(!broken.is_empty());
    for (id, values) in calls(&story) {
        assert!(!broken.contains(&id.as_str()), "{id} was evaluated");
        assert!(values.split_once(' ').unwrap().0.parse::<f64>().unwrap() <= 0.1, "{id}: {values}");
    }
}

#[test]
fn a_state_that_is_lost_after_a_night_of_a_broken_evaluator_finds_its_survivors_again() {
    let mut story = story();
    story.expect(0, &["run"]);
    let searches = story.state()["searches"].clone();
    story.write("judge.sh", "exit 1");
    story.expect(1, &["run"]);
    std::fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    story.push_to_url("nowhere", "http://127.0.0.1:1");
    story.set("push", "attempt_timeout", "\"50ms\"");
    story.set("push", "deadline", "\"50ms\"");
    story.expect(75, &["push"]);
    assert!(searches[0]["population"][0]["lineage"][0].is_object(), "there are survivors");
    assert_eq!(story.state()["searches"], searches);
}

#[test]
fn a_folder_that_takes_no_candidate_is_an_error_of_the_disk_and_not_of_the_evaluator() {
    let story = story();
    story.write("mutation-data/evaluating", "somebody's");
    let ended = story.expect(74, &["run"]);
    assert!(ended.stderr.contains("mutation-data/evaluating/"), "{}", ended.stderr);
    assert!(ended.stderr.contains("Not a directory"), "{}", ended.stderr);
    let manifest = story.manifest(&story.newest());
    assert_eq!((&manifest["status"], &manifest["ended_by"]), (&"failed".into(), &"error".into()));
}

/// Root may remove what is read-only; `disk.rs` has a test of what is done about it for others.
#[test]
fn a_read_only_folder_that_the_evaluator_left_ends_no_night() {
    let story = story();
    let leaves = r#"x="$(dirname "$1")/x"; mkdir "$x" && touch "$x/y" && chmod a-w "$x" || exit 1"#;
    story.write("judge.sh", &format!("{leaves}\n{JUDGE}"));
    story.write("mutation-data/evaluating/earlier/0/only.py", "");
    for _night in 0..2 {
        let ended = story.expect(0, &["run"]);
        assert!(!ended.stderr.contains("left behind"), "{}", ended.stderr);
        assert!(!story.path("mutation-data/evaluating").exists());
    }
}

#[test]
fn what_a_link_in_the_place_of_the_candidates_leads_to_is_left_alone() {
    let story = story();
    story.expect(0, &["run"]);
    story.write("elsewhere/mine", "");
    symlink(story.path("elsewhere"), story.path("mutation-data/evaluating")).unwrap();
    story.expect(0, &["run"]);
    assert!(story.path("elsewhere/mine").exists());
    assert_eq!(std::fs::read_dir(story.path("elsewhere")).unwrap().count(), 1);
}

#[test]
fn the_best_fitness_that_is_shown_is_the_lowest_where_that_is_the_better_one() {
    let mut story = story();
    story.set("metrics", "textfile", "\"agent.prom\"");
    for (direction, better) in
        [("maximize", f64::max as fn(f64, f64) -> f64), ("minimize", f64::min)]
    {
        story.set("evaluator", "direction", &format!("\"{direction}\""));
        story.expect(0, &["run"]);
        let lines = story.all_lines();
        let best = lines.iter().filter_map(|line| line["fitness"].as_f64()).reduce(better).unwrap();
        let sample =
            format!("exit_mutation_best_fitness{{strategy=\"strategies/only.py\"}} {best}\n");
        assert!(story.read("agent.prom").contains(&sample), "{direction}: {sample}");
    }
}

#[test]
fn an_evaluator_that_fails_for_eight_sources_is_not_asked_about_the_hundredth() {
    let mut story = story();
    for number in 0..100 {
        story.write(&format!("strategies/s{number:02}.py"), "stop_loss_pct = 0.1\n");
    }
    story.write("judge.sh", "echo $STRATEGY >>calls; exit 1");
    story.set("evaluator", "workers", "2");
    let ended = story.expect(1, &["run"]);
    assert!(ended.stderr.contains("fails for the unmutated strategies"), "{}", ended.stderr);
    let asked = story.read("calls").lines().count();
    assert!((8..12).contains(&asked), "{asked}");
}

#[test]
fn a_batch_that_has_nothing_left_to_evaluate_still_hears_a_signal_and_its_deadline() {
    let mut story = Story::of("holding_period_days = 3\n");
    story.write("judge.sh", "echo 1");
    story.table("[[parameter]]\nname = \"holding_period_days\"\nmin = 1\nmax = 4\n");
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    story.set("batch", "rounds", "1000000");
    story.set("batch", "mutations_per_round", "1000");
    let running = story.start(&["run"]);
    story.wait_for_journal();
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    assert_eq!(story.manifest(&story.newest())["ended_by"], "signal");
    story.set("batch", "deadline", "\"300ms\"");
    // The first of these may still find something, one each on a busy machine.
    assert!((0..4).any(|_| story.run(&["run"]).code == 1));
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["ended_by"], "deadline");
    assert!(manifest["error"].as_str().unwrap().contains("all within reach"), "{manifest}");
    story.set("batch", "mutations_per_round", "3");
    story.set("evolution", "patience", "3");
    story.expect(1, &["run"]);
    assert_eq!(story.manifest(&story.newest())["ended_by"], "patience");
}

#[test]
fn an_evaluator_that_goes_away_ends_the_batch() {
    let mut story = story();
    story.set("evaluator", "workers", "1");
    story.set("evaluator", "command", r#"["./judge", "{candidate}"]"#);
    story.write("judge", "#!/bin/sh\n[ $MUTATION_ID = exit_mut_000003 ] && rm judge\necho 1\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(story.path("judge"), executable).unwrap();
    let ended = story.expect(1, &["run"]);
    assert!(ended.stderr.contains("cannot be run any more"), "{}", ended.stderr);
    let manifest = story.manifest(&story.newest());
    assert_eq!((&manifest["ended_by"], &manifest["records"]), (&"evaluator".into(), &3.into()));
}

#[test]
fn gateways_are_shown_what_is_on_disk_while_an_evaluation_takes_its_time() {
    let gateway = Gateway::accepting();
    let mut story = story();
    story.push_to(&gateway);
    story.set("push", "interval", "\"100ms\"");
    story.set("evaluator", "workers", "1");
    story.write("judge.sh", "while [ ! -e go ]; do sleep 0.05; done; echo 1");
    let running = story.start(&["run"]);
    // The source alone is being judged.
    gateway.wait_for(4);
    story.write("go", "");
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}
