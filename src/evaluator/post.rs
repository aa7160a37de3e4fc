//! The agent's end of one host: its pipes, the jobs that it has, and its end.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::job::Answer;
use super::pipes::{Lines, Outbox};
use super::processes::{belonging, signal_each};
use super::protocol::{Assignment, MARK, Order, Report, mark};
use super::wait::wait;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
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

/// A host, and the jobs that it has.
#[derive(Debug)]
pub(super) struct Post {
    child: Child,
    /// Says when the host has ended.
    ended: OwnedFd,
    /// Closing it ends the host.
    orders: Outbox<ChildStdin>,
    /// Closed before it is waited for: what it would still say must not hold it.
    reports: Option<ChildStdout>,
    lines: Lines,
    chunk: Vec<u8>,
    ready: bool,
    /// By number, since when.
    jobs: HashMap<u64, Instant>,
    /// The last answer, or when there were no jobs before the ones that it has.
    heard: Instant,
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
        let orders = Outbox::new(child.stdin.take())?;
        let reports = Some(child.stdout.take().ok_or_else(gone)?);
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let mut post = Self {
            child,
            ended,
            orders,
            reports,
            lines: Lines::default(),
            chunk: vec![0; 16 * 1024],
            ready: false,
            jobs: HashMap::new(),
            heard: Instant::now(),
        };
        post.write(assignment);
        Ok(post)
    }

    /// The jobs that it has.
    pub(super) fn in_flight(&self) -> usize {
        self.jobs.len()
    }

    /// Whether it ever understood what it is for.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    /// Where it reports, as long as it has jobs.
    pub(super) fn reports(&self) -> Option<BorrowedFd<'_>> {
        self.reports.as_ref().filter(|_| !self.jobs.is_empty()).map(|fd| fd.as_fd())
    }

    /// Where it reads, as long as it has not read all.
    pub(super) fn orders(&self) -> Option<BorrowedFd<'_>> {
        self.orders.fd()
    }

    /// Sends what it has not read.
    pub(super) fn send(&mut self) {
        self.orders.send();
    }

    /// Since when it has not answered, if it has jobs.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        (!self.jobs.is_empty()).then_some(self.heard)
    }

    /// Gives it a job; false if it has ended since its last one.
    pub(super) fn give(&mut self, order: &Order) -> bool {
        let now = Instant::now();
        self.write(order);
        // One that never came up shows that where it is read.
        if !self.orders.is_open() && self.ready {
            return false;
        }
        if self.jobs.is_empty() {
            self.heard = now;
        }
        self.jobs.insert(order.number, now);
        true
    }

    fn write(&mut self, line: &impl serde::Serialize) {
        let Ok(mut line) = serde_json::to_vec(line) else { return };
        line.push(b'\n');
        // A host that cannot be written to has ended, which shows where it is read.
        self.orders.put(&line);
    }

    /// Takes in what it said; false when it has ended. Called where there is something to read.
    pub(super) fn read(&mut self, answers: &mut VecDeque<Answer>) -> bool {
        let Some(reports) = &mut self.reports else { return false };
        match reports.read(&mut self.chunk) {
            Ok(0) => return false,
            Ok(read) => self.lines.extend(&self.chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(_) => return false,
        }
        while let Some(line) = self.lines.next() {
            match serde_json::from_slice(&line) {
                Ok(Report::Ready) => self.ready = true,
                Ok(Report::Done { number, took, verdict })
                    if self.jobs.remove(&number).is_some() =>
                {
                    self.heard = Instant::now();
                    answers.push_back(Answer { number, took, verdict });
                }
                // Not ours, or not us.
                Ok(Report::Done { .. }) | Err(_) => return false,
            }
        }
        true
    }

    /// Lets it end by itself.
    pub(super) fn dismiss(&mut self) {
        self.orders.close();
        self.reports = None;
    }

    /// Takes out the jobs that it has, in their order, and for how long.
    pub(super) fn take_jobs(&mut self) -> Vec<(u64, Duration)> {
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        let mut jobs: Vec<_> = jobs.map(|(number, at)| (number, at.elapsed())).collect();
        jobs.sort_unstable();
        jobs
    }

    /// Kills it and whatever is left below it, and says how it ended.
    pub(super) fn bury(mut self, batch_id: &str) -> String {
        self.dismiss();
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
