//! A data folder, locked and brought up to date: where every command that writes begins.

use super::outline::Outline;
use super::{
    Lock, LockError, PruneError, PrunePlan, Recovery, RecoveryError, State, Store, recover,
};
use crate::audit::{CompressError, Folder, Manifest, ManifestError, Packing, Retention};
use crate::disk::{self, DiskError, Exposed, Mode};
use crate::metrics::Buckets;
use crate::units::{BatchId, Timestamp};
use std::path::Path;

/// An open data folder. The locks are let go when it is dropped.
#[derive(Debug)]
pub struct DataDir {
    /// Where the state is kept.
    pub store: Store,
    /// The audit.
    pub folder: Folder,
    /// The state, up to the newest batch.
    pub state: State,
    /// What opening had to repair.
    pub recovered: Vec<Recovery>,
    /// The greatest batch id there is; the next must be greater.
    pub newest: Option<BatchId>,
    /// What is in the audit folder, where that is known without a list.
    outline: Option<Outline>,
    /// Whether something may be noted of it, true or not.
    noted: bool,
    /// Of the data folder, and of an audit folder elsewhere, which another agent could name too.
    _locks: [Option<Lock>; 2],
}

/// A data folder that cannot be opened. Nothing in it was changed but what the recovery had done.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A folder that cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A folder in which others could swap our files.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// State or audit.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// An older log that stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Its manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The log.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

impl DataDir {
    /// Makes the folders where there are none, takes the lock, recovers.
    pub fn open(
        data_dir: &Path,
        audit_dir: &Path,
        buckets: &Buckets,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let folder = Folder::new(audit_dir.to_owned());
        for path in [data_dir, audit_dir] {
            disk::exposed(path)?;
            disk::create_folder(path, Mode::Private)?;
            disk::writable(path)?;
        }
        let locks = [
            Some(Lock::take(data_dir)?),
            if audit_dir.starts_with(data_dir) { None } else { Some(Lock::take(audit_dir)?) },
        ];
        let store = Store::new(data_dir);
        store.clear()?;
        let found = recover(&store, &folder, buckets, now)?;
        Ok(Self {
            store,
            folder,
            state: found.state,
            recovered: found.done,
            newest: found.newest,
            noted: true,
            outline: found.outline,
            _locks: locks,
        })
    }

    /// Saves the state.
    pub fn save(&self) -> Result<(), DiskError> {
        self.store.save(&self.state)
    }

    /// Saves the times of a push before it begins. Where that fails it begins all the same: it may be what tells
    /// somebody of the full disk.
    pub fn save_times(&self) {
        if let Err(error) = self.save() {
            tracing::error!(%error, "the times of what is pushed are not noted; if the clock is set back, it is refused");
        }
    }

    /// Lets files of the audit be made, renamed or removed. What somebody else has changed there since the last time
    /// is found by a list, and no longer without one.
    pub fn change<T>(&mut self, change: impl FnOnce(&Folder) -> T) -> T {
        self.outline.take_if(|outline| !outline.holds(&self.folder));
        self.forget();
        let done = change(&self.folder);
        if let Some(outline) = &mut self.outline {
            outline.renew(&self.folder);
        }
        done
    }

    /// Counts the batch in that was just sealed. Gives the older logs to be packed, where no list is needed to know
    /// them, and to know that the retention lets all stay.
    pub fn all_stay(
        &mut self,
        retention: &Retention,
        pack: bool,
        now: Timestamp,
    ) -> Option<Vec<BatchId>> {
        let newest = self.state.last_batch.as_ref()?.batch_id.clone();
        let mut outline = self.outline.take().filter(|known| known.is_packed() || !pack)?;
        let older = outline.add(&self.folder, newest);
        let known = outline.all_stay(retention, now) && outline.holds(&self.folder);
        self.outline = known.then_some(outline);
        known.then(|| older.into_iter().collect())
    }

    /// Carries a plan out; what stays by it needs no list from then on.
    pub fn prune(&mut self, plan: &PrunePlan) -> Result<(), PruneError> {
        let mut outline = plan.outline().filter(|outline| outline.holds(&self.folder));
        self.outline = None;
        if !plan.going.is_empty() {
            self.forget();
            plan.carry_out(&mut self.state, &self.store, &self.folder)?;
            if let Some(outline) = &mut outline {
                outline.renew(&self.folder);
            }
        }
        self.outline = outline;
        Ok(())
    }

