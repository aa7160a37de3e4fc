//! Pushes against gateways in trouble; each test asserts the requests that arrived, not our word alone.

use crate::exposition::Exposition;
use crate::gateway::{ClosedPort, Gateway};
use crate::scripted_gateway::Step;
use crate::story::{LONG, Story, wait_until};
use serde_json::{Value, json};
use std::io::Read as _;
use std::time::{Duration, Instant};

/// The push at the start of a batch is taken; the steps are for the one at its end.
fn at_the_end(mut steps: Vec<Step>) -> Gateway {
    steps.insert(0, Step::ok());
    Gateway::scripted(steps)
}

fn error_in_state(story: &Story) -> String {
    story.state()["gateways"]["main"]["last_error"].as_str().unwrap().to_owned()
}

fn delivered(story: &Story, gateway: &str) -> Value {
    story.state()["gateways"][gateway]["delivered"].clone()
}

/// Every attempt may take so long, and all of them together so long.
fn patience(story: &mut Story, attempt: &str, deadline: &str) {
    story.set("push", "attempt_timeout", attempt);
    story.set("push", "deadline", deadline);
}

#[test]
fn a_batch_stands_without_its_gateway_and_push_delivers_once_it_is_up() {
    let port = ClosedPort::reserve();
    let mut story = Story::new();
    story.push_to_url("main", &port.url());
    patience(&mut story, "\"200ms\"", "\"300ms\"");
    let ended = story.expect(75, &["run"]);
    assert!(ended.stdout.contains("completed: 60 mutations"), "{}", ended.stdout);
    assert!(ended.stdout.contains("delivered to 0 of 1 gateways"), "{}", ended.stdout);
    assert_eq!(story.manifest(&story.newest())["status"], "completed");
    assert_eq!(delivered(&story, "main"), Value::Null);
    assert!(error_in_state(&story).contains("cannot connect"), "{}", error_in_state(&story));

    // Still down: `push` tries with the full effort, and says what happened.
    let ended = story.expect(75, &["push"]);
    assert!(ended.stdout.starts_with("main: undelivered: "), "{}", ended.stdout);

    let gateway = port.open(vec![Step::ok()]);
    patience(&mut story, "\"20s\"", "\"40s\"");
    assert_eq!(story.expect(0, &["push"]).stdout, "main: delivered\n");
    assert_eq!(gateway.requests().len(), 1);
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), 60);
    assert_eq!(push.count("mutation_batch_in_progress"), 0);
    assert_eq!(push.count("mutation_batch_last_exit_code"), 75);
    assert!(push.push_attempts("main", "failed") > 2, "the attempts that failed are counted");
    assert_eq!(delivered(&story, "main"), story.newest().as_str());

    assert_eq!(story.expect(0, &["push"]).stdout, "main: has seen the newest totals\n");
    assert_eq!(gateway.requests().len(), 1, "nothing was sent");

    assert_eq!(story.expect(0, &["push", "--all"]).stdout, "main: delivered\n");
    assert_eq!(gateway.requests().len(), 2);
    assert_eq!(gateway.newest().push_attempts("main", "delivered"), 1, "the one before this");
}

#[test]
fn a_gateway_that_comes_up_during_the_last_push_gets_it() {
    let port = ClosedPort::reserve();
    let mut story = Story::new();
    story.push_to_url("main", &port.url());
    let running = story.start(&["run"]);
    wait_until("the last push is tried again", || running.log().contains("push retry"));
    let gateway = port.open(vec![Step::ok()]);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(gateway.requests().len(), 1);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
    assert_eq!(gateway.newest().count("mutation_batch_in_progress"), 0);
    assert_eq!(delivered(&story, "main"), story.newest().as_str());
}

