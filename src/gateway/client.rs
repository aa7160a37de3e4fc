//! One attempt: one request, its answer judged, within its time. No retry, no redirect, no proxy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use reqwest::{Certificate, Identity, RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};

use super::body::{Body, Format, TEXT_TYPE};
use super::endpoint::{Credentials, Gateway};
use super::failure::{self, TEXT_LIMIT, readable};
use super::outcome::{Outcome, Reason, Verdict, verdict};
use super::remote_write;
use super::retry_after::{date_of, retry_after};
use crate::units::Timestamp;

const USER_AGENT: &str = concat!("mutation-agent/", env!("CARGO_PKG_VERSION"));

/// Less than an attempt's usual time, and shared out among a host's addresses, so that one dead route leaves
/// time for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What newer versions of Prometheus take as well; a receiver's clock may be a little behind.
const MOST_AHEAD: Duration = Duration::from_mins(10);

/// A shorter secret would black out innocent letters of an answer.
const SHORTEST_SECRET: usize = 4;

/// What is shown in a secret's place.
const REDACTED: &str = "[redacted]";

/// A gateway and the connections to it. Cheap to clone; connections stay open between pushes.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    gateway: Arc<Gateway>,
    clock: fn() -> Timestamp,
}

/// Secrets or TLS material that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The config was read for somebody who sends nothing.
    #[error("the secrets of gateway `{gateway}` were not read")]
    Unread {
        /// Its name.
        gateway: String,
    },
    /// No certificate in the authorities' file, or a broken one.
    #[error("`tls.ca` holds no usable PEM certificate")]
    Ca(#[source] Option<reqwest::Error>),
    /// A client certificate without key, or the other way round.
    #[error("the client certificate and its key are no usable PEM texts")]
    Identity(#[source] reqwest::Error),
    /// The system's authorities cannot be read, or the key does not fit the certificate.
    #[error(
        "TLS cannot be set up: this machine has no certificate authorities, or the key does not fit the certificate"
    )]
    Tls(#[source] reqwest::Error),
}

