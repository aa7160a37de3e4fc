//! Being asked to stop, and being made to.

use crate::gateway::Gateway;
use crate::scripted_gateway::Step;
use crate::story::{Running, Story, count_lines, wait_until};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Starts a long batch with an accepting gateway and stops it once it is well under way.
fn stop_a_long_batch(signal: Signal, code: i32) {
    let gateway = Gateway::accepting();
    let mut story = Story::long();
    story.push_to(&gateway);
    let running = story.start(&["run"]);
    story.wait_for_journal();
    gateway.wait_for(1);
    running.signal(signal);
    let ended = running.end();
    assert_eq!(ended.code, code, "{}", ended.stderr);
    assert!(ended.stdout.contains(" interrupted: "), "{}", ended.stdout);

    let id = story.newest();
    let manifest = story.manifest(&id);
    assert_eq!(manifest["status"], "interrupted");
    assert_eq!(manifest["ended_by"], "signal");
    assert_eq!(manifest["exit_code"], code);
    assert!(story.audit().sealed(&id).exists(), "sealed");
    let lines = story.all_lines();
    assert_eq!(manifest["records"], lines.len());
    assert_eq!(manifest["tally"]["attempts"], lines.len());

    let pushes = gateway.pushes();
    assert_eq!(pushes.len(), 2, "one at the start, one at the end");
    assert_eq!(pushes[1].count("mutation_batch_in_progress"), 0);
    assert_eq!(pushes[1].count("exit_mutations_total"), lines.len() as u64);
    assert_eq!(pushes[1].batches("interrupted"), 1);
    assert_eq!(i64::from(code), pushes[1].count("mutation_batch_last_exit_code").cast_signed());
    assert!(pushes[1].find("mutation_batch_last_success_timestamp_seconds").is_none());

    // Sealed and counted: the next start has nothing to repair.
    let ended = story.expect(0, &["push"]);
    assert!(!ended.stderr.contains("killed"), "{}", ended.stderr);
}

#[test]
fn sigterm_ends_a_long_batch_sealed_and_pushed() {
    stop_a_long_batch(Signal::TERM, 143);
}

#[test]
fn sigint_ends_a_long_batch_sealed_and_pushed() {
    stop_a_long_batch(Signal::INT, 130);
}

/// A long batch whose first push hangs, asked to stop.
fn stopping_at_a_hanging_gateway(story: &mut Story, gateway: &Gateway) -> Running {
    story.push_to(gateway);
    story.set("push", "attempt_timeout", "\"50s\"");
    story.set("push", "deadline", "\"50s\"");
    let running = story.start(&["run"]);
    story.wait_for_journal();
    gateway.wait_for(1);
    running.signal(Signal::TERM);
    wait_until("the signal is heard", || running.log().contains("asked to stop"));
    running
}

#[test]
fn a_second_signal_leaves_at_once_and_the_next_start_does_the_rest() {
    let gateway = Gateway::scripted(vec![Step::Hang]);
    let mut story = Story::long();
    story.set("batch", "shutdown_timeout", "\"50s\"");
    let running = stopping_at_a_hanging_gateway(&mut story, &gateway);
    let begun = Instant::now();
    running.signal(Signal::TERM);
    let ended = running.end();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(ended.code, 143);
    assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);

    let before = story.newest();
    story.set("push", "attempt_timeout", "\"100ms\"");
    story.set("push", "deadline", "\"100ms\"");
    story.set("batch", "rounds", "1");
    story.expect(75, &["run"]);
    let lines = story.all_lines();
    assert_eq!(story.state()["totals"]["tally"]["attempts"], lines.len());
    assert_eq!(story.manifest(&before)["records"], story.lines(&before).len());
}

#[test]
fn a_hanging_gateway_cannot_hold_a_batch_that_is_asked_to_stop() {
    let gateway = Gateway::scripted(vec![Step::Hang]);
    let mut story = Story::long();
    story.set("batch", "shutdown_timeout", "\"3s\"");
    let begun = Instant::now();
    let ended = stopping_at_a_hanging_gateway(&mut story, &gateway).end();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    let manifest = story.manifest(&story.newest());
    assert_eq!(manifest["status"], "interrupted", "sealed all the same");
    assert_eq!(gateway.requests().len(), 2, "the hanging one, and one bounded push");
    assert_eq!(gateway.newest().count("mutation_batch_in_progress"), 0);
    assert_eq!(gateway.newest().count("exit_mutations_total"), manifest["records"]);
}

#[test]
fn sigterm_during_the_last_push_leaves_within_the_shutdown_timeout() {
    let gateway = Gateway::scripted(vec![Step::ok(), Step::Hang]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("push", "attempt_timeout", "\"50s\"");
    story.set("push", "deadline", "\"50s\"");
    story.set("batch", "shutdown_timeout", "\"5s\"");
    let running = story.start(&["run"]);
    gateway.wait_for(2);
    let begun = Instant::now();
    running.signal(Signal::TERM);
    let ended = running.end();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The batch had ended by itself; what is left is the delivery.
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    assert_eq!(story.manifest(&story.newest())["status"], "completed");
    assert_eq!(story.state()["gateways"]["main"]["delivered"], serde_json::Value::Null);
}

#[test]
fn sigterm_during_a_push_command_leaves_at_once() {
    let gateway =
        Gateway::scripted(vec![Step::status(400, &[], ""), Step::status(400, &[], ""), Step::Hang]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(75, &["run"]);
    let running = story.start(&["push"]);
    gateway.wait_for(3);
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 143, "{}", ended.stderr);
    assert!(ended.stdout.contains("main: undelivered: "), "{}", ended.stdout);
}

#[test]
fn a_stop_while_the_first_push_of_a_finished_batch_hangs_leaves_it_sealed() {
    let gateway = Gateway::scripted(vec![Step::Hang]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("batch", "shutdown_timeout", "\"6s\"");
    let running = story.start(&["run"]);
    gateway.wait_for(1);
    let id = story.newest();
    let all = 60;
    wait_until("all is on record", || {
        std::fs::read(story.audit().open_journal(&id)).is_ok_and(|log| count_lines(&log) == all)
    });
    running.signal(Signal::TERM);
    running.end();
    assert!(story.audit().sealed(&id).exists(), "sealed before shutdown_timeout");
    assert_eq!(story.manifest(&id)["records"], all);
}

#[test]
fn a_stop_in_the_last_retry_is_followed_by_one_more_push() {
    let mut steps = vec![Step::ok()];
    steps.push(Step::status(503, &["Retry-After: 30"], "busy"));
    steps.push(Step::ok());
    let gateway = Gateway::scripted(steps);
    let mut story = Story::new();
    story.push_to(&gateway);
    let running = story.start(&["run"]);
    gateway.wait_for(2);
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 0, "the batch was done, and is delivered");
    assert_eq!(gateway.requests().len(), 3);
}
