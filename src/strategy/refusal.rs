//! Why a text is no strategy: what Python would refuse, with its place.

use super::position::Position;

/// Why a text is no strategy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct SourceError {
    line: u32,
    column: u32,
    problem: SourceProblem,
}

/// Why a text is no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceProblem {
    /// The bytes are no UTF-8.
    #[error("not UTF-8 at byte {offset}; save the file as UTF-8")]
    NotUtf8 {
        /// The first byte that is not, from 0.
        offset: usize,
    },
    /// A cookie (PEP 263) names another encoding.
    #[error(
        "the encoding `{name}` is declared, only UTF-8 is read; save the file as UTF-8 and drop the declaration"
    )]
    Encoding {
        /// As written.
        name: String,
    },
    /// A byte order mark beside a cookie that Python does not take for the same.
    #[error(
        "the encoding `{name}` is declared in a file with a byte order mark, which Python refuses; write `utf-8`"
    )]
    EncodingWithBom {
        /// As written.
        name: String,
    },
    /// A NUL byte.
    #[error("a NUL byte is not Python")]
    Nul,
    /// Four gibibytes and more.
    #[error("the file is longer than 4 GiB")]
    TooLong,
    /// Nested deeper than Python can run.
    #[error("more than {limit} {what} are nested, too deep for Python")]
    TooDeep {
        /// Brackets, indentations or operators.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No Python at all.
    #[error("invalid syntax: {0}")]
    Syntax(String),
    /// Python, but not of this version.
    #[error("{0}")]
    Unsupported(String),
}

impl SourceError {
    pub(super) fn in_text(text: &str, offset: usize, problem: SourceProblem) -> Self {
        let Position { line, column } = Position::of(text, offset);
        Self { line, column, problem }
    }

    /// As `in_text`, where the bytes are UTF-8 at least up to the offset.
    pub(super) fn in_bytes(bytes: &[u8], offset: usize, problem: SourceProblem) -> Self {
        let before = String::from_utf8_lossy(&bytes[..offset]);
        Self::in_text(&before, before.len(), problem)
    }

    /// The line, from 1.
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The column in characters, from 1.
    pub const fn column(&self) -> u32 {
        self.column
    }

    /// What is wrong.
    pub const fn problem(&self) -> &SourceProblem {
        &self.problem
    }

    /// What is wrong, in words and without the place.
    pub fn message(&self) -> String {
        self.problem.to_string()
    }
}
