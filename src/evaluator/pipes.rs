//! Both directions of a pipe that cuts lines up as it likes and may be full.

use std::os::fd::{AsFd, BorrowedFd};

/// Lines as they come in. What was taken stays until more comes in: lines come by the thousand, and a move for each
/// would cost more with each that waits.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    taken: usize,
}

impl Lines {
    /// Takes in what was read.
    pub(super) fn extend(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Bytes that were not taken.
    pub(super) const fn len(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// The next line with its end, if it has come in whole.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let rest = &self.buffer[self.taken..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..=end].to_vec();
        self.taken += line.len();
        Some(line)
    }
}

/// The end that is written to, which never blocks: what does not fit is kept. Whoever uses it bounds what it puts in.
#[derive(Debug)]
pub(super) struct Outbox<P> {
    /// `None` where there is nobody who reads.
    pipe: Option<P>,
    bytes: Vec<u8>,
    sent: usize,
}

impl<P: AsFd> Outbox<P> {
    /// For the end of a pipe that is ours alone.
    pub(super) fn new(pipe: Option<P>) -> rustix::io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe, bytes: Vec::new(), sent: 0 })
    }

    /// Sends bytes after those that are not sent yet.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.send();
    }

    /// Writes as much as is taken now.
    pub(super) fn send(&mut self) {
        while let Some(pipe) = &self.pipe
            && self.is_unsent()
        {
            match rustix::io::write(pipe, &self.bytes[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                // It reads no more. What it has to say about that is on its other pipes.
                Err(_) => self.close(),
            }
        }
        // Moved seldom: a reader that takes little by little would make it dear.
        if 2 * self.sent >= self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Whether something waits for its reader.
    pub(super) const fn is_unsent(&self) -> bool {
        self.sent < self.bytes.len()
    }

    /// What to wait for until more can be sent, where something waits.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| self.is_unsent()).map(AsFd::as_fd)
    }

    /// Whether there is still somebody who reads, as far as is known.
    pub(super) const fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Nothing more is sent.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.bytes = Vec::new();
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut_up(
            text in "[ab\n]{0,60}", cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let (mut lines, mut found, mut from) = (Lines::default(), Vec::new(), 0);
            for cut in cuts.into_iter().chain([text.len()]) {
                lines.extend(&text.as_bytes()[from..cut]);
                from = cut;
                found.extend(std::iter::from_fn(|| lines.next()));
            }
            prop_assert_eq!(found.concat().len() + lines.len(), text.len());
            prop_assert!(found.iter().all(|line| line.iter().position(|byte| *byte == b'\n') == Some(line.len() - 1)));
            prop_assert_eq!(found.len(), text.matches('\n').count());
            prop_assert!(text.as_bytes().starts_with(&found.concat()));
        }
    }

    #[test]
    fn what_a_full_pipe_does_not_take_is_sent_later() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut outbox = Outbox::new(Some(writer)).unwrap();
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        bytes.chunks(1000).for_each(|chunk| outbox.put(chunk));
        assert!(outbox.is_unsent() && outbox.fd().is_some());
        let mut read = Vec::new();
        while read.len() < bytes.len() {
            let mut chunk = [0; 10_000];
            let length = reader.read(&mut chunk).unwrap();
            read.extend_from_slice(&chunk[..length]);
            outbox.send();
        }
        assert_eq!(read, bytes);
        assert!(!outbox.is_unsent() && outbox.fd().is_none());
        drop(reader);
        outbox.put(b"x");
        assert!(!outbox.is_open() && !outbox.is_unsent());
    }
}
