//! `audit verify --gateway`: what gateways show, held to the audit.

use crate::gateway::{ClosedPort, Gateway};
use crate::scripted_gateway::Step;
use crate::story::Story;
use mutation_agent::metrics::{Exposition, encode_text};
use mutation_agent::state::Store;
use serde_json::Value;
use std::fmt::Write as _;

/// What a Pushgateway shows after the state was pushed: each sample with the labels of the group.
fn shown(story: &Story) -> String {
    let kept = Store::new(&story.path("mutation-data"));
    let totals = kept.load().unwrap().unwrap().unwrap().totals;
    let text = encode_text(&Exposition::new(&totals).gather()).unwrap();
    in_group(&String::from_utf8(text).unwrap(), "instance=\"night-1\",job=\"exit_evolution\"")
}

/// The samples of a text as those of a group, with the gateway's own.
fn in_group(text: &str, group: &str) -> String {
    let mut shown = "pushgateway_build_info{version=\"1.5.1\"} 1\n".to_owned();
    for line in text.lines() {
        match (line.starts_with('#'), line.split_once('{')) {
            (true, _) => writeln!(shown, "{line}").unwrap(),
            (false, Some((name, rest))) => writeln!(shown, "{name}{{{group},{rest}").unwrap(),
            (false, None) => {
                let (name, value) = line.split_once(' ').unwrap();
                writeln!(shown, "{name}{{{group}}} {value}").unwrap();
            }
        }
    }
    shown
        + &format!("push_time_seconds{{{group}}} 1.7e+09\npush_failure_time_seconds{{{group}}} 0\n")
}

fn answering(text: &str) -> Gateway {
    Gateway::scripted(vec![Step::status(200, &["Content-Type: text/plain; version=0.0.4"], text)])
}

/// Runs `audit verify --gateway` against one gateway that shows this, and gives what is said of it.
fn said(story: &mut Story, code: i32, gateway: &Gateway) -> Vec<String> {
    story.forget_gateways();
    story.push_to(gateway);
    let said = story.expect(code, &["audit", "verify", "--gateway"]).stdout;
    let lines = said.lines().filter_map(|line| line.strip_prefix("gateway main: "));
    lines.map(ToOwned::to_owned).collect()
}

fn two_batches() -> Story {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    story
}

#[test]
fn a_gateway_that_shows_what_the_audit_has_is_equal() {
    let mut story = two_batches();
    let gateway = answering(&shown(&story));
    let said = said(&mut story, 0, &gateway);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("shows what the audit has ("), "{said:?}");
    let requests = gateway.requests();
    assert_eq!(requests.len(), 1, "it is asked once");
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("GET", "/metrics"));
    assert!(requests[0].header("accept").unwrap().starts_with("text/plain"));
}

#[test]
fn bounds_and_numbers_may_be_written_as_a_gateway_writes_them() {
    let mut story = two_batches();
    let text =
        shown(&story).replace("le=\"0.000001\"", "le=\"1e-06\"").replace("} 120\n", "} 1.2e+02\n");
    assert!(text.contains("1e-06") && text.contains("1.2e+02"));
    said(&mut story, 0, &answering(&text));
}

#[test]
fn each_series_that_differs_is_said_with_by_how_much() {
    let mut story = two_batches();
    let right = shown(&story);
    let group = "{instance=\"night-1\",job=\"exit_evolution\"}";
    let replaced = |from: &str, to: &str| {
        let text = right.replace(from, to);
        assert_ne!(text, right, "{from} is there");
        text
    };
    let removed = |start: &str| {
        let lines = right.split_inclusive('\n').filter(|line| !line.starts_with(start));
        lines.collect::<String>()
    };
    let cases = [
        (
            replaced(
                &format!("exit_mutations_total{group} 120"),
                &format!("exit_mutations_total{group} 110"),
            ),
            "exit_mutations_total shows 110, the audit has 120: 10 less",
        ),
        (
            replaced(
                &format!("exit_mutations_success{group} 120"),
                &format!("exit_mutations_success{group} 121"),
            ),
            "exit_mutations_success shows 121, the audit has 120: 1 more",
        ),
        (
            removed("exit_mutations_total{"),
            "exit_mutations_total shows nothing, the audit has 120: 120 less",
        ),
        (
            removed("exit_mutation_duration_seconds_count"),
            "exit_mutation_duration_seconds_count shows nothing, the audit has 120: 120 less",
        ),
        (
            replaced("le=\"+Inf\"} 120", "le=\"+Inf\"} 119"),
            "exit_mutation_duration_seconds_bucket{le=\"+Inf\"} shows 119, the audit has 120: 1 less",
        ),
        (
            replaced("status=\"completed\"} 2", "status=\"completed\"} 3"),
            "mutation_batches_total{status=\"completed\"} shows 3, the audit has 2: 1 more",
        ),
        (
            replaced(
                "mutation_batch_in_progress{instance=\"night-1\",job=\"exit_evolution\"} 0",
                "mutation_batch_in_progress{instance=\"night-1\",job=\"exit_evolution\"} 1",
            ),
            "mutation_batch_in_progress shows 1, the audit has 0: 1 more",
        ),
        (
            replaced(
                &format!("exit_mutation_success_rate{group} 1"),
                &format!("exit_mutation_success_rate{group} NaN"),
            ),
            "exit_mutation_success_rate shows NaN, the audit has 1",
        ),
        (
            format!("{right}alien_total{group} 5\n"),
            "alien_total is shown in our group and is none of ours",
        ),
    ];
    for (text, expected) in cases {
        let said = said(&mut story, 75, &answering(&text));
        assert_eq!(said[0], expected, "{said:?}");
        assert_eq!(said.len(), 2, "{said:?}");
        // The story has never pushed.
        assert_eq!(
            said[1],
            "it has not taken the newest totals yet: `mutation-agent push` delivers"
        );
    }
}

