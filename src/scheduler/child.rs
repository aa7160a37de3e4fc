//! A batch as a process of its own: what brings it down ends one night, and not the schedule.

use crate::batch;
use crate::config::Environment;
use crate::exit::Exit;
use crate::units::{Timestamp, seconds};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is our own business with the service manager, and not the batch's.
const PRIVATE: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// How batches are started: this very program, with what was said to us.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The config file, as it was named.
    pub config: PathBuf,
    /// What the config takes from our surroundings.
    pub environment: Environment,
    /// Options that go on to each batch.
    pub options: Vec<String>,
}

/// A batch that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: Pid,
    pub(super) since: Timestamp,
    begun: Instant,
    /// How long it may take to come to an end once it is asked to.
    pub(super) shutdown_timeout: Duration,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Code(i32),
    /// By a signal, such as the one of the out-of-memory killer.
    Killed(i32),
}

impl Running {
    /// Starts a batch that reads `text` as the config, in place of the file, which may have changed since.
    pub(super) fn start(
        launch: &Launch,
        text: &str,
        shutdown_timeout: Duration,
    ) -> io::Result<Self> {
        let mut config = File::from(memfd_create("agent.toml", MemfdFlags::CLOEXEC)?);
        config.write_all(text.as_bytes())?;
        config.rewind()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("mutation-agent").arg("--config").arg(&launch.config).args(&launch.options);
        command.args(["run", "--config-on-stdin"]).stdin(Stdio::from(config));
        // A terminal's Ctrl-C is for us to pass on; two signals at once would ask a batch to leave unsealed.
        command.process_group(0);
        for name in PRIVATE {
            command.env_remove(name);
        }
        let child = command.spawn()?;
        Ok(Self {
            pid: Pid::from_child(&child),
            since: batch::now(),
            begun: Instant::now(),
            shutdown_timeout,
        })
    }

    /// Passes a signal on. It is not reaped yet, so the number is still its own.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Says what became of it.
    pub(super) fn tell(&self, end: End) {
        let took = seconds(self.begun.elapsed().as_secs_f64());
        match end {
            End::Code(0) => tracing::info!(%end, took, "the batch's process has ended"),
            End::Code(_) | End::Killed(_) => {
                tracing::warn!(%end, took, "the batch's process has ended");
            }
        }
    }
}

impl End {
    /// How we end after a batch that we asked to come to its end for `signal`.
    pub(super) fn exit(self, signal: batch::Signal) -> Exit {
        match self {
            // Asked to stop, and done so.
            Self::Code(code) if code == i32::from(signal.exit().code()) => Exit::Done,
            Self::Code(code) => Exit::from_code(code).unwrap_or(Exit::Internal),
            Self::Killed(_) => signal.exit(),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// Takes whatever has ended: the batch, and as the first process of a container what nobody else would.
pub(super) fn reap(batch: Option<Pid>) -> Option<End> {
    let mut end = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if Some(pid) == batch {
            end = ended(status);
        }
    }
    end
}

fn ended(status: WaitStatus) -> Option<End> {
    status.exit_status().map(End::Code).or_else(|| status.terminating_signal().map(End::Killed))
}
