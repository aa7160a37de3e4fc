//! Is there a Pushgateway that would take our pushes? Asked without changing anything on it.

use std::fmt;
use std::time::Duration;

use super::client::Client;
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
    /// TLS or its certificates do not fit.
    Tls(Reason),
    /// Nothing answers.
    Unreachable(Reason),
}

impl Client {
    /// Asks `/-/ready` and, where that is unknown, `/-/healthy`, both with our credentials.
    ///
    /// Only GET, and never on a push path. These two are the endpoints that every Pushgateway since 0.5 has and
    /// that answer without work; `/metrics` would carry every group over the wire. VictoriaMetrics has
    /// neither under its import path and is told as "not a Pushgateway", which is no error for it. A web server
    /// that answers every path with a page for people is not taken for one either.
    pub async fn probe(&self, limit: Duration) -> Probe {
        let first = self.ask("-/ready", limit).await;
        match first {
            Probe::NotAPushgateway(_) => match self.ask("-/healthy", limit).await {
                Probe::Ready => Probe::Ready,
                _ => first,
            },
            _ => first,
        }
    }

    async fn ask(&self, path: &str, limit: Duration) -> Probe {
        let look = match self.look(path, limit).await {
            Ok(look) => look,
            Err(Outcome::Final { reason } | Outcome::Retryable { reason, .. }) => {
                return unanswered(reason);
            }
            // A look has no such end.
            Err(Outcome::Delivered { .. }) => return Probe::Ready,
        };
        match look.code {
            200..=299 if !look.is_page => Probe::Ready,
            401 | 403 => Probe::Unauthorised(look.reason),
            429 | 500..=599 => Probe::NotReady(look.reason),
            _ => Probe::NotAPushgateway(look.reason),
        }
    }
}

fn unanswered(reason: Reason) -> Probe {
    match &reason {
        Reason::Tls { .. } => Probe::Tls(reason),
        Reason::Connect { .. } | Reason::Timeout { .. } | Reason::Transport { .. } => {
            Probe::Unreachable(reason)
        }
        Reason::Garbage { .. } | Reason::Status { .. } => Probe::NotAPushgateway(reason),
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, reason) = match self {
            Self::Ready => return f.write_str("ready"),
            Self::NotReady(reason) => ("not ready", reason),
            Self::Unauthorised(reason) => ("refuses the credentials", reason),
            Self::NotAPushgateway(reason) => ("does not answer as a Pushgateway", reason),
            Self::Tls(reason) => ("TLS trouble", reason),
            Self::Unreachable(reason) => ("unreachable", reason),
        };
        write!(f, "{what}: {reason}")?;
        reason.advice().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}
