//! Which records a command is to speak of: of which files, from when to when.

use super::failure::unread;
use super::{Configuration, Failure};
use crate::audit::{Folder, Log, Logs, Read, ReadError};
use crate::batch::now;
use crate::config::Secrets;
use crate::exit::Exit;
use crate::record::Record;
use crate::units::{Moment, Period};
use std::path::PathBuf;

/// As it is typed.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Selection {
    /// Audit files (open, sealed or compressed) and folders, of which each batch is read once; without any, the audit folder of the
    /// configuration
    pub(super) files: Vec<PathBuf>,
    /// Only what was attempted from then on: a day in UTC (2026-11-23), a moment, or an age (7d)
    #[arg(long, value_name = "WHEN")]
    pub(super) since: Option<Moment>,
    /// Only what was attempted before then; a day is meant whole
    #[arg(long, value_name = "WHEN")]
    pub(super) until: Option<Moment>,
}

impl Selection {
    /// The logs that are meant; the configuration is read only where none is named.
    pub(super) fn logs(&self, source: &Configuration) -> Result<Logs, Failure> {
        if !self.files.is_empty() && source.names_a_shard() {
            let text =
                "`--shard` says nothing of files and folders that are named: leave one of them out";
            return Err(Failure::said(Exit::Usage, text.to_owned()));
        }
        let logs = if self.files.is_empty() {
            let all = source.load_all(Secrets::Unneeded)?.into_iter();
            let folders: Vec<_> = all.map(|config| Folder::new(config.audit.dir)).collect();
            Logs::of_folders(&folders)
        } else {
            Logs::of_paths(&self.files)
        };
        let logs = logs.map_err(|error| unreadable(&ReadError::Disk(error)))?;
        for copy in logs.copies() {
            tracing::warn!(log = copy.name(), "is of a batch that is read already, left out");
        }
        if logs.is_empty() && !self.files.is_empty() {
            let of = &self.files;
            tracing::warn!(
                ?of,
                "no audit log is there; one of another name than its own has to be named itself"
            );
        }
        Ok(logs)
    }

    /// The stretch of time that is meant.
    pub(super) fn period(&self) -> Result<Period, Failure> {
        let now = now();
        let period = Period {
            since: self.since.map(|moment| moment.begin(now)),
            until: self.until.map(|moment| moment.end(now)),
        };
        if period.is_backwards() {
            let text = "`--until` is not after `--since`: nothing lies between";
            return Err(Failure::said(Exit::Usage, text.to_owned()));
        }
        Ok(period)
    }
}

/// Hands the records of a log to `visit`, and warns of what is not there; false where it was pruned by now.
pub(super) fn read(log: &Log, mut visit: impl FnMut(&Record<'_>)) -> Result<bool, Failure> {
    is_there(log, log.read(|record, _| visit(record)))
}

/// What became of reading a log: warns of what is not there; false where it was pruned by now.
pub(super) fn is_there(log: &Log, read: Result<Read, ReadError>) -> Result<bool, Failure> {
    match read.map_err(|error| unreadable(&error))? {
        Read::Whole => Ok(true),
        Read::Torn { bytes } => {
            tracing::warn!(log = log.name(), bytes, "ends in an unfinished line, left out");
            Ok(true)
        }
        Read::Gone => {
            tracing::warn!(log = log.name(), "was pruned meanwhile, left out");
            Ok(false)
        }
    }
}

pub(super) fn unreadable(error: &ReadError) -> Failure {
    match error {
        ReadError::Disk(error) => unread(error),
        ReadError::Line { .. } | ReadError::TooLong { .. } => Failure::new(Exit::NoStrategy, error),
    }
}
