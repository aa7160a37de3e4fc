//! A set of logs to read, wherever they are and however far they have come in their life.

use super::reader::{fold_records, read_records};
use super::{Folder, Manifest, ManifestError, ReadError, Tail};
use crate::disk::DiskError;
use crate::record::Record;
use crate::units::BatchId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
        match named(&file) {
            Some((folder, id)) if [folder.manifest(&id), folder.broken(&id)].contains(&file) => {
                Self(Place::Batch(folder, id))
            }
            batch => Self(Place::File(file.clone(), batch.filter(|batch| is_log(&file, batch)))),
        }
    }

    /// Hands every whole line to `visit`, as a record and as it stands, newline included.
    pub fn read(&self, mut visit: impl FnMut(&Record<'_>, &[u8])) -> Result<Read, ReadError> {
        self.find(|file| read_records(file, &mut visit))
    }

    /// Folds its records on every core. `visit` sees those of some thousand lines, on any thread, and `take` what it made of
    /// them, here and in their order; it leaves behind what `make` makes, for further ones.
    pub fn fold<T: Send>(
        &self,
        make: impl Fn() -> T,
        visit: impl Fn(&mut T, &Record<'_>) + Sync,
        mut take: impl FnMut(&mut T),
    ) -> Result<Read, ReadError> {
        self.find(|file| fold_records(file, &make, &visit, &mut take))
    }

    fn find(
        &self,
        mut read: impl FnMut(&Path) -> Result<Tail, ReadError>,
    ) -> Result<Read, ReadError> {
        let (folder, id) = match &self.0 {
            Place::Batch(folder, id) => (folder, id),
            Place::File(file, _) => return read(file).map(Read::from),
        };
        // In the order of its life: what is not there under one name is there under the next.
        // While it is packed it is there twice for a moment, and only one is read.
        for file in [folder.open_journal(id), folder.sealed(id), folder.compressed(id)] {
            match read(&file) {
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

    fn identity(&self) -> Identity {
        match &self.0 {
            Place::Batch(_, id) | Place::File(_, Some((_, id))) => Identity::Batch(id.clone()),
            Place::File(file, None) => {
                Identity::File(file.canonicalize().unwrap_or_else(|_| file.clone()))
            }
        }
    }

    /// Where the folder of its batch really is.
    fn folder(&self) -> Option<PathBuf> {
        let (folder, _) = self.place()?;
        // A file that is named alone is in the folder without a name.
        let path = Path::new(".").join(folder.path());
        Some(path.canonicalize().unwrap_or(path))
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

/// The batch that a file's name begins with.
fn named(file: &Path) -> Option<(Folder, BatchId)> {
    let (id, _) = file.file_name()?.to_str()?.split_once('.')?;
    Some((Folder::new(file.parent()?.to_owned()), id.parse().ok()?))
}

/// Another part or another form of a log is none of ours, whose manifest would not speak of it.
fn is_log(file: &Path, (folder, id): &(Folder, BatchId)) -> bool {
    let ours = [folder.open_journal(id), folder.sealed(id), folder.compressed(id)];
    ours.iter().any(|one| one == file)
}

/// Logs in the order in which they are read: of a folder the oldest first, else as they were named. None is there twice.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    all: Vec<Log>,
    copies: Vec<Log>,
}

/// What makes two logs one.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Batch(BatchId),
    File(PathBuf),
}

impl Logs {
    /// All in folders, open ones among them.
    pub fn of_folders(folders: &[Folder]) -> Result<Self, DiskError> {
        let mut all = Vec::new();
        for folder in folders {
            let batches = folder.batches()?.into_iter();
            let there = batches.filter(|(_, files)| files.open || files.is_sealed());
            all.extend(there.map(|(id, _)| Log::of_batch(folder.clone(), id)));
        }
        Ok(Self::each_once(all))
    }

    /// Files, and folders for all that is in them; a data folder stands for the audit in it and those of its shards.
    ///
    /// A batch is read once, by however many names it was given: `*.jsonl` is `latest.jsonl` as well.
    pub fn of_paths(paths: &[PathBuf]) -> Result<Self, DiskError> {
        let mut all = Vec::new();
        for path in paths {
            if path.is_dir() {
                all.extend(Self::of_folders(&Folder::all_in(path)?)?.all);
            } else {
                all.push(Log::of_file(path));
            }
        }
        Ok(Self::each_once(all))
    }

    fn each_once(named: Vec<Log>) -> Self {
        let mut folders = HashMap::new();
        let mut logs = Self::default();
        for log in named {
            match folders.entry(log.identity()) {
                Entry::Vacant(entry) => {
                    entry.insert(log.folder());
                    logs.all.push(log);
                }
                Entry::Occupied(known) if *known.get() != log.folder() => logs.copies.push(log),
                Entry::Occupied(_) => {}
            }
        }
        logs
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Log> {
        self.all.iter()
    }

    /// Left out: of batches that are there already, from another folder.
    pub fn copies(&self) -> &[Log] {
        &self.copies
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
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
        for path in [root.path().to_owned(), folder.path().to_owned(), folder.latest()] {
            let logs = Logs::of_paths(std::slice::from_ref(&path)).unwrap();
            let ids: Vec<_> = logs.iter().map(|log| log.batch().cloned()).collect();
            assert_eq!(ids, [Some(id())], "{}", path.display());
        }
    }

    #[test]
    fn a_batch_that_is_named_in_several_ways_is_there_once() {
        let root = tempfile::tempdir().unwrap();
        let (folder, backup) = (root.path().join("audit"), root.path().join("backup"));
        let (folder, backup) = (Folder::new(folder), Folder::new(backup));
        for one in [&folder, &backup] {
            std::fs::create_dir(one.path()).unwrap();
            disk::replace(&one.sealed(&id()), b"", disk::Mode::Private).unwrap();
        }
        disk::replace(&folder.compressed(&id()), b"", disk::Mode::Private).unwrap();
        std::os::unix::fs::symlink(folder.sealed(&id()), folder.latest()).unwrap();
        let merged = root.path().join("merged.jsonl");
        disk::replace(&merged, b"", disk::Mode::Private).unwrap();
        let part = folder.path().join(format!("{}.part.jsonl", id()));
        let again = folder.path().join("..").join("merged.jsonl");
        let paths = [
            folder.sealed(&id()),
            folder.latest(),
            folder.compressed(&id()),
            folder.path().to_owned(),
            root.path().to_owned(),
            merged.clone(),
            again,
            part.clone(),
        ];
        let logs = Logs::of_paths(&paths).unwrap();
        let names: Vec<_> = logs.iter().map(Log::name).collect();
        let expected = [folder.sealed(&id()), merged, part].map(|path| path.display().to_string());
        assert_eq!(names, expected);
        assert!(logs.copies().is_empty());
        let both = [folder.path().to_owned(), backup.sealed(&id())];
        let logs = Logs::of_paths(&both).unwrap();
        assert_eq!((logs.len(), logs.copies().len()), (1, 1));
    }
}
