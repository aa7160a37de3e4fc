//! SIGTERM, SIGINT and SIGHUP: the first asks the batch to come to an end, the second does not ask.

use crate::exit::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::runtime::Builder;
pub(crate) use tokio::signal::unix::Signal as SignalStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What asked us to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: someone pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: a service manager.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::HangUp];

    /// How the process ends for it.
    pub const fn exit(self) -> Exit {
        match self {
            Self::HangUp => Exit::HungUp,
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }

    /// To be sent to others.
    pub(crate) const fn to_rustix(self) -> rustix::process::Signal {
        match self {
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Terminate => rustix::process::Signal::TERM,
            Self::HangUp => rustix::process::Signal::HUP,
        }
    }

    const fn kind(self) -> SignalKind {
        match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
            Self::HangUp => SignalKind::hangup(),
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
        let [interrupts, terminations, hang_ups] =
            Signal::ALL.map(|wanted| listen_to(wanted.kind()));
        let (interrupts, terminations, hang_ups) = (interrupts?, terminations?, hang_ups?);
        // A limit on the length of files (ulimit -f) then is an error of the write, and not our end.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        drop(entered);
        let (waker, wake) = watch::channel(None);
        let asked = Arc::new(AtomicU8::new(0));
        let watcher =
            Watcher { interrupts, terminations, hang_ups, asked: Arc::clone(&asked), waker };
        let watch = move || runtime.block_on(watcher.watch(timeout));
        std::thread::Builder::new().name("signals".to_owned()).spawn(watch)?;
        Ok(Self { asked, wake })
    }

    /// The signal, if there was one.
    pub fn asked(&self) -> Option<Signal> {
        match self.asked.load(Ordering::Relaxed) {
            0 => None,
            code => Signal::ALL.into_iter().find(|signal| signal.exit().code() == code),
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
    interrupts: Option<SignalStream>,
    terminations: Option<SignalStream>,
    hang_ups: Option<SignalStream>,
    asked: Arc<AtomicU8>,
    waker: watch::Sender<Option<Signal>>,
}

impl Watcher {
    async fn watch(mut self, timeout: Duration) {
        let signal = self.next().await;
        self.asked.store(signal.exit().code(), Ordering::SeqCst);
        self.waker.send_replace(Some(signal));
        say(move || tracing::warn!(?signal, "asked to stop: coming to an end"));
        let log: fn() = if tokio::time::timeout(timeout, self.next()).await.is_ok() {
            || tracing::warn!("second signal: leaving at once; the next start does the rest")
        } else {
            || tracing::error!("shutdown_timeout is over: leaving; the next start does the rest")
        };
        say(log);
        leave(signal).await;
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            () = received(&mut self.interrupts) => Signal::Interrupt,
            () = received(&mut self.terminations) => Signal::Terminate,
            () = received(&mut self.hang_ups) => Signal::HangUp,
        }
    }
}

/// Listens to a signal, within a runtime. Whoever had it ignored when we were started (nohup, a shell's background job)
/// means it, and a handler would undo that.
pub(crate) fn listen_to(kind: SignalKind) -> std::io::Result<Option<SignalStream>> {
    let listens = ignored() >> (kind.as_raw_value() - 1) & 1 == 0;
    listens.then(|| signal(kind)).transpose()
}

/// Ready at the next signal; never where we do not listen.
pub(crate) async fn received(stream: &mut Option<SignalStream>) {
    match stream {
        Some(stream) => drop(stream.recv().await),
        None => std::future::pending().await,
    }
}

/// The signals that are ignored, as bits from the first signal on (`proc_pid_status(5)`); none where
/// there is no `/proc`.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
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