#[test]
fn what_is_no_fold_over_records_is_not_compared() {
    let mut story = two_batches();
    let group = "{instance=\"night-1\",job=\"exit_evolution\"}";
    let text = shown(&story).replace(
        &format!("mutation_batch_last_exit_code{group} 0"),
        &format!("mutation_batch_last_exit_code{group} 75"),
    );
    assert!(text.contains(" 75\n"));
    said(&mut story, 0, &answering(&text));
}

#[test]
fn a_gateway_that_had_taken_everything_and_shows_less_is_to_be_told_again() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let before = shown(&story);
    story.expect(0, &["run"]);
    drop(gateway);
    // The mark in the state is of a place: the same one shows an older push now.
    let older = answering(&before);
    story.forget_gateways();
    story.push_to(&older);
    let state = story.read("mutation-data/state.json");
    let pushed =
        serde_json::from_str::<Value>(&state).unwrap()["gateways"]["main"]["push_url"].clone();
    let here = format!("{}/metrics/job/exit_evolution/instance/night-1", older.url());
    story.write("mutation-data/state.json", &state.replace(pushed.as_str().unwrap(), &here));
    let said = said(&mut story, 75, &older);
    assert_eq!(said[0], "exit_mutations_total shows 60, the audit has 120: 60 less");
    assert!(said[8].starts_with("and ") && said[8].ends_with(" more series"), "{said:?}");
    assert_eq!(
        said[9],
        "it had taken the newest totals; if nobody else pushes to {job=\"exit_evolution\",instance=\"night-1\"}, \
         `mutation-agent push --all` puts it right"
    );
}

#[test]
fn a_group_that_is_not_there_is_told_from_a_gateway_that_shows_none() {
    let mut story = two_batches();
    let other = shown(&story).replace("night-1", "night-2");
    let group = "{job=\"exit_evolution\",instance=\"night-1\"}";
    for text in [other.as_str(), "pushgateway_build_info{version=\"1.11.2\"} 1\n"] {
        let said = said(&mut story, 75, &answering(text));
        assert_eq!(
            said,
            [format!("shows nothing of {group}; `mutation-agent push --all` delivers")]
        );
    }
    // VictoriaMetrics takes pushes and shows no groups: that is no failure, if it has taken the newest.
    for step in [
        Step::status(404, &[], "unsupported path"),
        Step::status(204, &[], ""),
        Step::status(200, &[], "vm_app_version 1\n"),
        Step::status(200, &["Content-Type: text/html"], "<html>\n"),
    ] {
        let not_compared = "not compared: it does not show groups as a Pushgateway does: ";
        let told = said(&mut story, 75, &Gateway::scripted(vec![step.clone()]));
        assert!(told[0].starts_with(not_compared), "{told:?}");
        assert!(
            told[0].ends_with(
                "; it has not taken the newest totals yet: `mutation-agent push` delivers"
            )
        );
        let receiver = Gateway::scripted(vec![Step::ok(), step]);
        story.forget_gateways();
        story.push_to(&receiver);
        story.expect(0, &["push"]);
        let told = story.expect(0, &["audit", "verify", "--gateway"]).stdout;
        assert!(told.starts_with(&format!("gateway main: {not_compared}")), "{told}");
    }
}

#[test]
fn what_takes_protobuf_and_is_no_pushgateway_is_a_wrong_address() {
    let gateway = Gateway::scripted(vec![Step::status(404, &[], "not found")]);
    let mut story = Story::new();
    story.table(&format!("[[gateway]]\nname = \"main\"\nurl = \"{}\"", gateway.url()));
    let told = story.expect(75, &["audit", "verify", "--gateway"]).stdout;
    assert!(told.contains("cannot be asked: only a Pushgateway takes protobuf"), "{told}");
    let told = story.expect(75, &["check", "--gateway"]).stdout;
    assert!(told.contains("does not answer as a Pushgateway"), "{told}");
}

