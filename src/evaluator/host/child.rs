//! An evaluator's process as its host holds it: what it writes is taken in, and nothing of it outlives its end.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::pipes::Outbox;
use super::super::processes::{cpu_time, descendants, signal_each};
use super::super::protocol::GRACE;
use super::super::wait::wait;
use super::agent::Agent;
use super::capture::{Output, Tail};
use super::limits::Limits;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process_group, pidfd_open, waitpid,
};

/// How often we look whether those that were asked to end have.
const LOOK: Duration = Duration::from_millis(10);

/// How long the kernel may take to end what was killed, before it is left to it.
const REAPING: Duration = Duration::from_secs(5);

/// A process that leads a group of its own.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// Says when it has ended.
    handle: OwnedFd,
    ended: bool,
    /// How, once it is reaped; its number may then be another's.
    status: Option<WaitStatus>,
    /// Where requests go.
    pub(super) input: Outbox<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    /// What it wrote.
    pub(super) written: Output,
    /// The end of what it wrote to standard error.
    pub(super) tail: Tail,
    /// Whether its processor time is limited.
    timed: bool,
    chunk: Vec<u8>,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` where even SIGKILL has not ended it.
    pub(super) status: Option<WaitStatus>,
    /// The processor time of its first process, where that is limited.
    pub(super) cpu: Duration,
    /// What it wrote.
    pub(super) written: Output,
    /// The end of what it wrote to standard error.
    pub(super) tail: Tail,
}

/// What can be waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Agent,
    End,
    Input,
    Output,
    Errors,
}

impl Child {
    /// Starts a command. It reads lines from us, or nothing.
    pub(super) fn start(
        command: &mut Command,
        limits: Limits,
        written: Output,
        fed: bool,
    ) -> io::Result<Self> {
        command.stdin(if fed { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = limits.start(|| command.spawn())?;
        let pid = Pid::from_child(&child);
        limits.put_upon(pid);
        // One that does not read must not hold us.
        let input = Outbox::new(child.stdin.take());
        let opened = input.and_then(|input| Ok((input, pidfd_open(pid, PidfdFlags::empty())?)));
        let (input, handle) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error.into());
            }
        };
        Ok(Self {
            pid,
            handle,
            ended: false,
            status: None,
            input,
            output: child.stdout.take(),
            errors: child.stderr.take(),
            written,
            tail: Tail::default(),
            timed: limits.cpu.is_some(),
            chunk: vec![0; 64 * 1024],
        })
    }

    /// Its number.
    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended, or can answer no more.
    pub(super) const fn is_through(&self) -> bool {
        self.ended || self.output.is_none()
    }

    /// Whether it has ended.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Waits until something happens or `until`, and takes it in: what the agent says, what the process writes, its
    /// end, and that it reads more of what it is told.
    pub(super) fn attend(&mut self, agent: &mut Agent, until: Option<Instant>) {
        let mut sources = Vec::with_capacity(5);
        let mut fds = Vec::with_capacity(5);
        let mut add = |source, fd: Option<_>, flags| {
            if let Some(fd) = fd {
                sources.push(source);
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            }
        };
        add(Source::Agent, agent.fd(), PollFlags::IN);
        add(Source::End, (!self.ended).then(|| self.handle.as_fd()), PollFlags::IN);
        let output = self.output.as_ref().filter(|_| !self.written.is_full());
        add(Source::Output, output.map(|fd| fd.as_fd()), PollFlags::IN);
        add(Source::Errors, self.errors.as_ref().map(|fd| fd.as_fd()), PollFlags::IN);
        add(Source::Input, self.input.fd(), PollFlags::OUT);
        wait(&mut fds, until);
        let ready = sources.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        let ready: Vec<Source> = ready.map(|(source, _)| *source).collect();
        drop(fds);
        if ready.contains(&Source::Agent) {
            agent.take_in();
        }
        self.ended |= ready.contains(&Source::End);
        self.take_in(&ready);
        if ready.contains(&Source::Input) {
            self.input.send();
        }
    }

    fn take_in(&mut self, ready: &[Source]) {
        if ready.contains(&Source::Output)
            && let Some(read) = read(&mut self.output, &mut self.chunk)
        {
            self.written.take(&self.chunk[..read]);
        }
        if ready.contains(&Source::Errors)
            && let Some(read) = read(&mut self.errors, &mut self.chunk)
        {
            self.tail.take(&self.chunk[..read]);
        }
    }

    /// Takes in what stands in its pipes, without waiting for more; whether that was anything.
    pub(super) fn drain(&mut self) -> bool {
        let mut is_any = false;
        loop {
            let mut sources = Vec::with_capacity(2);
            let mut fds = Vec::with_capacity(2);
            if let Some(fd) = self.output.as_ref().filter(|_| !self.written.is_full()) {
                sources.push(Source::Output);
                fds.push(PollFd::new(fd, PollFlags::IN));
            }
            if let Some(fd) = &self.errors {
                sources.push(Source::Errors);
                fds.push(PollFd::new(fd, PollFlags::IN));
            }
            if fds.is_empty() {
                return is_any;
            }
            wait(&mut fds, Some(Instant::now()));
            let ready = sources.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
            let ready: Vec<Source> = ready.map(|(source, _)| *source).collect();
            drop(fds);
            if ready.is_empty() {
                return is_any;
            }
            is_any = true;
            self.take_in(&ready);
        }
    }

    /// Asks all that descends from us to end, and gives it a short grace.
    pub(super) fn terminate(&mut self, agent: &mut Agent) {
        self.signal_group(Signal::TERM);
        let group = self.pid.as_raw_nonzero().get();
        let mut others = family();
        others.retain(|one| one.group != group);
        signal_each(&others, Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !family().is_empty() {
            self.attend(agent, Some((Instant::now() + LOOK).min(until)));
        }
    }

    /// Reaps the orphans that have ended below it while it goes on.
    pub(super) fn reap_orphans(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                self.ended = true;
                self.status = Some(status);
            }
        }
    }

    fn signal_group(&self, signal: Signal) {
        // Not reaped yet, the number of its group is still its own.
        if self.status.is_none() {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Ends whatever is left of it, and says how its first process had ended.
    pub(super) fn finish(mut self) -> Ended {
        self.signal_group(Signal::KILL);
        self.input.close();
        let until = Instant::now() + REAPING;
        while !self.ended && Instant::now() < until {
            let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
            wait(&mut fds, Some(until));
            self.ended = !fds[0].revents().is_empty();
        }
        let cpu = self.timed.then(|| cpu_time(self.pid.as_raw_nonzero().get())).flatten();
        let cpu = cpu.unwrap_or_default();
        if self.status.is_none()
            && let Ok(Some((_, status))) = waitpid(Some(self.pid), WaitOptions::NOHANG)
        {
            self.status = Some(status);
        }
        clear(until);
        self.drain();
        Ended { status: self.status, cpu, written: self.written, tail: self.tail }
    }
}

/// All that descends from us.
fn family() -> Vec<super::super::processes::Process> {
    descendants(std::process::id().cast_signed())
}

/// Ends all that may still descend from us.
pub(super) fn end_all() {
    clear(Instant::now() + REAPING);
}

/// Kills and reaps all that descends from us: every orphan below us has become our child.
fn clear(until: Instant) {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            // No children, so no descendants.
            Err(_) => return,
            Ok(None) => {
                signal_each(&family(), Signal::KILL);
                if Instant::now() >= until {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Reads once; closes a pipe that has come to its end.
fn read<R: Read>(pipe: &mut Option<R>, chunk: &mut [u8]) -> Option<usize> {
    match pipe.as_mut()?.read(chunk) {
        Ok(read) if read > 0 => Some(read),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
        Ok(_) | Err(_) => {
            *pipe = None;
            None
        }
    }
}
