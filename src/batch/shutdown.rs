//! SIGTERM and SIGINT: the first asks the batch to come to an end, the second does not ask.

use crate::exit::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What asked us to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: someone pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: a service manager.
    Terminate,
}

impl Signal {
    /// How the process ends for it.
    pub const fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// Whether we were asked to stop. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// 0, or the exit code; read once per mutation.
    asked: Arc<AtomicU8>,
    wake: watch::Receiver<Option<Signal>>,
}

impl Shutdown {
    /// Listens from now on. Once asked, the process leaves within `timeout`, whatever it is at:
    /// what it could not finish, the next start recovers.
    pub fn listen(runtime: &Handle, timeout: Duration) -> std::io::Result<Self> {
        let _entered = runtime.enter();
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let (waker, wake) = watch::channel(None);
        let asked = Arc::new(AtomicU8::new(0));
        let flag = Arc::clone(&asked);
        runtime.spawn(async move {
            loop {
                let signal = tokio::select! {
                    _ = interrupts.recv() => Signal::Interrupt,
                    _ = terminations.recv() => Signal::Terminate,
                };
                if flag.swap(signal.exit().code(), Ordering::SeqCst) != 0 {
                    tracing::warn!("second signal: leaving at once; the next start recovers");
                    leave(signal);
                }
                tracing::warn!(?signal, "asked to stop: sealing what is on record");
                waker.send_replace(Some(signal));
                tokio::spawn(async move {
                    tokio::time::sleep(timeout).await;
                    tracing::error!("shutdown_timeout is over: leaving; the next start recovers");
                    leave(signal);
                });
            }
        });
        Ok(Self { asked, wake })
    }

    /// The signal, if there was one.
    pub fn asked(&self) -> Option<Signal> {
        match self.asked.load(Ordering::Relaxed) {
            0 => None,
            code if code == Exit::Interrupted.code() => Some(Signal::Interrupt),
            _ => Some(Signal::Terminate),
        }
    }

    /// Ready when we were asked.
    pub async fn wait(&self) {
        let mut wake = self.wake.clone();
        // The sender lives as long as the runtime that this runs on.
        let _ = wake.wait_for(Option::is_some).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "leaving at once is what a second signal is for")]
fn leave(signal: Signal) -> ! {
    std::process::exit(signal.exit().code().into())
}
