//! One attempt: what is sent, and how each kind of answer is judged.

use super::*;

async fn attempt(step: Step, limit: Duration) -> (Outcome, Vec<Request>) {
    let gateway = ScriptedGateway::start(vec![step]).await;
    let outcome = client(&gateway.url()).attempt(&body(), limit).await;
    (outcome, gateway.requests())
}

fn reason(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::Retryable { reason, .. } | Outcome::Final { reason } => reason,
        Outcome::Delivered { status } => panic!("delivered with {status}"),
    }
}

fn is_retryable(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retryable { .. })
}

#[tokio::test]
async fn a_push_is_a_put_of_the_whole_body_with_the_contracts_headers() {
    let (outcome, requests) = attempt(Step::ok(), LONG).await;
    assert_eq!(outcome, Outcome::Delivered { status: 200 });
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert!(is_our_push(request), "{request:?}");
    assert_eq!(
        request.header("content-type"),
        Some(
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        )
    );
    let agent = format!("mutation-agent/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent.as_str()));
    assert_eq!(request.header("content-encoding"), None);
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("transfer-encoding"), None);
}

#[tokio::test]
async fn text_and_gzip_are_named_in_the_headers() {
    let gateway = ScriptedGateway::start(vec![Step::ok()]).await;
    let client = client_of(GatewaySettings {
        format: Format::Text,
        compression: Compression::Gzip,
        ..settings(&format!("{}/pgw/", gateway.url()))
    });
    let body = client.gateway().body(&families(), &Moment::default()).unwrap();
    client.attempt(&body, LONG).await;
    let request = gateway.requests().remove(0);
    assert_eq!(request.path, "/pgw/metrics/job/exit_evolution/instance/night-1");
    assert_eq!(request.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    let mut unpacker = flate2::read::GzDecoder::new(&request.body[..]);
    std::io::Read::read_to_string(&mut unpacker, &mut text).unwrap();
    assert!(text.contains("t_ratio NaN\n"), "{text}");
}

#[tokio::test]
async fn credentials_go_into_the_header_and_nowhere_else() {
    for (credentials, header) in [
        (
            Credentials::Basic { user: "night".into(), password: Secret::new("hunter2é".into()) },
            "Basic bmlnaHQ6aHVudGVyMsOp",
        ),
        (Credentials::Bearer { token: Secret::new("hunter2".into()) }, "Bearer hunter2"),
    ] {
        let echo = format!("you said {header} and hunter2é");
        let gateway = ScriptedGateway::start(vec![Step::status(
            401,
            &[&format!("Location: /{header}")],
            &echo,
        )])
        .await;
        let client = client_of(GatewaySettings { credentials, ..settings(&gateway.url()) });
        let delivery = deliver(&client, &body(), quick(), std::future::pending::<()>()).await;
        assert_eq!(gateway.requests()[0].header("authorization"), Some(header));
        let shown = format!("{delivery:?} {} {client:?}", delivery.result.clone().unwrap_err());
        assert!(!shown.contains("hunter2") && !shown.contains("bmlnaHQ6"), "{shown}");
        assert!(shown.contains("you said") && shown.contains("check the user"), "{shown}");
    }
}

#[tokio::test]
async fn a_secret_that_is_cut_at_the_limit_is_not_shown_in_part() {
    for (left, shown) in [(6, "x[redacted]"), (4, "x[redacted]"), (3, "xhun")] {
        let filler = "x".repeat(4096 - left);
        let step = Step::status(400, &[], &format!("{filler}hunter2 and more"));
        let gateway = ScriptedGateway::start(vec![step]).await;
        let credentials = Credentials::Bearer { token: Secret::new("hunter2".into()) };
        let client = client_of(GatewaySettings { credentials, ..settings(&gateway.url()) });
        let Reason::Status { text, .. } = reason(client.attempt(&body(), LONG).await) else {
            panic!()
        };
        assert!(text.ends_with(shown), "{}", &text[4080..]);
    }
}

#[tokio::test]
async fn any_2xx_is_delivered() {
    for status in [200, 202, 204] {
        let (outcome, _) = attempt(Step::status(status, &[], ""), LONG).await;
        assert_eq!(outcome, Outcome::Delivered { status });
    }
}

#[tokio::test]
async fn a_success_is_not_kept_waiting_by_its_text() {
    let step = Step::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    assert_eq!(attempt(step, LONG).await.0, Outcome::Delivered { status: 200 });
}

#[tokio::test]
async fn a_refusal_keeps_the_gateways_words() {
    let (outcome, _) = attempt(Step::status(400, &[], "odd number\r\n\u{1b}[0m"), LONG).await;
    let Outcome::Final { reason: Reason::Status { code, text, .. } } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((code, text.as_str()), (400, "odd number  \u{fffd}[0m"));
}

#[tokio::test]
async fn a_redirect_is_final_and_never_followed() {
    let gateway = ScriptedGateway::start(vec![Step::status(301, &["Location: /other"], "")]).await;
    let outcome = client(&gateway.url()).attempt(&body(), LONG).await;
    let Outcome::Final { reason: Reason::Status { code: 301, location, .. } } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(location.as_deref(), Some("/other"));
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_hanging_gateway_is_a_time_out() {
    let (outcome, requests) = attempt(Step::Hang, millis(50)).await;
    assert!(is_retryable(&outcome));
    assert_eq!(reason(outcome), Reason::Timeout { after: millis(50) });
    assert!(requests.len() <= 1);
}

#[tokio::test]
async fn a_dripping_head_is_a_time_out() {
    let step = Step::Drip(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), millis(20));
    let (outcome, _) = attempt(step, millis(100)).await;
    assert_eq!(reason(outcome), Reason::Timeout { after: millis(100) });
}

#[tokio::test]
async fn of_a_dripping_error_the_status_and_the_first_words_are_kept() {
    let gateway = ScriptedGateway::start(vec![Step::Endless(
        b"HTTP/1.1 500 X\r\nContent-Length: 5000\r\n\r\nno disk ".to_vec(),
    )])
    .await;
    let outcome = client(&gateway.url()).attempt(&body(), LONG).await;
    assert!(is_retryable(&outcome));
    let Reason::Status { code: 500, text, .. } = reason(outcome) else { panic!() };
    assert!(text.starts_with("no disk x") && text.len() == 4096, "{}", text.len());

    let head = b"HTTP/1.1 500 X\r\nContent-Length: 5000\r\n\r\nno disk";
    let hanging = ScriptedGateway::start(vec![Step::Answer(head.to_vec())]).await;
    let begun = std::time::Instant::now();
    let outcome = client(&hanging.url()).attempt(&body(), millis(500)).await;
    assert!(begun.elapsed() < LONG);
    let Reason::Status { code: 500, text, .. } = reason(outcome) else { panic!() };
    assert_eq!(text, "no disk");
}

#[tokio::test]
async fn an_endless_error_is_read_to_four_kibibytes() {
    let step = Step::Endless(b"HTTP/1.1 400 X\r\n\r\n".to_vec());
    let Reason::Status { text, .. } = reason(attempt(step, LONG).await.0) else { panic!() };
    assert_eq!(text.len(), 4096);
}

#[tokio::test]
async fn a_reset_is_retryable_and_told_as_such() {
    for step in [Step::ResetBeforeBody, Step::ResetAfterBody] {
        let (outcome, requests) = attempt(step, LONG).await;
        assert!(is_retryable(&outcome), "{outcome:?}");
        assert!(matches!(reason(outcome), Reason::Transport { .. }));
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn a_close_without_an_answer_is_retryable() {
    let (outcome, _) = attempt(Step::AnswerAndClose(Vec::new()), LONG).await;
    assert!(is_retryable(&outcome));
    assert!(matches!(reason(outcome), Reason::Transport { .. }));
}

#[tokio::test]
async fn garbage_is_retryable_and_told_as_such() {
    for garbage in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 999 X\r\n\r\n", "\x16\x03\x01\x02\x00\x01"]
    {
        let (outcome, _) = attempt(Step::AnswerAndClose(garbage.into()), LONG).await;
        assert!(is_retryable(&outcome), "{garbage:?}: {outcome:?}");
        assert!(matches!(reason(outcome), Reason::Garbage { .. }), "{garbage:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_retryable_and_says_so() {
    let socket = ScriptedGateway::reserve();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let outcome = client(&url).attempt(&body(), LONG).await;
    assert!(is_retryable(&outcome));
    let text = reason(outcome).to_string();
    assert!(text.starts_with("cannot connect: ") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn an_unknown_host_is_a_connect_error() {
    // A label of 64 letters is no host name anywhere, so that no name server is asked.
    let url = format!("http://{}.invalid", "a".repeat(64));
    let outcome = client(&url).attempt(&body(), LONG).await;
    assert!(is_retryable(&outcome));
    assert!(matches!(reason(outcome), Reason::Connect { .. }));
}

#[tokio::test]
async fn https_to_a_gateway_without_tls_is_final_and_names_http() {
    // A script answers a head, and a TLS hello is none; so this one speaks first.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    });
    let outcome = client(&url).attempt(&body(), LONG).await;
    assert!(matches!(outcome, Outcome::Final { reason: Reason::Tls { .. } }), "{outcome:?}");
    assert!(reason(outcome).advice(Format::default()).unwrap().contains("http://"));
    server.await.unwrap();
}

#[tokio::test]
async fn connections_are_kept_between_pushes() {
    let gateway = ScriptedGateway::start(vec![Step::ok()]).await;
    let client = client(&gateway.url());
    for _ in 0..3 {
        assert_eq!(client.attempt(&body(), LONG).await, Outcome::Delivered { status: 200 });
    }
    let connections: Vec<_> = gateway.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn broken_pem_texts_are_told_before_anything_is_sent() {
    let new = |tls| {
        let settings = GatewaySettings { tls, ..settings("https://h") };
        Client::new(Gateway::new(settings).unwrap(), || Timestamp::from_micros(0)).map(|_| ())
    };
    for ca in ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let tls = Tls { ca: Some(ca.into()), identity: None };
        assert!(new(tls).is_err(), "{ca:?}");
    }
    let tls = Tls { ca: None, identity: Some(Secret::new("hunter2".into())) };
    let error = new(tls).unwrap_err();
    assert!(matches!(error, ClientError::Identity(_)));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_gateway_whose_secrets_were_not_read_is_sent_nothing() {
    let credentials = Credentials::Unread;
    let gateway = Gateway::new(GatewaySettings { credentials, ..settings("http://h") }).unwrap();
    let error = Client::new(gateway, || Timestamp::from_micros(0)).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the secrets of gateway `main` were not read");
}