#[test]
fn the_next_batch_delivers_what_the_last_could_not() {
    let port = ClosedPort::reserve();
    let mut story = Story::new();
    story.push_to_url("main", &port.url());
    patience(&mut story, "\"100ms\"", "\"100ms\"");
    story.expect(75, &["run"]);
    let gateway = port.open(vec![Step::ok()]);
    patience(&mut story, "\"20s\"", "\"40s\"");
    story.expect(0, &["run"]);
    let pushes = gateway.pushes();
    assert_eq!(pushes.len(), 2);
    assert_eq!(pushes[0].count("exit_mutations_total"), 60, "with the first push of the batch");
    assert_eq!(pushes[1].count("exit_mutations_total"), 120);
}

#[test]
fn a_gateway_that_is_busy_twice_gets_the_same_push_three_times() {
    let busy = || Step::status(503, &[], "busy");
    let gateway = at_the_end(vec![busy(), busy(), Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    let ended = story.expect(0, &["run"]);
    assert!(ended.stderr.contains("push retry"), "{}", ended.stderr);
    assert!(ended.stderr.contains("HTTP status 503 Service Unavailable: busy"), "{}", ended.stderr);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[1].body, requests[2].body);
    assert_eq!(requests[1].body, requests[3].body);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
    let totals = &story.state()["totals"]["pushes"]["main"];
    assert_eq!(totals, &json!({"delivered": 2, "failed": 2}));
}

#[test]
fn a_push_that_was_given_up_does_not_have_the_last_word() {
    // The push at the start gets no answer; it may be on its way still when the last one is taken.
    let gateway = Gateway::scripted(vec![Step::Hang, Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    patience(&mut story, "\"300ms\"", "\"20s\"");
    let ended = story.expect(0, &["run"]);
    assert!(ended.stderr.contains("the totals are sent once more"), "{}", ended.stderr);
    let (requests, pushes) = (gateway.requests(), gateway.pushes());
    assert_eq!(pushes.len(), 3);
    let waited = requests[2].at - requests[0].at;
    assert!(
        waited >= Duration::from_millis(4 * 300),
        "its time and three times as much: {waited:?}"
    );
    for push in &pushes[1..] {
        assert_eq!(push.count("exit_mutations_total"), 60);
        assert_eq!(push.count("mutation_batch_in_progress"), 0);
    }
    assert_eq!(pushes[2].push_attempts("main", "delivered"), 1, "the one before this");
    assert_eq!(delivered(&story, "main"), story.newest().as_str());
}

#[test]
fn a_gateway_that_does_not_take_them_once_more_has_not_seen_them() {
    let gateway = Gateway::scripted(vec![Step::Hang, Step::ok(), Step::Hang, Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    patience(&mut story, "\"300ms\"", "\"20s\"");
    let ended = story.expect(75, &["run"]);
    assert!(ended.stderr.contains("the totals are sent once more"), "{}", ended.stderr);
    assert!(ended.stdout.contains("delivered to 0 of 1 gateways"), "{}", ended.stdout);
    assert_eq!(gateway.requests().len(), 3);
    assert_eq!(delivered(&story, "main"), Value::Null);
    assert!(error_in_state(&story).contains("no answer within"), "{}", error_in_state(&story));
    assert_eq!(story.state()["totals"]["last"]["exit_code"], 75);

    assert_eq!(story.expect(0, &["push"]).stdout, "main: delivered\n");
    assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
    assert_eq!(delivered(&story, "main"), story.newest().as_str());
}

#[test]
fn a_batch_that_is_killed_before_it_sends_once_more_has_its_delivery_on_disk() {
    let gateway = Gateway::scripted(vec![Step::Hang, Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    patience(&mut story, "\"1s\"", "\"20s\"");
    let running = story.start(&["run"]);
    wait_until("it waits", || running.log().contains("the totals are sent once more"));
    drop(running);
    assert_eq!(delivered(&story, "main"), story.newest().as_str());
    assert_eq!(story.state()["totals"]["pushes"]["main"], json!({"delivered": 1, "failed": 1}));
}

#[test]
fn a_gateway_that_asks_for_two_seconds_gets_them() {
    let gateway = at_the_end(vec![Step::status(429, &["Retry-After: 2"], "slow down"), Step::ok()]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 3);
    let waited = requests[2].at - requests[1].at;
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

#[test]
fn a_gateway_that_asks_for_a_day_is_left_until_the_next_start() {
    let gateway = at_the_end(vec![Step::status(429, &["Retry-After: 86400"], "come back")]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(75, &["run"]);
    assert_eq!(gateway.requests().len(), 2, "no attempt was made in vain");
    let error = error_in_state(&story);
    assert!(error.contains("it asks to wait 1day, past the deadline"), "{error}");
}

#[test]
fn a_refused_push_is_sent_once_and_the_reason_is_kept() {
    let gateway = Gateway::scripted(vec![Step::status(400, &[], "pushed metrics are invalid")]);
    // Its manifest has the pushes that end before its seal, so it takes longer than the first one.
    let mut story = Story::long();
    story.set("batch", "deadline", "\"2s\"");
    story.push_to(&gateway);
    let ended = story.expect(75, &["run"]);
    assert_eq!(gateway.requests().len(), 2, "one at the start, one at the end, no retry");
    let told = "HTTP status 400 Bad Request: pushed metrics are invalid";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(error_in_state(&story).contains(told), "{}", error_in_state(&story));
    let pushes = &story.manifest(&story.newest())["pushes"]["main"];
    assert_eq!(pushes["attempts"]["refused"], 1);
    assert!(pushes["last_error"].as_str().unwrap().contains(told), "{pushes}");
    assert_eq!(story.state()["totals"]["pushes"]["main"], json!({"refused": 2}));
    // What was refused stays undelivered: `push` tries it again.
    let ended = story.expect(75, &["push"]);
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
    assert_eq!(gateway.requests().len(), 3);
}

#[test]
fn a_redirect_is_not_followed_and_its_target_is_named() {
    let other = Gateway::accepting();
    let location = format!("Location: {}/metrics/job/other", other.url());
    let gateway = Gateway::scripted(vec![Step::status(301, &[&location], "")]);
    let mut story = Story::new();
    story.push_to(&gateway);
    let ended = story.expect(75, &["run"]);
    let told = format!("301 Moved Permanently to {}/metrics/job/other", other.url());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(gateway.requests().len(), 2);
    assert_eq!(other.requests().len(), 0, "nothing was sent there");
}

#[test]
fn a_gateway_that_is_down_does_not_keep_the_other_from_its_push() {
    let (port, gateway) = (ClosedPort::reserve(), Gateway::accepting());
    let mut story = Story::new();
    story.push_to_url("down", &port.url());
    story.push_to(&gateway);
    // The one that is up must have the time that a loaded machine needs.
    patience(&mut story, "\"2s\"", "\"2s\"");
    let ended = story.expect(75, &["run"]);
    assert!(ended.stdout.contains("delivered to 1 of 2 gateways"), "{}", ended.stdout);
    assert_eq!(gateway.pushes().len(), 2);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 60);
    assert_eq!(delivered(&story, "main"), story.newest().as_str());
    assert_eq!(delivered(&story, "down"), Value::Null);

    // Only the one that has not seen the totals gets them.
    let revived = port.open(vec![Step::ok()]);
    let ended = story.expect(0, &["push"]);
    assert_eq!(ended.stdout, "main: has seen the newest totals\ndown: delivered\n");
    assert_eq!(revived.requests().len(), 1);
    assert_eq!(gateway.requests().len(), 2);
    assert_eq!(revived.newest().count("exit_mutations_total"), 60);
}

#[test]
fn a_gateway_that_never_answers_costs_no_more_than_the_deadline() {
    let gateway = Gateway::scripted(vec![Step::Hang]);
    let mut story = Story::new();
    story.push_to(&gateway);
    patience(&mut story, "\"200ms\"", "\"1s\"");
    let begun = Instant::now();
    story.expect(75, &["run"]);
    assert!(begun.elapsed() < LONG / 4, "{:?}", begun.elapsed());
    let requests = gateway.requests();
    assert!((3..=8).contains(&requests.len()), "{} requests", requests.len());
    assert!(error_in_state(&story).contains("no answer within"), "{}", error_in_state(&story));
    assert_eq!(story.manifest(&story.newest())["status"], "completed");
}

#[test]
fn answers_that_are_none_are_tried_again_until_one_is() {
    let gateway = at_the_end(vec![
        Step::ResetBeforeBody,
        Step::ResetAfterBody,
        Step::AnswerAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        // One byte a second: the attempt's own time ends it.
        Step::Drip(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Duration::from_secs(1)),
        Step::Endless(b"HTTP/1.1 500 X\r\nContent-Length: 1000000000\r\n\r\n".to_vec()),
        Step::ok(),
    ]);
    let mut story = Story::new();
    story.push_to(&gateway);
    patience(&mut story, "\"2s\"", "\"40s\"");
    story.expect(0, &["run"]);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 7);
    assert!(requests[2..].iter().all(|request| request.body == requests[6].body));
    assert!(requests[6].connection > requests[2].connection, "a broken connection is not reused");
    let last = Exposition::parse(&requests[6].body);
    assert_eq!(last.count("exit_mutations_total"), 60);
}

#[test]
fn an_error_text_without_end_is_kept_to_its_first_four_kilobytes() {
    let head = b"HTTP/1.1 400 X\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
    let gateway = at_the_end(vec![Step::Endless(head)]);
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(75, &["run"]);
    assert_eq!(gateway.requests().len(), 2);
    let error = error_in_state(&story);
    assert!((4096..5000).contains(&error.len()), "{} bytes", error.len());
}

#[test]
fn the_default_format_is_delimited_protobuf_and_may_be_zipped() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    let url = gateway.url();
    story.table(&format!("[[gateway]]\nname = \"plain\"\nurl = \"{url}\"\ngrouping = {{}}"));
    story.table(&format!(
        "[[gateway]]\nname = \"zipped\"\nurl = \"{url}\"\ncompression = \"gzip\"\n\
         grouping = {{ shard = \"a/b\" }}"
    ));
    story.expect(0, &["run"]);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 4);
    let protobuf = "application/vnd.google.protobuf; \
                    proto=io.prometheus.client.MetricFamily; encoding=delimited";
    assert!(requests.iter().all(|one| one.header("content-type") == Some(protobuf)));
    let of = |path: &str| requests.iter().filter(|one| one.path == path).collect::<Vec<_>>();
    let plain = of("/metrics/job/exit_evolution");
    let zipped = of("/metrics/job/exit_evolution/shard@base64/YS9i");
    assert_eq!((plain.len(), zipped.len()), (2, 2));
    assert_eq!(zipped[1].header("content-encoding"), Some("gzip"));
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(zipped[1].body.as_slice()).read_to_end(&mut unzipped).unwrap();
    assert_eq!(unzipped, plain[1].body, "the same totals for all");
}

#[test]
fn push_delivers_and_says_so_by_its_exit_code_to_a_reader_that_went_away() {
    use std::process::{Command, Stdio};
    let port = ClosedPort::reserve();
    let mut story = Story::new();
    story.push_to_url("main", &port.url());
    story.set("push", "deadline", "\"200ms\"");
    story.set("push", "attempt_timeout", "\"100ms\"");
    story.expect(75, &["run"]);
    let push = || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mutation-agent"))
            .arg("push")
            .current_dir(story.path(""))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait().unwrap().code()
    };
    assert_eq!(push(), Some(75));
    let revived = port.open(vec![Step::ok()]);
    assert_eq!(push(), Some(0));
    assert_eq!(revived.requests().len(), 1);
}