impl Client {
    /// Prepares the connections; nothing is sent. `clock` is asked only for a `Retry-After` date in an answer
    /// that has no `Date`.
    pub fn new(gateway: Gateway, clock: fn() -> Timestamp) -> Result<Self, ClientError> {
        if !gateway.is_usable() {
            return Err(ClientError::Unread { gateway: gateway.name().to_owned() });
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            // A redirect leads to another group or another program; see the contract.
            .redirect(reqwest::redirect::Policy::none())
            // One retry layer is enough, and it is `delivery`.
            .retry(reqwest::retry::never())
            // HTTP_PROXY is meant for the internet; metrics stay inside. Prometheus' own default is the same
            // (`proxy_from_environment: false`).
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT);
        if let Some(pem) = &gateway.tls().ca {
            let authorities =
                Certificate::from_pem_bundle(pem).map_err(|error| ClientError::Ca(Some(error)))?;
            if authorities.is_empty() {
                return Err(ClientError::Ca(None));
            }
            builder = builder.tls_certs_only(authorities);
        } else if gateway.url().scheme() == "http" {
            // No authority is needed, so a machine without any must not stop us.
            builder = builder.tls_certs_only([]);
        }
        if let Some(pem) = &gateway.tls().identity {
            let identity =
                Identity::from_pem(pem.expose().as_bytes()).map_err(ClientError::Identity)?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(ClientError::Tls)?;
        Ok(Self { http, gateway: Arc::new(gateway), clock })
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Puts the whole group once, or posts all its series. `limit` spans everything, from the look-up of the host to the answer's text.
    ///
    /// Dropping the future closes the connection; the gateway may still apply what arrived.
    /// The system's look-up of a host cannot be broken off and stays behind on a blocking thread, so leave the
    /// runtime with `shutdown_background`, or a dead name server holds the process.
    pub async fn attempt(&self, body: &Body, limit: Duration) -> Outcome {
        self.attempt_and_tell(body, limit).await.0
    }

    /// The same, and whether the body was sent: a receiver of remote write is asked for its time before.
    pub(super) async fn attempt_and_tell(&self, body: &Body, limit: Duration) -> (Outcome, bool) {
        let until = Instant::now() + limit.min(FAR);
        if let Some(newest) = body.newest()
            && let Err(outcome) = self.hold_to_clock(newest, limit, until).await
        {
            return (outcome, false);
        }
        let outcome = match self.exchange(self.request(body), limit, until).await {
            Ok(response) => self.judge(response, until).await,
            Err(outcome) => outcome,
        };
        (outcome, true)
    }

    /// Asks a receiver for its time before it gets samples. Prometheus 2.42 takes what lies ahead, and from then on
    /// refuses what everybody else writes today.
    async fn hold_to_clock(
        &self,
        newest: Timestamp,
        limit: Duration,
        until: Instant,
    ) -> Result<(), Outcome> {
        let response = self.exchange(self.request(&nothing()?), limit, until).await?;
        let status = response.status();
        // One that does not like the question may like the push, and says more of it.
        if !status.is_success() && !status.is_client_error() {
            return Err(self.judge(response, until).await);
        }
        match ahead(newest, date_of(response.headers())) {
            Some(reason) => Err(Outcome::Final { reason }),
            None => Ok(()),
        }
    }

    fn request(&self, body: &Body) -> RequestBuilder {
        let url = self.gateway.push_url().clone();
        let request = match self.gateway.format() {
            Format::Protobuf | Format::Text => self.http.put(url),
            Format::RemoteWrite => {
                let (header, version) = remote_write::VERSION;
                self.http.post(url).header(header, version)
            }
        };
        let request = request.header(CONTENT_TYPE, body.content_type()).body(body.share());
        match body.content_encoding() {
            Some(encoding) => request.header(CONTENT_ENCODING, encoding),
            None => request,
        }
    }

    /// A GET below the base URL that changes nothing; its status and text, or what stood in the way.
    pub(super) async fn look(&self, path: &str, limit: Duration) -> Result<Look, Outcome> {
        let url = self.gateway.below(path).map_err(|error| Outcome::Final {
            reason: Reason::Garbage { detail: error.to_string() },
        })?;
        self.look_by(self.http.get(url), limit).await
    }

    /// A remote write of nothing, which changes nothing. `Err` as well where its clock is far behind ours.
    pub(super) async fn look_at_endpoint(&self, limit: Duration) -> Result<Look, Outcome> {
        let look = self.look_by(self.request(&nothing()?), limit).await?;
        match ahead((self.clock)(), look.date) {
            Some(reason) if look.code < 300 => Err(Outcome::Final { reason }),
            Some(_) | None => Ok(look),
        }
    }

    async fn look_by(&self, request: RequestBuilder, limit: Duration) -> Result<Look, Outcome> {
        let until = Instant::now() + limit.min(FAR);
        let response = self.exchange(request, limit, until).await?;
        let is_page = is_page(&response);
        let (code, date) = (response.status().as_u16(), date_of(response.headers()));
        Ok(Look { code, is_page, date, reason: self.status(response, until).await })
    }

    /// A GET below the base URL whose answer is wanted whole, up to `most` bytes.
    pub(super) async fn fetch(
        &self,
        path: &str,
        limit: Duration,
        most: usize,
    ) -> Result<Vec<u8>, Reason> {
        let garbage = |detail: String| Reason::Garbage { detail };
        let url = self.gateway.below(path).map_err(|error| garbage(error.to_string()))?;
        let until = Instant::now() + limit.min(FAR);
        let request = self.http.get(url).header(ACCEPT, TEXT_TYPE);
        let mut response = match self.exchange(request, limit, until).await {
            Ok(response) => response,
            Err(Outcome::Final { reason } | Outcome::Retryable { reason, .. }) => {
                return Err(reason);
            }
            // An exchange that fails has no such end.
            Err(Outcome::Delivered { status }) => {
                return Err(garbage(format!("HTTP status {status}")));
            }
        };
        if response.status().as_u16() != 200 {
            return Err(self.status(response, until).await);
        }
        let mut bytes = Vec::new();
        loop {
            match timeout_at(until, response.chunk()).await {
                Ok(Ok(Some(chunk))) if bytes.len() + chunk.len() <= most => {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(Ok(Some(_))) => return Err(garbage(format!("more than {most} bytes"))),
                Ok(Ok(None)) => return Ok(bytes),
                Ok(Err(error)) => {
                    let detail = readable(&error.without_url().to_string());
                    return Err(Reason::Transport { detail });
                }
                Err(_elapsed) => return Err(Reason::Timeout { after: limit }),
            }
        }
    }

    async fn exchange(
        &self,
        request: RequestBuilder,
        limit: Duration,
        until: Instant,
    ) -> Result<Response, Outcome> {
        let request = match self.gateway.credentials() {
            Credentials::None | Credentials::Unread => request,
            Credentials::Basic { user, password } => {
                request.basic_auth(user, Some(password.expose()))
            }
            Credentials::Bearer { token } => request.bearer_auth(token.expose()),
        };
        match timeout_at(until, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failure::judge(&error.without_url())),
            Err(_elapsed) => Err(Outcome::Retryable {
                reason: Reason::Timeout { after: limit },
                retry_after: None,
            }),
        }
    }

    async fn judge(&self, response: Response, until: Instant) -> Outcome {
        let status = response.status().as_u16();
        match verdict(status) {
            // A web server that has a page for people at every path takes no samples.
            Verdict::Delivered
                if self.gateway.format() == Format::RemoteWrite && is_page(&response) =>
            {
                Outcome::Retryable {
                    reason: Reason::Garbage { detail: "a page for people".to_owned() },
                    retry_after: None,
                }
            }
            // The answer's text is not waited for: the status alone says that the gateway has it.
            Verdict::Delivered => Outcome::Delivered { status },
            Verdict::Retry => {
                let retry_after = retry_after(response.headers(), self.clock);
                Outcome::Retryable { reason: self.status(response, until).await, retry_after }
            }
            Verdict::Final => Outcome::Final { reason: self.status(response, until).await },
            Verdict::Garbage => Outcome::Retryable {
                reason: Reason::Garbage { detail: format!("HTTP status {status}") },
                retry_after: None,
            },
        }
    }

    async fn status(&self, response: Response, until: Instant) -> Reason {
        let code = response.status().as_u16();
        let location = response
            .headers()
            .get(LOCATION)
            .map(|value| self.harmless(&value.as_bytes()[..value.len().min(TEXT_LIMIT)]));
        let text = first_bytes(response, until).await;
        Reason::Status { code, text: self.harmless(&text), location }
    }

    /// Foreign bytes as text that can be shown; a gateway or proxy may send our own secrets back.
    fn harmless(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for secret in secrets(self.gateway.credentials()) {
            if secret.len() >= SHORTEST_SECRET {
                text = text.replace(&secret, REDACTED);
                if bytes.len() == TEXT_LIMIT {
                    black_out_the_start(&mut text, &secret);
                }
            }
        }
        readable(&text)
    }
}

/// What a look saw.
pub(super) struct Look {
    pub(super) code: u16,
    /// A page for people, as a catch-all web server gives it for any path.
    pub(super) is_page: bool,
    date: Option<Timestamp>,
    pub(super) reason: Reason,
}

fn nothing() -> Result<Body, Outcome> {
    Body::nothing()
        .map_err(|error| Outcome::Final { reason: Reason::Garbage { detail: error.to_string() } })
}

/// Whether samples of that time would be too far ahead of who made an answer at that date.
fn ahead(newest: Timestamp, date: Option<Timestamp>) -> Option<Reason> {
    let by = newest.since(date?);
    (by > MOST_AHEAD).then_some(Reason::Ahead { by })
}

/// Whether an answer is a page for people.
fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// Ten years: further away, the sum with a clock could overflow.
const FAR: Duration = Duration::from_hours(10 * 365 * 24);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// The start of an answer's text: 4096 bytes, or what came until the attempt's end or the connection's.
async fn first_bytes(mut response: Response, until: Instant) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < TEXT_LIMIT {
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => text.extend_from_slice(&chunk),
            Ok(Ok(None) | Err(_)) | Err(_) => break,
        }
    }
    text.truncate(TEXT_LIMIT);
    text
}

/// Blacks out a secret of which the cut at the limit has left the start.
fn black_out_the_start(text: &mut String, secret: &str) {
    // The cut may have left half a character.
    let kept = text.trim_end_matches('\u{fffd}');
    let starts = (SHORTEST_SECRET..secret.len()).rev().filter_map(|length| secret.get(..length));
    if let Some(start) = starts.into_iter().find(|start| kept.ends_with(*start)) {
        text.truncate(kept.len() - start.len());
        text.push_str(REDACTED);
    }
}

fn secrets(credentials: &Credentials) -> Vec<String> {
    match credentials {
        Credentials::None | Credentials::Unread => Vec::new(),
        Credentials::Basic { user, password } => vec![
            STANDARD.encode(format!("{user}:{}", password.expose())),
            password.expose().to_owned(),
        ],
        Credentials::Bearer { token } => vec![token.expose().to_owned()],
    }
}
