//! Bringing the state up to the audit: every sealed batch is folded in once, a killed one is sealed first.

use super::belonging::{Belonging, belonging};
use super::outline::Outline;
use super::settle::{Settled, settle};
use super::store::{CORRUPT, FOREIGN};
use super::{FoldedBatch, Recovery, RecoveryError, State, Store};
use crate::audit::{self, BatchFiles, Folder, Manifest, ManifestError, Pruned, ReadError};
use crate::evolution::Searches;
use crate::metrics::Buckets;
use crate::units::{BatchId, Digest, Timestamp};
use std::collections::BTreeMap;

/// The state, up to date, and what had to be done for it.
#[derive(Debug)]
pub struct Recovered {
    /// Saved already where it changed.
    pub state: State,
    /// In order.
    pub done: Vec<Recovery>,
    /// The greatest id in state and folder; the next one must be greater.
    pub newest: Option<BatchId>,
    /// What is in the folder, where that was known without a list.
    pub(super) outline: Option<Outline>,
}

/// Reads the state, seals what was left open, folds what is not folded, saves. Under the lock.
pub fn recover(
    store: &Store,
    folder: &Folder,
    buckets: &Buckets,
    now: Timestamp,
) -> Result<Recovered, RecoveryError> {
    if let Some(found) = as_it_was_left(store, folder)? {
        return Ok(found);
    }
    let batches = folder.batches()?;
    let mut done = Vec::new();
    let known = load(store, folder, &batches, now, &mut done)?;
    let lost = known.is_none();
    let mut state = known.unwrap_or_else(|| State::new(buckets.clone()));
    let start = if lost { rebuild(folder, &batches, &mut state, &mut done)? } else { None };
    if lost {
        state.pruned = pruned_before(folder, &batches);
    }
    let before = state.last_batch.as_ref().map(|last| last.batch_id.clone());
    let is_new = |id: &BatchId| {
        before.as_ref().is_none_or(|last| id > last)
            && start.as_ref().is_none_or(|first| id >= first)
    };
    for (id, files) in batches.iter().filter(|(id, _)| is_new(id)) {
        if let Some(settled) = settle(store, folder, id, *files, buckets, &state, &mut done)? {
            let Settled { manifest, manifest_sha256, searches } = settled;
            if fold(&mut state, &manifest, manifest_sha256) {
                done.push(Recovery::NewBuckets { id: id.clone() });
            }
            done.push(Recovery::Folded { id: id.clone() });
            let searches = match searches {
                Some(followed) => Ok(Some(followed)),
                None => searches_after(folder, &manifest),
            };
            match searches {
                Ok(searches) => state.searches = searches.unwrap_or(state.searches),
                Err(error) => {
                    done.push(Recovery::SearchLost { id: id.clone(), why: error.to_string() });
                }
            }
            for (gateway, pushes) in &manifest.pushes {
                state.totals.count_pushes(gateway, &pushes.attempts);
            }
        }
    }
    if done.iter().any(Recovery::changes) {
        store.save(&state)?;
    }
    let newest = batches.into_keys().next_back().max(before);
    Ok(Recovered { state, done, newest, outline: None })
}

/// Where a batch left all in order and nobody has changed the folder since, its last batch is all that is looked at.
fn as_it_was_left(store: &Store, folder: &Folder) -> Result<Option<Recovered>, RecoveryError> {
    let Some(outline) = Outline::noted(store, folder) else { return Ok(None) };
    let Some(Ok(state)) = store.load()? else { return Ok(None) };
    let newest = outline.newest().clone();
    if state.last_batch.as_ref().is_none_or(|last| last.batch_id != newest) {
        return Ok(None);
    }
    let last = BTreeMap::from([(newest.clone(), folder.files(&newest))]);
    if belonging(&state, folder, &last)? != Belonging::Ours {
        return Ok(None);
    }
    tracing::debug!("the audit is as the last batch left it");
    let outline = Some(outline);
    Ok(Some(Recovered { state, done: Vec::new(), newest: Some(newest), outline }))
}

