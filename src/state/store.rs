//! `state.json`: read with care, replaced whole.

use crate::audit::Pruned;
use crate::disk::{self, DiskError, Mode};
use crate::evolution::Searches;
use crate::gateway;
use crate::metrics::{Buckets, Totals};
use crate::units::{BatchId, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SCHEMA: u32 = 1;
/// Ten thousand searches that remember all they may and have gone a long way are six hundred megabytes.
const LONGEST: u64 = 768 << 20;

/// In the name of a state that was set aside because it is not the one of its audit.
pub(super) const FOREIGN: &str = "foreign";
/// In the name of a state that was set aside because it cannot be read.
pub(super) const CORRUPT: &str = "corrupt";

/// Everything that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    schema: u32,
    /// The fold over all batches up to `last_batch`.
    pub totals: Totals,
    /// The newest batch in the totals.
    pub last_batch: Option<FoldedBatch>,
    /// By the gateway's name.
    pub gateways: BTreeMap<String, GatewayMark>,
    /// Up to where batches were pruned.
    #[serde(default)]
    pub pruned: Pruned,
    /// Who survived in which strategy, how far they step, and what was tried: the fold over the evaluated batches.
    #[serde(default, skip_serializing_if = "Searches::is_empty")]
    pub searches: Searches,
}

/// A batch that is in the totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldedBatch {
    /// Which one.
    pub batch_id: BatchId,
    /// The digest of its manifest, which the next manifest names.
    pub manifest_sha256: Digest,
    /// What that manifest names as the digest of the one before: where the newest batch was taken away, the
    /// one that is the newest then is known by it.
    #[serde(default)]
    pub previous_sha256: Option<Digest>,
}

/// What one gateway has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayMark {
    /// The last batch whose totals it took.
    pub delivered: Option<BatchId>,
    /// Which group there ([`crate::gateway::Gateway::group`]): another job or grouping is another, which has seen nothing.
    pub push_url: Option<String>,
    /// Why the last push failed, in its words and ours.
    pub last_error: Option<String>,
    /// Of remote write: the newest time of a sample that it may have. It is on disk before the sample is sent, so that
    /// no later one is older, whatever becomes of this process and of the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_sample: Option<Timestamp>,
    /// The newest time of those that were sent: what lay ahead of the receiver's clock never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_sample: Option<Timestamp>,
}

impl State {
    /// Nothing yet.
    pub fn new(buckets: Buckets) -> Self {
        Self {
            schema: SCHEMA,
            totals: Totals::new(buckets),
            last_batch: None,
            gateways: BTreeMap::new(),
            pruned: Pruned::Nothing,
            searches: Searches::default(),
        }
    }

    /// Whether the gateway has the newest totals in the group `push_url`. True where there are
    /// none.
    pub fn is_delivered(&self, gateway: &str, push_url: &str) -> bool {
        let Some(last) = &self.last_batch else { return true };
        self.gateways.get(gateway).is_some_and(|mark| {
            mark.delivered.as_ref() == Some(&last.batch_id)
                && mark.push_url.as_deref() == Some(push_url)
        })
    }

    /// Marks the newest totals as delivered, or keeps why they are not: a gateway that had taken them, and was to take
    /// them once more, may have lost them.
    pub fn mark(&mut self, gateway: &str, push_url: &str, result: Result<(), String>) {
        let last = self.last_batch.as_ref().map(|last| last.batch_id.clone());
        let mark = self.gateways.entry(gateway.to_owned()).or_default();
        match result {
            Ok(()) => {
                mark.delivered = last;
                mark.push_url = Some(push_url.to_owned());
                mark.last_error = None;
            }
            Err(error) => {
                mark.delivered = mark.delivered.take().filter(|seen| Some(seen) != last.as_ref());
                mark.last_error = Some(error);
            }
        }
    }
}

impl State {
    /// The time of the samples that a gateway is sent `now`: to the millisecond, and later than all that it may have,
    /// even where the clock was set back.
    pub fn time_for(&self, gateway: &str, now: Timestamp) -> Timestamp {
        let now = Timestamp::from_micros(now.micros().div_euclid(1000) * 1000);
        let newest = self.gateways.get(gateway).and_then(|mark| mark.newest_sample);
        newest.map_or(now, |newest| now.max(newest.plus(gateway::TICK)))
    }

    /// Notes the newest time of what is about to be sent.
    pub fn note_sample(&mut self, gateway: &str, newest: Timestamp) {
        self.gateways.entry(gateway.to_owned()).or_default().newest_sample = Some(newest);
    }

    /// Notes the newest time of what was sent, whatever came of it.
    pub fn note_sent(&mut self, gateway: &str, newest: Timestamp) {
        let sent = &mut self.gateways.entry(gateway.to_owned()).or_default().sent_sample;
        *sent = (*sent).max(Some(newest));
    }

    /// What was about to be sent was not, for its time: by a clock that was wrong, and the next push shall not have to be
    /// later than that.
    pub fn take_back_sample(&mut self, gateway: &str) {
        let mark = self.gateways.entry(gateway.to_owned()).or_default();
        mark.newest_sample = mark.sent_sample;
    }
}

/// A state that may not be touched.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not readable or writable.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// From a later agent.
    #[error("{} has schema {found}; this agent knows {SCHEMA}: use a newer agent, or another data_dir", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
}

