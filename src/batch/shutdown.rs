//! SIGTERM and SIGINT: the first asks the batch to come to an end, the second does not ask.

use crate::exit::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
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
    ///
    /// It has a thread of its own, on which nothing ever blocks: not even a log that is not read.
    pub fn listen(timeout: Duration) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let interrupts = signal(SignalKind::interrupt())?;
        let terminations = signal(SignalKind::terminate())?;
        drop(entered);
        let (waker, wake) = watch::channel(None);
        let asked = Arc::new(AtomicU8::new(0));
        let watcher = Watcher { interrupts, terminations, asked: Arc::clone(&asked), waker };
        let watch = move || runtime.block_on(watcher.watch(timeout));
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch)?;
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
        // The sender lives as long as the thread that watches.
        let _ = wake.wait_for(Option::is_some).await;
    }
}

struct Watcher {
    interrupts: SignalStream,
    terminations: SignalStream,
    asked: Arc<AtomicU8>,
    waker: watch::Sender<Option<Signal>>,
}

impl Watcher {
    async fn watch(mut self, timeout: Duration) {
        let signal = self.next().await;
        self.asked.store(signal.exit().code(), Ordering::SeqCst);
        self.waker.send_replace(Some(signal));
        say(move || tracing::warn!(?signal, "asked to stop: sealing what is on record"));
        let log: fn() = if tokio::time::timeout(timeout, self.next()).await.is_ok() {
            || tracing::warn!("second signal: leaving at once; the next start recovers")
        } else {
            || tracing::error!("shutdown_timeout is over: leaving; the next start recovers")
        };
        say(log);
        leave(signal).await;
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupts.recv() => Signal::Interrupt,
            _ = self.terminations.recv() => Signal::Terminate,
        }
    }
}

/// Logs from a thread that may wait for a reader of the log, if there can be one more.
fn say(log: impl FnOnce() + Send + 'static) {
    drop(std::thread::Builder::new().spawn(log));
}

/// A moment for the log line, and no more.
#[expect(clippy::disallowed_methods, reason = "leaving at once is what a second signal is for")]
async fn leave(signal: Signal) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    std::process::exit(signal.exit().code().into())
}