/// The state, if there is one that can be used. One that cannot is set aside.
fn load(
    store: &Store,
    folder: &Folder,
    batches: &BTreeMap<BatchId, BatchFiles>,
    now: Timestamp,
    done: &mut Vec<Recovery>,
) -> Result<Option<State>, RecoveryError> {
    let state = match store.load()? {
        None => return Ok(None),
        Some(Ok(state)) => state,
        Some(Err(error)) => {
            let path = store.set_aside(CORRUPT, now)?;
            done.push(Recovery::SetAside { path, error: error.to_string() });
            return Ok(None);
        }
    };
    match belonging(&state, folder, batches)? {
        Belonging::Ours => Ok(Some(state)),
        Belonging::Kept(doubt) => {
            done.push(doubt);
            Ok(Some(state))
        }
        Belonging::Foreign(why) => {
            let path = store.set_aside(FOREIGN, now)?;
            done.push(Recovery::Foreign { path, why });
            Ok(None)
        }
    }
}

/// Folds a sealed batch; whether other buckets made the duration histogram start anew.
pub(crate) fn fold(state: &mut State, manifest: &Manifest, manifest_sha256: Digest) -> bool {
    let had_some = state.totals.tally().attempts() > 0;
    let same_buckets = state.totals.fold(&manifest.summary);
    state.last_batch = Some(FoldedBatch {
        batch_id: manifest.summary.batch_id.clone(),
        manifest_sha256,
        previous_sha256: manifest.previous_sha256.clone(),
    });
    had_some && !same_buckets
}

/// The search after a sealed batch: as it was when the batch began, and the records since. `None` where
/// nothing was evaluated.
pub(crate) fn searches_after(
    folder: &Folder,
    manifest: &Manifest,
) -> Result<Option<Searches>, ReadError> {
    let Some(evolution) = &manifest.evolution else { return Ok(None) };
    let path = folder.sealed_or_compressed(&manifest.summary.batch_id);
    evolution.after(|visit| audit::read_own_records(&path, visit)).map(Some)
}

/// For a lost state: takes the totals from the newest manifest that has them; folding starts there.
fn rebuild(
    folder: &Folder,
    batches: &BTreeMap<BatchId, BatchFiles>,
    state: &mut State,
    done: &mut Vec<Recovery>,
) -> Result<Option<BatchId>, RecoveryError> {
    for (id, files) in batches.iter().rev() {
        if !files.is_sealed() || !files.manifest {
            continue;
        }
        if let Some((Manifest { totals_before: Some(before), evolution, .. }, _)) =
            Manifest::read_usable(folder, id)?
        {
            state.totals = before;
            done.push(Recovery::Rebuilt { from: id.clone() });
            state.searches = match evolution {
                Some(before) => before.searches,
                None => searches_before(folder, batches, id, done)?,
            };
            return Ok(Some(id.clone()));
        }
    }
    Ok(None)
}

/// For a lost state: the searches as the last evaluated batch before `id` left them. Nights without an
/// evaluator, or with a broken one, say nothing of them.
fn searches_before(
    folder: &Folder,
    batches: &BTreeMap<BatchId, BatchFiles>,
    id: &BatchId,
    done: &mut Vec<Recovery>,
) -> Result<Searches, RecoveryError> {
    for (id, _) in batches.range(..id).rev() {
        let Some((manifest, _)) = Manifest::read_usable(folder, id)? else { continue };
        match searches_after(folder, &manifest) {
            Ok(None) => {}
            Ok(Some(searches)) => return Ok(searches),
            Err(error) => {
                done.push(Recovery::SearchLost { id: id.clone(), why: error.to_string() });
                return Ok(manifest.evolution.map(|begun| begun.searches).unwrap_or_default());
            }
        }
    }
    Ok(Searches::default())
}

/// For a lost state: nothing was pruned where the oldest manifest names none before it; else nobody knows.
fn pruned_before(folder: &Folder, batches: &BTreeMap<BatchId, BatchFiles>) -> Pruned {
    for (id, files) in batches {
        match Manifest::read(folder, id) {
            Ok((Manifest { previous_sha256: None, .. }, _)) => return Pruned::Nothing,
            // Killed in its first moment.
            Err(ManifestError::Missing(_)) if files.open => {}
            Ok(_) | Err(_) => return Pruned::Unknown,
        }
    }
    Pruned::Nothing
}

