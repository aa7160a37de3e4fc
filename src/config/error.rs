//! What can be wrong with a config, said so that the person who typed it can put it right.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no config.
///
/// `Display` may have several lines: the place and the message, then the line of the file with a
/// caret under the offender. A line that may hold a secret is never shown.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error(
        "no config file at {}; copy agent.toml.example there, or name another with --config",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The operating system did not give it to us.
    #[error("cannot read the config file {}: {os}", path.display())]
    Unreadable {
        /// The config file.
        path: PathBuf,
        /// Why not.
        os: io::Error,
    },
    /// Nobody types that much.
    #[error("{} is longer than 1 MiB, which no config file is; is it the right file?", path.display())]
    TooLong {
        /// The config file.
        path: PathBuf,
    },
    /// TOML is UTF-8.
    #[error("{}:{line}:{column}: not UTF-8; save the file as UTF-8", path.display())]
    NotUtf8 {
        /// The config file.
        path: PathBuf,
        /// The line of the first bad byte, from 1.
        line: usize,
        /// Its column in characters, from 1.
        column: usize,
    },
    /// Not TOML.
    #[error("{at}: {message}{}", at.excerpt())]
    Syntax {
        /// Where.
        at: Box<Location>,
        /// What the parser says.
        message: String,
    },
    /// A key that nobody reads.
    #[error("{at}: unknown key `{key}` {table}; {names}{}", at.excerpt())]
    UnknownKey {
        /// Where.
        at: Box<Location>,
        /// As typed.
        key: String,
        /// The table that it stands in, as `in [push]`.
        table: String,
        /// What it might have been.
        names: Box<KnownNames>,
    },
    /// A word that is none of the words that the key takes.
    #[error("{at}: `{key}` cannot be `{value}`; {names}{}", at.excerpt())]
    UnknownValue {
        /// Where.
        at: Box<Location>,
        /// The key.
        key: String,
        /// As typed.
        value: String,
        /// What it might have been.
        names: Box<KnownNames>,
    },
    /// A string for a number, and the like.
    #[error("{at}: {subject}expected {expected}, found {found}{}", at.excerpt())]
    WrongType {
        /// Where.
        at: Box<Location>,
        /// The key and its table, as `` `rounds` in [batch]:  ``; empty where they are not known.
        subject: String,
        /// What would be right.
        expected: String,
        /// What stands there; strings are not repeated.
        found: String,
    },
    /// A key that has no default.
    #[error("{at}: {table} needs the key `{key}`{}", at.excerpt())]
    MissingKey {
        /// The table.
        at: Box<Location>,
        /// Its name, as `[[parameter]]`.
        table: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value that does not make sense; the message says what would.
    #[error("{at}: {message}{}", at.excerpt())]
    Invalid {
        /// Where.
        at: Box<Location>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file named in the config: a password, token, certificate or key.
    #[error("{at}: cannot read the {what} file {file}: {os}{}", at.excerpt())]
    UnreadableFile {
        /// Where it is named.
        at: Box<Location>,
        /// What it should hold.
        what: &'static str,
        /// The file, or why it is not shown.
        file: String,
        /// Why not.
        os: io::Error,
    },
    /// No strategy is named at all.
    #[error(
        "{}: no strategies: name at least one file, as in `[strategies]` `include = [\"strategies/*.py\"]`",
        path.display()
    )]
    NoStrategies {
        /// The config file.
        path: PathBuf,
    },
    /// A pattern of `[strategies] include` that finds no file.
    #[error("{}: [strategies] include: no file matches `{pattern}` in {}", path.display(), base.display())]
    NoMatch {
        /// The config file.
        path: PathBuf,
        /// As typed.
        pattern: String,
        /// The folder that it is relative to.
        base: PathBuf,
    },
    /// Nothing is left without what `[strategies] exclude` matches and what the agent writes itself.
    #[error(
        "{}: [strategies] exclude leaves none of the files that include matches; those below `data_dir` and [output] `dir` never count",
        path.display()
    )]
    AllExcluded {
        /// The config file.
        path: PathBuf,
    },
    /// A folder or file that a pattern led to and that cannot be looked at.
    #[error(
        "{}: [strategies] include: `{pattern}` leads to {}: {os}", path.display(), file.display()
    )]
    UnreadableMatch {
        /// The config file.
        path: PathBuf,
        /// As typed.
        pattern: String,
        /// The file or folder.
        file: PathBuf,
        /// Why not.
        os: io::Error,
    },
    /// A strategy whose name cannot be a label or stand in the audit.
    #[error("{}: the name of the strategy {name:?} is not printable UTF-8; rename the file", path.display())]
    UnprintableMatch {
        /// The config file.
        path: PathBuf,
        /// The file, as far as it can be written.
        name: String,
    },
}

/// What an unknown name might have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNames {
    /// The known name that was probably meant.
    pub nearest: Option<String>,
    /// The table or tables that do know the name, as `[batch]`.
    pub home: Option<String>,
    /// All the names that are known in its place.
    pub known: Vec<String>,
}

impl fmt::Display for KnownNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<String> = self.known.iter().map(|name| format!("`{name}`")).collect();
        let known = known.join(", ");
        match (&self.nearest, &self.home) {
            (Some(nearest), _) => write!(f, "did you mean `{nearest}`? (known: {known})"),
            (None, Some(home)) => write!(f, "it belongs in {home} (known here: {known})"),
            (None, None) => write!(f, "known: {known}"),
        }
    }
}

/// A place in a config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The config file, as it was named.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line with a caret beneath, or a note why it is not shown; starts with a newline.
    excerpt: String,
}

impl Location {
    pub(super) const fn new(path: PathBuf, line: usize, column: usize, excerpt: String) -> Self {
        Self { path, line, column, excerpt }
    }

    fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}
