//! Reading audit files back: open, sealed or compressed, line by line, in constant memory.

use super::blocks::{LONGEST_LINE, in_order, one_by_one};
use super::canonical::LineReader;
use crate::disk::{self, DiskError};
use crate::record::Record;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// An audit file that cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not readable.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A line that is no record.
    #[error("{}:{line}:{column}: not an audit record: {why}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// Where in the line, from 1.
        column: usize,
        /// And why.
        why: String,
    },
    /// A line without end.
    #[error("{}:{line}: the line is longer than {LONGEST_LINE} bytes", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
    },
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With a newline, or empty.
    Whole,
    /// In the middle of a line, as an open or torn journal may.
    Torn {
        /// How many bytes stand after the last newline.
        bytes: u64,
    },
}

/// Hands every whole line of the file to `visit`, as a record and as it stands, newline included.
///
/// A name that ends in `.zst` is decompressed on the way. The file may be anybody's.
pub fn read_records(path: &Path, visit: impl FnMut(&Record<'_>, &[u8])) -> Result<Tail, ReadError> {
    read_from(&disk::open(path)?, path, visit)
}

/// The same for a file that is to be acted upon, and so must be ours.
pub fn read_own_records(
    path: &Path,
    visit: impl FnMut(&Record<'_>, &[u8]),
) -> Result<Tail, ReadError> {
    read_from(&disk::open_own(path)?, path, visit)
}

/// Folds the records of a file on every core; the file may be anybody's. `visit` sees those of one block, on any thread, and `take` what it made of them,
/// block after block; it leaves behind what `make` makes, for a block to come.
pub(super) fn fold_records<T: Send>(
    path: &Path,
    make: impl Fn() -> T,
    visit: impl Fn(&mut T, &Record<'_>) + Sync,
    mut take: impl FnMut(&mut T),
) -> Result<Tail, ReadError> {
    let part =
        || Part { fold: make(), reader: LineReader::default(), lines: 0, end: Ok(Tail::Whole) };
    let (mut before, mut end) = (0, Ok(Tail::Whole));
    let read = |part: &mut Part<T>, bytes: &[u8]| {
        part.lines = 0;
        part.end = each_record(bytes, &mut part.reader, |record, _| {
            part.lines += 1;
            visit(&mut part.fold, record);
        });
    };
    in_order(&disk::open(path)?, path, part, read, |part, _| {
        take(&mut part.fold);
        match std::mem::replace(&mut part.end, Ok(Tail::Whole)) {
            Ok(Tail::Whole) => before += part.lines,
            Ok(torn) => end = Ok(torn),
            Err(fault) => {
                end = Err(fault.at(path, before + part.lines + 1));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    end
}

/// What was made of a block.
struct Part<T> {
    fold: T,
    reader: LineReader,
    /// Whole ones.
    lines: u64,
    end: Result<Tail, Fault>,
}

fn read_from(
    file: &File,
    path: &Path,
    mut visit: impl FnMut(&Record<'_>, &[u8]),
) -> Result<Tail, ReadError> {
    let mut reader = LineReader::default();
    let (mut lines, mut end) = (0, Ok(Tail::Whole));
    one_by_one(file, path, |bytes| {
        let read = each_record(bytes, &mut reader, |record, line| {
            lines += 1;
            visit(record, line);
        });
        match read {
            Ok(Tail::Whole) => return ControlFlow::Continue(()),
            Ok(torn) => end = Ok(torn),
            Err(fault) => end = Err(fault.at(path, lines + 1)),
        }
        ControlFlow::Break(())
    })?;
    end
}

/// Hands every line of the file to `visit` with its number, from 1, its newline, which only the last may lack, and the record
/// that it is. What is appended meanwhile is left out.
pub(super) fn read_lines(
    path: &Path,
    mut visit: impl FnMut(u64, &[u8], Line<'_>),
) -> Result<(), ReadError> {
    let mut reader = LineReader::default();
    let (mut lines, mut end) = (0, Ok(()));
    one_by_one(&disk::open(path)?, path, |bytes| {
        each_line(bytes, &mut reader, |line, read| {
            lines += 1;
            if let Err(Fault::TooLong) = read {
                end = Err(Fault::TooLong.at(path, lines));
                return ControlFlow::Break(());
            }
            visit(lines, line, read);
            ControlFlow::Continue(())
        });
        if end.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    end
}

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    NoRecord(serde_json::Error),
    #[error("it is longer than {LONGEST_LINE} bytes")]
    TooLong,
}

/// The record that a line is; `None` where it has no newline.
pub(super) type Line<'a> = Result<Option<&'a Record<'a>>, Fault>;

impl Fault {
    fn at(self, path: &Path, line: u64) -> ReadError {
        let path = path.to_owned();
        match self {
            Self::TooLong => ReadError::TooLong { path, line },
            Self::NoRecord(error) => {
                let column = error.column().max(1);
                // It takes the line for a file, and ends with its place in there.
                let mut why = error.to_string();
                why.truncate(why.rfind(" at line ").unwrap_or(why.len()));
                ReadError::Line { path, line, column, why }
            }
        }
    }
}

/// Hands the records of a block to `visit`, up to the first line that is none.
pub(super) fn each_record(
    block: &[u8],
    reader: &mut LineReader,
    mut visit: impl FnMut(&Record<'_>, &[u8]),
) -> Result<Tail, Fault> {
    let mut end = Ok(Tail::Whole);
    each_line(block, reader, |line, read| {
        match read {
            Ok(Some(record)) => {
                visit(record, line);
                return ControlFlow::Continue(());
            }
            Ok(None) => end = Ok(Tail::Torn { bytes: line.len() as u64 }),
            Err(fault) => end = Err(fault),
        }
        ControlFlow::Break(())
    });
    end
}

/// Hands the lines of a block to `visit`, with the records that they are.
#[inline]
fn each_line(
    mut block: &[u8],
    reader: &mut LineReader,
    mut visit: impl FnMut(&[u8], Line<'_>) -> ControlFlow<()>,
) {
    let mut flow = ControlFlow::Continue(());
    while flow.is_continue() && !block.is_empty() {
        let read = reader.read(block, |record, line| {
            flow = if is_too_long(line) {
                visit(line, Err(Fault::TooLong))
            } else {
                visit(line, Ok(Some(record)))
            };
        });
        let length = read.unwrap_or_else(|| {
            let line = first_line(block);
            flow = if is_too_long(line) {
                visit(line, Err(Fault::TooLong))
            } else if line.last() != Some(&b'\n') {
                visit(line, Ok(None))
            } else {
                match serde_json::from_slice(line) {
                    Ok(record) => visit(line, Ok(Some(&record))),
                    Err(error) => visit(line, Err(Fault::NoRecord(error))),
                }
            };
            line.len()
        });
        block = &block[length..];
    }
}

/// With its newline, if it has one.
fn first_line(block: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', block).map_or(block.len(), |at| at + 1);
    &block[..end]
}

fn is_too_long(line: &[u8]) -> bool {
    line.len() > LONGEST_LINE || line.len() == LONGEST_LINE && line.last() != Some(&b'\n')
}
