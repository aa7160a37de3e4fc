//! Reading audit files back: open, sealed or compressed, line by line, in constant memory.

use super::canonical::LineReader;
use crate::disk::{self, DiskError};
use crate::record::Record;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Longer lines are none of ours: an error text is capped far below.
const LONGEST_LINE: u64 = 1 << 20;

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
    read_from(disk::open(path)?, path, visit)
}

/// The same for a file that is to be acted upon, and so must be ours.
pub fn read_own_records(
    path: &Path,
    visit: impl FnMut(&Record<'_>, &[u8]),
) -> Result<Tail, ReadError> {
    read_from(disk::open_own(path)?, path, visit)
}

fn read_from(
    file: File,
    path: &Path,
    mut visit: impl FnMut(&Record<'_>, &[u8]),
) -> Result<Tail, ReadError> {
    let mut reader = LineReader::default();
    let mut end = Ok(Tail::Whole);
    lines_of(file, path, |line, bytes| {
        if bytes.last() != Some(&b'\n') {
            end = Ok(Tail::Torn { bytes: bytes.len() as u64 });
            return ControlFlow::Break(());
        }
        match reader.read(bytes) {
            Ok(record) => {
                visit(&record, bytes);
                ControlFlow::Continue(())
            }
            Err(error) => {
                let column = error.column().max(1);
                // It takes the line for a file, and ends with its place in there.
                let mut why = error.to_string();
                why.truncate(why.rfind(" at line ").unwrap_or(why.len()));
                end = Err(ReadError::Line { path: path.to_owned(), line, column, why });
                ControlFlow::Break(())
            }
        }
    })?;
    end
}

/// Hands every line of the file to `visit` with its number, from 1, and its newline, which only the last may lack.
/// What is appended meanwhile is left out.
pub(super) fn read_lines(
    path: &Path,
    visit: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    lines_of(disk::open(path)?, path, visit)
}

fn lines_of(
    file: File,
    path: &Path,
    mut visit: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let failed = |source: io::Error| ReadError::Disk(DiskError::new("read", path)(source));
    // An open journal may grow faster than it is read.
    let length = file.metadata().map_err(failed)?.len();
    let mut reader: Box<dyn BufRead> = if path.extension().is_some_and(|end| end == "zst") {
        let decoder = zstd::stream::read::Decoder::new(file).map_err(failed)?;
        Box::new(BufReader::with_capacity(256 * 1024, decoder))
    } else {
        Box::new(BufReader::with_capacity(256 * 1024, file.take(length)))
    };
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(failed)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST_LINE {
            return Err(ReadError::TooLong { path: path.to_owned(), line });
        }
        if visit(line, &bytes).is_break() {
            break;
        }
    }
    Ok(())
}
