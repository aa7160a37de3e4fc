//! Packing a sealed log: written, read again, compared, and only then is the source removed.

use super::{Folder, Manifest};
use crate::disk::{self, DiskError, Mode};
use crate::units::{BatchId, Digest, Hasher};
use std::fs::File;
use std::io::{self, Read, Write as _};
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
    /// It takes long, and can be done another night.
    #[error("asked to stop; it is packed another time")]
    Stopped,
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

    /// Packs, reads it again, and holds it to the digest of the manifest, unless `stop` says not to go on.
    pub fn write(&self, stop: &dyn Fn() -> bool) -> Result<(), CompressError> {
        self.write_and(|_| (), stop)
    }

    /// `between` sees the packed file before it is read again; a test breaks it there.
    fn write_and(
        &self,
        between: impl FnOnce(&Path),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), CompressError> {
        pack(&self.plain, &self.target, &self.temporary, stop)?;
        between(&self.temporary);
        if digest_of(&self.temporary, stop)? != self.expected {
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

fn pack(
    plain: &Path,
    target: &File,
    temporary: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<(), CompressError> {
    let source = disk::open(plain)?;
    let pack = || {
        let mut encoder = zstd::stream::Encoder::new(target, LEVEL)?;
        encoder.include_checksum(true)?;
        let is_whole = each_chunk(source, stop, |chunk| encoder.write_all(chunk))?;
        if is_whole {
            encoder.finish()?.sync_all()?;
        }
        Ok(is_whole)
    };
    unless_stopped(pack().map_err(DiskError::new("write", temporary))?)
}

fn digest_of(packed: &Path, stop: &dyn Fn() -> bool) -> Result<Digest, CompressError> {
    let file = disk::open(packed)?;
    let mut hasher = Hasher::default();
    let read = || {
        let decoder = zstd::stream::Decoder::new(file)?;
        each_chunk(decoder, stop, |chunk| {
            hasher.update(chunk);
            Ok(())
        })
    };
    unless_stopped(read().map_err(DiskError::new("read", packed))?)?;
    Ok(hasher.finish())
}

/// Hands over all that there is to read; false where it was stopped before.
fn each_chunk(
    mut source: impl Read,
    stop: &dyn Fn() -> bool,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    let mut chunk = vec![0; 128 * 1024];
    while !stop() {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(true),
            Ok(length) => take(&chunk[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

const fn unless_stopped(is_whole: bool) -> Result<(), CompressError> {
    if is_whole { Ok(()) } else { Err(CompressError::Stopped) }
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
        let written = packing.write_and(between, &|| false);
        packing.end(written)
    }

    fn files(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn who_is_asked_to_stop_packs_no_further_and_leaves_the_log_as_it_was() {
        let text = "line\n".repeat(100_000);
        let (_root, folder, manifest) = sealed(text.as_bytes());
        // As it is packed, and as it is read again: each is four chunks, and an end.
        for after in [0, 1, 4, 5, 6, 9] {
            let asked = std::cell::Cell::new(0);
            let stop = || asked.replace(asked.get() + 1) == after;
            let packing = Packing::begin(&folder, &manifest).unwrap();
            let written = packing.write(&stop);
            assert!(matches!(written, Err(CompressError::Stopped)), "{after}: {written:?}");
            packing.end(written).unwrap_err();
            assert_eq!(files(&folder), ["20261123T020000Z-7f3a9c.jsonl"], "{after}");
        }
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
