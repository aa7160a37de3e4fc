//! Commands that look and write nothing: `run --dry-run` and `check`.

use crate::gateway::{ClosedPort, Gateway};
use crate::scripted_gateway::Step;
use crate::story::Story;

#[test]
fn a_dry_run_says_what_would_be_and_writes_and_sends_nothing() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("metrics", "textfile", "\"agent.prom\"");
    story.write("agent.toml", &story.config());
    let before = story.listing();
    let ended = story.expect(0, &["run", "--dry-run", "--rounds", "4"]);
    assert_eq!(story.listing(), before);
    assert_eq!(gateway.requests().len(), 0);
    for part in [
        "would run 4 rounds of 20 mutations over 4 of 4 strategies, seed 7\n",
        "strategies/momentum.py:3  stop_loss_pct = 0.1  in 0.01 … 0.2 step 0.001, lognormal σ 0.15\n",
        "would push to http://127.0.0.1:",
        "/metrics/job/exit_evolution/instance/night-1\n",
        "nothing was written or sent\n",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in\n{}", ended.stdout);
    }
}

#[test]
fn a_dry_run_after_a_batch_leaves_all_its_files_alone() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let before = story.listing();
    story.expect(0, &["run", "--dry-run"]);
    assert_eq!(story.listing(), before);
}

#[test]
fn a_dry_run_without_a_usable_target_ends_as_the_batch_would() {
    let story = Story::of("stop_loss_pct = 10\n");
    story.write("agent.toml", &story.config());
    let before = story.listing();
    let ended = story.expect(65, &["run", "--dry-run"]);
    assert!(
        ended.stdout.contains("unusable: stop_loss_pct: start_out_of_bounds"),
        "{}",
        ended.stdout
    );
    assert_eq!(story.listing(), before);
}

#[test]
fn check_lists_every_target_by_file_and_line_and_writes_nothing() {
    let mut story = Story::of(
        "stop_loss_pct = 0.1\ntake_profit_pct = 0.2 * 2\nx = dict(holding_period_days=7)\n",
    );
    story.push_to_url("main", &ClosedPort::reserve().url());
    story.write("agent.toml", &story.config());
    let before = story.listing();
    let ended = story.expect(0, &["check"]);
    assert_eq!(story.listing(), before);
    for part in [
        "  strategies/only.py:1  stop_loss_pct = 0.1  in 0.01",
        "  strategies/only.py:3  holding_period_days = 7  in 1",
        "  unusable: take_profit_pct: not_numeric_literal (",
        "  unusable: trailing_stop_offset: not_found (",
        "warning: no strategy has a usable target for `trailing_stop_offset`\n",
        "data_dir  mutation-data  will be made\n",
        "2 usable targets in 1 of 1 strategies: a run would make 60 mutations\n",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in\n{}", ended.stdout);
    }
}

#[test]
fn check_says_which_programs_would_be_run_and_runs_none() {
    let story = Story::new();
    let with = |evaluator: &str, promote: &str| {
        let tables = format!(
            "[evaluator]\ncommand = [{evaluator}]\nworkers = 3\n[promote]\ncommand = [{promote}]\n"
        );
        story.write("agent.toml", &format!("{}{tables}", story.config()));
    };
    with(r#""sh", "-c", "touch run; echo 1", "{candidate}""#, r#""./gate""#);
    let said = story.start_as_it_is(&["check"], &[]).end().stdout;
    for part in ["/sh  for each candidate, 3 at once\n", "promote    ./gate  is not there: "] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(!story.path("run").exists());
    with(r#""judge-that-nobody-has", "{candidate}""#, r#""sh""#);
    let ended = story.start_as_it_is(&["check"], &[]).end();
    assert_eq!(ended.code, 1);
    let missing = "such as ./evaluator: a run would fail with exit code 1\n";
    assert!(ended.stdout.contains(missing), "{}", ended.stdout);
    assert!(ended.stdout.contains("/sh  asked before a source is replaced\n"), "{}", ended.stdout);
}

#[test]
fn check_prints_a_config_that_is_read_back_as_the_same() {
    let mut story = Story::new();
    story.push_to_url("main", "http://127.0.0.1:9");
    let said = story.expect(0, &["check"]).stdout;
    let (config, _) = said.split_once("\n# strategies\n").unwrap();
    story.write("agent.toml", config);
    let again = story.start_as_it_is(&["check"], &[]).end();
    assert_eq!(again.stdout, said);
}

#[test]
fn check_asks_the_gateways_only_when_told_to_and_changes_nothing_there() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["check"]);
    assert_eq!(gateway.requests().len(), 0);
    story.expect(0, &["check", "--gateway"]);
    let requests = gateway.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.method, "GET", "{}", request.path);
        assert_eq!(request.body, b"");
    }
}

#[test]
fn check_says_when_a_gateway_is_down_or_keeps_us_out() {
    let mut story = Story::new();
    story.push_to_url("main", &ClosedPort::reserve().url());
    story.expect(75, &["check", "--gateway"]);
    let gateway = Gateway::scripted(vec![Step::status(401, &[], "")]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(75, &["check", "--gateway"]);
}

#[test]
fn check_ends_as_a_run_would_where_a_folder_cannot_be_made() {
    let mut story = Story::new();
    story.write("file", "x");
    story.set("", "data_dir", "\"file/below\"");
    let ended = story.expect(73, &["check"]);
    assert!(ended.stdout.contains("a run would fail with exit code 73"), "{}", ended.stdout);
    story.expect(73, &["run"]);
}

#[test]
fn check_warns_of_a_step_that_is_coarse_beside_the_usual_move() {
    let mut story = Story::of("fee = 0.002\n");
    story.table("[[parameter]]\nname = \"fee\"\nmin = 0.001\nmax = 0.01\n");
    let ended = story.expect(0, &["check"]);
    assert!(ended.stdout.contains("give a smaller `step`"), "{}", ended.stdout);
    let mut fine = Story::of("fee = 0.002\n");
    fine.table("[[parameter]]\nname = \"fee\"\nmin = 0.001\nmax = 0.01\nstep = 0.0001\n");
    let ended = fine.expect(0, &["check"]);
    assert!(!ended.stdout.contains("smaller `step`"), "{}", ended.stdout);
}