#[cfg(test)]
mod tests {
    use super::super::StateError;
    use super::*;
    use crate::audit::Journal;
    use crate::disk;
    use crate::metrics::Status;
    use crate::record::{Record, tests::sample};
    use crate::units::MutationId;
    use serde_json::Value;
    use std::borrow::Cow;
    use std::fs;
    use std::io::Write as _;

    struct House {
        _root: tempfile::TempDir,
        store: Store,
        folder: Folder,
    }

    fn house() -> House {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("audit"));
        folder.create().unwrap();
        House { store: Store::new(root.path()), folder, _root: root }
    }

    fn id(second: i64) -> BatchId {
        BatchId::next(Timestamp::from_micros(1_795_399_200_000_000 + second * 1_000_000), 7, None)
    }

    fn record(id: &BatchId, number: u64) -> Record<'_> {
        Record { mutation_id: MutationId(number), round: 2, ..sample(Cow::Borrowed(id)) }
    }

    impl House {
        fn leave_open(&self, id: &BatchId, records: u64, tail: &[u8]) {
            let mut journal = Journal::create(&self.folder, id, 1, None).unwrap();
            (1..=records).for_each(|number| journal.append(&record(id, number), 0).unwrap());
            let path = self.folder.open_journal(id);
            fs::OpenOptions::new().append(true).open(path).unwrap().write_all(tail).unwrap();
        }

        fn recover(&self) -> Recovered {
            recover(&self.store, &self.folder, &Buckets::default(), Timestamp::from_micros(0))
                .unwrap()
        }
    }

    #[test]
    fn a_killed_batch_is_counted_exactly_once() {
        let house = house();
        house.leave_open(&id(1), 3, b"{\"timestamp\":\"2026-");
        let first = house.recover();
        assert_eq!(first.done[0], Recovery::Crashed { id: id(1), records: 3, cut: 19 });
        assert_eq!(first.state.totals.tally().attempts(), 3);
        assert_eq!(first.state.totals.batches(Status::Crashed), 1);
        assert_eq!(fs::read(house.folder.broken(&id(1))).unwrap(), b"{\"timestamp\":\"2026-");
        let again = house.recover();
        assert_eq!((again.done.len(), again.state), (0, first.state));
        assert_eq!(again.newest, Some(id(1)));
    }

    /// What a batch of 80 long records leaves that is killed: its journal, and the one midstate that was noted.
    fn long_journal() -> (Vec<u8>, Vec<u8>) {
        let house = house();
        let (id, path) = (id(1), house.store.midstates());
        let mut journal = Journal::create(&house.folder, &id, 1, Some(path.clone())).unwrap();
        for number in 1..=80 {
            let error = Some(Cow::Owned("x".repeat(900_000)));
            journal.append(&Record { error, ..record(&id, number) }, 0).unwrap();
        }
        // Its end waits for the digest, which is made beside it.
        journal.end().unwrap();
        (fs::read(journal.path()).unwrap(), fs::read(path).unwrap())
    }

    #[test]
    fn of_a_long_journal_the_end_is_hashed_and_the_beginning_has_the_digest_of_what_was_written() {
        let (written, notes) = long_journal();
        let line = written.len() / 80;
        let half = line / 2;
        let changed = |at: usize, to: u8| (at, to, written.len());
        let cut = |at: usize| (0, b'{', at);
        for (what, (at, to, length), notes, records, is_as_written) in [
            ("as it was written", cut(written.len()), &*notes, 80, true),
            ("without notes", cut(written.len()), b"", 80, true),
            ("a letter changed", changed(half, b'y'), &notes, 80, true),
            ("a letter changed, without notes", changed(half, b'y'), b"", 80, false),
            ("a letter of the end changed", changed(79 * line + half, b'y'), &notes, 80, false),
            ("a line broken", changed(9 * line + 3, b'\n'), &notes, 9, true),
            ("cut before the note", cut(20 * line + 7), &notes, 20, true),
            ("cut after it", cut(79 * line + 7), &notes, 79, true),
        ] {
            let house = house();
            let mut journal = written[..length].to_vec();
            journal[at] = to;
            disk::write_passing(&house.folder.open_journal(&id(1)), &journal).unwrap();
            disk::write_passing(&house.store.midstates(), notes).unwrap();
            house.recover();
            let (manifest, _) = Manifest::read(&house.folder, &id(1)).unwrap();
            let lines = records * line;
            let digest =
                Digest::of(if is_as_written { &written[..lines] } else { &journal[..lines] });
            assert_eq!((manifest.records, manifest.sha256), (records as u64, digest), "{what}");
        }
    }

    #[test]
    fn zeros_after_a_power_cut_are_cut_off_too() {
        let house = house();
        house.leave_open(&id(1), 2, b"\0\0\0\n\0\0");
        assert_eq!(house.recover().done[0], Recovery::Crashed { id: id(1), records: 2, cut: 6 });
    }

    #[test]
    fn a_tail_of_any_length_is_kept_whole() {
        let house = house();
        let tail = vec![b'x'; 66 << 20];
        house.leave_open(&id(1), 1, &tail);
        let cut = tail.len() as u64;
        assert_eq!(house.recover().done[0], Recovery::Crashed { id: id(1), records: 1, cut });
        assert_eq!(fs::metadata(house.folder.broken(&id(1))).unwrap().len(), cut);
    }

    #[test]
    fn a_batch_killed_between_manifest_and_rename_keeps_its_status() {
        let house = house();
        house.leave_open(&id(1), 2, b"");
        house.recover();
        let (mut manifest, _) = Manifest::read(&house.folder, &id(1)).unwrap();
        manifest.summary.status = Status::Completed;
        manifest.write(&house.folder).unwrap();
        fs::remove_file(house.store.path()).unwrap();
        fs::copy(house.folder.sealed(&id(1)), house.folder.open_journal(&id(1))).unwrap();
        fs::remove_file(house.folder.sealed(&id(1))).unwrap();
        let recovered = house.recover();
        assert_eq!(recovered.done[0], Recovery::Finished { id: id(1) });
        assert_eq!(recovered.state.totals.batches(Status::Completed), 1);
        assert_eq!(recovered.state.totals.tally().attempts(), 2);
    }

    #[test]
    fn a_lost_state_is_rebuilt_even_where_old_batches_were_pruned() {
        let house = house();
        for second in 1..=3 {
            house.leave_open(&id(second), 5, b"");
            house.recover();
        }
        let before = house.recover().state;
        fs::remove_file(house.folder.sealed(&id(1))).unwrap();
        fs::remove_file(house.folder.manifest(&id(1))).unwrap();
        for spoil in [b"".as_slice(), b"{\"schema\":1", b"\xff\xfe"] {
            fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(house.store.path())
                .unwrap()
                .write_all(spoil)
                .unwrap();
            let rebuilt = house.recover();
            assert!(matches!(rebuilt.done[0], Recovery::SetAside { .. }), "{:?}", rebuilt.done);
            assert_eq!(rebuilt.state.totals, before.totals);
        }
    }

    #[test]
    fn a_state_of_a_newer_schema_is_refused_and_left_alone() {
        let house = house();
        let newer = b"{\"schema\":2,\"unheard_of\":true}";
        disk::replace(house.store.path(), newer, disk::Mode::Private).unwrap();
        let refused =
            recover(&house.store, &house.folder, &Buckets::default(), Timestamp::from_micros(0));
        assert!(refused.unwrap_err().to_string().contains("schema 2"));
        assert_eq!(fs::read(house.store.path()).unwrap(), newer);
    }

    #[test]
    fn a_sealed_log_without_a_manifest_is_still_counted() {
        let house = house();
        house.leave_open(&id(1), 4, b"");
        disk::rename(&house.folder.open_journal(&id(1)), &house.folder.sealed(&id(1))).unwrap();
        let recovered = house.recover();
        assert_eq!(recovered.done[0], Recovery::Remade { id: id(1) });
        assert_eq!(recovered.state.totals.tally().attempts(), 4);
    }

    #[test]
    fn a_manifest_under_another_batchs_name_is_not_taken_for_its_own() {
        let house = house();
        house.leave_open(&id(1), 4, b"");
        house.recover();
        house.leave_open(&id(2), 5, b"");
        disk::rename(&house.folder.open_journal(&id(2)), &house.folder.sealed(&id(2))).unwrap();
        fs::copy(house.folder.manifest(&id(1)), house.folder.manifest(&id(2))).unwrap();
        let recovered = house.recover();
        assert!(recovered.done.contains(&Recovery::Remade { id: id(2) }), "{:?}", recovered.done);
        assert_eq!(recovered.state.totals.tally().attempts(), 9);
    }

    #[test]
    fn manifests_are_a_chain() {
        let house = house();
        for second in 1..=2 {
            house.leave_open(&id(second), 1, b"");
        }
        house.recover();
        let (first, digest) = Manifest::read(&house.folder, &id(1)).unwrap();
        let (second, _) = Manifest::read(&house.folder, &id(2)).unwrap();
        assert_eq!((first.previous_sha256, second.previous_sha256), (None, Some(digest)));
    }

    /// Three batches that were killed, in the state; the newest is the third.
    fn three_batches() -> (House, State) {
        let house = house();
        for second in 1..=3 {
            house.leave_open(&id(second), 5, b"");
            house.recover();
        }
        let state = house.recover().state;
        (house, state)
    }

    fn spoil(house: &House, bytes: &[u8]) {
        disk::replace(house.store.path(), bytes, disk::Mode::Private).unwrap();
    }

    #[test]
    fn no_byte_of_a_state_can_be_changed_so_that_the_totals_are() {
        let (house, before) = three_batches();
        let bytes = fs::read(house.store.path()).unwrap();
        let (mut seen, mut refused) = (0, 0);
        for (at, flip) in (0..bytes.len()).step_by(3).zip([1, 2, 4, 8].into_iter().cycle()) {
            let mut spoiled = bytes.clone();
            spoiled[at] ^= flip;
            spoil(&house, &spoiled);
            let now = Timestamp::from_micros(0);
            match recover(&house.store, &house.folder, &Buckets::default(), now) {
                Ok(found) => {
                    assert!(found.state.totals.same_facts(&before.totals), "{flip} at {at}");
                    seen += 1;
                }
                Err(RecoveryError::State(StateError::Newer { .. })) => refused += 1,
                Err(error) => panic!("{flip} at {at}: {error}"),
            }
        }
        assert!(seen > 300 && refused < 3, "{seen} seen, {refused} refused");
    }

    #[test]
    fn a_state_cut_anywhere_is_rebuilt_and_each_is_kept_under_a_name_of_its_own() {
        let (house, before) = three_batches();
        let bytes = fs::read(house.store.path()).unwrap();
        let lengths: Vec<usize> = (0..bytes.len() - 1).step_by(41).collect();
        for length in &lengths {
            spoil(&house, &bytes[..*length]);
            let found = house.recover();
            assert!(matches!(found.done[0], Recovery::SetAside { .. }), "{:?}", found.done);
            assert_eq!(found.state.totals, before.totals, "cut at {length}");
        }
        let kept = fs::read_dir(house.store.path().parent().unwrap()).unwrap();
        let kept = kept.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_str().unwrap().starts_with("state.json.corrupt-19700101T000000Z")
        });
        assert_eq!(kept.count(), lengths.len());
    }

    #[test]
    fn another_audits_state_is_set_aside_and_the_totals_are_the_audits() {
        let (house, before) = three_batches();
        let (other, _) = {
            let other = super::tests::house();
            for second in 7..=8 {
                other.leave_open(&id(second), 9, b"");
                other.recover();
            }
            (fs::read(other.store.path()).unwrap(), other)
        };
        spoil(&house, &other);
        let found = house.recover();
        let Recovery::Foreign { path, why } = &found.done[0] else { panic!("{:?}", found.done) };
        assert!(why.contains("is not in the audit"), "{why}");
        assert_eq!(&fs::read(path).unwrap(), &other);
        assert_eq!(found.state.totals, before.totals);
    }

    fn but(state: &State, change: impl FnOnce(&mut State)) -> State {
        let mut state = state.clone();
        change(&mut state);
        state
    }

    /// Changes a manifest and leaves the rest as it is.
    fn falsify(house: &House, id: &BatchId, change: impl FnOnce(&mut Value)) {
        let path = house.folder.manifest(id);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        disk::replace(&path, value.to_string().as_bytes(), disk::Mode::Private).unwrap();
    }

    fn remove(house: &House, id: &BatchId) {
        house.folder.remove(id).unwrap();
    }

    #[test]
    fn a_state_with_other_totals_is_set_aside() {
        let (house, before) = three_batches();
        let none = |state: &mut State| state.totals = State::new(Buckets::default()).totals;
        let other_totals = but(&before, none);
        let other_digest_too = but(&other_totals, |state| {
            state.last_batch.as_mut().unwrap().manifest_sha256 = Digest::of(b"x");
        });
        let no_batch = but(&before, |state| state.last_batch = None);
        for (state, told) in [
            (other_totals, "are not those up to"),
            (other_digest_too, "are not those up to the log of"),
            (no_batch, "names no batch"),
        ] {
            house.store.save(&state).unwrap();
            let found = house.recover();
            let Recovery::Foreign { why, .. } = &found.done[0] else { panic!("{:?}", found.done) };
            assert!(why.contains(told), "{why}");
            assert_eq!(found.state.totals, before.totals);
        }
    }

    #[test]
    fn totals_no_sum_can_hold_are_set_aside_too() {
        let (house, before) = three_batches();
        let mut state =
            serde_json::to_value(but(&before, |state| state.last_batch = None)).unwrap();
        let most = serde_json::json!({"completed": u64::MAX, "crashed": u64::MAX});
        state["totals"]["batches"] = most;
        spoil(&house, state.to_string().as_bytes());
        let found = house.recover();
        assert!(matches!(found.done[0], Recovery::Foreign { .. }), "{:?}", found.done);
        assert_eq!(found.state.totals, before.totals);
    }

    #[test]
    fn whatever_is_done_to_the_manifest_of_the_last_batch_the_log_bears_the_state_out() {
        let changes: [fn(&mut Value); 6] = [
            |_| (),
            |manifest| manifest["tally"]["attempts"] = 1_000_005.into(),
            |manifest| manifest["status"] = "failed".into(),
            |manifest| manifest["totals_before"]["tally"]["attempts"] = 1_000_010.into(),
            |manifest| manifest["totals_before"] = Value::Null,
            |manifest| manifest["batch_id"] = id(9).as_str().into(),
        ];
        for change in changes {
            let (house, before) = three_batches();
            falsify(&house, &id(3), change);
            for _ in 0..2 {
                let found = house.recover();
                assert_eq!(found.done, [Recovery::ManifestChanged { id: id(3) }]);
                assert_eq!(found.state, before, "the digest that it had is kept too");
            }
        }
    }

    #[test]
    fn a_manifest_that_alone_had_the_totals_before_it_takes_none_away() {
        let (house, before) = three_batches();
        (1..=2).for_each(|second| remove(&house, &id(second)));
        falsify(&house, &id(3), |manifest| {
            manifest["totals_before"]["tally"]["attempts"] = 1_000_010.into();
        });
        let found = house.recover();
        assert!(matches!(found.done[..], [Recovery::Unchecked { .. }]), "{:?}", found.done);
        assert_eq!(found.state, before);
    }

    #[test]
    fn a_last_batch_that_was_taken_away_takes_no_totals_away() {
        let (house, before) = three_batches();
        remove(&house, &id(3));
        for _ in 0..2 {
            let found = house.recover();
            assert_eq!(found.done, [Recovery::LastRemoved { id: id(3) }]);
            assert_eq!(found.state, before);
        }
        // The chain goes on from what was taken away, and so shows the hole.
        house.leave_open(&id(4), 5, b"");
        let found = house.recover();
        assert_eq!(found.state.totals.tally().attempts(), 20);
        let (manifest, _) = Manifest::read(&house.folder, &id(4)).unwrap();
        let digest = &before.last_batch.as_ref().unwrap().manifest_sha256;
        assert_eq!(manifest.previous_sha256.as_ref(), Some(digest));
        // Also where the state was not saved after that.
        house.store.save(&before).unwrap();
        let again = house.recover();
        assert_eq!(again.done[0], Recovery::LastRemoved { id: id(3) });
        assert_eq!(again.state, found.state);
    }

    #[test]
    fn another_folder_for_the_audit_goes_on_with_the_totals_though_its_first_batch_was_killed() {
        let (house, before) = three_batches();
        (1..=3).for_each(|second| remove(&house, &id(second)));
        house.leave_open(&id(4), 5, b"");
        let after = house.recover().state;
        house.store.save(&before).unwrap();
        let found = house.recover();
        let [Recovery::Unchecked { why }, Recovery::Folded { .. }] = &found.done[..] else {
            panic!("{:?}", found.done)
        };
        assert!(why.contains("begins after its last batch"), "{why}");
        assert_eq!(found.state, after);
        assert_eq!(found.state.totals.tally().attempts(), 20);
    }

    #[test]
    fn a_manifest_does_not_win_over_the_log_where_a_state_is_lost() {
        let (house, before) = three_batches();
        falsify(&house, &id(3), |manifest| {
            manifest["tally"]["attempts"] = 1_000_005.into();
            manifest["records"] = 1_000_005.into();
            manifest["status"] = "completed".into();
            manifest["seed"] = 7.into();
        });
        fs::remove_file(house.store.path()).unwrap();
        let found = house.recover();
        assert!(found.done.contains(&Recovery::Corrected { id: id(3) }), "{:?}", found.done);
        assert_eq!(found.state.totals.tally(), before.totals.tally());
        assert_eq!(found.state.totals.batches(Status::Completed), 1, "its end is what it was");
        let (manifest, digest) = Manifest::read(&house.folder, &id(3)).unwrap();
        assert_eq!((manifest.records, manifest.seed), (5, Some(7)));
        assert_eq!(found.state.last_batch.unwrap().manifest_sha256, digest);
        assert_eq!(house.recover().done, [], "once");
    }

    #[test]
    fn a_log_or_digest_that_was_changed_is_counted_as_it_is_and_both_are_left_for_verify() {
        let (house, before) = three_batches();
        falsify(&house, &id(3), |manifest| {
            manifest["tally"]["attempts"] = 1_000_005.into();
            manifest["sha256"] = "0".repeat(64).into();
        });
        let bytes = fs::read(house.folder.manifest(&id(3))).unwrap();
        fs::remove_file(house.store.path()).unwrap();
        house.recover();
        let found = house.recover();
        assert!(matches!(found.done[..], [Recovery::LogChanged { .. }]), "{:?}", found.done);
        assert_eq!(found.state.totals, before.totals);
        assert_eq!(fs::read(house.folder.manifest(&id(3))).unwrap(), bytes);
    }

    #[test]
    fn a_log_that_cannot_be_read_stops_no_start_where_its_manifest_can() {
        let (house, before) = three_batches();
        let log = house.folder.sealed(&id(3));
        disk::replace(&log, b"none\n", disk::Mode::Private).unwrap();
        fs::remove_file(house.store.path()).unwrap();
        let found = house.recover();
        let told = found.done.iter().any(|one| matches!(one, Recovery::LogChanged { .. }));
        assert!(told, "{:?}", found.done);
        assert_eq!(found.state.totals, before.totals);
    }

    #[test]
    fn a_state_from_an_older_backup_takes_in_what_came_after_it() {
        let house = house();
        house.leave_open(&id(1), 5, b"");
        let old = house.recover().state;
        house.leave_open(&id(2), 5, b"");
        let new = house.recover().state;
        house.store.save(&old).unwrap();
        let found = house.recover();
        assert_eq!(found.done, [Recovery::Folded { id: id(2) }]);
        assert_eq!(found.state, new);
    }

    #[test]
    fn a_state_without_an_audit_is_kept_and_that_is_said() {
        let (house, before) = three_batches();
        for entry in fs::read_dir(house.folder.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let found = house.recover();
        assert!(matches!(found.done[..], [Recovery::Unchecked { .. }]), "{:?}", found.done);
        assert_eq!(found.state, before);
        assert_eq!(found.newest, Some(id(3)), "ids go on rising");
        house.leave_open(&id(4), 5, b"");
        assert_eq!(house.recover().state.totals.tally().attempts(), 20);
    }

    #[test]
    fn a_damaged_manifest_of_the_last_batch_takes_no_totals_away() {
        let (house, before) = three_batches();
        for spoil in [b"{\"schema\":1".as_slice(), b""] {
            fs::remove_file(house.folder.manifest(&id(3))).unwrap();
            disk::replace(&house.folder.manifest(&id(3)), spoil, disk::Mode::Private).unwrap();
            let found = house.recover();
            assert_eq!(found.done, [Recovery::ManifestChanged { id: id(3) }]);
            assert_eq!(found.state, before);
        }
    }
}
