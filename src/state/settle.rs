//! One batch of the audit made ready for the fold: sealed, with a manifest that says what its log says.

use super::{Recovery, RecoveryError, State, Store};
use crate::audit::{self, BatchFiles, Folder, Ids, LogFold, Manifest, Order, ReadError, Tail};
use crate::disk;
use crate::evolution::Searches;
use crate::metrics::{BatchSummary, Buckets, Status, Tally};
use crate::record::Record;
use crate::units::{BatchId, Digest};
use std::fs::TryLockError;
use std::path::PathBuf;

/// A batch as the fold needs it.
pub(super) struct Settled {
    pub(super) manifest: Manifest,
    pub(super) manifest_sha256: Digest,
    /// The searches after it, where its records had to be read for them.
    pub(super) searches: Option<Searches>,
}

/// Makes sure that a batch is sealed and has a manifest; `None` where it has no log.
pub(super) fn settle(
    store: &Store,
    folder: &Folder,
    id: &BatchId,
    files: BatchFiles,
    buckets: &Buckets,
    state: &State,
    done: &mut Vec<Recovery>,
) -> Result<Option<Settled>, RecoveryError> {
    let known = Manifest::read_usable(folder, id)?;
    if files.open {
        return seal_killed(store, folder, id, known, buckets, state, done).map(Some);
    }
    if !files.is_sealed() {
        done.extend(known.map(|_| Recovery::LogGone { id: id.clone() }));
        return Ok(None);
    }
    let order = Order::of(known.as_ref().map(|(manifest, _)| manifest));
    let draft = match known {
        Some((manifest, digest)) if manifest.summary.status != Status::Running => {
            let (manifest, manifest_sha256) = hold_to_log(folder, files, manifest, digest, done)?;
            return Ok(Some(Settled { manifest, manifest_sha256, searches: None }));
        }
        Some((first, _)) => first,
        None => nameless(id),
    };
    let log = read_sealed(folder, id, files, buckets, &order)?;
    let mut manifest = crashed(draft, log, state);
    let sealed = folder.sealed_or_compressed(id);
    let searches = follow_search(&mut manifest, |visit| audit::read_own_records(&sealed, visit))?;
    manifest.note_ingested(|visit| audit::read_own_records(&sealed, visit))?;
    let manifest_sha256 = manifest.write(folder)?;
    done.push(Recovery::Remade { id: id.clone() });
    Ok(Some(Settled { manifest, manifest_sha256, searches }))
}

/// The log is the truth: a manifest that says other figures of it does not win over it.
fn hold_to_log(
    folder: &Folder,
    files: BatchFiles,
    mut manifest: Manifest,
    digest: Digest,
    done: &mut Vec<Recovery>,
) -> Result<(Manifest, Digest), RecoveryError> {
    let id = manifest.summary.batch_id.clone();
    let buckets = manifest.summary.tally.duration_histogram().buckets().clone();
    let order = Order::of(Some(&manifest));
    let log = match read_sealed(folder, &id, files, &buckets, &order) {
        Ok(log) if log.is_described_by(&manifest) => return Ok((manifest, digest)),
        Ok(log) => log,
        // The manifest is the best that is left.
        Err(error) => {
            done.push(Recovery::LogChanged { id, why: error.to_string() });
            return Ok((manifest, digest));
        }
    };
    if log.end().sha256 != manifest.sha256 {
        // One of the two was changed. That must still be seen tomorrow, so both stay as they are.
        manifest.summary.tally = log.tally;
        let why = "it has another digest".to_owned();
        done.push(Recovery::LogChanged { id, why });
        return Ok((manifest, digest));
    }
    log.describe(&mut manifest);
    let digest = manifest.write(folder)?;
    done.push(Recovery::Corrected { id });
    Ok((manifest, digest))
}

