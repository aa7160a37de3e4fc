//! A body on its way: attempts, waits, a deadline that nothing overruns, and one clear sentence when it failed.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::body::{Body, Format};
use super::client::Client;
use super::outcome::{Outcome, Reason, human};
use super::retry::RetryPolicy;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The waits between attempts; without one, a single attempt is made.
    pub policy: Option<RetryPolicy>,
    /// The most that one attempt may take.
    pub attempt_timeout: Duration,
    /// The most that all attempts and waits may take together.
    pub deadline: Duration,
}

impl Schedule {
    /// One attempt, for the pushes during a batch: the next one comes soon anyway.
    pub const fn once(timeout: Duration) -> Self {
        Self { policy: None, attempt_timeout: timeout, deadline: timeout }
    }
}

/// What became of a body at one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Attempts begun. Of a delivery that succeeded, the last one succeeded and the others failed.
    pub attempts: u32,
    /// From the start to the end, waits included.
    pub elapsed: Duration,
    /// Delivered, or why not.
    pub result: Result<(), Undelivered>,
}

/// A body that a gateway did not take.
///
/// `Display` is one sentence with the URL, the reason, the effort and what to do; it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    gateway: String,
    url: String,
    format: Format,
    attempts: u32,
    elapsed: Duration,
    ending: Ending,
    reason: Option<Reason>,
}

/// Why no further attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The same request would fail again.
    Final,
    /// Only one attempt was wanted.
    Single,
    /// The deadline is over, or too near for another wait.
    Deadline,
    /// The gateway asked for a wait that reaches past the deadline.
    RetryAfter(Duration),
    /// We were told to stop.
    Stopped,
}

impl Undelivered {
    /// The last failure; none if not even one attempt came to an end.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Why no further attempt was made.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Whether a receiver of remote write refused the time of the samples: it has nothing of that time.
    pub fn is_out_of_bounds(&self) -> bool {
        self.reason.as_ref().is_some_and(Reason::is_out_of_bounds)
    }
}

const LATER: &str = "the next start or `mutation-agent push` tries again";

impl std::error::Error for Undelivered {}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, url, format, attempts, elapsed, ending, reason } = self;
        let plural = if *attempts == 1 { "" } else { "s" };
        write!(f, "gateway `{gateway}` at {url} has not taken the metrics")?;
        write!(f, " ({attempts} attempt{plural} in {})", human(*elapsed))?;
        if let Some(reason) = reason {
            write!(f, ": {reason}")?;
        }
        if let Some(advice) = reason.as_ref().and_then(|reason| reason.advice(*format)) {
            write!(f, "; {advice}")?;
        }
        match ending {
            Ending::Final => {
                f.write_str("; once that is put right, `mutation-agent push` delivers")
            }
            Ending::Single => Ok(()),
            Ending::Deadline => write!(f, "; gave up at the deadline, {LATER}"),
            Ending::RetryAfter(wait) => {
                write!(f, "; it asks to wait {}, past the deadline, {LATER}", human(*wait))
            }
            Ending::Stopped => write!(f, "; stopped, {LATER}"),
        }
    }
}

/// Tries until the gateway has `body`, says no for good, the deadline is over, or `stop` is ready.
///
/// The deadline holds whatever the gateway does: an attempt's time is cut to what is left. Stopping breaks off a
/// running attempt, which the gateway may still apply; the next push replaces it.
pub async fn deliver(
    client: &Client,
    body: &Body,
    schedule: Schedule,
    stop: impl Future,
) -> Delivery {
    let mut effort = Effort {
        client,
        started: Instant::now(),
        attempts: 0,
        reason: None,
        may_have_arrived: false,
    };
    let end = tokio::select! {
        biased;
        _ = stop => Err(Ending::Stopped),
        end = effort.run(body, schedule) => end,
    };
    effort.close(end)
}

