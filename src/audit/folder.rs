//! The names of the files in an audit folder, in one place.

use crate::disk::{self, DiskError, Mode};
use crate::units::{BatchId, Shard};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder of batches.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// Which files of a batch there are.
#[expect(clippy::struct_excessive_bools, reason = "each file is there or not, independently")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchFiles {
    /// `<id>.jsonl.partial`: open, or left behind by a batch that was killed.
    pub open: bool,
    /// `<id>.jsonl`.
    pub plain: bool,
    /// `<id>.jsonl.zst`.
    pub compressed: bool,
    /// `<id>.manifest.json`.
    pub manifest: bool,
}

impl BatchFiles {
    /// Renamed to its final name.
    pub const fn is_sealed(self) -> bool {
        !self.open && (self.plain || self.compressed)
    }
}

/// The shards that have a folder in `folder`, by number.
pub fn shards_in(folder: &Path) -> Result<BTreeMap<u32, PathBuf>, DiskError> {
    let failed = |source| DiskError::new("list", folder)(source);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(failed)?,
    };
    let mut shards = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let index = entry.file_name().to_str().and_then(Shard::of_folder);
        if let Some(index) = index.filter(|_| entry.path().is_dir()) {
            shards.insert(index, entry.path());
        }
    }
    Ok(shards)
}

impl Folder {
    /// The folder at `path`; nothing is touched.
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Those that are meant by a path: the audit of a data folder or the folder itself, and those of the shards in it.
    pub fn all_in(path: &Path) -> Result<Vec<Self>, DiskError> {
        let mut folders = vec![Self::of_data(path)];
        folders.extend(shards_in(path)?.into_values().map(|shard| Self::of_data(&shard)));
        Ok(folders)
    }

    /// The audit in a data folder; what has none is an audit itself.
    pub fn of_data(path: &Path) -> Self {
        let inner = path.join("audit");
        Self(if inner.is_dir() { inner } else { path.to_owned() })
    }

    /// Makes the folder, 0700, where there is none.
    pub fn create(&self) -> Result<(), DiskError> {
        disk::create_folder(&self.0, Mode::Private)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The journal while it is open.
    pub fn open_journal(&self, id: &BatchId) -> PathBuf {
        self.0.join(format!("{id}.jsonl.partial"))
    }

    /// The tail of a journal that was cut off.
    pub fn broken(&self, id: &BatchId) -> PathBuf {
        self.0.join(format!("{id}.jsonl.broken"))
    }

    /// The sealed log.
    pub fn sealed(&self, id: &BatchId) -> PathBuf {
        self.0.join(format!("{id}.jsonl"))
    }

    /// The sealed log, compressed.
    pub fn compressed(&self, id: &BatchId) -> PathBuf {
        self.0.join(format!("{id}.jsonl.zst"))
    }

    /// Where a sealed log is: packed, unless it is there as it was.
    pub fn sealed_or_compressed(&self, id: &BatchId) -> PathBuf {
        let plain = self.sealed(id);
        if plain.exists() { plain } else { self.compressed(id) }
    }

    /// The manifest.
    pub fn manifest(&self, id: &BatchId) -> PathBuf {
        self.0.join(format!("{id}.manifest.json"))
    }

    /// The link to the newest sealed log.
    pub fn latest(&self) -> PathBuf {
        self.0.join("latest.jsonl")
    }

    /// Removes a sealed batch: the log first, so that no log is left without its manifest.
    pub fn remove(&self, id: &BatchId) -> Result<(), DiskError> {
        for path in [self.sealed(id), self.compressed(id), self.broken(id), self.manifest(id)] {
            disk::remove_if_there(&path)?;
        }
        disk::sync_folder(&self.0)
    }

    /// The files of one batch.
    pub fn files(&self, id: &BatchId) -> BatchFiles {
        let is_there = |path: PathBuf| path.symlink_metadata().is_ok();
        BatchFiles {
            open: is_there(self.open_journal(id)),
            plain: is_there(self.sealed(id)),
            compressed: is_there(self.compressed(id)),
            manifest: is_there(self.manifest(id)),
        }
    }

    /// Bytes of a batch's files.
    pub fn bytes(&self, id: &BatchId, files: BatchFiles) -> u64 {
        let BatchFiles { open, plain, compressed, manifest } = files;
        let open = open.then(|| self.open_journal(id));
        let plain = plain.then(|| self.sealed(id));
        let compressed = compressed.then(|| self.compressed(id));
        let manifest = manifest.then(|| self.manifest(id));
        let paths = [open, plain, compressed, manifest].into_iter().flatten();
        let lengths = paths.map(|path| path.symlink_metadata().map_or(0, |found| found.len()));
        lengths.fold(0, u64::saturating_add)
    }

    /// All batches in the order of their ids; files that are not ours are passed over.
    pub fn batches(&self) -> Result<BTreeMap<BatchId, BatchFiles>, DiskError> {
        let failed = |source| DiskError::new("list", &self.0)(source);
        let mut batches = BTreeMap::<BatchId, BatchFiles>::new();
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(batches),
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some((id, suffix)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let add: fn(&mut BatchFiles) = match suffix {
                "jsonl.partial" => |files| files.open = true,
                "jsonl" => |files| files.plain = true,
                "jsonl.zst" => |files| files.compressed = true,
                "manifest.json" => |files| files.manifest = true,
                _ => continue,
            };
            let Ok(id) = id.parse::<BatchId>() else { continue };
            add(batches.entry(id).or_default());
        }
        Ok(batches)
    }
}
