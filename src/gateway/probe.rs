//! Is there a gateway that would take our pushes? Asked without changing anything on it.

use std::fmt;
use std::time::Duration;

use super::body::Format;
use super::client::{Client, Look};
use super::outcome::{Outcome, Reason};

/// What `check --gateway` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It says that it is ready, and takes our credentials.
    Ready,
    /// It is there but cannot take pushes now (a full write queue, a start, a proxy without its gateway).
    NotReady(Reason),
    /// It wants other credentials.
    Unauthorised(Reason),
    /// Something answers, but not as a Pushgateway does. Other receivers of pushes look like this too.
    NotAPushgateway(Reason),
    /// Something answers, but takes no remote write.
    NotAReceiver(Reason),
    /// TLS or its certificates do not fit.
    Tls(Reason),
    /// Nothing answers.
    Unreachable(Reason),
}

impl Client {
    /// Asks a Pushgateway for `/-/ready` and, where that is unknown, `/-/healthy`; sends a receiver of remote write a
    /// request without series. Both with our credentials.
    ///
    /// A Pushgateway is only asked with GET, and never on a push path. These two are the endpoints that every one since
    /// 0.5 has and that answer without work; `/metrics` would carry every group over the wire. VictoriaMetrics has
    /// neither under its import path and is told as "not a Pushgateway", which is no error for it. A web server
    /// that answers every path with a page for people is not taken for one either.
    pub async fn probe(&self, limit: Duration) -> Probe {
        if self.gateway().format() == Format::RemoteWrite {
            return probe_of(self.look_at_endpoint(limit).await, Probe::NotAReceiver);
        }
        let ask = async |path| probe_of(self.look(path, limit).await, Probe::NotAPushgateway);
        match ask("-/ready").await {
            first @ Probe::NotAPushgateway(_) => match ask("-/healthy").await {
                Probe::Ready => Probe::Ready,
                _ => first,
            },
            first => first,
        }
    }
}

/// What an answer says; `other` is what has answered if it is none of those that were meant.
fn probe_of(look: Result<Look, Outcome>, other: fn(Reason) -> Probe) -> Probe {
    let look = match look {
        Ok(look) => look,
        Err(Outcome::Final { reason } | Outcome::Retryable { reason, .. }) => {
            return match &reason {
                Reason::Tls { .. } => Probe::Tls(reason),
                Reason::Connect { .. } | Reason::Timeout { .. } | Reason::Transport { .. } => {
                    Probe::Unreachable(reason)
                }
                Reason::Ahead { .. } => Probe::NotReady(reason),
                Reason::Garbage { .. } | Reason::Status { .. } => other(reason),
            };
        }
        // A look has no such end.
        Err(Outcome::Delivered { .. }) => return Probe::Ready,
    };
    match look.code {
        200..=299 if !look.is_page => Probe::Ready,
        401 | 403 => Probe::Unauthorised(look.reason),
        429 | 500..=599 => Probe::NotReady(look.reason),
        _ => other(look.reason),
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, reason) = match self {
            Self::Ready => return f.write_str("ready"),
            Self::NotReady(reason) => ("not ready", reason),
            Self::Unauthorised(reason) => ("refuses the credentials", reason),
            Self::NotAPushgateway(reason) => ("does not answer as a Pushgateway", reason),
            Self::NotAReceiver(reason) => ("does not take remote write", reason),
            Self::Tls(reason) => ("TLS trouble", reason),
            Self::Unreachable(reason) => ("unreachable", reason),
        };
        write!(f, "{what}: {reason}")?;
        let format = match self {
            Self::NotAReceiver(_) => Format::RemoteWrite,
            _ => Format::default(),
        };
        reason.advice(format).map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}
