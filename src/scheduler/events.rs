//! What wakes the schedule.

use crate::batch::{Signal, SignalStream, listen_to, received};
use std::io;
use std::time::Duration;
use tokio::signal::unix::SignalKind;

/// Why we are awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The time is over, or a process below us has ended: look at all of it again.
    Look,
    /// We are to stop.
    Stop(Signal),
    /// The config is to be read again.
    Reload,
}

/// Signals that we hear. Where one was ignored when we were started (`nohup`), it stays so.
#[derive(Debug)]
pub(super) struct Events {
    terminations: Option<SignalStream>,
    interrupts: Option<SignalStream>,
    hang_ups: Option<SignalStream>,
    children: Option<SignalStream>,
}

impl Events {
    /// Listens from now on; within a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminations: listen_to(SignalKind::terminate())?,
            interrupts: listen_to(SignalKind::interrupt())?,
            hang_ups: listen_to(SignalKind::hangup())?,
            children: Some(tokio::signal::unix::signal(SignalKind::child())?),
        })
    }

    /// The next event, after `patience` at the latest.
    pub(super) async fn next(&mut self, patience: Duration) -> Event {
        tokio::select! {
            biased;
            () = received(&mut self.terminations) => Event::Stop(Signal::Terminate),
            () = received(&mut self.interrupts) => Event::Stop(Signal::Interrupt),
            () = received(&mut self.hang_ups) => Event::Reload,
            () = received(&mut self.children) => Event::Look,
            () = tokio::time::sleep(patience) => Event::Look,
        }
    }
}
