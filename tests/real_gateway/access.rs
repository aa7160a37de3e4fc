//! The way to the gateway: path prefixes, passwords, TLS, and what a look tells.

use mutation_agent::gateway::{Ending, Probe, Reason};
use mutation_agent::units::Secret;

use super::*;
use crate::certificates::Certificates;
use crate::pushgateway::{Pushgateway, groups};

const PASSWORD: &str = "hunter2 é:+%";
/// [`PASSWORD`] by bcrypt at its lowest cost.
const USERS: &str =
    "basic_auth_users:\n  night: $2b$04$abcdefghijklmnopqrstuuhNMEOJfRJnpH3hmI0GHi/Px.llTWNUa\n";
const TLS: &str =
    "tls_server_config:\n  cert_file: FOLDER/server.pem\n  key_file: FOLDER/server.key\n";
const CLIENT_CERTIFICATE: &str =
    "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: FOLDER/ca.pem\n";

fn ours(url: &str) -> GatewaySettings {
    settings(url, grouping("j", &[("instance", "h")]))
}

fn basic(user: &str, password: &str) -> Credentials {
    Credentials::Basic { user: user.into(), password: Secret::new(password.into()) }
}

/// The reason of a push that was tried once and not again.
fn final_reason(delivery: &Delivery) -> &Reason {
    let undelivered = delivery.result.as_ref().unwrap_err();
    assert_eq!((delivery.attempts, undelivered.ending()), (1, Ending::Final), "{undelivered}");
    undelivered.reason().unwrap()
}

#[tokio::test]
async fn a_path_prefix_is_kept() {
    for (argument, base) in [
        ("--web.route-prefix=/pgw", "/pgw"),
        ("--web.external-url=http://gateway.example/a/b/", "/a/b/"),
    ] {
        let gateway = Pushgateway::start(&[argument]);
        let url = format!("{}{base}", gateway.url);
        let client = client(ours(&url));
        assert_eq!(client.probe(LONG).await, Probe::Ready, "{argument}");
        push(&client, 7).await.result.unwrap();
        let shown =
            reqwest::Client::new().get(format!("{}/api/v1/metrics", url.trim_end_matches('/')));
        assert_eq!(groups(shown).await[0].total(), Some("7"));
    }
}

#[tokio::test]
async fn a_forgotten_path_prefix_is_final_and_says_so() {
    let gateway = Pushgateway::start(&["--web.route-prefix=/pgw"]);
    let client = client(ours(&gateway.url));
    let delivery = push(&client, 7).await;
    assert!(matches!(final_reason(&delivery), Reason::Status { code: 404, .. }));
    let text = delivery.result.unwrap_err().to_string();
    assert!(text.contains("is a path prefix missing in `url`?"), "{text}");
    assert!(matches!(client.probe(LONG).await, Probe::NotAPushgateway(_)));
}

#[tokio::test]
async fn a_password_opens_the_gateway_and_a_wrong_one_is_final() {
    let files = Certificates::new();
    let gateway = Pushgateway::start(&[&files.web_config(USERS)]);
    let with = |credentials| client(GatewaySettings { credentials, ..ours(&gateway.url) });

    let right = with(basic("night", PASSWORD));
    assert_eq!(right.probe(LONG).await, Probe::Ready);
    push(&right, 7).await.result.unwrap();

    for wrong in [basic("night", "wrong"), basic("day", PASSWORD), Credentials::None] {
        let wrong = with(wrong);
        let delivery = push(&wrong, 8).await;
        assert!(matches!(final_reason(&delivery), Reason::Status { code: 401, .. }));
        let probe = wrong.probe(LONG).await;
        assert!(matches!(probe, Probe::Unauthorised(_)), "{probe}");
    }
    let shown = reqwest::Client::new()
        .get(format!("{}/api/v1/metrics", gateway.url))
        .basic_auth("night", Some(PASSWORD));
    assert_eq!(groups(shown).await[0].total(), Some("7"));
}

