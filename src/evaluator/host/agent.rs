//! The host's end of the pipe from the agent.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use super::super::pipes::Lines;
use super::super::wait::wait;
use rustix::event::{PollFd, PollFlags};

/// Orders as they come in, and whether there is anyone who gives them.
#[derive(Debug)]
pub(super) struct Agent {
    input: io::Stdin,
    lines: Lines,
    gone: bool,
}

impl Agent {
    /// On our standard input.
    pub(super) fn new() -> Self {
        Self { input: io::stdin(), lines: Lines::default(), gone: false }
    }

    /// Whether it has dismissed us or has died.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// What to wait for, as long as it is there.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.gone).then(|| self.input.as_fd())
    }

    /// The next order, if it has come in whole.
    pub(super) fn line(&mut self) -> Option<Vec<u8>> {
        self.lines.next()
    }

    /// Reads once, where there is something to read.
    pub(super) fn take_in(&mut self) {
        let mut chunk = [0; 16 * 1024];
        match rustix::io::read(self.input.as_fd(), &mut chunk) {
            Ok(0) => self.gone = true,
            Ok(read) => self.lines.extend(&chunk[..read]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => self.gone = true,
        }
    }

    /// Waits for it to say something or to go, until `until`.
    pub(super) fn attend(&mut self, until: Option<Instant>) {
        let ready = self.fd().is_some_and(|fd| {
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
            wait(&mut fds, until);
            !fds[0].revents().is_empty()
        });
        if ready {
            self.take_in();
        }
    }
}
