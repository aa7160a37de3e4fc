//! Packing a sealed log: written, read again, compared, and only then is the source removed.

use super::{Folder, Manifest};
use crate::disk::{self, DiskError, Mode};
use crate::units::{BatchId, Digest, Hasher};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

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

/// Replaces `<id>.jsonl` by `<id>.jsonl.zst`.
pub fn compress(folder: &Folder, manifest: &Manifest) -> Result<(), CompressError> {
    let id: &BatchId = &manifest.summary.batch_id;
    let (plain, packed) = (folder.sealed(id), folder.compressed(id));
    // Hidden, with no suffix that a reader would take for a log.
    let temporary = folder.path().join(format!(".{id}.zst.tmp"));
    disk::remove_if_there(&temporary)?;
    let target = disk::create_new(&temporary, Mode::Private)?;
    let packed_well = pack(&plain, &target, &temporary)
        .and_then(|()| digest_of(&temporary))
        .map(|digest| digest == manifest.sha256);
    if !matches!(packed_well, Ok(true)) {
        // What is left is harmless and is removed by the next try.
        let _ = disk::remove_if_there(&temporary);
        packed_well?;
        return Err(CompressError::Digest { path: plain.display().to_string() });
    }
    disk::rename(&temporary, &packed)?;
    disk::remove_if_there(&plain)?;
    Ok(disk::sync_folder(folder.path())?)
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