#[tokio::test]
async fn our_authority_opens_tls_and_another_is_final() {
    let files = Certificates::new();
    let gateway = Pushgateway::start(&[&files.web_config(TLS)]);
    let url = gateway.url.replace("http:", "https:");
    let with =
        |url: &str, ca| client(GatewaySettings { tls: Tls { ca, identity: None }, ..ours(url) });

    let right = with(&url, Some(files.ca()));
    assert_eq!(right.probe(LONG).await, Probe::Ready);
    push(&right, 7).await.result.unwrap();

    let localhost = url.replace("127.0.0.1", "localhost");
    for (wrong, advice) in [
        (with(&url, Some(Certificates::new().ca())), "a trusted authority"),
        (with(&url, None), "a trusted authority"),
        (with(&localhost, Some(files.ca())), "a name that stands in the gateway's certificate"),
    ] {
        let delivery = push(&wrong, 8).await;
        let reason = final_reason(&delivery);
        assert!(matches!(reason, Reason::Tls { .. }), "{reason}");
        assert!(reason.advice(Format::default()).unwrap_or_default().contains(advice), "{reason}");
        assert!(matches!(wrong.probe(LONG).await, Probe::Tls(_)));
    }
}

#[tokio::test]
async fn http_and_https_taken_for_each_other_are_final_and_told() {
    let files = Certificates::new();
    let secure = Pushgateway::start(&[&files.web_config(TLS)]);
    let delivery = push(&client(ours(&secure.url)), 7).await;
    assert!(matches!(final_reason(&delivery), Reason::Status { code: 400, .. }));
    assert_eq!(final_reason(&delivery).advice(Format::default()), Some("set `url` to https://"));

    let plain = Pushgateway::start(&[]);
    let delivery = push(&client(ours(&plain.url.replace("http:", "https:"))), 7).await;
    let reason = final_reason(&delivery);
    assert!(matches!(reason, Reason::Tls { .. }), "{reason}");
    assert!(reason.advice(Format::default()).unwrap_or_default().contains("http://"), "{reason}");
}

#[tokio::test]
async fn a_client_certificate_opens_the_gateway() {
    let files = Certificates::new();
    let gateway = Pushgateway::start(&[&files.web_config(&format!("{TLS}{CLIENT_CERTIFICATE}"))]);
    let url = gateway.url.replace("http:", "https:");
    let with = |identity| {
        client(GatewaySettings { tls: Tls { ca: Some(files.ca()), identity }, ..ours(&url) })
    };
    let right = with(Some(files.client()));
    assert_eq!(right.probe(LONG).await, Probe::Ready);
    push(&right, 7).await.result.unwrap();

    for wrong in [None, Some(Certificates::new().client())] {
        let wrong = with(wrong);
        let body = wrong.gateway().body(&families(8), &Moment::default()).unwrap();
        let schedule = Schedule { deadline: Duration::from_secs(1), ..patient() };
        let undelivered =
            deliver(&wrong, &body, schedule, pending::<()>()).await.result.unwrap_err();
        // In TLS 1.3 the refusal comes after our side is done, and the reset behind it may overtake it.
        let reason = undelivered.reason().unwrap();
        assert!(matches!(reason, Reason::Tls { .. } | Reason::Transport { .. }), "{undelivered}");
    }
    let pem = files.client();
    let reader = reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&files.ca()).unwrap())
        .identity(reqwest::Identity::from_pem(pem.expose().as_bytes()).unwrap())
        .build()
        .unwrap();
    assert_eq!(groups(reader.get(format!("{url}/api/v1/metrics"))).await[0].total(), Some("7"));
}

#[tokio::test]
async fn a_look_leaves_no_trace() {
    let gateway = Pushgateway::start(&[]);
    assert_eq!(client(ours(&gateway.url)).probe(LONG).await, Probe::Ready);
    assert!(gateway.groups().await.is_empty());
}
