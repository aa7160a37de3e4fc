//! Whole deliveries: retries, waits, deadlines, stops, several gateways.

use std::future::pending;
use std::time::Instant;

use super::delivery::next_wait;
use super::*;

fn undelivered(delivery: &Delivery) -> &Undelivered {
    delivery.result.as_ref().unwrap_err()
}

#[tokio::test]
async fn a_gateway_that_recovers_gets_the_same_body_again() {
    let busy = || Step::status(503, &[], "busy");
    let gateway = ScriptedGateway::start(vec![busy(), busy(), Step::ok()]).await;
    let delivery = deliver_to(&gateway, quick()).await;
    assert_eq!((delivery.attempts, &delivery.result), (3, &Ok(())));
    let requests = gateway.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(is_our_push));
}

#[tokio::test]
async fn each_passing_failure_is_retried() {
    for step in [
        Step::status(408, &[], ""),
        Step::status(429, &[], ""),
        Step::status(500, &[], ""),
        Step::status(504, &[], ""),
        Step::ResetBeforeBody,
        Step::ResetAfterBody,
        Step::AnswerAndClose(b"garbage\r\n\r\n".to_vec()),
        Step::AnswerAndClose(Vec::new()),
    ] {
        let gateway = ScriptedGateway::start(vec![step.clone(), Step::ok()]).await;
        let delivery = deliver_to(&gateway, quick()).await;
        assert_eq!((delivery.attempts, delivery.result), (2, Ok(())), "{step:?}");
        assert!(is_our_push(&gateway.requests()[1]));
    }
}

#[tokio::test]
async fn a_hanging_gateway_is_tried_again_after_the_attempts_time() {
    let gateway = ScriptedGateway::start(vec![Step::Hang, Step::ok()]).await;
    let schedule = Schedule { attempt_timeout: millis(200), ..quick() };
    let delivery = deliver_to(&gateway, schedule).await;
    assert_eq!(delivery.result, Ok(()));
    assert!(gateway.requests().iter().all(is_our_push));
}

