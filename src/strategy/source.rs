//! A strategy's text, read once and checked as Python would check it.

use super::nesting::TooDeep;
use super::refusal::{SourceError, SourceProblem};
use super::{PythonVersion, encoding, nesting};
use ruff_python_ast::{Mod, ModModule};
use ruff_python_parser::{Mode, ParseOptions, Parsed, parse_unchecked};
use ruff_text_size::Ranged;
use std::fmt;
use std::sync::Arc;

/// The text of a strategy that Python of its version would accept: what it takes to put other values in.
#[derive(Clone, Debug)]
pub struct Original {
    text: String,
    version: PythonVersion,
}

impl Original {
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
}

/// Such a text with its tree, in which sites are found. The tree takes up to eighty times as much as the text.
#[derive(Clone)]
pub struct Source {
    original: Original,
    module: Arc<ModModule>,
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
        if let Err(deep) = nesting::check(&text) {
            return Err(Self::too_deep(&text, deep, version));
        }
        let parsed = parse(&text, version);
        if let Some(error) = syntax_error(&text, &parsed) {
            return Err(error);
        }
        match parsed.try_into_module() {
            Some(parsed) => {
                let original = Original { text, version };
                Ok(Self { module: Arc::new(parsed.into_syntax()), original })
            }
            None => Err(SourceError::in_text(
                &text,
                0,
                SourceProblem::Syntax("not a module".to_owned()),
            )),
        }
    }

    /// What to say of a text that is nested too deeply. A bracket that is never closed nests all
    /// that follows; then it is the bracket that is wrong, and the lines before show it.
    fn too_deep(text: &str, deep: TooDeep, version: PythonVersion) -> SourceError {
        let before = &text[..deep.offset];
        let parsed = parse(before, version);
        match parsed.errors().first() {
            Some(error) if error.start().to_usize() < before.len() => syntax_error(before, &parsed),
            _ => None,
        }
        .unwrap_or_else(|| {
            let problem = SourceProblem::TooDeep { what: deep.what, limit: deep.limit };
            SourceError::in_text(text, deep.offset, problem)
        })
    }

    /// The text, byte for byte as it was given, with its byte order mark.
    pub fn text(&self) -> &str {
        &self.original.text
    }

    /// The version it was read for.
    pub const fn version(&self) -> PythonVersion {
        self.original.version
    }

    /// What is left of it when its sites are found.
    pub fn into_original(self) -> Original {
        self.original
    }

    pub(super) const fn original(&self) -> &Original {
        &self.original
    }

    pub(super) fn module(&self) -> &ModModule {
        &self.module
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tree is hundreds of lines; the text says it all.
        f.debug_struct("Source").field("original", &self.original).finish_non_exhaustive()
    }
}

/// The version decides which syntax is an error; the parser has no default that would do.
fn parse(text: &str, version: PythonVersion) -> Parsed<Mod> {
    parse_unchecked(text, ParseOptions::from(Mode::Module).with_target_version(version.to_ruff()))
}

/// The first error of the syntax, or else of syntax that is not of the version.
fn syntax_error(text: &str, parsed: &Parsed<Mod>) -> Option<SourceError> {
    let syntax = parsed
        .errors()
        .first()
        .map(|error| (error.start(), SourceProblem::Syntax(lower_first(&error.error.to_string()))));
    let unsupported = || {
        let error = parsed.unsupported_syntax_errors().first()?;
        Some((error.start(), SourceProblem::Unsupported(lower_first(&error.to_string()))))
    };
    let (start, problem) = syntax.or_else(unsupported)?;
    Some(SourceError::in_text(text, start.to_usize(), problem))
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
    fn a_source_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<Source>();
        shared::<crate::strategy::Site>();
    }

    #[test]
    fn a_syntax_error_has_line_column_and_message() {
        let error = Source::parse("x = 1\ny = = 2\n".into(), PythonVersion::default()).unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 5));
        assert_eq!(error.to_string(), "line 2, column 5: invalid syntax: expected an expression");
        assert_eq!(error.message(), "invalid syntax: expected an expression");
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
    fn the_deepest_trees_that_pass_can_be_walked_and_dropped() {
        for (link, operators) in [
            ("-", 1),
            ("1+", 1),
            ("1**", 1),
            ("a.", 1),
            ("not ", 1),
            ("lambda: ", 2),
            ("a if b else ", 2),
            ("x[1]+", 2),
            ("1<", 1),
        ] {
            let text = format!("async def f():\n    x = {}a\n", link.repeat(2990 / operators));
            let source = Source::parse(text.into(), PythonVersion::default()).unwrap();
            assert!(source.clone().site(&"y".parse().unwrap(), None).is_err());
        }
    }

    #[test]
    fn an_unclosed_bracket_in_a_long_file_is_named_as_such() {
        let text = format!("x = (1\n{}", "y = a.b + c.d\n".repeat(2000));
        assert_eq!(
            message(&text, "3.13").unwrap(),
            "line 2, column 1: invalid syntax: expected `)`, found name"
        );
    }
}
