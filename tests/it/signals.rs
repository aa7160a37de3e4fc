//! Being asked to stop, and being made to.

use crate::gateway::Gateway;
use crate::scripted_gateway::Step;
use crate::story::{Running, Story, wait_until};
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

#[test]
fn sighup_ends_a_long_batch_sealed_and_pushed() {
    stop_a_long_batch(Signal::HUP, 129);
}

/// The signals that ask, with the exit codes that they give.
const ASKING: [(Signal, i32); 3] = [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)];

#[test]
fn a_signal_that_was_ignored_when_we_were_started_is_not_heard() {
    let mut story = Story::long();
    story.set("batch", "shutdown_timeout", "\"50s\"");
    for (ignored, unheard, (signal, code)) in [
        ("HUP", &[Signal::HUP][..], ASKING[1]),
        ("INT", &[Signal::INT], ASKING[2]),
        ("HUP INT", &[Signal::HUP, Signal::INT], ASKING[0]),
    ] {
        let running = story.start_ignoring(ignored, &["run"]);
        story.wait_for_journal();
        for signal in unheard {
            running.signal(*signal);
        }
        // The next one is the first that is heard.
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, code, "{ignored}: {}", ended.stderr);
        assert!(!ended.stderr.contains("second signal"), "{ignored}: {}", ended.stderr);
        assert_eq!(story.manifest(&story.newest())["status"], "interrupted");
    }
}

#[test]
fn every_second_signal_leaves_at_once() {
    for (first, code) in ASKING {
        for (second, _) in ASKING {
            let gateway = Gateway::scripted(vec![Step::Hang]);
            let mut story = Story::long();
            story.push_to(&gateway);
            for (section, key) in
                [("push", "attempt_timeout"), ("push", "deadline"), ("batch", "shutdown_timeout")]
            {
                story.set(section, key, "\"50s\"");
            }
            let running = story.start(&["run"]);
            story.wait_for_journal();
            gateway.wait_for(1);
            running.signal(first);
            wait_until("the signal is heard", || running.log().contains("asked to stop"));
            let begun = Instant::now();
            running.signal(second);
            let ended = running.end();
            assert!(begun.elapsed() < Duration::from_secs(10), "{first:?}, {second:?}");
            assert_eq!(ended.code, code, "the first says what it was: {}", ended.stderr);
            assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);
            story.set("push", "attempt_timeout", "\"100ms\"");
            story.set("push", "deadline", "\"100ms\"");
            story.expect(75, &["push"]);
            assert_eq!(story.state()["totals"]["tally"]["attempts"], story.all_lines().len());
        }
    }
}

#[test]
fn every_signal_is_heard_while_a_push_hangs_or_waits_to_be_tried_again() {
    let busy = || Step::status(503, &["Retry-After: 30"], "busy");
    let refused = || Step::status(400, &[], "");
    for (signal, code) in ASKING {
        // The last push of a batch hangs, or waits; then there is one more attempt, which is taken.
        for step in [Step::Hang, busy()] {
            let gateway = Gateway::scripted(vec![Step::ok(), step, Step::ok()]);
            let mut story = Story::new();
            story.push_to(&gateway);
            story.set("push", "attempt_timeout", "\"50s\"");
            story.set("push", "deadline", "\"55s\"");
            story.set("batch", "shutdown_timeout", "\"20s\"");
            let running = story.start(&["run"]);
            gateway.wait_for(2);
            running.signal(signal);
            let ended = running.end();
            assert_eq!(ended.code, 0, "{signal:?}: {}", ended.stderr);
            assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
            assert_eq!(story.manifest(&story.newest())["status"], "completed");
        }
        // `push` hangs, or waits; it leaves at once, and the totals stay undelivered.
        for step in [Step::Hang, busy()] {
            let gateway = Gateway::scripted(vec![refused(), refused(), step, Step::ok()]);
            let mut story = Story::new();
            story.push_to(&gateway);
            story.expect(75, &["run"]);
            let running = story.start(&["push"]);
            gateway.wait_for(3);
            running.signal(signal);
            let ended = running.end();
            assert_eq!(ended.code, code, "{signal:?}: {}", ended.stderr);
            story.expect(0, &["push"]);
            assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
        }
    }
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
fn a_push_that_hangs_does_not_hold_up_the_seal_and_a_stop_finds_the_batch_whole() {
    let gateway = Gateway::scripted(vec![Step::Hang]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("push", "attempt_timeout", "\"50s\"");
    story.set("push", "deadline", "\"50s\"");
    story.set("batch", "shutdown_timeout", "\"6s\"");
    let running = story.start(&["run"]);
    gateway.wait_for(1);
    let id = story.newest();
    wait_until("the batch is counted", || story.path("mutation-data/state.json").exists());
    assert_eq!(gateway.requests().len(), 1, "the first push still hangs");
    assert!(story.audit().sealed(&id).exists());
    running.signal(Signal::TERM);
    running.end();
    let manifest = story.manifest(&id);
    assert_eq!((&manifest["status"], &manifest["records"]), (&"completed".into(), &60.into()));
    assert!(manifest["duration_seconds"].as_f64().unwrap() < 50.0);
    assert!(story.path("evolved").join(id.as_str()).exists(), "its candidates are there");
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

#[test]
fn a_stop_in_the_last_push_is_no_second_push_for_those_who_have_it() {
    // It would refuse a second one, and count as undelivered.
    let quick = Gateway::scripted(vec![Step::ok(), Step::ok(), Step::status(400, &[], "again?")]);
    let slow = Gateway::scripted(vec![Step::ok(), Step::Hang, Step::ok()]);
    let mut story = Story::new();
    story.push_to_url("quick", &quick.url());
    story.push_to_url("slow", &slow.url());
    story.set("push", "attempt_timeout", "\"50s\"");
    story.set("push", "deadline", "\"55s\"");
    story.set("batch", "shutdown_timeout", "\"20s\"");
    let running = story.start(&["-vv", "run"]);
    slow.wait_for(2);
    let taken = |log: &str| log.lines().filter(|line| is_taken(line, "quick")).count();
    wait_until("the quick one has it", || taken(&running.log()) == 2);
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("delivered to 2 of 2 gateways"), "{}", ended.stdout);
    assert_eq!((quick.requests().len(), slow.requests().len()), (2, 3));
    for gateway in ["quick", "slow"] {
        let mark = &story.state()["gateways"][gateway];
        assert_eq!(mark["delivered"], story.newest().as_str(), "{gateway}");
        assert_eq!(mark["last_error"], serde_json::Value::Null, "{gateway}");
    }
}

/// Whether a line of the log says that the gateway has taken a push.
fn is_taken(line: &str, gateway: &str) -> bool {
    ["push attempt", &format!("gateway=\"{gateway}\""), "result=\"delivered\""]
        .iter()
        .all(|part| line.contains(part))
}
