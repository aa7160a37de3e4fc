//! Closing a batch: the manifest, the final name, the link to the newest.

use super::{Folder, Manifest};
use crate::disk::{self, DiskError};
use crate::units::Digest;

/// Seals a batch whose journal is complete and synced; gives the manifest's digest.
///
/// The manifest is there before the log has its final name, so a log with a final name always has
/// one. A crash between the two is found by the next start, which sees that the manifest already
/// describes the journal and only does the rest.
pub fn seal(folder: &Folder, manifest: &Manifest) -> Result<Digest, DiskError> {
    let digest = manifest.write(folder)?;
    finish(folder, manifest)?;
    Ok(digest)
}

/// The rest of a seal whose manifest is written.
pub(crate) fn finish(folder: &Folder, manifest: &Manifest) -> Result<(), DiskError> {
    let id = &manifest.summary.batch_id;
    let sealed = folder.sealed(id);
    disk::rename(&folder.open_journal(id), &sealed)?;
    let name = sealed.file_name().unwrap_or_default();
    if let Err(error) = disk::swap_link(&folder.latest(), name.as_ref()) {
        // The batch is sealed; the link is for people.
        tracing::warn!(%error, "latest.jsonl does not lead to the newest log");
    }
    Ok(())
}
