//! A strategy's text, read once and checked as Python would check it.

use super::position::Position;
use super::{PythonVersion, encoding, nesting};
use ruff_python_ast::ModModule;
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::Ranged;
use std::fmt;

/// A strategy that Python of its version would accept.
#[derive(Clone)]
pub struct Source {
    text: String,
    version: PythonVersion,
    module: ModModule,
}

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

impl Source {
    /// Reads a strategy written for `version`.
    pub fn parse(bytes: Vec<u8>, version: PythonVersion) -> Result<Self, SourceError> {
        Self::parse_text(encoding::decode(bytes)?, version)
    }

    pub(super) fn parse_text(text: String, version: PythonVersion) -> Result<Self, SourceError> {
        if u32::try_from(text.len()).is_err() {
            return Err(SourceError::in_text(&text, 0, SourceProblem::TooLong));
        }
        nesting::check(&text).map_err(|deep| {
            let problem = SourceProblem::TooDeep { what: deep.what, limit: deep.limit };
            SourceError::in_text(&text, deep.offset, problem)
        })?;
        // The version decides which syntax is an error; the parser has no default that would do.
        let options = ParseOptions::from(Mode::Module).with_target_version(version.to_ruff());
        let parsed = parse_unchecked(&text, options);
        if let Some(error) = parsed.errors().first() {
            let problem = SourceProblem::Syntax(error.error.to_string());
            return Err(SourceError::in_text(&text, error.location.start().to_usize(), problem));
        }
        if let Some(error) = parsed.unsupported_syntax_errors().first() {
            let problem = SourceProblem::Unsupported(lower_first(&error.to_string()));
            return Err(SourceError::in_text(&text, error.start().to_usize(), problem));
        }
        match parsed.try_into_module() {
            Some(parsed) => Ok(Self { module: parsed.into_syntax(), text, version }),
            None => Err(SourceError::in_text(
                &text,
                0,
                SourceProblem::Syntax("not a module".to_owned()),
            )),
        }
    }

    /// The text, byte for byte as it was given, with its byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The version it was read for.
    pub const fn version(&self) -> PythonVersion {
        self.version
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) const fn module(&self) -> &ModModule {
        &self.module
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tree is hundreds of lines; the text says it all.
        f.debug_struct("Source")
            .field("text", &self.text)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
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

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, version: &str) -> Option<String> {
        let result = Source::parse(text.into(), version.parse().unwrap());
        result.err().map(|error| error.to_string())
    }

    #[test]
    fn the_text_is_kept_byte_for_byte() {
        let text = "\u{feff}# 止损\r\nx = 0.10\r\n\x0c\tif".replace("\x0c\tif", "\x0c\ny = 1");
        let source = Source::parse(text.clone().into(), PythonVersion::default()).unwrap();
        assert_eq!(source.text(), text);
    }

    #[test]
    fn a_syntax_error_has_line_column_and_message() {
        let error = Source::parse("x = 1\ny = = 2\n".into(), PythonVersion::default()).unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 5));
        assert_eq!(error.to_string(), "line 2, column 5: invalid syntax: Expected an expression");
        assert_eq!(error.message(), "invalid syntax: Expected an expression");
    }

    #[test]
    fn syntax_of_a_later_version_is_an_error() {
        let text = "match x:\n    case 1:\n        pass\n";
        assert_eq!(message(text, "3.10"), None);
        assert_eq!(
            message(text, "3.9").unwrap(),
            "line 1, column 1: cannot use `match` statement on Python 3.9 (syntax was added in Python 3.10)"
        );
        assert!(message("if (x := 1): pass\n", "3.7").is_some());
        assert_eq!(message("if (x := 1): pass\n", "3.8"), None);
    }

    #[test]
    fn absurd_texts_are_errors_or_sources_but_never_a_panic() {
        let deep = |link: &str| format!("x = {}1\n", link.repeat(100_000));
        for text in [
            deep("("),
            deep("-"),
            deep("1+"),
            deep("a."),
            deep("[{("),
            deep("f'{"),
            deep("lambda: "),
            deep("x = "),
            format!("x = {}1{}\n", "(".repeat(100_000), ")".repeat(100_000)),
            "x".repeat(10_000_000),
            format!("x = '{}'", "y".repeat(10_000_000)),
            format!("x = {}", "9".repeat(1_000_000)),
            "x = 1e999\n".to_owned(),
            "if x:\n".repeat(100_000),
        ] {
            let _ = Source::parse(text.into(), PythonVersion::default());
        }
    }

    #[test]
    fn the_deepest_tree_that_passes_can_be_walked_and_dropped() {
        for link in ["-", "1+", "a.", "not ", "lambda: ", "a if b else ", "x[1]+"] {
            let text = format!("x = {}1\n", link.repeat(1000));
            let _ =
                Source::parse(text.into(), PythonVersion::default()).map(|source| source.clone());
        }
        let text = format!("x = {}1\n", "1+".repeat(2999));
        assert!(Source::parse(text.into(), PythonVersion::default()).is_ok());
    }
}