/// The file that the state is kept in.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The state of a data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join("state.json") }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state to act upon; `None` where there is none, or where it is corrupt: `Err` in the second place.
    pub fn load(&self) -> Result<Option<Result<State, serde_json::Error>>, StateError> {
        self.parsed(disk::read_own(&self.path, LONGEST)?)
    }

    /// The state for those who only look, whoever it belongs to.
    pub fn look(&self) -> Result<Option<Result<State, serde_json::Error>>, StateError> {
        self.parsed(disk::read(&self.path, LONGEST)?)
    }

    fn parsed(
        &self,
        bytes: Option<Vec<u8>>,
    ) -> Result<Option<Result<State, serde_json::Error>>, StateError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u64,
        }
        let Some(bytes) = bytes else { return Ok(None) };
        // The schema first: a later form may not even parse, and must not be taken for corrupt.
        if let Ok(Schema { schema: found }) = serde_json::from_slice(&bytes)
            && found > u64::from(SCHEMA)
        {
            return Err(StateError::Newer { path: self.path.clone(), found });
        }
        let state = serde_json::from_slice(&bytes).and_then(|state: State| match state.schema {
            SCHEMA => Ok(state),
            other => Err(serde::de::Error::custom(format!("schema {other} never was"))),
        });
        Ok(Some(state))
    }

    /// Tells whether it has changed since, but for the times of pushes, which move while a batch runs; `None` where there
    /// is none, or none that could be loaded.
    pub fn digest(&self) -> Option<Digest> {
        let bytes = disk::read(&self.path, LONGEST).ok().flatten()?;
        if memchr::memmem::find(&bytes, b"\"newest_sample\"").is_none() {
            return Some(Digest::of(&bytes));
        }
        let Ok(mut state) = serde_json::from_slice::<State>(&bytes) else {
            return Some(Digest::of(&bytes));
        };
        for mark in state.gateways.values_mut() {
            (mark.newest_sample, mark.sent_sample) = (None, None);
        }
        serde_json::to_vec(&state).ok().map(|rest| Digest::of(&rest))
    }

    /// Sets a state aside that is of no use, under a name that says why, and gives that name.
    pub fn set_aside(&self, why: &str, now: Timestamp) -> Result<PathBuf, DiskError> {
        let name = format!("state.json.{why}-{}", now.to_compact());
        // There may be one of the same second.
        let mut names = (2..).map(|number| format!("{name}-{number}"));
        let mut aside = self.path.with_file_name(&name);
        while aside.symlink_metadata().is_ok() {
            aside = self.path.with_file_name(names.next().unwrap_or_default());
        }
        disk::rename(&self.path, &aside)?;
        Ok(aside)
    }

    /// The names of the states that were set aside for this reason, and that nobody has moved away since.
    pub fn aside(&self, why: &str) -> Result<Vec<String>, DiskError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let failed = |source| DiskError::new("list", folder)(source);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let start = format!("state.json.{why}-");
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            names.extend(name.starts_with(&start).then_some(name));
        }
        names.sort();
        Ok(names)
    }

    /// Where a batch notes how far its journal is hashed.
    pub fn midstates(&self) -> PathBuf {
        self.path.with_file_name("midstates.txt")
    }

    /// Removes what a write left that was killed; whatever else is in its place would be found only at
    /// the end of the batch.
    pub fn clear(&self) -> Result<(), DiskError> {
        disk::remove_if_there(&disk::temporary(&self.path))
    }

    /// Replaces the file.
    pub fn save(&self, state: &State) -> Result<(), DiskError> {
        let mut bytes = serde_json::to_vec(state)
            .map_err(|error| DiskError::new("write", &self.path)(error.into()))?;
        bytes.push(b'\n');
        disk::replace(&self.path, &bytes, Mode::Private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn state() -> State {
        State::new(Buckets::default())
    }

    #[test]
    fn each_time_is_later_than_the_one_before_whatever_the_clock_says() {
        let mut state = state();
        assert_eq!(state.time_for("p", at(5_000_999)), at(5_000_000));
        state.note_sample("p", at(5_000_000));
        assert_eq!(state.time_for("p", at(5_000_999)), at(5_001_000));
        assert_eq!(state.time_for("p", at(-1)), at(5_001_000));
        assert_eq!(state.time_for("p", at(5_002_000)), at(5_002_000));
        assert_eq!(state.time_for("q", at(-1)), at(-1000));
        state.take_back_sample("p");
        assert_eq!(state.time_for("p", at(7)), at(0));
        // What was sent stays, whatever was not sent after it.
        state.note_sent("p", at(6_000_000));
        state.note_sent("p", at(5_000_000));
        state.note_sample("p", at(9_000_000));
        state.take_back_sample("p");
        assert_eq!(state.time_for("p", at(7)), at(6_001_000));
    }

    #[test]
    fn a_mark_keeps_its_time_and_older_ones_have_none() {
        let mut state = state();
        state.note_sample("p", at(5_000_000));
        state.mark("p", "g", Ok(()));
        state.mark("q", "g", Err("no".into()));
        state.mark("p", "g", Err("no".into()));
        let text = serde_json::to_string(&state).unwrap();
        let read: State = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.gateways["p"].newest_sample, Some(at(5_000_000)));
        let older = r#"{"delivered":null,"push_url":null,"last_error":"no"}"#;
        assert!(text.contains(older), "{text}");
        assert_eq!(serde_json::from_str::<GatewayMark>(older).unwrap(), read.gateways["q"]);
    }
    #[test]
    fn a_push_on_its_way_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let mut state = state();
        let mut digest = |time: i64, error: &str| {
            state.note_sample("p", at(time));
            state.mark("p", "g", Err(error.into()));
            store.save(&state).unwrap();
            store.digest().unwrap()
        };
        let before = digest(5_000_000, "no");
        assert_eq!(digest(6_000_000, "no"), before);
        assert_ne!(digest(6_000_000, "yes"), before);
    }
}
