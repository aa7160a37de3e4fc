//! The audit held to the state: read-only, without the lock, also while a batch runs.

use super::store::{CORRUPT, FOREIGN};
use super::{State, StateError, Store};
use crate::audit::{self, BatchFiles, Fault, Finding, Folder, Known, Pruned, Report};
use crate::disk::DiskError;
use crate::units::{BatchId, Digest};
use std::collections::BTreeMap;

/// A batch ends once in a while; one that ends every time we look is no night job.
const ATTEMPTS: usize = 5;

/// An audit that cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The state cannot be read, or is of a later version.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file or folder cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Which files there are, and what the state is: it changes when a batch begins, ends, or is pruned.
type Shape = (BTreeMap<BatchId, BatchFiles>, Option<Digest>);

/// Reads everything. What `beside` does is done before the reading, anew each time that the folder changes meanwhile:
/// so what it saw and what was read belong together.
pub fn verify<T>(
    store: &Store,
    folder: &Folder,
    mut beside: impl FnMut() -> T,
) -> Result<(Report, Option<State>, T), VerifyError> {
    for _ in 1..ATTEMPTS {
        let before = shape(store, folder)?;
        let seen = beside();
        let (report, state) = verify_once(store, folder)?;
        if shape(store, folder)? == before {
            return Ok((report, state, seen));
        }
        tracing::debug!("the folder changed while it was read; reading again");
    }
    let seen = beside();
    let (mut report, state) = verify_once(store, folder)?;
    report
        .notes
        .push("batches came and went while they were read; look again when it is quiet".to_owned());
    Ok((report, state, seen))
}

fn shape(store: &Store, folder: &Folder) -> Result<Shape, VerifyError> {
    Ok((folder.batches()?, store.digest()))
}

fn verify_once(store: &Store, folder: &Folder) -> Result<(Report, Option<State>), VerifyError> {
    let file = store.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (state, fault) = match store.look() {
        Ok(Some(Ok(state))) => (Some(state), None),
        Ok(Some(Err(error))) => (None, Some(Fault::StateCorrupt { why: error.to_string() })),
        Ok(None) => (None, Some(Fault::StateMissing)),
        // Too long, or somebody else's: what is refused has no number of the system's.
        Err(StateError::Disk(error)) if error.source.raw_os_error().is_none() => {
            (None, Some(Fault::NotAFile { why: error.source.to_string() }))
        }
        Err(error) => return Err(error.into()),
    };
    let last = state.as_ref().and_then(|state| state.last_batch.as_ref());
    let known = Known {
        newest: last.map(|last| (&last.batch_id, &last.manifest_sha256)),
        totals: state.as_ref().map(|state| &state.totals),
        pruned: state.as_ref().map_or(&Pruned::Unknown, |state| &state.pruned),
        by: &file,
    };
    let mut report = audit::verify(folder, &known)?;
    // Before the first batch is sealed there is none.
    let fault = fault.filter(|fault| *fault != Fault::StateMissing || report.batches > 0);
    report.findings.extend(fault.map(|fault| Finding { file, fault }));
    // It is evidence: of a state that somebody put there, or of an audit that is not what it was.
    let foreign = store.aside(FOREIGN)?.into_iter();
    report.findings.extend(foreign.map(|file| Finding { file, fault: Fault::StateForeign }));
    let corrupt = store.aside(CORRUPT)?.into_iter();
    report.notes.extend(corrupt.map(|file| {
        format!("{file} was corrupt and set aside; move it away when you have seen it")
    }));
    Ok((report, state))
}