/// Delivers to several gateways at the same time, each on its own; the results are in the order given.
pub async fn deliver_all(
    targets: &[(&Client, &Body)],
    schedule: Schedule,
    stop: impl Future,
) -> Vec<Delivery> {
    let (stopper, signal) = watch::channel(false);
    let mut running: Vec<_> = targets
        .iter()
        .map(|(client, body)| {
            let mut signal = signal.clone();
            let stop = async move { signal.wait_for(|stop| *stop).await.map(|_| ()) };
            (Box::pin(deliver(client, body, schedule, stop)), None)
        })
        .collect();
    let all = poll_fn(|context| {
        for (delivery, done) in &mut running {
            if done.is_none()
                && let Poll::Ready(end) = delivery.as_mut().poll(context)
            {
                *done = Some(end);
            }
        }
        if running.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut all = pin!(all);
    let mut stop = pin!(stop);
    tokio::select! {
        biased;
        _ = &mut stop => {
            stopper.send_replace(true);
            all.await;
        }
        () = &mut all => {}
    }
    running.into_iter().filter_map(|(_, done)| done).collect()
}

/// One delivery under way. What it has learned survives when it is stopped.
struct Effort<'a> {
    client: &'a Client,
    started: Instant,
    attempts: u32,
    reason: Option<Reason>,
    /// Of an attempt nobody knows whether it arrived.
    may_have_arrived: bool,
}

impl Effort<'_> {
    async fn run(&mut self, body: &Body, schedule: Schedule) -> Result<(), Ending> {
        let mut waits = schedule.policy.map(|policy| (policy, policy.waits()));
        loop {
            let left = schedule.deadline.saturating_sub(self.started.elapsed());
            let limit = schedule.attempt_timeout.min(left);
            let (outcome, was_sent) = self.attempt(body, limit).await;
            let retry_after = match outcome {
                Outcome::Delivered { .. } => return Ok(()),
                Outcome::Final { reason } if self.has_arrived(&reason) => return Ok(()),
                Outcome::Final { reason } => {
                    self.reason = Some(reason);
                    return Err(Ending::Final);
                }
                Outcome::Retryable { reason, retry_after } => {
                    self.may_have_arrived |= was_sent && reason.may_have_arrived();
                    self.keep(reason, limit < schedule.attempt_timeout);
                    retry_after
                }
            };
            let Some((policy, waits)) = &mut waits else { return Err(Ending::Single) };
            let left = schedule.deadline.saturating_sub(self.started.elapsed());
            let wait = next_wait(waits.next(), retry_after, left, policy.initial())?;
            self.announce(wait);
            sleep(wait).await;
        }
    }

    /// All samples of a push are newer than what was sent before. If a receiver has some that are not older, they are
    /// those of an attempt whose answer got lost.
    fn has_arrived(&self, refusal: &Reason) -> bool {
        let is_timed = self.client.gateway().format() == Format::RemoteWrite;
        is_timed && self.may_have_arrived && refusal.is_behind()
    }

    /// An attempt that the deadline has cut short says less than the one before it.
    fn keep(&mut self, reason: Reason, cut_short: bool) {
        if self.reason.is_none() || !(cut_short && matches!(reason, Reason::Timeout { .. })) {
            self.reason = Some(reason);
        }
    }

    async fn attempt(&mut self, body: &Body, limit: Duration) -> (Outcome, bool) {
        self.attempts = self.attempts.saturating_add(1);
        let begun = Instant::now();
        let (outcome, was_sent) = self.client.attempt_and_tell(body, limit).await;
        let (result, status, error) = match &outcome {
            Outcome::Delivered { status } => ("delivered", Some(*status), None),
            Outcome::Retryable { reason, .. } => ("retryable", status(reason), Some(reason)),
            Outcome::Final { reason } => ("final", status(reason), Some(reason)),
        };
        debug!(
            gateway = self.client.gateway().name(),
            attempt = self.attempts,
            result,
            status,
            error = error.map(tracing::field::display),
            bytes = body.bytes().len(),
            elapsed = %human(begun.elapsed()),
            "push attempt"
        );
        (outcome, was_sent)
    }

    fn announce(&self, wait: Duration) {
        warn!(
            gateway = self.client.gateway().name(),
            attempt = self.attempts,
            error = self.reason.as_ref().map(tracing::field::display),
            wait = %human(wait),
            "push retry"
        );
    }

    fn close(self, end: Result<(), Ending>) -> Delivery {
        let Self { client, started, attempts, reason, may_have_arrived: _ } = self;
        let elapsed = started.elapsed();
        let result = end.map_err(|ending| Undelivered {
            gateway: client.gateway().name().to_owned(),
            url: client.gateway().url().to_string(),
            format: client.gateway().format(),
            attempts,
            elapsed,
            ending,
            reason,
        });
        Delivery { attempts, elapsed, result }
    }
}

/// How long to wait before the next attempt, or why there is none.
///
/// A gateway's wish is a minimum, and one that reaches past the deadline ends the delivery at once: nothing could
/// be sent in time. Our own wait is folded into what is left instead, so that the time is used to its end; with
/// less than the shortest interval left, that end has come.
pub(super) fn next_wait(
    own: Duration,
    retry_after: Option<Duration>,
    left: Duration,
    shortest: Duration,
) -> Result<Duration, Ending> {
    let asked = retry_after.unwrap_or_default();
    if asked >= left && !asked.is_zero() {
        return Err(Ending::RetryAfter(asked));
    }
    let wait = own.max(asked);
    if wait < left {
        return Ok(wait);
    }
    if left < shortest {
        return Err(Ending::Deadline);
    }
    let folded = Duration::from_secs_f64(wait.as_secs_f64() % left.as_secs_f64());
    Ok(folded.max(asked))
}

fn status(reason: &Reason) -> Option<u16> {
    match reason {
        Reason::Status { code, .. } => Some(*code),
        Reason::Connect { .. }
        | Reason::Tls { .. }
        | Reason::Timeout { .. }
        | Reason::Ahead { .. }
        | Reason::Transport { .. }
        | Reason::Garbage { .. } => None,
    }
}
