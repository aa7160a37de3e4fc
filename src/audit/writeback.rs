//! A long journal goes to the disk while the batch goes on, so that the sync at the end of a round finds little to do.

use std::fs::File;
use std::io;
use std::thread::{self, JoinHandle};

/// So many bytes wait in memory before they are worth a sync of their own.
const STEP: u64 = 16 << 20;

/// The sync that is under way beside the batch, if there is one.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    /// How long the file was when it began.
    begun: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Writeback {
    /// Begins a sync where the file has grown by enough, and the one before is over; its error is given here.
    pub(super) fn grown(&mut self, file: &File, length: u64) -> io::Result<()> {
        let busy = self.running.as_ref().is_some_and(|sync| !sync.is_finished());
        if busy || length.saturating_sub(self.begun) < STEP {
            return Ok(());
        }
        self.wait()?;
        self.begun = length;
        // Without a thread the sync at the end of the round does all of it.
        if let Ok(file) = file.try_clone() {
            let sync = thread::Builder::new().name("writeback".to_owned());
            self.running = sync.spawn(move || file.sync_data()).ok();
        }
        Ok(())
    }

    /// Waits for the sync that is under way. The kernel tells an error once, so whoever asks must heed it.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    /// What cannot be synced.
    fn pipe() -> (io::PipeReader, File) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, File::from(OwnedFd::from(writer)))
    }

    #[test]
    fn a_sync_begins_after_each_step_and_not_before() {
        let file = tempfile::tempfile().unwrap();
        let mut writeback = Writeback::default();
        writeback.grown(&file, STEP - 1).unwrap();
        assert!(writeback.running.is_none());
        writeback.grown(&file, STEP).unwrap();
        assert!(writeback.running.is_some());
        writeback.wait().unwrap();
        writeback.grown(&file, 2 * STEP - 1).unwrap();
        assert!(writeback.running.is_none());
        writeback.grown(&file, 2 * STEP).unwrap();
        assert!(writeback.running.is_some());
    }

    #[test]
    fn the_error_of_a_sync_is_given_once_whoever_looks_next() {
        let (_reader, file) = pipe();
        let mut writeback = Writeback::default();
        writeback.grown(&file, STEP).unwrap();
        assert_eq!(writeback.wait().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        writeback.wait().unwrap();

        writeback.grown(&file, 2 * STEP).unwrap();
        while !writeback.running.as_ref().unwrap().is_finished() {
            thread::yield_now();
        }
        writeback.grown(&file, 3 * STEP).unwrap_err();
    }
}
