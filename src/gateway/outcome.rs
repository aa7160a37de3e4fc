//! What one attempt came to, and what that means for the next.

use std::fmt;
use std::time::Duration;

use super::body::Format;

/// The end of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway has it: 200, 202, 204 or another 2xx.
    Delivered {
        /// The HTTP status.
        status: u16,
    },
    /// The same request may succeed later.
    Retryable {
        /// What went wrong.
        reason: Reason,
        /// How long the gateway asks to wait, from its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The same request will fail again.
    Final {
        /// What went wrong.
        reason: Reason,
    },
}

/// Why an attempt failed. All texts are short, on one line, without control characters and without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No connection: refused, unreachable, no such host.
    Connect {
        /// The system's words.
        detail: String,
    },
    /// The two sides agree on no TLS: certificates, names, versions, no TLS at all.
    Tls {
        /// The TLS library's words.
        detail: String,
        /// What to do about it, where that is known.
        advice: Option<&'static str>,
    },
    /// No answer within the attempt's time.
    Timeout {
        /// That time.
        after: Duration,
    },
    /// The connection broke before an answer was there. The push may have been applied.
    Transport {
        /// The system's words.
        detail: String,
    },
    /// What answered is no HTTP, or answered with a status that no gateway has.
    Garbage {
        /// What is odd.
        detail: String,
    },
    /// The samples would lie in the future of a receiver of remote write. They were not sent.
    Ahead {
        /// How far.
        by: Duration,
    },
    /// An HTTP status that is no success.
    Status {
        /// The HTTP status.
        code: u16,
        /// The answer's first 4096 bytes, perhaps empty.
        text: String,
        /// The header `Location`.
        location: Option<String>,
    },
}

/// What a status code means for a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    Retry,
    Final,
    Garbage,
}

/// 408, 429 and every 5xx but 501 pass; a redirect is never followed, because its target is another group.
pub(super) fn verdict(code: u16) -> Verdict {
    match code {
        200..=299 => Verdict::Delivered,
        408 | 429 | 500 | 502..=599 => Verdict::Retry,
        300..=499 | 501 => Verdict::Final,
        0..=199 | 600.. => Verdict::Garbage,
    }
}

impl Reason {
    /// What a person can do about it, where that is known; a fragment.
    pub fn advice(&self, format: Format) -> Option<&'static str> {
        match self {
            Self::Tls { advice, .. } => *advice,
            Self::Status { code: 400 | 409, .. }
                if self.is_behind() && format == Format::RemoteWrite =>
            {
                Some(
                    "does another agent write series with the same labels, or was the clock set back?",
                )
            }
            Self::Status { .. } if self.is_out_of_bounds() => Some(
                "is this machine's clock right, and that of all others that write there? What lies ahead shuts out what does not",
            ),
            Self::Status { code, text, .. } => status_advice(*code, text, format),
            Self::Connect { .. } => Some("is the gateway running, and is `url` right?"),
            Self::Timeout { .. } | Self::Transport { .. } => None,
            Self::Ahead { .. } => Some("set the clock of this machine, or of that one"),
            Self::Garbage { .. } => Some(match format {
                Format::Protobuf | Format::Text => {
                    "does `url` name the Pushgateway, and is http or https right?"
                }
                Format::RemoteWrite => "does `url` name the endpoint, and is http or https right?",
            }),
        }
    }

    /// Whether a receiver of remote write refused samples because it has some that are not older. The specification
    /// has no code for it, so it is read in the words of Prometheus, which others took over.
    pub(super) fn is_behind(&self) -> bool {
        // Thanos has a code for it, and often no more words than "conflict".
        matches!(self, Self::Status { code: 409, .. })
            || self.refuses(&["out of order", "out-of-order", "duplicate sample"])
    }

    /// Whether it refused them because their time is too far from its own. It has nothing of that time, then.
    pub(super) fn is_out_of_bounds(&self) -> bool {
        matches!(self, Self::Ahead { .. })
            || self.refuses(&["out of bounds", "too far in the future", "too far in future"])
    }

    fn refuses(&self, words: &[&str]) -> bool {
        matches!(self, Self::Status { code: 400, text, .. } if words.iter().any(|word| text.contains(word)))
    }

    /// Whether what was sent may have arrived all the same, or arrive yet.
    pub(super) fn may_have_arrived(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Transport { .. } | Self::Garbage { .. } => true,
            // A proxy that lost the answer.
            Self::Status { code, .. } => *code >= 500,
            Self::Connect { .. } | Self::Tls { .. } | Self::Ahead { .. } => false,
        }
    }
}

