//! One gateway: where it is, what it is sent, and who we say we are. Checked once, then always usable.

use reqwest::Url;

use super::body::{Body, Compression, Format};
use super::check::ExpositionError;
use super::grouping::GroupingKey;
use super::remote_write::Moment;
use crate::units::Secret;

/// Who we say we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// Those that it has, or its TLS material, were not read: nothing can be sent.
    Unread,
    /// Basic authentication.
    Basic {
        /// The user's name, without a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: Secret,
    },
}

/// PEM texts for TLS, read by the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain followed by its private key.
    pub identity: Option<Secret>,
}

/// What makes a [`Gateway`], not yet checked.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// The value of the label `gateway`; unique in a config. Without credentials.
    pub name: String,
    /// Base URL, http or https; a path prefix is kept, with or without a slash at its end. Of remote write, the whole
    /// endpoint.
    pub url: String,
    /// Grouping key.
    pub grouping: GroupingKey,
    /// Body format.
    pub format: Format,
    /// Body compression.
    pub compression: Compression,
    /// Authentication.
    pub credentials: Credentials,
    /// TLS material; only with an https URL.
    pub tls: Tls,
}

/// One gateway, checked: nothing here can make a request that a gateway would choke on.
#[derive(Clone, Debug)]
pub struct Gateway {
    name: String,
    url: Url,
    push_url: Url,
    group: String,
    grouping: GroupingKey,
    format: Format,
    compression: Compression,
    credentials: Credentials,
    tls: Tls,
}

/// Why settings are no gateway. No message shows the URL: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Metrics and messages name gateways.
    #[error("a gateway needs a name")]
    NoName,
    /// No URL at all.
    #[error("`url` is no URL ({reason}); write http://HOST:PORT")]
    Url {
        /// What the parser says.
        reason: String,
    },
    /// Blanks and line ends are dropped silently by URL parsers.
    #[error("`url` must not contain blanks or control characters")]
    UrlBlank,
    /// Another protocol, or none: `localhost:9091` reads as the scheme `localhost`.
    #[error("`url` must start with http:// or https://")]
    Scheme,
    /// Secrets live in files.
    #[error(
        "`url` must not contain a user or a password; give them as `basic` with `password_file`"
    )]
    UserInfo,
    /// A push has neither.
    #[error("`url` must not have a query or a fragment (`?`, `#`)")]
    QueryOrFragment,
    /// The group belongs to `job` and `grouping`.
    #[error(
        "`url` must be the gateway's base; leave out /metrics/job/… (`job` and `grouping` say it)"
    )]
    PushPath,
    /// Remote write has no path of its own that could be added to a base.
    #[error(
        "`url` must be the whole endpoint of remote write, such as http://HOST:9090/api/v1/write"
    )]
    Endpoint,
    /// Prometheus' own endpoint, which takes nothing else.
    #[error("`url` is an endpoint of remote write: add `format = \"remote_write\"`")]
    RemoteWrite,
    /// Remote write has one of its own.
    #[error("`compression` must be left out: remote write is always packed, with snappy")]
    Compression,
    /// A gateway redirects such a path to another.
    #[error("`url` must not contain an empty path segment (`//`) or an encoded slash (`%2F`)")]
    Path,
    /// Settings without effect are mistakes.
    #[error("`tls` is set, but `url` is not https")]
    TlsWithoutHttps,
    /// RFC 7617: the first colon ends the user.
    #[error("the user name must not contain a colon or control characters")]
    User,
    /// RFC 7617.
    #[error("the password must not contain control characters; does its file hold one line?")]
    Password,
    /// RFC 6750.
    #[error("the token must be visible ASCII without blanks; does its file hold one line?")]
    Token,
}

