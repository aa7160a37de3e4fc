//! `[strategies]`: which files are meant, and finding them.

use super::checks::{Reader, resolve};
use super::model::{Config, Strategies, StrategyFile};
use super::{ConfigError, raw};
use crate::disk;
use crate::strategy::PythonVersion;
use glob::{MatchOptions, Pattern};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;
use walkdir::WalkDir;

/// A `*` stays within its folder and passes over hidden files, as in a shell.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

pub(super) fn strategies(
    reader: &Reader<'_>,
    raw: &raw::Strategies,
) -> Result<Strategies, ConfigError> {
    if raw.include.is_empty() {
        return Err(ConfigError::NoStrategies { path: reader.source.path.to_owned() });
    }
    let (python, at) = raw
        .python
        .as_ref()
        .map_or_else(|| ("3.13", 0..0), |typed| (typed.get_ref().as_str(), typed.span()));
    let python = python.parse::<PythonVersion>().map_err(|error| reader.invalid(&at, error))?;
    Ok(Strategies {
        include: patterns(reader, "include", &raw.include)?,
        exclude: patterns(reader, "exclude", &raw.exclude)?,
        python,
    })
}

fn patterns(
    reader: &Reader<'_>,
    key: &str,
    typed: &[Spanned<String>],
) -> Result<Vec<String>, ConfigError> {
    let check = |pattern: &Spanned<String>| {
        reader.given_path(key, pattern)?;
        Pattern::new(pattern.get_ref()).map_err(|error| {
            let message = format!("`{}` is no pattern: {}", pattern.get_ref(), error.msg);
            reader.invalid(&pattern.span(), message)
        })?;
        Ok(pattern.get_ref().clone())
    };
    typed.iter().map(check).collect()
}

impl Config {
    /// The strategies' files as they are now: what `include` finds without what `exclude` matches,
    /// each file once, sorted by name.
    ///
    /// A pattern of `include` that finds nothing is an error, because it is more likely a slip than
    /// a wish. Folders are passed over; links to files are followed. What lies below `[output] dir`
    /// and `data_dir` is passed over too: last night's candidates are no strategies tonight.
    pub fn strategy_files(&self) -> Result<Vec<StrategyFile>, ConfigError> {
        let mut files = BTreeSet::new();
        for pattern in &self.strategies.include {
            let found = self.matches(pattern)?;
            if found.is_empty() {
                return Err(ConfigError::NoMatch {
                    path: self.path.clone(),
                    pattern: pattern.clone(),
                    base: self.base.clone(),
                });
            }
            files.extend(found);
        }
        let excluded: Vec<Pattern> = self
            .strategies
            .exclude
            .iter()
            .filter_map(|pattern| Pattern::new(&self.full_pattern(pattern)).ok())
            .collect();
        files.retain(|file| {
            !excluded.iter().any(|pattern| pattern.matches_path_with(&file.path, OPTIONS))
        });
        let mut files: Vec<StrategyFile> = files.into_iter().collect();
        // The same file by another way, through a link or `..`, is still one strategy.
        files.sort_by_cached_key(|file| (has_parent(&file.path), file.name.clone()));
        let ours =
            [&self.output.dir, &self.data_dir].map(|folder| canonical(self.all_shards(folder)));
        let (mut seen, mut folders) = (BTreeSet::new(), BTreeMap::new());
        files.retain(|file| {
            let path = canonical_in(&mut folders, &file.path);
            !ours.iter().any(|folder| path.starts_with(folder)) && seen.insert(path)
        });
        files.sort();
        if files.is_empty() {
            return Err(ConfigError::AllExcluded { path: self.path.clone() });
        }
        Ok(files)
    }

    /// The folder that all shards have theirs in.
    fn all_shards<'f>(&self, own: &'f Path) -> &'f Path {
        own.parent().filter(|_| self.shard.is_some()).unwrap_or(own)
    }

    fn matches(&self, pattern: &str) -> Result<BTreeSet<StrategyFile>, ConfigError> {
        // The pattern was checked when the config was read; an escaped folder in front changes nothing.
        let full = self.full_pattern(pattern);
        let Ok(wanted) = Pattern::new(full.strip_prefix("./").unwrap_or(&full)) else {
            return Ok(BTreeSet::new());
        };
        let (folder, depth) = self.place_to_look(pattern);
        let mut files = BTreeSet::new();
        for entry in WalkDir::new(disk::or_here(&folder)).max_depth(depth).follow_links(true) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.pass_over(pattern, &error)?;
                    continue;
                }
            };
            let named = entry.path().components().filter(|part| *part != Component::CurDir);
            let path: PathBuf = named.collect();
            // A name that is no UTF-8 matches no pattern.
            if entry.file_type().is_file() && wanted.matches_path_with(&path, OPTIONS) {
                files.insert(StrategyFile { name: self.strategy_name(&path)?, path });
            }
        }
        Ok(files)
    }

    /// The folder in front of a pattern's first `*`, `?` or `[`, and how deep to look in it.
    fn place_to_look(&self, pattern: &str) -> (PathBuf, usize) {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let parts: Vec<&str> = pattern.split('/').collect();
        let plain =
            parts.iter().take(parts.len() - 1).take_while(|part| !part.contains(['*', '?', '[']));
        let plain = plain.count();
        let depth = if parts.contains(&"**") { usize::MAX } else { parts.len() - plain };
        let start = parts[..plain].join("/");
        let start = if pattern.starts_with('/') { format!("/{start}") } else { start };
        (resolve(&self.base, &start), depth)
    }

    /// A link that leads nowhere or round in a circle is no strategy; what may not be read is an
    /// error, because there may be one.
    fn pass_over(&self, pattern: &str, error: &walkdir::Error) -> Result<(), ConfigError> {
        let file = error.path().unwrap_or(Path::new("")).to_owned();
        let denied = error.io_error().filter(|os| os.kind() == io::ErrorKind::PermissionDenied);
        let Some(os) = denied else {
            tracing::debug!(file = %file.display(), %error, "passed over");
            return Ok(());
        };
        let os = io::Error::from(os.kind());
        let (path, pattern) = (self.path.clone(), pattern.to_owned());
        Err(ConfigError::UnreadableMatch { path, pattern, file, os })
    }

    fn strategy_name(&self, path: &Path) -> Result<String, ConfigError> {
        let name = path.strip_prefix(&self.base).unwrap_or(path);
        let printable = name.to_str().filter(|name| !name.chars().any(char::is_control));
        printable.map(ToOwned::to_owned).ok_or_else(|| ConfigError::UnprintableMatch {
            path: self.path.clone(),
            name: name.to_string_lossy().into_owned(),
        })
    }

    /// `pattern` below the config's folder, whose own name is no pattern.
    fn full_pattern(&self, pattern: &str) -> String {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let base = Pattern::escape(&self.base.to_string_lossy());
        resolve(Path::new(&base), pattern).to_string_lossy().into_owned()
    }
}

/// The one name of a file or folder, where it exists.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The same for a file in one of many folders, each of which is looked up once: the system's look-up asks about every
/// folder on the way.
fn canonical_in(folders: &mut BTreeMap<PathBuf, PathBuf>, path: &Path) -> PathBuf {
    let (Some(folder), Some(name), false) = (path.parent(), path.file_name(), path.is_symlink())
    else {
        return canonical(path);
    };
    if !folders.contains_key(folder) {
        folders.insert(folder.to_owned(), canonical(disk::or_here(folder)));
    }
    folders[folder].join(name)
}

fn has_parent(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}