fn status_advice(code: u16, text: &str, format: Format) -> Option<&'static str> {
    match (code, format) {
        (300..=399, _) => {
            Some("redirects are not followed; if that place is right, set `url` to its base")
        }
        (400, _) if text.contains("HTTPS server") => Some("set `url` to https://"),
        (401, _) => Some("check the user, the password or the token"),
        (403, _) => Some("these credentials may not push"),
        (404 | 405 | 501, Format::Protobuf | Format::Text) => {
            Some("no Pushgateway answers there; is a path prefix missing in `url`?")
        }
        (404 | 405 | 501, Format::RemoteWrite) => Some(
            "nothing takes remote write there; start Prometheus with --web.enable-remote-write-receiver, and name the \
             whole endpoint in `url`",
        ),
        (413, _) => Some("raise the limit of the proxy in front of the gateway"),
        _ => None,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { detail } => write!(f, "cannot connect: {detail}"),
            Self::Tls { detail, .. } => write!(f, "no TLS connection: {detail}"),
            Self::Timeout { after } => write!(f, "no answer within {}", human(*after)),
            Self::Transport { detail } => write!(f, "the connection broke: {detail}"),
            Self::Ahead { by } => write!(
                f,
                "not sent: the samples would be {} ahead of the receiver's clock",
                human(Duration::from_secs(by.as_secs()))
            ),
            Self::Garbage { detail } => write!(f, "not an answer of a gateway: {detail}"),
            Self::Status { code, text, location } => {
                write!(f, "HTTP status {code}")?;
                if let Some(name) = reqwest::StatusCode::from_u16(*code)
                    .ok()
                    .and_then(|code| code.canonical_reason())
                {
                    write!(f, " {name}")?;
                }
                if let Some(location) = location {
                    write!(f, " to {location}")?;
                }
                if !text.is_empty() {
                    write!(f, ": {text}")?;
                }
                Ok(())
            }
        }
    }
}

/// A duration to the millisecond, as a person writes it.
pub(super) fn human(duration: Duration) -> humantime::FormattedDuration {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_meaning() {
        for code in [200, 202, 204, 299] {
            assert_eq!(verdict(code), Verdict::Delivered, "{code}");
        }
        for code in [408, 429, 500, 502, 503, 504, 507, 599] {
            assert_eq!(verdict(code), Verdict::Retry, "{code}");
        }
        for code in [300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 413, 425, 499, 501] {
            assert_eq!(verdict(code), Verdict::Final, "{code}");
        }
        for code in [100, 101, 199, 600, 999] {
            assert_eq!(verdict(code), Verdict::Garbage, "{code}");
        }
    }

    #[test]
    fn a_refused_push_reads_as_one_line() {
        let reason = Reason::Status { code: 400, text: "odd number".into(), location: None };
        assert_eq!(reason.to_string(), "HTTP status 400 Bad Request: odd number");
        let reason = Reason::Status { code: 301, text: String::new(), location: Some("/b".into()) };
        assert_eq!(reason.to_string(), "HTTP status 301 Moved Permanently to /b");
        assert_eq!(
            Reason::Timeout { after: Duration::from_millis(1500) }.to_string(),
            "no answer within 1s 500ms"
        );
    }
}
