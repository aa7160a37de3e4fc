//! A batch's audit file while it is open: whole lines, appended, and only what is written counts.

use super::Folder;
use super::digester::Digester;
use super::line::LineWriter;
use super::midstates::Midstates;
use super::writeback::Writeback;
use crate::disk::{self, DiskError, Mode};
use crate::record::Record;
use crate::units::{BatchId, Digest};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// So many bytes are digested together, and written where no fewer are asked for: more would save nothing.
const BLOCK: usize = 512 * 1024;

/// An open journal. After an error it takes no more records: see [`Journal::cut_back`].
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    writer: LineWriter,
    /// What is not digested yet; the first `flushed` bytes are in the file.
    buffer: Vec<u8>,
    flushed: usize,
    /// Records after them.
    buffered: usize,
    /// How many records wait in memory at the most.
    limit: usize,
    /// Bytes in the file, whole lines only.
    written: u64,
    digester: Digester,
    writeback: Writeback,
    unsynced: bool,
}

/// What stands in a journal that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEnd {
    /// Length in bytes.
    pub bytes: u64,
    /// Digest of all of them.
    pub sha256: Digest,
}

impl Journal {
    /// Creates the batch's journal, which must not be there; `limit` (at least 1) records are
    /// kept in memory before they are written together. At `midstates`, if anywhere, it notes how far it is hashed.
    pub fn create(
        folder: &Folder,
        id: &BatchId,
        limit: usize,
        midstates: Option<PathBuf>,
    ) -> Result<Self, DiskError> {
        let path = folder.open_journal(id);
        let file = disk::create_new(&path, Mode::Private)?;
        // Beside the lock of the folder, whose file somebody could remove. Without locks (an odd
        // file system) that one alone has to do.
        let _ = file.try_lock();
        if let Err(error) = disk::sync_folder(folder.path()) {
            // What is left would be taken for a batch that crashed.
            let _ = disk::remove_if_there(&path);
            return Err(error);
        }
        Ok(Self {
            path,
            file,
            writer: LineWriter::new(),
            buffer: Vec::with_capacity(BLOCK + BLOCK / 8),
            flushed: 0,
            buffered: 0,
            limit: limit.max(1),
            written: 0,
            digester: Digester::new(midstates.map(|path| Midstates::new(path, id.clone()))),
            writeback: Writeback::default(),
            unsynced: false,
        })
    }

    /// Adds a record; it is written at once or with the ones after it. `target` is a small number
    /// of the caller's: records with the same one, in the same round, have strategy, line,
    /// parameter and operator in common.
    pub fn append(&mut self, record: &Record<'_>, target: usize) -> Result<(), DiskError> {
        self.writer.write(record, target, &mut self.buffer);
        self.buffered += 1;
        if self.buffered >= self.limit || self.buffer.len() >= BLOCK {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Adds a record that has nothing in common with others.
    pub fn append_alone(&mut self, record: &Record<'_>) -> Result<(), DiskError> {
        self.writer.forget();
        self.append(record, 0)
    }

    /// Whether records wait in memory.
    pub const fn has_buffered(&self) -> bool {
        self.buffered > 0
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        let waiting = &self.buffer[self.flushed..];
        if waiting.is_empty() {
            return Ok(());
        }
        // `write_all` goes on after a short write, so a full disk is seen as an error.
        self.file.write_all(waiting).map_err(DiskError::new("write", &self.path))?;
        self.written += waiting.len() as u64;
        self.flushed = self.buffer.len();
        self.buffered = 0;
        self.unsynced = true;
        if self.flushed >= BLOCK {
            self.buffer = self.digester.take(std::mem::take(&mut self.buffer));
            self.flushed = 0;
        }
        let grown = self.writeback.grown(&self.file, self.written);
        grown.map_err(DiskError::new(disk::SYNC, &self.path))
    }

    /// Writes what waits and makes all of it lasting.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.flush()?;
        if self.unsynced {
            let synced = self.writeback.wait().and_then(|()| self.file.sync_data());
            synced.map_err(DiskError::new(disk::SYNC, &self.path))?;
            self.unsynced = false;
        }
        self.is_untouched()
    }

    /// Whether it is still the file that we made, under its name alone, and as long as what we wrote.
    ///
    /// Otherwise nobody knows what stands in it: it must not be sealed, and what is under its name
    /// may be somebody else's.
    pub fn is_untouched(&self) -> Result<(), DiskError> {
        let ours = self.file.metadata().map_err(DiskError::new("look at", &self.path))?;
        let (length, written) = (ours.len(), self.written);
        let what = match self.path.symlink_metadata() {
            Ok(there) if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) => {
                "another file was put in its place".to_owned()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && ours.nlink() == 0 => {
                "it was deleted".to_owned()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => "it was moved away".to_owned(),
            Err(error) => return Err(DiskError::new("look at", &self.path)(error)),
            Ok(_) if ours.nlink() != 1 => "it was given another name (a hard link)".to_owned(),
            Ok(_) if length < written => format!("it was cut from {written} bytes to {length}"),
            Ok(_) if length > written => {
                format!("{} bytes were added to it", length - written)
            }
            Ok(_) => return Ok(()),
        };
        let told = format!("{what} while the batch ran, and not by this program");
        Err(DiskError::new(disk::GO_ON, &self.path)(io::Error::other(told)))
    }

    /// After a failed write: cuts the file back to its last whole line and drops what waited.
    pub fn cut_back(&mut self) -> Result<(), DiskError> {
        self.buffer.truncate(self.flushed);
        self.buffered = 0;
        // The kernel tells an error of it once: the sync below would say that all is well.
        self.writeback.wait().map_err(DiskError::new(disk::SYNC, &self.path))?;
        let length = self.file.metadata().map_err(DiskError::new("look at", &self.path))?.len();
        if length > self.written {
            self.file.set_len(self.written).map_err(DiskError::new("cut back", &self.path))?;
        }
        self.file.sync_all().map_err(DiskError::new(disk::SYNC, &self.path))?;
        self.is_untouched()
    }

    /// Where it is.
    pub const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// What stands in it, after everything was synced.
    pub fn end(&mut self) -> Result<JournalEnd, DiskError> {
        self.sync()?;
        Ok(JournalEnd { bytes: self.written, sha256: self.digester.finish(&self.buffer) })
    }
}
