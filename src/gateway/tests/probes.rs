//! What a look at a gateway tells, and that it leaves no trace.

use super::*;

async fn probe(steps: Vec<Step>) -> (Probe, Vec<Request>) {
    let gateway = ScriptedGateway::start(steps).await;
    let url = format!("{}/pgw", gateway.url());
    let credentials =
        Credentials::Basic { user: "night".into(), password: Secret::new("hunter2".into()) };
    let client = client_of(GatewaySettings { credentials, ..settings(&url) });
    (client.probe(LONG).await, gateway.requests())
}

#[tokio::test]
async fn a_ready_gateway_is_asked_once_with_our_credentials() {
    let (probe, requests) = probe(vec![Step::status(200, &[], "OK")]).await;
    assert_eq!(probe, Probe::Ready);
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/pgw/-/ready"));
    assert_eq!(request.header("authorization"), Some("Basic bmlnaHQ6aHVudGVyMg=="));
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn healthy_is_enough_where_ready_is_unknown() {
    let (probe, requests) = probe(vec![Step::status(404, &[], ""), Step::ok()]).await;
    assert_eq!(probe, Probe::Ready);
    assert_eq!(requests[1].path, "/pgw/-/healthy");
}

#[tokio::test]
async fn each_trouble_has_its_name() {
    let page = Step::status(200, &["Content-Type: text/html; charset=utf-8"], "<html>");
    for (steps, expected) in [
        (vec![Step::status(401, &[], "no")], "refuses the credentials"),
        (vec![Step::status(403, &[], "no")], "refuses the credentials"),
        (vec![Step::status(503, &[], "queue")], "not ready"),
        (vec![page], "does not answer as a Pushgateway"),
        (vec![Step::status(404, &[], "")], "does not answer as a Pushgateway"),
        (vec![Step::status(302, &["Location: /login"], "")], "does not answer as a Pushgateway"),
        (
            vec![Step::AnswerAndClose(b"garbage\r\n\r\n".to_vec())],
            "does not answer as a Pushgateway",
        ),
        (vec![Step::AnswerAndClose(Vec::new())], "unreachable"),
    ] {
        let (probe, requests) = probe(steps).await;
        assert!(probe.to_string().starts_with(expected), "{probe}");
        assert!(!format!("{probe} {probe:?}").contains("hunter2"));
        assert!(requests.iter().all(|request| request.method == "GET"));
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let socket = ScriptedGateway::reserve();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let probe = client(&url).probe(LONG).await;
    assert!(matches!(probe, Probe::Unreachable(Reason::Connect { .. })), "{probe}");
}
