//! Results on standard output, logs on standard error, in the form that was asked for.

use crate::gateway::Gateway;
use crate::scripted_gateway::Step;
use crate::story::{Ended, Story};
use serde_json::Value;

fn assert_plain(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        let codes = text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!codes, "control characters in {text:?}");
    }
}

#[test]
fn what_is_no_terminal_gets_no_escape_codes_and_no_bar() {
    let gateway = Gateway::scripted(vec![Step::status(400, &[], "\u{1b}[31mred\u{7}")]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.write("agent.toml", &story.config());
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("TERM", "xterm-256color")]] {
        for args in [&["run"][..], &["-v", "run"], &["check"], &["stats"], &["push"], &["--help"]] {
            assert_plain(&story.start_as_it_is(args, variables).end());
        }
    }
}

#[test]
fn json_logs_are_one_object_per_line_and_the_result_is_one_object() {
    let gateway = Gateway::scripted(vec![Step::ok(), Step::status(503, &[], "busy"), Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("output", "keep", "1");
    let ended = story.expect(0, &["--log-format", "json", "-v", "run"]);
    assert!(ended.stderr.lines().count() > 60);
    for line in ended.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
        assert!(event["message"].is_string(), "{line}");
    }
    assert_eq!(ended.stdout.lines().count(), 1);
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(result["batch_id"], story.newest().as_str());
    assert_eq!(result["status"], "completed");
    assert_eq!(result["attempts"], 60);
    assert_eq!(result["exit_code"], 0);
    assert_eq!(result["delivered"], serde_json::json!({"main": true}));
    assert!(result["audit"].as_str().unwrap().contains("mutation-data/audit/"), "{result}");
    assert!(result["output"].as_str().unwrap().contains("evolved/"), "{result}");
}

#[test]
fn a_mutation_is_one_line_at_debug_and_none_otherwise() {
    let story = Story::of("stop_loss_pct = 0.10\n");
    let ended = story.expect(0, &["run", "--rounds", "1", "--mutations", "5"]);
    assert!(!ended.stderr.contains("Exit mutation"), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "one summary line: {}", ended.stdout);
    let ended = story.expect(0, &["-v", "run", "--rounds", "1", "--mutations", "5"]);
    let lines: Vec<_> =
        ended.stderr.lines().filter(|line| line.contains("Exit mutation")).collect();
    assert_eq!(lines.len(), 5, "{}", ended.stderr);
    for line in lines {
        let (_, told) =
            line.split_once("Exit mutation success: stop_loss_pct 0.1000 -> 0.").unwrap();
        assert!(told.contains(" (duration: ") && told.contains("ms)"), "{line}");
    }
}

#[test]
fn completions_are_there_for_each_shell() {
    let story = Story::new();
    for (shell, part) in [
        ("bash", "complete -F _mutation__agent"),
        ("zsh", "#compdef mutation-agent"),
        ("fish", "complete -c mutation-agent"),
    ] {
        let ended = story.start_as_it_is(&["completions", shell], &[]).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains(part), "{shell}: {}", ended.stdout);
    }
}

#[test]
fn the_manual_page_is_roff() {
    let ended = Story::new().start_as_it_is(&["man"], &[]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.contains("\n.TH mutation-agent 1"), "{}", ended.stdout);
    for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", ".SH SUBCOMMANDS"]
    {
        assert!(ended.stdout.contains(section), "{section}");
    }
}