    /// Packs an older log, unless `stop` says not to go on.
    pub fn pack(&mut self, id: &BatchId, stop: &dyn Fn() -> bool) -> Result<(), PackError> {
        let (manifest, _) = Manifest::read(&self.folder, id)?;
        let bytes = |folder: &Folder| folder.bytes(id, folder.files(id));
        let before = bytes(&self.folder);
        let begun = self.change(|folder| Packing::begin(folder, &manifest));
        let packing = begun.map_err(CompressError::from)?;
        // That takes seconds, in which somebody else may change the folder.
        let written = packing.write(stop);
        self.change(|_| packing.end(written))?;
        let after = bytes(&self.folder);
        if let Some(outline) = &mut self.outline {
            outline.weigh_anew(before, after);
        }
        Ok(())
    }

    /// Notes for the next start what is known of the audit folder; `packed` if all logs but the newest are now.
    pub fn note_outline(&mut self, packed: bool) -> Result<(), DiskError> {
        let Some(outline) = self.outline.as_mut().filter(|known| known.holds(&self.folder)) else {
            return Ok(());
        };
        if packed {
            outline.set_packed();
        }
        self.noted = true;
        outline.note(&self.store)
    }

    /// Removes what was noted, before the folder changes.
    fn forget(&mut self) {
        if std::mem::take(&mut self.noted)
            && let Err(error) = Outline::forget(&self.store)
        {
            // By its mark it is known to be of another time.
            tracing::warn!(%error, "a note of how the audit was is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Journal;
    use crate::record::{Record, tests::sample};
    use std::borrow::Cow;
    use std::fs;
    use std::time::Duration;

    fn open(root: &Path) -> DataDir {
        let audit = root.join("audit");
        DataDir::open(root, &audit, &Buckets::default(), Timestamp::from_micros(0)).unwrap()
    }

    fn id(second: i64) -> BatchId {
        BatchId::next(Timestamp::from_micros(second * 1_000_000), 7, None)
    }

    /// A batch that is left open with one record, as a killed one is.
    fn leave_open(folder: &Folder, id: &BatchId) {
        let mut journal = Journal::create(folder, id, 1, None).unwrap();
        journal.append(&Record { ..sample(Cow::Borrowed(id)) }, 0).unwrap();
    }

    /// As a batch does it that ends well.
    fn note(data: &mut DataDir) {
        let retention = Retention::default();
        let now = Timestamp::from_micros(0);
        let plan = PrunePlan::make(Some(&data.state), &data.folder, &retention, now).unwrap();
        data.prune(&plan).unwrap();
        for one in plan.kept.iter().rev().skip(1).filter(|one| one.plain) {
            data.pack(&one.id, &|| false).unwrap();
        }
        data.note_outline(true).unwrap();
    }

    /// A folder of three batches, as the third one left it.
    fn noted() -> (tempfile::TempDir, Outline) {
        let root = tempfile::tempdir().unwrap();
        for second in 1..=3 {
            fs::create_dir_all(root.path().join("audit")).unwrap();
            leave_open(&Folder::new(root.path().join("audit")), &id(second));
            open(root.path());
        }
        note(&mut open(root.path()));
        let outline = open(root.path()).outline.unwrap();
        (root, outline)
    }

    #[test]
    fn a_folder_that_is_as_it_was_left_is_not_listed_again() {
        let (root, outline) = noted();
        let again = open(root.path());
        assert_eq!((again.newest.clone(), again.recovered.len()), (Some(id(3)), 0));
        assert_eq!(again.outline, Some(outline));
        assert_eq!(again.state.totals.tally().attempts(), 3);
    }

    #[test]
    fn whatever_changes_in_the_folder_is_looked_for_by_a_list() {
        let changes: [fn(&Folder); 5] = [
            |folder| disk::write_passing(&folder.path().join("theirs"), b"").unwrap(),
            |folder| fs::remove_file(folder.manifest(&id(1))).unwrap(),
            |folder| disk::rename(&folder.sealed(&id(3)), &folder.path().join("away")).unwrap(),
            |folder| {
                let (from, to) = (folder.path().to_owned(), folder.path().with_file_name("moved"));
                disk::rename(&from, &to).unwrap();
                fs::create_dir(&from).unwrap();
                for entry in fs::read_dir(&to).unwrap() {
                    let entry = entry.unwrap();
                    disk::rename(&entry.path(), &from.join(entry.file_name())).unwrap();
                }
            },
            // A batch that is newer than all that were counted.
            |folder| leave_open(folder, &id(4)),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (root, _) = noted();
            change(&Folder::new(root.path().join("audit")));
            let data = open(root.path());
            assert!(data.outline.is_none(), "{number}");
            assert_eq!(data.state.totals.tally().attempts(), if number == 4 { 4 } else { 3 });
        }
    }

    #[test]
    fn a_note_that_is_not_of_this_state_counts_for_nothing() {
        let (root, _) = noted();
        let store = Store::new(root.path());
        let outline = fs::read(root.path().join("outline.json")).unwrap();
        for spoilt in
            [&b""[..], &outline[..outline.len() - 1], b"{}", &[&outline[..], b"x"].concat()]
        {
            disk::replace(&root.path().join("outline.json"), spoilt, Mode::Private).unwrap();
            assert!(open(root.path()).outline.is_none());
        }
        // A state of before the last batch, as a backup has it: what came after it is folded.
        note(&mut open(root.path()));
        let mut state = open(root.path()).state;
        let folder = Folder::new(root.path().join("audit"));
        let (second, digest) = Manifest::read(&folder, &id(2)).unwrap();
        state.totals = Manifest::read(&folder, &id(3)).unwrap().0.totals_before.unwrap();
        let last = state.last_batch.as_mut().unwrap();
        (last.batch_id, last.manifest_sha256) = (id(2), digest);
        last.previous_sha256 = second.previous_sha256;
        store.save(&state).unwrap();
        let data = open(root.path());
        assert_eq!(data.recovered, [Recovery::Folded { id: id(3) }]);
        assert_eq!(data.state.totals.tally().attempts(), 3);
    }

    #[test]
    fn what_is_known_without_a_list_is_what_a_list_says() {
        let (root, _) = noted();
        let mut data = open(root.path());
        data.change(|folder| {
            leave_open(folder, &id(4));
            disk::rename(&folder.open_journal(&id(4)), &folder.sealed(&id(4))).unwrap();
        });
        data.state.last_batch.as_mut().unwrap().batch_id = id(4);
        let now = id(4).start();
        let mut lets_go = |retention: Retention| {
            let outline = data.outline.clone();
            let older = data.all_stay(&retention, true, now);
            let known = std::mem::replace(&mut data.outline, outline);
            older.map(|older| (older, known.unwrap()))
        };
        let (older, known) = lets_go(Retention::default()).unwrap();
        assert_eq!(older, [id(3)]);
        let day = Duration::from_hours(24);
        for (batches, age, bytes, all_stay) in [
            (4, day, 1 << 30, true),
            (3, day, 1 << 30, false),
            (4, Duration::from_hours(1), 1 << 30, true),
            (4, day, 1 << 20, true),
        ] {
            let retention = Retention::new(batches, age, bytes).unwrap();
            assert_eq!(lets_go(retention).is_some(), all_stay, "{batches} {age:?} {bytes}");
        }
        let plan = PrunePlan::make(Some(&data.state), &data.folder, &Retention::default(), now);
        assert_eq!(plan.unwrap().outline(), Some(known));
    }

    #[test]
    fn what_somebody_does_while_a_batch_runs_is_looked_for_by_a_list() {
        let (root, _) = noted();
        let mut data = open(root.path());
        data.change(|folder| leave_open(folder, &id(4)));
        assert!(data.outline.is_some());
        assert!(!root.path().join("outline.json").exists(), "a kill must not leave it");
        disk::write_passing(&root.path().join("audit/theirs"), b"").unwrap();
        data.change(|_| ());
        assert!(data.outline.is_none());
    }
}