#[tokio::test]
async fn each_lasting_failure_is_tried_once() {
    for code in [301, 307, 400, 401, 404, 413, 501] {
        let gateway =
            ScriptedGateway::start(vec![Step::status(code, &["Location: /x"], "no")]).await;
        let delivery = deliver_to(&gateway, quick()).await;
        assert_eq!(delivery.attempts, 1, "{code}");
        assert_eq!(undelivered(&delivery).ending(), Ending::Final);
        assert_eq!(gateway.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_single_attempt_is_single() {
    let gateway = ScriptedGateway::start(vec![Step::status(503, &[], "")]).await;
    let delivery = deliver_to(&gateway, Schedule::once(LONG)).await;
    assert_eq!(undelivered(&delivery).ending(), Ending::Single);
    assert_eq!((delivery.attempts, gateway.requests().len()), (1, 1));
}

#[tokio::test]
async fn retry_after_is_the_least_wait() {
    let asked = Step::status(429, &["Retry-After: 2"], "");
    let gateway = ScriptedGateway::start(vec![asked, Step::ok()]).await;
    let delivery = deliver_to(&gateway, quick()).await;
    assert_eq!((delivery.attempts, delivery.result), (2, Ok(())));
    let requests = gateway.requests();
    let gap = requests[1].at - requests[0].at;
    // The first moment is taken by the server, a little before the client reads the answer.
    assert!(gap >= Duration::from_secs(2) && gap < Duration::from_secs(6), "{gap:?}");
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_the_delivery_at_once() {
    for header in ["Retry-After: 86400", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"] {
        let gateway = ScriptedGateway::start(vec![Step::status(429, &[header], "")]).await;
        let begun = Instant::now();
        let delivery = deliver_to(&gateway, quick()).await;
        assert!(begun.elapsed() < LONG / 2);
        assert!(matches!(undelivered(&delivery).ending(), Ending::RetryAfter(wait) if wait > LONG));
        assert_eq!(gateway.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_retry_after_that_says_nothing_changes_nothing() {
    for header in ["Retry-After: -5", "Retry-After: soon", "Retry-After: 0"] {
        let answer = Step::status(503, &[header], "");
        let gateway = ScriptedGateway::start(vec![answer, Step::ok()]).await;
        let delivery = deliver_to(&gateway, quick()).await;
        assert_eq!((delivery.attempts, delivery.result), (2, Ok(())));
    }
}

#[tokio::test]
async fn the_deadline_holds_whatever_the_gateway_does() {
    for step in [
        Step::Hang,
        Step::Drip(b"HTTP/1.1 500 X\r\n\r\nno".to_vec(), millis(30)),
        Step::status(503, &[], ""),
        Step::ResetAfterBody,
        Step::Drip(b"HTTP/1.1 500 X\r\nContent-Length: 9000\r\n\r\n".to_vec(), Duration::ZERO),
    ] {
        let gateway = ScriptedGateway::start(vec![step.clone()]).await;
        let schedule = Schedule { deadline: millis(300), ..quick() };
        let begun = Instant::now();
        let delivery = deliver_to(&gateway, schedule).await;
        let took = begun.elapsed();
        assert!(took < millis(3000), "{step:?} took {took:?}");
        assert_eq!(undelivered(&delivery).ending(), Ending::Deadline, "{step:?}");
        assert!(undelivered(&delivery).reason().is_some());
    }
}

#[tokio::test]
async fn the_reason_is_not_the_last_attempts_want_of_time() {
    let steps = vec![Step::status(503, &[], "busy"), Step::Hang];
    let gateway = ScriptedGateway::start(steps).await;
    let schedule = Schedule { deadline: millis(300), ..quick() };
    let delivery = deliver_to(&gateway, schedule).await;
    let text = undelivered(&delivery).to_string();
    assert!(delivery.attempts >= 2 && text.contains("503 Service Unavailable: busy"), "{text}");
}

#[tokio::test]
async fn the_time_is_used_to_its_end_although_the_waits_are_longer() {
    let gateway = ScriptedGateway::start(vec![Step::status(503, &[], "")]).await;
    let schedule = Schedule {
        policy: Some(RetryPolicy::new(millis(40), Duration::from_hours(1), 100.0).unwrap()),
        attempt_timeout: LONG,
        deadline: millis(400),
    };
    let delivery = deliver_to(&gateway, schedule).await;
    assert!(delivery.elapsed >= millis(400 - 40), "{delivery:?}");
    assert!(delivery.elapsed < millis(3000), "{delivery:?}");
}

#[tokio::test]
async fn a_gateway_that_comes_up_late_gets_its_push() {
    let log = Log::default();
    let _guard = log.capture();
    let socket = ScriptedGateway::reserve();
    let client = client(&format!("http://{}", socket.local_addr().unwrap()));
    let body = body();
    let delivery = deliver(&client, &body, quick(), pending::<()>());
    let open = async {
        log.wait_for("push retry").await;
        ScriptedGateway::open(socket, vec![Step::ok()])
    };
    let (delivery, gateway) = tokio::join!(delivery, open);
    assert_eq!(delivery.result, Ok(()));
    assert!(delivery.attempts >= 2);
    assert_eq!(gateway.requests().len(), 1);
    assert!(is_our_push(&gateway.requests()[0]));
}

#[tokio::test]
async fn attempts_and_retries_are_logged_as_fields() {
    let log = Log::default();
    let _guard = log.capture();
    let gateway =
        ScriptedGateway::start(vec![Step::status(503, &[], "no\ndisk"), Step::ok()]).await;
    deliver_to(&gateway, quick()).await.result.unwrap();
    let text = log.text();
    for part in [
        "DEBUG mutation_agent::gateway::delivery: push attempt gateway=\"main\" attempt=1 result=\"retryable\" status=503",
        "WARN mutation_agent::gateway::delivery: push retry gateway=\"main\" attempt=1 error=HTTP status 503 Service Unavailable: no disk wait=",
        "push attempt gateway=\"main\" attempt=2 result=\"delivered\" status=200",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_stop_breaks_off_a_running_attempt() {
    let gateway = ScriptedGateway::start(vec![Step::Hang]).await;
    let client = client(&gateway.url());
    let body = body();
    let delivery = deliver(&client, &body, quick(), gateway.wait_for(1)).await;
    assert_eq!(undelivered(&delivery).ending(), Ending::Stopped);
    assert_eq!((delivery.attempts, undelivered(&delivery).reason()), (1, None));
}

#[tokio::test]
async fn after_a_stop_nothing_is_sent() {
    let gateway = ScriptedGateway::start(vec![Step::ok()]).await;
    let delivery = deliver(&client(&gateway.url()), &body(), quick(), async {}).await;
    assert_eq!((delivery.attempts, undelivered(&delivery).ending()), (0, Ending::Stopped));
    assert!(gateway.requests().is_empty());
}

#[tokio::test]
async fn one_gateway_that_is_down_does_not_touch_the_other() {
    let up = ScriptedGateway::start(vec![Step::status(503, &[], ""), Step::ok()]).await;
    let hanging = ScriptedGateway::start(vec![Step::Hang]).await;
    let socket = ScriptedGateway::reserve();
    let down_url = format!("http://{}", socket.local_addr().unwrap());
    let clients = [client(&hanging.url()), client(&up.url()), client(&down_url)];
    let body = body();
    let targets: Vec<_> = clients.iter().map(|client| (client, &body)).collect();
    let schedule = Schedule { deadline: millis(1000), ..quick() };
    let deliveries = deliver_all(&targets, schedule, pending::<()>()).await;
    assert_eq!(deliveries.len(), 3);
    assert!(matches!(undelivered(&deliveries[0]).reason(), Some(Reason::Timeout { .. })));
    assert_eq!((deliveries[1].attempts, &deliveries[1].result), (2, &Ok(())));
    assert!(deliveries[1].elapsed < millis(1000), "{:?}", deliveries[1].elapsed);
    assert!(matches!(undelivered(&deliveries[2]).reason(), Some(Reason::Connect { .. })));
    assert!(up.requests().iter().all(is_our_push));
}

#[tokio::test]
async fn one_stop_ends_all_deliveries_and_keeps_what_was_delivered() {
    let up = ScriptedGateway::start(vec![Step::ok()]).await;
    let hanging = ScriptedGateway::start(vec![Step::Hang]).await;
    let clients = [client(&up.url()), client(&hanging.url())];
    let body = body();
    let targets: Vec<_> = clients.iter().map(|client| (client, &body)).collect();
    let log = Log::default();
    let _guard = log.capture();
    let stop = async {
        log.wait_for("result=\"delivered\"").await;
        hanging.wait_for(1).await;
    };
    let deliveries = deliver_all(&targets, quick(), stop).await;
    assert_eq!(deliveries[0].result, Ok(()));
    assert_eq!(undelivered(&deliveries[1]).ending(), Ending::Stopped);
}

#[tokio::test]
async fn nobody_to_deliver_to_is_done_at_once() {
    assert_eq!(deliver_all(&[], quick(), pending::<()>()).await, []);
}

#[tokio::test]
async fn what_was_not_delivered_is_one_clear_sentence() {
    let moved = Step::status(301, &["Location: https://g.example/pgw/"], "");
    let gateway = ScriptedGateway::start(vec![moved]).await;
    let delivery = deliver_to(&gateway, quick()).await;
    let text = undelivered(&delivery).to_string();
    let start =
        format!("gateway `main` at {}/ has not taken the metrics (1 attempt in ", gateway.url());
    assert!(text.starts_with(&start), "{text}");
    assert!(
        text.ends_with(
            ": HTTP status 301 Moved Permanently to https://g.example/pgw/; redirects are not followed; \
             if that place is right, set `url` to its base; once that is put right, `mutation-agent push` delivers"
        ),
        "{text}"
    );
}

#[test]
fn a_wait_always_leaves_time_for_the_attempt_behind_it() {
    let shortest = millis(500);
    for own in [0, 1, 499, 500, 2999, 3000, 3001, 30_000].map(millis) {
        for left in [1, 499, 500, 501, 3000].map(millis) {
            match next_wait(own, None, left, shortest) {
                Ok(wait) => assert!(wait < left && wait <= own, "{wait:?} {own:?} {left:?}"),
                Err(ending) => {
                    assert_eq!(ending, Ending::Deadline);
                    assert!(own >= left && left < shortest, "{own:?} {left:?}");
                }
            }
        }
        assert_eq!(next_wait(own, None, Duration::ZERO, shortest), Err(Ending::Deadline));
    }
}

#[test]
fn a_gateways_wish_is_the_least_wait_and_never_shortened() {
    let wait =
        |own, asked, left| next_wait(millis(own), Some(millis(asked)), millis(left), millis(500));
    assert_eq!(wait(100, 2000, 5000), Ok(millis(2000)));
    assert_eq!(wait(3000, 2000, 5000), Ok(millis(3000)));
    assert_eq!(wait(5100, 2000, 5000), Ok(millis(2000)));
    assert_eq!(wait(100, 5000, 5000), Err(Ending::RetryAfter(millis(5000))));
    assert_eq!(wait(100, 0, 5000), Ok(millis(100)));
}
