//! Which settings are a gateway.

use super::*;

fn error(url: &str) -> GatewayError {
    Gateway::new(settings(url)).unwrap_err()
}

#[test]
fn a_path_prefix_is_kept_with_or_without_its_slash() {
    for (base, push) in [
        ("http://h:9091", "http://h:9091/metrics/job/exit_evolution/instance/night-1"),
        ("http://h:9091/", "http://h:9091/metrics/job/exit_evolution/instance/night-1"),
        ("https://h/pgw", "https://h/pgw/metrics/job/exit_evolution/instance/night-1"),
        ("https://h/pgw//", "https://h/pgw/metrics/job/exit_evolution/instance/night-1"),
        (
            "http://[::1]:9091/a/b/",
            "http://[::1]:9091/a/b/metrics/job/exit_evolution/instance/night-1",
        ),
    ] {
        assert_eq!(Gateway::new(settings(base)).unwrap().push_url().as_str(), push);
    }
}

#[test]
fn an_endpoint_of_remote_write_stays_as_it_is() {
    let new =
        |url: &str| Gateway::new(GatewaySettings { format: Format::RemoteWrite, ..settings(url) });
    for url in ["http://h:9090/api/v1/write", "https://h/api/v1/push/", "http://h/a//b%2Fc"] {
        let gateway = new(url).unwrap();
        assert_eq!(gateway.push_url().as_str(), url);
        let labels = r#"{job="exit_evolution",instance="night-1"}"#;
        assert_eq!(gateway.group(), format!("{} {labels}", url.trim_end_matches('/')));
    }
    for url in ["http://h:9090", "http://h/", "http://h/metrics/job/x"] {
        assert_eq!(new(url).unwrap_err(), GatewayError::Endpoint, "{url}");
    }
    assert_eq!(error("http://h:9090/api/v1/write"), GatewayError::RemoteWrite);
    let gzip = GatewaySettings {
        format: Format::RemoteWrite,
        compression: Compression::Gzip,
        ..settings("http://h/api/v1/write")
    };
    assert_eq!(Gateway::new(gzip).unwrap_err(), GatewayError::Compression);
}

#[test]
fn what_is_no_base_url_is_refused_with_the_reason() {
    assert_eq!(error("localhost:9091"), GatewayError::Scheme);
    assert_eq!(error("ftp://h/"), GatewayError::Scheme);
    assert!(matches!(error("127.0.0.1:9091"), GatewayError::Url { .. }));
    assert!(matches!(error("http://"), GatewayError::Url { .. }));
    assert!(matches!(error("http://h:99999"), GatewayError::Url { .. }));
    assert_eq!(error("http://h/?a=b"), GatewayError::QueryOrFragment);
    assert_eq!(error("http://h/#"), GatewayError::QueryOrFragment);
    assert_eq!(error("http://h/ x"), GatewayError::UrlBlank);
    assert_eq!(error("http://h/metrics/job/x"), GatewayError::PushPath);
    assert_eq!(error("http://h//pgw"), GatewayError::Path);
    assert_eq!(error("http://h/a%2Fb"), GatewayError::Path);
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    for url in ["http://u:hunter2@h/", "http://hunter2@h/", "http://u:hunter2@h:99999/"] {
        let error = error(url);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn credentials_that_no_header_can_carry_are_refused() {
    let with = |credentials| Gateway::new(GatewaySettings { credentials, ..settings("http://h") });
    let secret = |text: &str| Secret::new(text.to_owned());
    let basic = |user: &str, password: &str| {
        with(Credentials::Basic { user: user.into(), password: secret(password) }).map(|_| ())
    };
    assert_eq!(basic("a:b", "x"), Err(GatewayError::User));
    assert_eq!(basic("a", "x\n"), Err(GatewayError::Password));
    assert_eq!(basic("a", "x y:é"), Ok(()));
    for token in ["", "a b", "a\n", "é"] {
        let result = with(Credentials::Bearer { token: secret(token) }).map(|_| ());
        assert_eq!(result, Err(GatewayError::Token));
    }
}

#[test]
fn tls_settings_need_https() {
    let tls = Tls { ca: Some(Vec::new()), identity: None };
    let result = Gateway::new(GatewaySettings { tls, ..settings("http://h") });
    assert_eq!(result.unwrap_err(), GatewayError::TlsWithoutHttps);
}

#[test]
fn a_password_over_plain_http_is_safe_on_this_machine_only() {
    let exposes = |url: &str| {
        let credentials = Credentials::Bearer { token: Secret::new("t".into()) };
        Gateway::new(GatewaySettings { credentials, ..settings(url) })
            .unwrap()
            .exposes_credentials()
    };
    assert!(exposes("http://gateway.example"));
    assert!(!exposes("https://gateway.example"));
    assert!(!exposes("http://localhost:9091") && !exposes("http://[::1]:9091"));
}

#[test]
fn secrets_do_not_show_in_debug() {
    let credentials =
        Credentials::Basic { user: "u".into(), password: Secret::new("hunter2".into()) };
    let tls = Tls { ca: None, identity: Some(Secret::new("hunter2".into())) };
    let settings = GatewaySettings { credentials, tls, ..settings("https://h") };
    let gateway = Gateway::new(settings.clone()).unwrap();
    assert!(!format!("{settings:?} {gateway:?}").contains("hunter2"));
}