impl Gateway {
    /// Checks settings. The PEM texts are parsed by [`super::Client::new`].
    pub fn new(settings: GatewaySettings) -> Result<Self, GatewayError> {
        let GatewaySettings { name, url, grouping, format, compression, credentials, tls } =
            settings;
        if name.is_empty() {
            return Err(GatewayError::NoName);
        }
        let url = checked_url(&url, format)?;
        if format == Format::RemoteWrite && compression != Compression::None {
            return Err(GatewayError::Compression);
        }
        if url.scheme() != "https" && tls != Tls::default() {
            return Err(GatewayError::TlsWithoutHttps);
        }
        check_credentials(&credentials)?;
        let (push_url, group) = match format {
            Format::Protobuf | Format::Text => {
                let push_url = below(&url, &grouping.path())?;
                (push_url.clone(), push_url.to_string())
            }
            // Labels without a value are none to it.
            Format::RemoteWrite => {
                let place = url.as_str().trim_end_matches('/');
                (url.clone(), format!("{place} {}", grouping.without_empty()))
            }
        };
        Ok(Self { name, url, push_url, group, grouping, format, compression, credentials, tls })
    }

    /// The value of the label `gateway`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The base URL, its path ending in a slash, or the endpoint of remote write; without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where pushes go: the URL of our group, or the endpoint of remote write.
    pub fn push_url(&self) -> &Url {
        &self.push_url
    }

    /// What tells our group from any other, for people and for the state: its URL, which holds the labels, or the endpoint
    /// and the labels.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The grouping key.
    pub fn grouping(&self) -> &GroupingKey {
        &self.grouping
    }

    /// The body's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The body's compression.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Authentication.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether all that it needs was read, so that a client can be made of it.
    pub fn is_usable(&self) -> bool {
        self.credentials != Credentials::Unread
    }

    /// TLS material.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Whether a password or token would cross a network unencrypted: plain http to another machine.
    pub fn exposes_credentials(&self) -> bool {
        let local = self.url.host_str().is_some_and(|host| {
            host == "localhost"
                || host
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        });
        self.credentials != Credentials::None && self.url.scheme() == "http" && !local
    }

    /// The body that this gateway gets: its format, its compression, and no label that its group overwrites.
    pub fn body(
        &self,
        families: &[prometheus::proto::MetricFamily],
        moment: &Moment<'_>,
    ) -> Result<Body, ExpositionError> {
        super::check::labels_beside(families, &self.grouping)?;
        Body::new(families, self.format, self.compression, &self.grouping, moment)
    }

    /// The URL of `path` below the base.
    pub(super) fn below(&self, path: &str) -> Result<Url, GatewayError> {
        below(&self.url, path)
    }
}

/// Reads and checks a base URL, so that the result's path ends in a slash, or an endpoint of remote write, which stays
/// as it is.
pub fn checked_url(text: &str, format: Format) -> Result<Url, GatewayError> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(GatewayError::UrlBlank);
    }
    let mut url =
        Url::parse(text).map_err(|error| GatewayError::Url { reason: error.to_string() })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(GatewayError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(GatewayError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(GatewayError::QueryOrFragment);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let is_push_path = path.contains("/metrics/job/") || path.contains("/metrics/job@base64/");
    if format == Format::RemoteWrite {
        let is_endpoint = !path.is_empty() && !is_push_path;
        return if is_endpoint { Ok(url) } else { Err(GatewayError::Endpoint) };
    }
    if is_push_path {
        return Err(GatewayError::PushPath);
    }
    if path.ends_with("/api/v1/write") {
        return Err(GatewayError::RemoteWrite);
    }
    if path.contains("//") || path.to_ascii_lowercase().contains("%2f") {
        return Err(GatewayError::Path);
    }
    url.set_path(&format!("{path}/"));
    Ok(url)
}

fn below(base: &Url, path: &str) -> Result<Url, GatewayError> {
    Url::parse(&format!("{base}{path}"))
        .map_err(|error| GatewayError::Url { reason: error.to_string() })
}

fn check_credentials(credentials: &Credentials) -> Result<(), GatewayError> {
    match credentials {
        Credentials::Basic { user, .. } if user.contains(|c: char| c == ':' || c.is_control()) => {
            Err(GatewayError::User)
        }
        Credentials::Basic { password, .. } if password.expose().contains(char::is_control) => {
            Err(GatewayError::Password)
        }
        Credentials::None | Credentials::Unread | Credentials::Basic { .. } => Ok(()),
        Credentials::Bearer { token } => {
            let visible = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
            if visible && !token.expose().is_empty() { Ok(()) } else { Err(GatewayError::Token) }
        }
    }
}
