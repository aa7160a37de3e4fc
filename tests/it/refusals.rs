//! What cannot be done is said with its exit code, its place and what to do; and nothing is written.

use crate::gateway::Gateway;
use crate::story::Story;

/// Commands that need a config; the last one needs no strategies.
const COMMANDS: [&[&str]; 4] = [&["run"], &["check"], &["run", "--dry-run"], &["push"]];

/// Writes a config, and expects a refusal that says these things and leaves everything as it was.
fn refused(story: &Story, config: &str, told: &[&str]) {
    refused_by(&COMMANDS, story, config, told);
}

fn refused_by(commands: &[&[&str]], story: &Story, config: &str, told: &[&str]) {
    story.write("agent.toml", config);
    let before = story.listing();
    for command in commands {
        let ended = story.start_as_it_is(command, &[]).end();
        assert_eq!(ended.code, 78, "{command:?}: {}", ended.stderr);
        for part in told {
            assert!(ended.stderr.contains(part), "{part:?} is not in\n{}", ended.stderr);
        }
        assert_eq!(ended.stdout, "");
        assert_eq!(story.listing(), before, "{command:?} has written something");
    }
}

const STRATEGIES: &str = "[strategies]\ninclude = [\"strategies/*.py\"]\n";

#[test]
fn a_key_that_nobody_knows_is_named_with_its_place_and_the_nearest_name() {
    refused(
        &Story::new(),
        &format!("{STRATEGIES}[push]\nintervall = \"15s\"\n"),
        &["error: agent.toml:4:1: unknown key `intervall` in [push]", "did you mean `interval`?"],
    );
}

#[test]
fn a_minimum_must_be_below_its_maximum() {
    for max in ["0.2", "0.1"] {
        refused(
            &Story::new(),
            &format!(
                "{STRATEGIES}[[parameter]]\nname = \"stop_loss_pct\"\nmin = 0.2\nmax = {max}\n"
            ),
            &[
                "error: agent.toml:5:7: ",
                &format!("`min` (0.2, line 5) must be less than `max` ({max}, line 6)"),
            ],
        );
    }
}

#[test]
fn a_duration_needs_its_unit() {
    refused(
        &Story::new(),
        &format!("{STRATEGIES}[push]\ninterval = 15\n"),
        &[
            "error: agent.toml:4:12: `interval` in [push]: a duration needs a unit",
            "`15` might be `\"15s\"`",
        ],
    );
    refused(
        &Story::new(),
        &format!("{STRATEGIES}[batch]\ndeadline = \"soon\"\n"),
        &["error: agent.toml:4:12: "],
    );
}

#[test]
fn labels_are_checked_before_anything_is_sent() {
    let gateway = Gateway::accepting();
    for (label, told) in [
        ("9x = \"a\"", "9x"),
        ("\"a-b\" = \"a\"", "a-b"),
        ("__r = \"a\"", "__r"),
        ("job = \"a\"", "job"),
        ("strategy = \"a\"", "strategy"),
    ] {
        let config = format!(
            "{STRATEGIES}[[gateway]]\nurl = \"{}\"\ngrouping = {{ {label} }}\n",
            gateway.url()
        );
        refused(&Story::new(), &config, &["error: agent.toml:5:14: ", told]);
    }
    assert_eq!(gateway.requests().len(), 0);
}

