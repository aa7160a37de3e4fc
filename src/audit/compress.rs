//! Packing a sealed log: written, read again, compared, and only then is the source removed.

use super::{Folder, Manifest};
use crate::disk::{self, DiskError, Mode};
use crate::units::{BatchId, Digest, Hasher};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Level 3 packs audit lines to a twelfth at some 300 MB/s; higher levels gain little.
const LEVEL: i32 = 3;

/// A log that stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// Not readable or writable.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Not what its manifest says, or not what came back.
    #[error("{path} does not have the digest that its manifest gives; it is left as it is")]
    Digest {
        /// Which file.
        path: String,
    },
}

/// `<id>.jsonl` on its way to `<id>.jsonl.zst`. The folder is changed as it begins and as it ends; what lies between takes
/// long, and changes a file alone.
#[derive(Debug)]
pub struct Packing {
    plain: PathBuf,
    packed: PathBuf,
    /// Hidden, with no suffix that a reader would take for a log.
    temporary: PathBuf,
    target: File,
    expected: Digest,
}

impl Packing {
    /// Makes the file that the packed log goes into.
    pub fn begin(folder: &Folder, manifest: &Manifest) -> Result<Self, DiskError> {
        let id: &BatchId = &manifest.summary.batch_id;
        let temporary = folder.path().join(format!(".{id}.zst.tmp"));
        disk::remove_if_there(&temporary)?;
        Ok(Self {
            plain: folder.sealed(id),
            packed: folder.compressed(id),
            target: disk::create_new(&temporary, Mode::Private)?,
            temporary,
            expected: manifest.sha256.clone(),
        })
    }

    /// Packs, reads it again, and holds it to the digest of the manifest.
    pub fn write(&self) -> Result<(), CompressError> {
        self.write_and(|_| ())
    }

    /// `between` sees the packed file before it is read again; a test breaks it there.
    fn write_and(&self, between: impl FnOnce(&Path)) -> Result<(), CompressError> {
        pack(&self.plain, &self.target, &self.temporary)?;
        between(&self.temporary);
        if digest_of(&self.temporary)? != self.expected {
            return Err(CompressError::Digest { path: self.plain.display().to_string() });
        }
        Ok(())
    }

    /// Puts the packed log in the place of the plain one, if it was written.
    pub fn end(self, written: Result<(), CompressError>) -> Result<(), CompressError> {
        if let Err(error) = written {
            // What is left is harmless and is removed by the next try.
            let _ = disk::remove_if_there(&self.temporary);
            return Err(error);
        }
        disk::rename(&self.temporary, &self.packed)?;
        disk::remove_if_there(&self.plain)?;
        Ok(disk::sync_folder(disk::folder_of(&self.plain))?)
    }
}

fn pack(plain: &Path, target: &File, temporary: &Path) -> Result<(), DiskError> {
    let mut source = disk::open(plain)?;
    let written = zstd::stream::Encoder::new(target, LEVEL).and_then(|mut encoder| {
        encoder.include_checksum(true)?;
        io::copy(&mut source, &mut encoder)?;
        encoder.finish()
    });
    written.and_then(File::sync_all).map_err(DiskError::new("write", temporary))
}

fn digest_of(packed: &Path) -> Result<Digest, DiskError> {
    let file = disk::open(packed)?;
    let read = || -> io::Result<Digest> {
        let mut decoder = zstd::stream::Decoder::new(file)?;
        let (mut hasher, mut chunk) = (Hasher::default(), vec![0; 128 * 1024]);
        loop {
            match decoder.read(&mut chunk)? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&chunk[..length]),
            }
        }
    };
    read().map_err(DiskError::new("read", packed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{BatchSummary, Buckets, Tally};
    use std::fs;

    /// A folder with a sealed log, and its manifest.
    fn sealed(text: &[u8]) -> (tempfile::TempDir, Folder, Manifest) {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let id = "20261123T020000Z-7f3a9c".parse().unwrap();
        let tally = Tally::new(Buckets::default());
        let mut manifest = Manifest::new(BatchSummary::new(id, tally));
        manifest.sha256 = Digest::of(text);
        disk::replace(&folder.sealed(&manifest.summary.batch_id), text, Mode::Private).unwrap();
        (root, folder, manifest)
    }

    fn compress_and(
        folder: &Folder,
        manifest: &Manifest,
        between: impl FnOnce(&Path),
    ) -> Result<(), CompressError> {
        let packing = Packing::begin(folder, manifest)?;
        let written = packing.write_and(between);
        packing.end(written)
    }

    fn files(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_log_is_packed_and_reads_back() {
        let text = "line\n".repeat(1000);
        let (_root, folder, manifest) = sealed(text.as_bytes());
        compress_and(&folder, &manifest, |_| ()).unwrap();
        assert_eq!(files(&folder), ["20261123T020000Z-7f3a9c.jsonl.zst"]);
        let packed = fs::File::open(folder.compressed(&manifest.summary.batch_id)).unwrap();
        assert_eq!(zstd::decode_all(packed).unwrap(), text.as_bytes());
    }

    #[test]
    fn a_packed_file_that_breaks_before_it_is_read_again_never_replaces_its_source() {
        let text = "line\n".repeat(1000);
        for at in 0..60 {
            let (_root, folder, manifest) = sealed(text.as_bytes());
            let done = compress_and(&folder, &manifest, |packed| {
                let mut bytes = fs::read(packed).unwrap();
                let length = bytes.len();
                match at {
                    0 => bytes.clear(),
                    1 => bytes.truncate(length / 2),
                    at => bytes[at % length] ^= 1 << (at % 8),
                }
                disk::replace(packed, &bytes, Mode::Private).unwrap();
            });
            let plain = folder.sealed(&manifest.summary.batch_id);
            if done.is_err() {
                assert_eq!(fs::read(plain).unwrap(), text.as_bytes());
                assert_eq!(files(&folder).len(), 1, "nothing else is left");
            } else {
                // Some bits of a frame's head say nothing of its content.
                let packed = fs::File::open(folder.compressed(&manifest.summary.batch_id));
                assert_eq!(zstd::decode_all(packed.unwrap()).unwrap(), text.as_bytes());
            }
        }
    }

    #[test]
    fn a_log_that_is_not_what_its_manifest_says_stays_as_it_is() {
        let (_root, folder, mut manifest) = sealed(b"line\n");
        manifest.sha256 = Digest::of(b"other\n");
        let refused = compress_and(&folder, &manifest, |_| ()).unwrap_err();
        assert!(matches!(refused, CompressError::Digest { .. }), "{refused}");
        assert_eq!(files(&folder), ["20261123T020000Z-7f3a9c.jsonl"]);
    }
}
