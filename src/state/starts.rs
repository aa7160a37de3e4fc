//! Which start of a schedule was considered last: so a night that was missed is known after a restart.

use super::{Lock, OpenError, StateError};
use crate::disk::{self, DiskError, Mode};
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const SCHEMA: u32 = 1;
const LONGEST: u64 = 1 << 16;

/// What `mutation-agent schedule` remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Considered {
    schema: u32,
    /// All starts until this moment were considered: a batch began, or it was said that none does.
    pub until: Timestamp,
    /// The newest start that had a batch: it does not begin again, whatever becomes of the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Timestamp>,
    /// By which schedule, in words. Another one has other starts, and has missed none of them.
    pub schedule: String,
}

impl Considered {
    /// Starts of `schedule` count from `until` on.
    pub const fn new(until: Timestamp, schedule: String) -> Self {
        Self { schema: SCHEMA, until, begun: None, schedule }
    }
}

/// The file that it is kept in, held by one process.
#[derive(Debug)]
pub struct Starts {
    path: PathBuf,
    _lock: Lock,
}

impl Starts {
    /// Makes the folder where there is none and takes the schedule's own lock; that of batches is theirs.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        disk::exposed(data_dir)?;
        disk::create_folder(data_dir, Mode::Private)?;
        disk::writable(data_dir)?;
        let lock = Lock::take_schedule(data_dir)?;
        Ok(Self { path: data_dir.join("schedule.json"), _lock: lock })
    }

    /// What was considered; `None` at the first start ever, or where it cannot be understood.
    pub fn load(&self) -> Result<Option<Considered>, StateError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u64,
        }
        let Some(bytes) = disk::read_own(&self.path, LONGEST)? else { return Ok(None) };
        if let Ok(Schema { schema: found }) = serde_json::from_slice(&bytes)
            && found > u64::from(SCHEMA)
        {
            return Err(StateError::Newer { path: self.path.clone(), found });
        }
        match serde_json::from_slice(&bytes) {
            Ok(considered) => Ok(Some(considered)),
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%error, "{path} says nothing: starts count from now on");
                Ok(None)
            }
        }
    }

    /// Replaces the file.
    pub fn save(&self, considered: &Considered) -> Result<(), DiskError> {
        let mut bytes = serde_json::to_vec(considered)
            .map_err(|error| DiskError::new("write", &self.path)(error.into()))?;
        bytes.push(b'\n');
        disk::replace(&self.path, &bytes, Mode::Private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::LockError;

    fn considered() -> Considered {
        Considered::new("2026-11-28T02:00:00Z".parse().unwrap(), "0 2 * * * in UTC".to_owned())
    }

    #[test]
    fn what_was_considered_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let starts = Starts::open(&folder.path().join("data")).unwrap();
        assert_eq!(starts.load().unwrap(), None);
        starts.save(&considered()).unwrap();
        assert_eq!(starts.load().unwrap(), Some(considered()));
    }

    #[test]
    fn one_schedule_keeps_a_folder_and_leaves_batches_their_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Starts::open(folder.path()).unwrap();
        let second = Starts::open(folder.path());
        assert!(matches!(second, Err(OpenError::Lock(LockError::Scheduled(_)))), "{second:?}");
        let batch = Lock::take(folder.path()).unwrap();
        drop((first, batch));
        Starts::open(folder.path()).unwrap();
    }

    #[test]
    fn what_cannot_be_understood_is_nothing_and_what_is_newer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let starts = Starts::open(folder.path()).unwrap();
        for text in ["", "{", "{\"schema\":1}", "{\"schema\":0}"] {
            disk::replace(&starts.path, text.as_bytes(), Mode::Private).unwrap();
            assert_eq!(starts.load().unwrap(), None, "{text}");
        }
        disk::replace(&starts.path, b"{\"schema\":2,\"nights\":[]}", Mode::Private).unwrap();
        assert!(matches!(starts.load(), Err(StateError::Newer { found: 2, .. })));
    }
}
