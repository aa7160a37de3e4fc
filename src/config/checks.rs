//! The checks that all sections share: ranges, choices, names, paths.

use super::diagnosis::nearest;
use super::quantity::{DurationText, duration_text};
use super::source::{Source, printable};
use super::{ConfigError, Environment, KnownNames, Secrets};
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// A clock that is asked to go further than this may stop.
pub(super) const LONGEST_DURATION: Duration = Duration::from_hours(24 * 36_525);
/// Labels and records hold names; a longer one is a slip.
pub(super) const LONGEST_NAME: usize = 128;

/// What every check needs.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) base: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) secrets: Secrets,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(
        source: Source<'a>,
        base: &'a Path,
        environment: &'a Environment,
        secrets: Secrets,
    ) -> Self {
        Self { source, base, environment, secrets, warnings: Vec::new() }
    }

    pub(super) fn warn(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    pub(super) fn invalid(&self, span: &Range<usize>, message: impl fmt::Display) -> ConfigError {
        self.source.invalid(span, message)
    }

    /// A whole number within `allowed`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &self,
        key: &str,
        value: Option<&Spanned<i64>>,
        default: T,
        allowed: RangeInclusive<i64>,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        let number = *value.get_ref();
        let (least, most) = (*allowed.start(), *allowed.end());
        let converted = T::try_from(number).ok().filter(|_| allowed.contains(&number));
        converted.ok_or_else(|| {
            self.invalid(
                &value.span(),
                format!("`{key}` must be a whole number from {least} to {most}, not {number}"),
            )
        })
    }

    /// Labels are bounded by the config, and so the config is.
    pub(super) fn count<T>(
        &self,
        table: &str,
        typed: &[Spanned<T>],
        most: usize,
    ) -> Result<(), ConfigError> {
        match typed.get(most) {
            None => Ok(()),
            Some(extra) => {
                let message = format!("more than {most} {table}");
                Err(self.invalid(&extra.span(), message))
            }
        }
    }

    /// A duration of at least `least`.
    pub(super) fn duration(
        &self,
        key: &str,
        value: Option<&Spanned<DurationText>>,
        default: Duration,
        least: Duration,
    ) -> Result<Duration, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        self.duration_within(key, &value.span(), value.get_ref().0, least)
    }

    pub(super) fn duration_within(
        &self,
        key: &str,
        span: &Range<usize>,
        duration: Duration,
        least: Duration,
    ) -> Result<Duration, ConfigError> {
        if duration < least {
            let (least, typed) = (duration_text(least), duration_text(duration));
            return Err(
                self.invalid(span, format!("`{key}` must be at least {least}, not {typed}"))
            );
        }
        if duration > LONGEST_DURATION {
            return Err(self.invalid(span, format!("`{key}` is longer than 100 years")));
        }
        Ok(duration)
    }

    /// One of the words that a key takes.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        value: Option<&Spanned<String>>,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = value else { return Ok(None) };
        let typed = value.get_ref().as_str();
        let found = words.iter().find(|(word, _)| *word == typed);
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| ConfigError::UnknownValue {
            at: self.source.at(&value.span()),
            key: key.to_owned(),
            value: printable(typed),
            names: Box::new(KnownNames {
                nearest: nearest(typed, words.iter().map(|(word, _)| *word)),
                home: None,
                known: words.iter().map(|(word, _)| (*word).to_owned()).collect(),
            }),
        })
    }

    /// Text for a label: printable, neither empty nor endless.
    pub(super) fn name(&self, key: &str, value: &Spanned<String>) -> Result<String, ConfigError> {
        let text = value.get_ref();
        let problem = if text.trim().is_empty() {
            "must not be empty".to_owned()
        } else if text.trim() != text {
            "must not begin or end with a space".to_owned()
        } else if text.chars().any(char::is_control) {
            "must not hold control characters".to_owned()
        } else if text.chars().count() > LONGEST_NAME {
            format!("must have at most {LONGEST_NAME} characters")
        } else {
            return Ok(text.clone());
        };
        Err(self.invalid(&value.span(), format!("`{key}` {problem}")))
    }

    /// A path, relative to the config's folder.
    pub(super) fn path(
        &self,
        key: &str,
        value: Option<&Spanned<String>>,
        default: &str,
    ) -> Result<PathBuf, ConfigError> {
        match value {
            Some(value) => self.given_path(key, value),
            None => Ok(resolve(self.base, default)),
        }
    }

    pub(super) fn given_path(
        &self,
        key: &str,
        value: &Spanned<String>,
    ) -> Result<PathBuf, ConfigError> {
        let typed = value.get_ref();
        if typed.is_empty() {
            return Err(self.invalid(&value.span(), format!("`{key}` must not be empty")));
        }
        if typed.chars().any(char::is_control) {
            let message = format!("`{key}` must not hold control characters");
            return Err(self.invalid(&value.span(), message));
        }
        Ok(resolve(self.base, typed))
    }

    /// The folder that is ours in one that all shards have; that one itself where there are none.
    pub(super) fn own(&self, folder: PathBuf) -> PathBuf {
        match self.environment.shard {
            Some(shard) => folder.join(shard.folder()),
            None => folder,
        }
    }

    /// A key without a default.
    pub(super) fn required<'v, T>(
        &self,
        table: (&'static str, &Range<usize>),
        key: &'static str,
        value: Option<&'v Spanned<T>>,
    ) -> Result<&'v Spanned<T>, ConfigError> {
        let (table, span) = table;
        value.ok_or_else(|| ConfigError::MissingKey { at: self.source.at(span), table, key })
    }
}

/// `typed` below `base`, unless it is absolute. `.` is not written out.
pub(super) fn resolve(base: &Path, typed: &str) -> PathBuf {
    if base == Path::new(".") { PathBuf::from(typed) } else { base.join(typed) }
}