/// Folds a sealed log, without its manifest.
pub(super) fn read_sealed(
    folder: &Folder,
    id: &BatchId,
    files: BatchFiles,
    buckets: &Buckets,
    order: &Order,
) -> Result<LogFold, RecoveryError> {
    let path = if files.plain { folder.sealed(id) } else { folder.compressed(id) };
    let read = audit::fold_log(&path, id, buckets, order).map_err(ReadError::Disk)?;
    if let (log, true) = read {
        return Ok(log);
    }
    // Again, to say what is wrong; a line that is not whole is nothing to stop for.
    let (mut log, mut ids) = (LogFold::new(buckets.clone()), Ids::new(order));
    let (mut lines, mut mixed) = (0, None);
    audit::read_own_records(&path, |record, line| {
        lines += 1;
        if *record.batch_id != *id || !ids.take(record.mutation_id) {
            mixed = mixed.or(Some(lines));
        }
        log.take(record, line);
    })?;
    match mixed {
        Some(line) => Err(RecoveryError::Mixed { path, line }),
        None => Ok(log),
    }
}

/// Refuses a journal that another process has open.
fn leave_if_at_work(path: PathBuf) -> Result<(), RecoveryError> {
    match disk::open_own(&path)?.try_lock() {
        Err(TryLockError::WouldBlock) => Err(RecoveryError::AtWork(path)),
        // Without locks (an odd file system) the folder's was not to be had either.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Seals the journal of a batch that was killed.
fn seal_killed(
    store: &Store,
    folder: &Folder,
    id: &BatchId,
    known: Option<(Manifest, Digest)>,
    buckets: &Buckets,
    state: &State,
    done: &mut Vec<Recovery>,
) -> Result<Settled, RecoveryError> {
    leave_if_at_work(folder.open_journal(id))?;
    let order = Order::of(known.as_ref().map(|(manifest, _)| manifest));
    let found = audit::salvage(folder, id, buckets, &order, &store.midstates())?;
    let draft = match known {
        // Killed between the manifest and the last rename: the batch had ended.
        Some((manifest, digest))
            if manifest.summary.status != Status::Running
                && manifest.sha256 == found.log.end().sha256 =>
        {
            audit::finish_seal(folder, &manifest)?;
            done.push(Recovery::Finished { id: id.clone() });
            return Ok(Settled { manifest, manifest_sha256: digest, searches: None });
        }
        Some((manifest, _)) => manifest,
        None => nameless(id),
    };
    let mut manifest = crashed(draft, found.log, state);
    let journal = folder.open_journal(id);
    let searches = follow_search(&mut manifest, |visit| audit::read_own_records(&journal, visit))?;
    manifest.note_ingested(|visit| audit::read_own_records(&journal, visit))?;
    let records = manifest.records;
    let manifest_sha256 = audit::seal(folder, &manifest)?;
    done.push(Recovery::Crashed { id: id.clone(), records, cut: found.cut });
    Ok(Settled { manifest, manifest_sha256, searches })
}

/// Of a batch of which only the id is known.
fn nameless(id: &BatchId) -> Manifest {
    Manifest::new(BatchSummary::new(id.clone(), Tally::new(Buckets::default())))
}

fn crashed(mut draft: Manifest, log: LogFold, state: &State) -> Manifest {
    draft.summary.status = Status::Crashed;
    draft.summary.ended = None;
    draft.summary.duration_seconds = None;
    draft.summary.exit_code = None;
    draft.ended_by = Some("crash".to_owned());
    draft.summary.rounds_completed = log.rounds_completed();
    log.describe(&mut draft);
    // A state that was lost does not know; what the batch's first manifest says stands then.
    if let Some(last) = &state.last_batch {
        draft.previous_sha256 = Some(last.manifest_sha256.clone());
    }
    draft.totals_before = Some(state.totals.clone());
    draft
}

/// The searches as the records of a killed batch left them, of which metrics show some; `None` where nothing was evaluated.
fn follow_search(
    manifest: &mut Manifest,
    read: impl FnOnce(&mut dyn FnMut(&Record<'_>, &[u8])) -> Result<Tail, ReadError>,
) -> Result<Option<Searches>, RecoveryError> {
    let Some(evolution) = &manifest.evolution else { return Ok(None) };
    let searches = evolution.after(read)?;
    let id = &manifest.summary.batch_id;
    manifest.summary.search = Some(searches.summary(&evolution.settings, id));
    Ok(Some(searches))
}
