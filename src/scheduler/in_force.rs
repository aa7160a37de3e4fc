//! The config as it was last read well, and why there may be none.

use super::Launch;
use crate::config::{Config, ConfigError, Schedule, Secrets};
use crate::disk::DiskError;
use crate::state::{OpenError, StateError};
use std::io;
use std::path::PathBuf;

/// Why no schedule is kept.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It says nothing of a schedule.
    #[error(
        "{}: there is no [schedule]; say when batches begin, as in `[schedule]` `cron = \"0 2 * * *\"`",
        .0.display()
    )]
    NoSchedule(PathBuf),
    /// A config that was read again and names another folder.
    #[error(
        "{}: `data_dir` is another one than before, which takes a restart of the schedule", .0.display()
    )]
    Moved(PathBuf),
    /// The data folder or its lock.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was remembered.
    #[error(transparent)]
    State(#[from] StateError),
    /// It cannot be remembered.
    #[error(transparent)]
    Save(#[from] DiskError),
    /// Signals or timers.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// What batches are started with.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) config: Config,
    pub(super) schedule: Schedule,
    /// The file's text; each batch reads the same.
    pub(super) text: String,
}

impl InForce {
    /// Reads the file. Secrets are for each batch to read: one that is not there yet may be there by night.
    pub(super) fn read(launch: &Launch) -> Result<Self, SchedulerError> {
        let path = &launch.config;
        let text = Config::text(path)?;
        let config = Config::parse_with(&text, path, &launch.environment, Secrets::Here)?;
        let schedule =
            config.schedule.clone().ok_or_else(|| SchedulerError::NoSchedule(path.to_owned()))?;
        Ok(Self { config, schedule, text })
    }

    /// The same while others wait for us: reading a pipe could take for ever.
    pub(super) fn read_again(launch: &Launch) -> Result<Self, SchedulerError> {
        let path = &launch.config;
        if path.metadata().is_ok_and(|known| !known.is_file() && !known.is_dir()) {
            let os = io::Error::other("not a regular file");
            return Err(ConfigError::Unreadable { path: path.clone(), os }.into());
        }
        Self::read(launch)
    }
}