#[test]
fn a_secret_in_a_url_is_refused_and_not_repeated() {
    let story = Story::new();
    refused(
        &story,
        &format!("{STRATEGIES}[[gateway]]\nurl = \"http://night:hunter2@127.0.0.1:9\"\n"),
        &["error: agent.toml:4:7: "],
    );
    let ended = story.start_as_it_is(&["check"], &[]).end();
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_secret_that_cannot_be_read_is_found_at_the_start() {
    let basic = "basic = { user = \"night\", password_file = \"secrets/none\" }";
    let story = Story::new();
    // Without the folder it might be the secret itself, and would not be shown.
    story.write("secrets/other", "x");
    refused(
        &story,
        &format!("{STRATEGIES}[[gateway]]\nurl = \"http://127.0.0.1:9\"\n{basic}\n"),
        &["error: agent.toml:5:", "cannot read the password file secrets/none: No such file"],
    );
    let bearer = "bearer = { token_file = \"credential:gateway\" }";
    refused_by(
        &[&["run"], &["push"], &["check", "--gateway"]],
        &Story::new(),
        &format!("{STRATEGIES}[[gateway]]\nurl = \"http://127.0.0.1:9\"\n{bearer}\n"),
        &["error: agent.toml:5:", "CREDENTIALS_DIRECTORY"],
    );
}

#[test]
fn strategies_must_be_named_and_must_be_there() {
    refused(&Story::new(), "", &["error: agent.toml: no strategies: name at least one file"]);
    refused(&Story::new(), "[strategies]\ninclude = []\n", &["no strategies"]);
    // What is delivered does not depend on the files, so `push` does not look for them.
    let planning: &[&[&str]] = &[&["run"], &["run", "--dry-run"]];
    refused_by(
        planning,
        &Story::new(),
        "[strategies]\ninclude = [\"strategy/*.py\"]\n",
        &["no file matches `strategy/*.py`"],
    );
    refused_by(
        planning,
        &Story::new(),
        &format!("{STRATEGIES}exclude = [\"strategies/*\"]\n"),
        &["[strategies] exclude leaves none of the files"],
    );
    // `check` goes on, for there is more to be told.
    let story = Story::new();
    story.write("agent.toml", "[strategies]\ninclude = [\"strategy/*.py\"]\n");
    let ended = story.start_as_it_is(&["check"], &[]).end();
    assert_eq!(ended.code, 78, "{}", ended.stderr);
    assert!(ended.stderr.contains("error: agent.toml: [strategies] include: no file matches"));
    for part in [
        "# strategies\nagent.toml: [strategies] include: no file",
        "\n# folders\ndata_dir",
        "\n# gateways\nnone",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in\n{}", ended.stdout);
    }
}

#[test]
fn a_config_that_is_not_there_or_is_no_toml_is_a_config_error() {
    let story = Story::new();
    let before = story.listing();
    let ended = story.start_as_it_is(&["run", "--config", "none.toml"], &[]).end();
    assert_eq!(ended.code, 78);
    assert!(ended.stderr.contains("no config file at none.toml; copy agent.toml.example there"));
    assert_eq!(story.listing(), before);
    refused(&story, "[strategies\n", &["error: agent.toml:1:12: "]);
    refused(&story, "batch = 3\n", &["error: agent.toml:1:9: ", "expected a table"]);
}

#[test]
fn usage_errors_end_with_2_and_write_nothing() {
    let story = Story::new();
    story.write("agent.toml", &story.config());
    let before = story.listing();
    for args in [
        &[][..],
        &["walk"],
        &["run", "--round", "3"],
        &["run", "--rounds", "0"],
        &["run", "--mutations", "1000001"],
        &["run", "--seed", "-1"],
        &["completions", "cobol"],
        &["--log-format", "xml", "run"],
    ] {
        let ended = story.start_as_it_is(args, &[]).end();
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
        let told = ended.stderr.contains("Usage: ") || ended.stderr.starts_with("error: ");
        assert!(told, "{args:?}: {}", ended.stderr);
    }
    assert_eq!(story.listing(), before);
}

#[test]
fn a_batch_without_a_usable_strategy_is_sealed_as_failed_and_pushed() {
    let gateway = Gateway::accepting();
    let mut story = Story::of("stop_loss_pct = 10.0\n");
    story.push_to(&gateway);
    let ended = story.expect(65, &["run"]);
    assert!(
        ended.stderr.contains("no strategy has a usable target; `mutation-agent check` says why"),
        "{}",
        ended.stderr
    );
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["status"], "failed");
    assert_eq!(manifest["ended_by"], "no_target");
    assert_eq!(manifest["records"], 0);
    assert_eq!(manifest["exit_code"], 65);
    assert_eq!(gateway.requests().len(), 2);
    let push = gateway.newest();
    assert_eq!(push.batches("failed"), 1);
    assert_eq!(push.count("exit_mutations_total"), 0);
    assert_eq!(push.count("mutation_batch_last_exit_code"), 65);
    assert_eq!(push.count("exit_mutation_targets{state=\"usable\"}"), 0);
    assert_eq!(push.count("exit_mutation_targets{state=\"start_out_of_bounds\"}"), 1);
    assert!(!story.path("evolved").exists());
    story.expect(65, &["check"]);
}

#[test]
fn push_before_the_first_batch_sends_and_writes_nothing() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.write("agent.toml", &story.config());
    let before = story.listing();
    let ended = story.expect(0, &["push", "--all"]);
    assert!(ended.stdout.contains("no batch has run in mutation-data yet"), "{}", ended.stdout);
    assert_eq!(story.listing(), before);
    assert_eq!(gateway.requests().len(), 0);
}
