//! A set of logs to read, wherever they are and however far they have come in their life.

use super::{Folder, Manifest, ManifestError, ReadError, Tail, read_records};
use crate::disk::DiskError;
use crate::record::Record;
use crate::units::BatchId;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// One log: a batch's in a folder, under whichever name it has by now, or the file that somebody named.
#[derive(Clone, Debug)]
pub struct Log(Place);

#[derive(Clone, Debug)]
enum Place {
    Batch(Folder, BatchId),
    /// And of which batch it is, where its name says so.
    File(PathBuf, Option<(Folder, BatchId)>),
}

/// What was there to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// All of it.
    Whole,
    /// All but an unfinished line at its end.
    Torn {
        /// How many bytes stand after the last newline.
        bytes: u64,
    },
    /// Nothing: it was pruned meanwhile.
    Gone,
}

impl Log {
    /// The log of a batch that a folder has or had.
    pub const fn of_batch(folder: Folder, id: BatchId) -> Self {
        Self(Place::Batch(folder, id))
    }

    /// The file that is meant by `path`: where a link leads, such as our own `latest.jsonl`. Files of ours
    /// are never reached through links, but whoever names one here means what it leads to. What is no log itself,
    /// but stands beside one, means that one.
    pub fn of_file(path: &Path) -> Self {
        let target = if path.is_symlink() { path.canonicalize().ok() } else { None };
        let file = target.unwrap_or_else(|| path.to_owned());
        match batch_of(&file) {
            Some((folder, id)) if [folder.manifest(&id), folder.broken(&id)].contains(&file) => {
                Self(Place::Batch(folder, id))
            }
            batch => Self(Place::File(file, batch)),
        }
    }

    /// Hands every whole line to `visit`, as a record and as it stands, newline included.
    pub fn read(&self, mut visit: impl FnMut(&Record<'_>, &[u8])) -> Result<Read, ReadError> {
        let (folder, id) = match &self.0 {
            Place::Batch(folder, id) => (folder, id),
            Place::File(file, _) => return read_records(file, visit).map(Read::from),
        };
        // In the order of its life: what is not there under one name is there under the next.
        // While it is packed it is there twice for a moment, and only one is read.
        for file in [folder.open_journal(id), folder.sealed(id), folder.compressed(id)] {
            match read_records(&file, &mut visit) {
                Err(ReadError::Disk(error)) if error.source.kind() == io::ErrorKind::NotFound => {}
                other => return other.map(Read::from),
            }
        }
        Ok(Read::Gone)
    }

    /// The batch it is of, where its name says so.
    pub fn batch(&self) -> Option<&BatchId> {
        self.place().map(|(_, id)| id)
    }

    /// The manifest beside it; `None` where its name does not say of which batch it is.
    pub fn manifest(&self) -> Option<Result<Manifest, ManifestError>> {
        let (folder, id) = self.place()?;
        Some(Manifest::read(folder, id).map(|(manifest, _)| manifest))
    }

    fn place(&self) -> Option<(&Folder, &BatchId)> {
        match &self.0 {
            Place::Batch(folder, id) => Some((folder, id)),
            Place::File(_, batch) => batch.as_ref().map(|(folder, id)| (folder, id)),
        }
    }

    /// Alike for two that are one: a batch's has as many names as `audit/*` finds, a link to it among them.
    fn identity(&self) -> PathBuf {
        match &self.0 {
            Place::Batch(_, id) | Place::File(_, Some((_, id))) => id.to_string().into(),
            Place::File(file, None) => file.canonicalize().unwrap_or_else(|_| file.clone()),
        }
    }

    /// What to call it in messages.
    pub fn name(&self) -> String {
        match &self.0 {
            Place::Batch(_, id) => id.to_string(),
            Place::File(file, _) => file.display().to_string(),
        }
    }
}

impl From<Tail> for Read {
    fn from(tail: Tail) -> Self {
        match tail {
            Tail::Whole => Self::Whole,
            Tail::Torn { bytes } => Self::Torn { bytes },
        }
    }
}

fn batch_of(file: &Path) -> Option<(Folder, BatchId)> {
    let (id, _) = file.file_name()?.to_str()?.split_once('.')?;
    let folder = Folder::new(file.parent()?.to_owned());
    Some((folder, id.parse().ok()?))
}

/// Logs in the order in which they are read: of a folder the oldest first, else as they were named.
#[derive(Clone, Debug, Default)]
pub struct Logs(Vec<Log>);

impl Logs {
    /// All in a folder, open ones among them.
    pub fn of_folder(folder: &Folder) -> Result<Self, DiskError> {
        let all = folder.batches()?.into_iter();
        let there = all.filter(|(_, files)| files.open || files.is_sealed());
        Ok(Self(there.map(|(id, _)| Log::of_batch(folder.clone(), id)).collect()))
    }

    /// Files, and folders for all that is in them; a data folder stands for the audit in it. What is named twice is
    /// there once.
    pub fn of_paths(paths: &[PathBuf]) -> Result<Self, DiskError> {
        let mut all = Self::default();
        for path in paths {
            if path.is_dir() {
                let inner = path.join("audit");
                let folder = if inner.is_dir() { inner } else { path.clone() };
                all.0.extend(Self::of_folder(&Folder::new(folder))?.0);
            } else {
                all.0.push(Log::of_file(path));
            }
        }
        let mut seen = HashSet::new();
        all.0.retain(|log| seen.insert(log.identity()));
        Ok(all)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Log> {
        self.0.iter()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk;
    use crate::record::tests::sample;
    use std::borrow::Cow;

    fn id() -> BatchId {
        "20261123T020000Z-7f3a9c".parse().unwrap()
    }

    #[test]
    fn a_log_that_is_sealed_or_packed_while_it_is_looked_for_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let line = serde_json::to_string(&sample(Cow::Owned(id()))).unwrap() + "\n";
        let packed = zstd::encode_all(line.as_bytes(), 3).unwrap();
        let log = Log::of_batch(folder.clone(), id());
        let mut read = 0;
        for (file, content) in [
            (folder.compressed(&id()), packed.as_slice()),
            (folder.sealed(&id()), line.as_bytes()),
            (folder.open_journal(&id()), line.as_bytes()),
        ] {
            assert_eq!(log.read(|_, _| ()).unwrap(), Read::Gone, "nothing is there yet");
            disk::replace(&file, content, disk::Mode::Private).unwrap();
            assert_eq!(log.read(|_, _| read += 1).unwrap(), Read::Whole, "{}", file.display());
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(read, 3);
    }

    #[test]
    fn a_folder_stands_for_its_logs_and_a_link_for_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("audit"));
        std::fs::create_dir(folder.path()).unwrap();
        disk::replace(&folder.sealed(&id()), b"", disk::Mode::Private).unwrap();
        std::os::unix::fs::symlink(folder.sealed(&id()), folder.latest()).unwrap();
        let paths = [root.path().to_owned(), folder.path().to_owned(), folder.latest()];
        for paths in paths.iter().map(std::slice::from_ref).chain([paths.as_slice()]) {
            let logs = Logs::of_paths(paths).unwrap();
            let ids: Vec<_> = logs.iter().map(|log| log.batch().cloned()).collect();
            assert_eq!(ids, [Some(id())], "{paths:?}");
        }
    }
}
