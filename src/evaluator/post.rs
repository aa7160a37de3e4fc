//! The agent's end of one host: its pipes, the job that it has, and its end.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::job::Answer;
use super::processes::{belonging, signal_each};
use super::protocol::{Assignment, MARK, Order, Report, mark};
use super::wait::wait;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

/// What is the agent's own business with its service manager, and not its evaluators'.
const PRIVATE: [&str; 8] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "CREDENTIALS_DIRECTORY",
];

/// How long what was killed may take to be gone, before it is left to the kernel.
const BURIAL: Duration = Duration::from_secs(5);

/// How long a host that closed its pipe may take to end by itself.
const OWN_END: Duration = Duration::from_millis(100);

/// A host, and the job that it has.
#[derive(Debug)]
pub(super) struct Post {
    child: Child,
    /// Says when the host has ended.
    ended: OwnedFd,
    /// Closing it ends the host.
    orders: Option<ChildStdin>,
    reports: ChildStdout,
    buffer: Vec<u8>,
    ready: bool,
    job: Option<Given>,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    number: u64,
    at: Instant,
    overdue: Option<Instant>,
}

impl Post {
    /// Starts a host in `folder`.
    pub(super) fn open(host: &Path, folder: &Path, assignment: &Assignment) -> io::Result<Self> {
        let mut command = Command::new(host);
        command.arg0("mutation-agent").arg("evaluator-host").current_dir(folder);
        for name in PRIVATE {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let gone = || io::Error::other("its pipes are not there");
        let orders = child.stdin.take().ok_or_else(gone)?;
        let reports = child.stdout.take().ok_or_else(gone)?;
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let mut post = Self {
            child,
            ended,
            orders: Some(orders),
            reports,
            buffer: Vec::new(),
            ready: false,
            job: None,
            answer: None,
        };
        post.write(assignment);
        Ok(post)
    }

    /// Whether it has a job.
    pub(super) const fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Whether it ever understood what it is for.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    /// Where it reports.
    pub(super) const fn reports(&self) -> &ChildStdout {
        &self.reports
    }

    /// When it should have answered, if it has a job.
    pub(super) fn overdue(&self) -> Option<Instant> {
        self.job?.overdue
    }

    /// The job that it has, and for how long.
    pub(super) fn job(&self) -> Option<(u64, Duration)> {
        self.job.map(|job| (job.number, job.at.elapsed()))
    }

    /// The answer that it gave, once.
    pub(super) const fn answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// Gives it a job, to be answered within `patience`; false if it has ended since its last one.
    pub(super) fn send(&mut self, order: &Order, patience: Duration) -> bool {
        let at = Instant::now();
        self.write(order);
        // One that never came up shows that where it is read.
        if self.orders.is_none() && self.ready {
            return false;
        }
        self.job = Some(Given { number: order.number, at, overdue: at.checked_add(patience) });
        true
    }

    fn write(&mut self, line: &impl serde::Serialize) {
        let Ok(mut line) = serde_json::to_vec(line) else { return };
        line.push(b'\n');
        // A host that cannot be written to has ended, which shows where it is read.
        let written = self.orders.as_mut().map(|orders| orders.write_all(&line));
        if !matches!(written, Some(Ok(()))) {
            self.orders = None;
        }
    }

    /// Takes in what it said; false when it has ended. Called where there is something to read.
    pub(super) fn read(&mut self) -> bool {
        let mut chunk = [0; 4 * 1024];
        match self.reports.read(&mut chunk) {
            Ok(0) => return false,
            Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(_) => return false,
        }
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Report::Ready) => self.ready = true,
                Ok(Report::Done { number, took, verdict })
                    if self.job.is_some_and(|job| job.number == number) =>
                {
                    self.job = None;
                    self.answer = Some(Answer { number, took, verdict });
                }
                // Not ours, or not us.
                Ok(Report::Done { .. }) | Err(_) => return false,
            }
        }
        true
    }

    /// Lets it end by itself.
    pub(super) fn dismiss(&mut self) {
        self.orders = None;
    }

    /// Kills it and whatever is left below it, and says how it ended.
    pub(super) fn bury(mut self, batch_id: &str) -> String {
        self.orders = None;
        let until = Instant::now() + BURIAL;
        // One that is ending by itself says how.
        wait_for_ends(std::slice::from_ref(&self), Instant::now() + OWN_END);
        let _ = self.child.kill();
        wait_for_ends(std::slice::from_ref(&self), until);
        let how = match self.child.try_wait() {
            // It has left nothing behind.
            Ok(Some(status)) if status.success() => return status.to_string(),
            Ok(Some(status)) => match status.signal() {
                Some(signal) => format!("killed by signal {signal}"),
                None => status.to_string(),
            },
            Ok(None) | Err(_) => "it cannot be killed".to_owned(),
        };
        let mark = mark(batch_id, self.child.id());
        loop {
            let left = belonging(self.child.id().cast_signed(), MARK, &mark);
            if left.is_empty() || Instant::now() >= until {
                return how;
            }
            signal_each(&left, Signal::KILL);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Waits until all have ended, or `until`.
pub(super) fn wait_for_ends(posts: &[Post], until: Instant) {
    for post in posts {
        loop {
            let mut fds = [PollFd::new(&post.ended, PollFlags::IN)];
            wait(&mut fds, Some(until));
            if !fds[0].revents().is_empty() || Instant::now() >= until {
                break;
            }
        }
    }
}
