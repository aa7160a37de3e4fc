//! Whether a state is the one of an audit: it may be another host's copy, or from a backup, or changed by hand.

use super::State;
use crate::audit::{BatchFiles, Folder, Manifest, ManifestError};
use crate::metrics::Status;
use crate::units::BatchId;
use std::collections::BTreeMap;

/// What the audit says of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belonging {
    /// It is the fold up to its last batch.
    Ours,
    /// There is nothing to hold it to; why.
    Unknown(String),
    /// It is not; why.
    Foreign(String),
}

/// Holds a state to the manifest of its last batch: that must be in the audit with the same digest, and
/// fold to the same totals.
///
/// The newest batch is never pruned, and no manifest is written again once the state knows it, so this
/// holds after a crash at any moment.
pub(super) fn belonging(
    state: &State,
    folder: &Folder,
    batches: &BTreeMap<BatchId, BatchFiles>,
) -> Result<Belonging, ManifestError> {
    let is_sealed = batches.values().any(|files| files.is_sealed());
    let Some(last) = &state.last_batch else {
        let totals = &state.totals;
        let ended = Status::ENDED.map(|status| totals.batches(status));
        let is_empty = ended.iter().all(|count| *count == 0) && totals.tally().attempts() == 0;
        return Ok(if is_empty {
            Belonging::Ours
        } else {
            Belonging::Foreign("it has totals and names no batch".to_owned())
        });
    };
    let id = &last.batch_id;
    let (manifest, digest) = match Manifest::read_own(folder, id) {
        Ok(known) => known,
        Err(ManifestError::Missing(_)) if !is_sealed => {
            return Ok(Belonging::Unknown(format!("{} has no batch", folder.path().display())));
        }
        Err(ManifestError::Missing(_) | ManifestError::Syntax { .. })
            if batches.get(id).is_some_and(|files| files.is_sealed()) =>
        {
            return Ok(Belonging::Unknown(format!("the manifest of {id} is gone or damaged")));
        }
        Err(ManifestError::Missing(_)) => {
            return Ok(Belonging::Foreign(format!("its last batch {id} is not in the audit")));
        }
        Err(ManifestError::Syntax { .. }) => {
            return Ok(Belonging::Foreign(format!("the manifest of {id} is damaged")));
        }
        Err(error @ (ManifestError::Disk(_) | ManifestError::Newer { .. })) => return Err(error),
    };
    if digest != last.manifest_sha256 {
        let told = format!("the manifest of {id} has another digest than it says");
        return Ok(Belonging::Foreign(told));
    }
    if let Some(mut totals) = manifest.totals_before {
        totals.fold(&manifest.summary);
        if !totals.same_facts(&state.totals) {
            let told = format!("its totals are not those up to {id}");
            return Ok(Belonging::Foreign(told));
        }
    }
    Ok(Belonging::Ours)
}
