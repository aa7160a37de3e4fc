//! The digest of a journal while it grows. It takes as long as all the rest of recording a mutation, and so is made on
//! a core of its own where there is one.

use super::midstates::Midstates;
use crate::units::{Digest, Hasher};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Blocks that may wait to be hashed; whoever writes faster than that waits as well.
const WAITING: usize = 4;

/// Takes whole blocks of what was written, in order.
#[derive(Debug)]
pub(super) enum Digester {
    /// By whoever writes: nothing yet that were worth a thread, or no core for it.
    Here(Digesting),
    /// By a thread beside.
    Beside(Beside),
}

/// The digest, and where its midstates are noted.
#[derive(Clone, Debug, Default)]
pub(super) struct Digesting {
    hasher: Hasher,
    midstates: Option<Midstates>,
}

impl Digesting {
    fn take(&mut self, block: &mut Vec<u8>) {
        self.hasher.update(block);
        if let Some(midstates) = &mut self.midstates {
            midstates.note(&self.hasher);
        }
        block.clear();
    }
}

/// The thread, and the blocks on their way to it and back.
#[derive(Debug)]
pub(super) struct Beside {
    blocks: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Digesting>,
}

impl Default for Digester {
    fn default() -> Self {
        Self::Here(Digesting::default())
    }
}

impl Digester {
    /// Of nothing yet; with a place for its midstates, if it has one.
    pub(super) fn new(midstates: Option<Midstates>) -> Self {
        Self::Here(Digesting { hasher: Hasher::default(), midstates })
    }

    /// Takes a block in, and gives an empty one back.
    pub(super) fn take(&mut self, mut block: Vec<u8>) -> Vec<u8> {
        if let Self::Here(digesting) = self
            && thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
            && let Some(beside) = Beside::start(digesting.clone())
        {
            *self = Self::Beside(beside);
        }
        match self {
            Self::Here(digesting) => {
                digesting.take(&mut block);
                block
            }
            Self::Beside(beside) => beside.take(block),
        }
    }

    /// The digest of all blocks, and of `rest` after them.
    pub(super) fn finish(&mut self, rest: &[u8]) -> Digest {
        let digesting = match std::mem::take(self) {
            Self::Here(digesting) => digesting,
            Self::Beside(beside) => beside.finish(),
        };
        let mut hasher = digesting.hasher.clone();
        *self = Self::Here(digesting);
        hasher.update(rest);
        hasher.finish()
    }
}

impl Beside {
    /// `None` where no thread is to be had.
    fn start(mut digesting: Digesting) -> Option<Self> {
        let (blocks, to_hash) = sync_channel::<Vec<u8>>(WAITING);
        let (emptied, empty) = sync_channel(WAITING + 1);
        let work = move || {
            for mut block in to_hash {
                digesting.take(&mut block);
                // There may be enough of them, and nobody who takes it.
                let _ = emptied.try_send(block);
            }
            digesting
        };
        let thread = thread::Builder::new().name("digest".to_owned()).spawn(work).ok()?;
        Some(Self { blocks, empty, thread })
    }

    fn take(&self, block: Vec<u8>) -> Vec<u8> {
        let capacity = block.capacity();
        // It ends with us, and not before.
        drop(self.blocks.send(block));
        self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(capacity))
    }

    fn finish(self) -> Digesting {
        drop(self.blocks);
        match self.thread.join() {
            Ok(digesting) => digesting,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_blocks_has_the_digest_of_all_of_them() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for blocks in [0, 1, 2, 3, 50] {
            let mut digester = Digester::default();
            let (taken, rest) = bytes.split_at(blocks * 100);
            for block in taken.chunks(100) {
                assert_eq!(digester.take(block.to_vec()), b"", "an empty one comes back");
            }
            assert_eq!(digester.finish(rest), Digest::of(&bytes));
            assert_eq!(digester.finish(rest), Digest::of(&bytes), "asked again");
            digester.take(b"more".to_vec());
            assert_eq!(digester.finish(b""), Digest::of(&[taken, b"more"].concat()));
        }
    }
}
