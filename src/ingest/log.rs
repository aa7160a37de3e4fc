//! An open log of another program, plain or packed.

use super::{LocalTime, OldRecord, pieces};
use crate::disk::{self, DiskError};
use jiff::tz::TimeZone;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// No log of lines has a longer one: what is read is no log.
const LONGEST_LINE: u64 = 64 << 20;

/// A log that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not readable.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Packed, and not whole.
    #[error("{} is damaged: {source}; unpack what can be saved of it, and give that", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the decoder says.
        source: io::Error,
    },
    /// What was read twice was not the same.
    #[error("{} was written anew while it was read", .0.display())]
    Changed(PathBuf),
    /// A line without end.
    #[error("{}:{line}: the line is longer than 64 MiB: this is no log of lines; if it is a hole that a truncation left, give what `tr -d '\\0'` makes of it", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
    },
}

/// An open log. It stays the same one, whatever becomes of its name.
#[derive(Debug)]
pub struct OldLog {
    path: PathBuf,
    name: String,
    file: File,
    packing: Packing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

impl OldLog {
    /// Opens the regular file that is meant by `path`, where a link leads. How it is packed is told by how it begins.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let failed = |error| DiskError::new("open", path)(error);
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::other("it is a folder; name the logs in it")));
        }
        if !metadata.is_file() {
            let told = "it is no regular file, and a log is read more than once";
            return Err(failed(io::Error::other(told)));
        }
        let target = path.canonicalize().map_err(failed)?;
        let named = |error| DiskError { path: path.to_owned(), ..error };
        let mut file = disk::open(&target).map_err(named)?;
        let mut start = Vec::new();
        file.by_ref().take(4).read_to_end(&mut start).map_err(DiskError::new("read", path))?;
        let packing = match start[..] {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
            _ => Packing::None,
        };
        let name = path.to_string_lossy().into_owned();
        Ok(Self { path: path.to_owned(), name, file, packing })
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same as text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is packed: then it is written once, and does not grow.
    pub const fn is_packed(&self) -> bool {
        !matches!(self.packing, Packing::None)
    }

    /// Its length on disk in bytes.
    pub fn length(&self) -> Result<u64, DiskError> {
        Ok(self.file.metadata().map_err(DiskError::new("look at", &self.path))?.len())
    }

    /// The same unpacked.
    fn unpacked_length(&self) -> Result<u64, LogError> {
        if !self.is_packed() {
            return Ok(self.length()?);
        }
        let (mut lines, mut length) = (self.lines()?, 0);
        while let Some((_, line)) = lines.next()? {
            length += line.len() as u64;
        }
        Ok(length + lines.rest().len() as u64)
    }

    /// Whether `path` is, by now, the name of another file; a name that nothing has yet is none.
    pub fn is_replaced(&self) -> Result<bool, DiskError> {
        let look = DiskError::new("look at", &self.path);
        let ours = self.file.metadata().map_err(look)?;
        Ok(std::fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) != (ours.dev(), ours.ino())))
    }

    /// Whether it has no name any more.
    pub fn is_removed(&self) -> Result<bool, DiskError> {
        let look = DiskError::new("look at", &self.path);
        Ok(self.file.metadata().map_err(look)?.nlink() == 0)
    }

    /// The first record in its lines; with `finished` in the last one too, though it has no newline.
    pub fn first_record(&self, finished: bool) -> Result<Option<OldRecord>, LogError> {
        let mut lines = self.lines()?;
        while let Some((_, line)) = lines.next()? {
            if let Some(record) = pieces(line).into_iter().find_map(Result::ok) {
                return Ok(Some(record));
            }
        }
        let rest = if finished { lines.rest() } else { &[] };
        Ok(pieces(rest).into_iter().find_map(Result::ok))
    }

    /// Its lines from the first one on; of a plain one, those that are written meanwhile too.
    pub(super) fn lines(&self) -> Result<Lines, DiskError> {
        let failed = |error| DiskError::new("read", &self.path)(error);
        let file = FromStart { file: self.file.try_clone().map_err(failed)?, at: 0 };
        let reader: Box<dyn BufRead> = match self.packing {
            Packing::None => Box::new(BufReader::with_capacity(256 * 1024, file)),
            Packing::Gzip => {
                let decoder = flate2::read::MultiGzDecoder::new(BufReader::new(file));
                Box::new(BufReader::with_capacity(256 * 1024, decoder))
            }
            Packing::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(file).map_err(failed)?;
                Box::new(BufReader::with_capacity(256 * 1024, decoder))
            }
        };
        Ok(Lines {
            path: self.path.clone(),
            packing: self.packing,
            reader,
            line: Vec::new(),
            number: 0,
        })
    }
}

/// Logs in the order of their first records, so that what was rotated comes before what was written after it.
pub fn by_age(logs: Vec<OldLog>, zone: &TimeZone) -> Result<Vec<OldLog>, LogError> {
    let mut dated = Vec::new();
    for log in logs {
        let first = log.first_record(true)?;
        let first = first.map(|record| LocalTime::new(zone.clone()).moment(record.when));
        // Of two that begin alike the longer one goes on from the other.
        dated.push(((first.is_none(), first, log.unpacked_length()?), log));
    }
    dated.sort_by_key(|(age, _)| *age);
    Ok(dated.into_iter().map(|(_, log)| log).collect())
}

/// Reads a file from its start, wherever other readers of it are.
struct FromStart {
    file: File,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The lines of a log, one after the other.
pub(super) struct Lines {
    path: PathBuf,
    packing: Packing,
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    /// Whole lines that were handed over.
    number: u64,
}

impl Lines {
    /// The next line with its number, from 1, and its newline. At the end of what is written `None`; a line that is
    /// not whole yet then is [`Lines::rest`], and is handed over when it is.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, LogError> {
        if self.line.last() == Some(&b'\n') {
            self.line.clear();
        }
        let room = LONGEST_LINE.saturating_sub(self.line.len() as u64);
        let read = self.reader.by_ref().take(room).read_until(b'\n', &mut self.line);
        read.map_err(|source| self.failed(source))?;
        if self.line.last() == Some(&b'\n') {
            self.number += 1;
            return Ok(Some((self.number, &self.line)));
        }
        if self.line.len() as u64 == LONGEST_LINE {
            return Err(LogError::TooLong { path: self.path.clone(), line: self.number + 1 });
        }
        Ok(None)
    }

    /// Of which log.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What stands behind the last newline, after `next` has given `None`.
    pub(super) fn rest(&self) -> &[u8] {
        if self.line.last() == Some(&b'\n') { &[] } else { &self.line }
    }

    /// Whole lines that were handed over.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    fn failed(&self, source: io::Error) -> LogError {
        // A decoder's own complaint has no number of the system's.
        if self.packing != Packing::None && source.raw_os_error().is_none() {
            return LogError::Damaged { path: self.path.clone(), source };
        }
        LogError::Disk(DiskError::new("read", &self.path)(source))
    }
}