#[test]
fn a_group_with_more_labels_is_another_one() {
    let mut story = two_batches();
    let ours = shown(&story);
    let theirs = ours
        .replace("job=\"exit_evolution\"", "job=\"exit_evolution\",shard=\"a\"")
        .replace("} 120\n", "} 7\n");
    said(&mut story, 0, &answering(&(ours + &theirs)));
}

#[test]
fn a_gateway_that_does_not_answer_is_no_fault_of_the_audit() {
    let mut story = two_batches();
    story.set("push", "attempt_timeout", "\"300ms\"");
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    for (step, why) in [
        (Step::status(401, &[], "Unauthorized"), "HTTP status 401"),
        (Step::status(503, &[], "busy"), "HTTP status 503"),
        (Step::Hang, "no answer within 300ms"),
        (Step::ResetAfterBody, ""),
        (Step::Endless(endless), ""),
        (Step::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nexit".to_vec()), ""),
    ] {
        let said = said(&mut story, 75, &Gateway::scripted(vec![step]));
        assert!(said[0].starts_with(&format!("cannot be asked: {why}")), "{said:?}");
    }
    let closed = ClosedPort::reserve();
    story.forget_gateways();
    story.push_to_url("main", &closed.url());
    let said = story.expect(75, &["audit", "verify", "--gateway"]).stdout;
    assert!(said.contains("is the gateway running"), "{said}");
    assert!(said.ends_with("2 batches, 120 records verified: sound\n"), "{said}");
}

#[test]
fn a_finding_in_the_audit_goes_before_a_gateway_that_differs() {
    let mut story = two_batches();
    let gateway = answering(&shown(&story));
    let log = story.audit().sealed(&story.newest());
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, &text[..text.len() / 2]).unwrap();
    let said = said(&mut story, 65, &gateway);
    assert!(said[0].contains(", the audit has "), "{said:?}");
    assert!(said[0].ends_with(" more"), "{said:?}");
    assert_eq!(said.last().unwrap(), "the audit is not as it was written: look at that first");
}

#[test]
fn while_a_batch_is_open_anything_between_its_start_and_its_lines_is_right() {
    let mut story = two_batches();
    let sealed = shown(&story);
    let running = story.start(&["run", "--rounds", "100000", "--mutations", "100"]);
    story.wait_for_journal();
    running.stop();
    let group = "{instance=\"night-1\",job=\"exit_evolution\"}";
    let of = |count: u64| {
        let line = |count: u64| format!("exit_mutations_total{group} {count}\n");
        sealed.replace(&line(120), &line(count))
    };
    for count in [120, 121, 200] {
        let said = said(&mut story, 0, &answering(&of(count)));
        assert!(
            said[0]
                .starts_with("shows what the sealed batches have, or with lines of the open one"),
            "{said:?}"
        );
    }
    for (count, end) in [(119, ": 1 less"), (1_000_000_000, " more")] {
        let said = said(&mut story, 75, &answering(&of(count)));
        assert!(
            said[0]
                .starts_with(&format!("exit_mutations_total shows {count}, the audit has 120 to ")),
            "{said:?}"
        );
        assert!(said[0].ends_with(end), "{said:?}");
        assert_eq!(said[1], "a batch is open, and its next push may put this right");
    }
}

#[test]
fn pruned_batches_are_compared_by_the_totals_that_the_oldest_manifest_has() {
    let mut story = two_batches();
    story.set("audit", "retention", "{ batches = 1 }");
    story.expect(0, &["audit", "prune"]);
    assert_eq!(story.batches().len(), 1);
    let text = shown(&story);
    assert!(
        text.contains("exit_mutations_total{instance=\"night-1\",job=\"exit_evolution\"} 120\n")
    );
    said(&mut story, 0, &answering(&text));
}

#[test]
fn a_comparison_is_json_where_that_is_asked_for() {
    let mut story = two_batches();
    let group = "{instance=\"night-1\",job=\"exit_evolution\"}";
    let text = shown(&story).replace(
        &format!("exit_mutations_total{group} 120"),
        &format!("exit_mutations_total{group} 110"),
    );
    let gateway = answering(&text);
    story.push_to(&gateway);
    let said = story.expect(75, &["audit", "verify", "--gateway", "--json"]).stdout;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["gateway"], &lines[0]["result"]), (&"main".into(), &"differs".into()));
    let difference = &lines[0]["differences"][0];
    assert_eq!(difference["series"], "exit_mutations_total");
    assert_eq!(
        (difference["shown"].as_f64(), difference["audit"].as_f64()),
        (Some(110.0), Some(120.0))
    );
    assert_eq!((&lines[1]["sound"], &lines[1]["exit_code"]), (&true.into(), &75.into()));
}
