//! What a batch was and what became of it: one file beside its log.

use super::{Folder, ReadError, Tail};
use crate::disk::{self, DiskError, Mode};
use crate::evolution::{Searches, Settings};
use crate::metrics::{BatchSummary, PushResult, Status, Totals};
use crate::mutation::Circle;
use crate::record::Record;
use crate::units::{BatchId, Digest, Number, Shard};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The manifest's form; a greater number is from a later version of the agent.
const SCHEMA: u32 = 1;
/// A thousand strategies with ten targets each are some two megabytes, and their searches as much as the state's.
const LONGEST: u64 = 768 << 20;

/// The manifest of a batch. While the batch runs it says `running` and what was planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub schema: u32,
    /// The batch as metrics show it, its whole tally among it.
    #[serde(flatten)]
    pub summary: BatchSummary,
    /// Why it ended: `rounds`, `deadline`, `patience`, `evaluator`, `signal`, `no_target`, `elsewhere`, `ingested`, `error`, `crash`.
    pub ended_by: Option<String>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// The seed of all its random streams; `None` where nothing was drawn, or a killed batch had no time to say.
    pub seed: Option<u64>,
    /// Digest of the effective config.
    pub config_sha256: Option<Digest>,
    /// The effective config's text, without secrets: what it takes to make the same batch again.
    /// `None` only where a killed batch had no time to say, and in manifests of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Rounds that were planned.
    pub rounds_planned: u32,
    /// Attempts that were planned for each round.
    pub mutations_per_round: u32,
    /// Which of the strategies were this batch's; `None` where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How many strategies took turns, in all shards: those with usable targets. `None` where nothing was drawn, and in
    /// manifests of when turns were those of the strategies that could be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<usize>,
    /// The strategies as they were read.
    pub strategies: Vec<StrategyEntry>,
    /// Lines in the log.
    pub records: u64,
    /// Length of the log in bytes, before compression.
    pub bytes: u64,
    /// Digest of the log, before compression.
    pub sha256: Digest,
    /// The pushes while it ran, by gateway; the last one came after this was written.
    #[serde(default)]
    pub pushes: BTreeMap<String, Pushes>,
    /// Digest of the manifest before this one: a chain over all batches.
    pub previous_sha256: Option<Digest>,
    /// The totals before this batch, so that a lost state is rebuilt from the newest manifest
    /// even where older ones were pruned. `None` only where a killed batch had no time to say.
    pub totals_before: Option<Totals>,
    /// Where the search began; `None` where candidates are not evaluated, and until the sources are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evolution: Option<Evolution>,
}

/// The search as it was when a batch began, with the fitness of that night's sources: with the log's
/// records it gives the search as it was when the batch ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evolution {
    /// What the config said of it.
    pub settings: Settings,
    /// All that there were, those of other strategies among them.
    pub searches: Searches,
}

impl Evolution {
    /// The search after the records that `read` hands over.
    pub fn after(
        &self,
        read: impl FnOnce(&mut dyn FnMut(&Record<'_>, &[u8])) -> Result<Tail, ReadError>,
    ) -> Result<Searches, ReadError> {
        let mut searches = self.searches.clone();
        read(&mut |record, _| searches.take(&self.settings, record))?;
        searches.end_round(&self.settings);
        Ok(searches)
    }
}

/// A strategy in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyEntry {
    /// Its path as in the records.
    pub path: String,
    /// Its place among the strategies that take turns, from 0; only where others belong to other shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<usize>,
    /// Digest of its bytes; `None` where it could not be read.
    pub sha256: Option<Digest>,
    /// Targets that are mutated.
    pub usable: Vec<TargetEntry>,
    /// Targets that are not, and why.
    pub unusable: Vec<UnusableEntry>,
}

/// A usable target in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetEntry {
    /// The parameter's name.
    pub parameter: String,
    /// The literal's line, from 1.
    pub line: u32,
    /// The value in the source.
    pub value: Number,
}

/// An unusable target in a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnusableEntry {
    /// The parameter's name.
    pub parameter: String,
    /// The reason's name, as in the gauge.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// The number that stands there, if one does: rules may speak of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
}

/// Push attempts to one gateway by result, and the last failure in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushes {
    /// Attempts by result.
    pub attempts: BTreeMap<PushResult, u64>,
    /// Why the last one failed; `None` when it did not.
    pub last_error: Option<String>,
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not readable.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// Not a manifest.
    #[error("{} is not a manifest: {source}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// From a later agent.
    #[error("{} has schema {found}; this agent knows {SCHEMA}: use a newer agent", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
}

impl Manifest {
    /// The manifest of a batch that starts with nothing known but what `summary` says.
    pub fn new(summary: BatchSummary) -> Self {
        Self {
            schema: SCHEMA,
            summary,
            ended_by: None,
            error: None,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: None,
            config_sha256: None,
            config: None,
            rounds_planned: 0,
            mutations_per_round: 0,
            shard: None,
            turns: None,
            strategies: Vec::new(),
            records: 0,
            bytes: 0,
            sha256: Digest::of(b""),
            pushes: BTreeMap::new(),
            previous_sha256: None,
            totals_before: None,
            evolution: None,
        }
    }

    /// Whether its candidates were evaluated.
    pub const fn is_evaluated(&self) -> bool {
        self.evolution.is_some()
    }

    /// Whose turn was when; `None` where that cannot be told.
    pub fn circle(&self) -> Option<Circle> {
        let Some(turns) = self.turns.filter(|_| self.shard.is_some()) else {
            let usable = self.strategies.iter().filter(|entry| !entry.usable.is_empty());
            return self.shard.is_none().then(|| Circle::whole(usable.count()));
        };
        Circle::new(turns, self.strategies.iter().filter_map(|entry| entry.turn).collect())
    }

    /// Whether so many rounds can be complete where the log's last one is `last`: one in which nobody of ours had a turn,
    /// or all who had were left out, leaves nothing in it.
    pub fn can_have_completed(&self, rounds: u32, last: u32) -> bool {
        let most =
            if self.is_evaluated() || self.shard.is_some() { self.rounds_planned } else { last };
        rounds <= most.max(last)
    }

    /// Takes from the records that `read` hands over how far the batch had come in the logs of another program. What it
    /// says of them before must be as it was when the batch began.
    pub fn note_ingested(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(&Record<'_>, &[u8])) -> Result<Tail, ReadError>,
    ) -> Result<(), ReadError> {
        if let Some(ingest) = &mut self.summary.ingest {
            ingest.sources.iter_mut().for_each(|source| source.records = 0);
            read(&mut |record, _| ingest.note(record))?;
        }
        Ok(())
    }

    /// Reads a batch's manifest, and its digest; the file may be anybody's.
    pub fn read(folder: &Folder, id: &BatchId) -> Result<(Self, Digest), ManifestError> {
        let path = folder.manifest(id);
        let bytes = disk::read(&path, LONGEST)?;
        parse(path, bytes)
    }

    /// The same where it is to be acted upon, and so must be ours, and of this batch.
    pub fn read_own(folder: &Folder, id: &BatchId) -> Result<(Self, Digest), ManifestError> {
        let path = folder.manifest(id);
        let bytes = disk::read_own(&path, LONGEST)?;
        let (manifest, digest): (Self, Digest) = parse(path.clone(), bytes)?;
        let named = &manifest.summary.batch_id;
        if named == id {
            return Ok((manifest, digest));
        }
        let source = serde::de::Error::custom(format!("it is the one of batch {named}"));
        Err(ManifestError::Syntax { path, source })
    }

    /// The same; `None` where there is none that can be used. One of a later version is an error all the same.
    pub fn read_usable(
        folder: &Folder,
        id: &BatchId,
    ) -> Result<Option<(Self, Digest)>, ManifestError> {
        match Self::read_own(folder, id) {
            Ok(known) => Ok(Some(known)),
            Err(ManifestError::Missing(_) | ManifestError::Syntax { .. }) => Ok(None),
            Err(error @ (ManifestError::Disk(_) | ManifestError::Newer { .. })) => Err(error),
        }
    }

    /// Writes it, whole or not at all, and gives its digest.
    pub fn write(&self, folder: &Folder) -> Result<Digest, DiskError> {
        let path = folder.manifest(&self.summary.batch_id);
        let mut bytes = serde_json::to_vec(self)
            .map_err(|error| DiskError::new("write", &path)(error.into()))?;
        bytes.push(b'\n');
        disk::replace(&path, &bytes, Mode::Private)?;
        Ok(Digest::of(&bytes))
    }
}

/// What the chain needs of a manifest: read at a fraction of the cost, for a folder has many.
#[derive(Debug, Deserialize)]
pub(super) struct Heading {
    pub(super) batch_id: BatchId,
    pub(super) status: Status,
    pub(super) previous_sha256: Option<Digest>,
    totals_before: Option<BatchesBefore>,
}

#[derive(Debug, Deserialize)]
struct BatchesBefore {
    batches: BTreeMap<Status, u64>,
}

impl Heading {
    /// Reads it, and the digest of the whole manifest.
    pub(super) fn read(folder: &Folder, id: &BatchId) -> Result<(Self, Digest), ManifestError> {
        let path = folder.manifest(id);
        let bytes = disk::read(&path, LONGEST)?;
        parse(path, bytes)
    }

    /// How many batches were counted before this one.
    pub(super) fn counted_before(&self) -> u64 {
        let before = self.totals_before.iter().flat_map(|before| before.batches.values());
        before.fold(0, |sum, count| sum.saturating_add(*count))
    }
}

fn parse<T: DeserializeOwned>(
    path: PathBuf,
    bytes: Option<Vec<u8>>,
) -> Result<(T, Digest), ManifestError> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u64,
    }
    let Some(bytes) = bytes else { return Err(ManifestError::Missing(path)) };
    // The schema first: a later form may not even parse.
    if let Ok(Schema { schema: found }) = serde_json::from_slice(&bytes)
        && found > u64::from(SCHEMA)
    {
        return Err(ManifestError::Newer { path, found });
    }
    match serde_json::from_slice(&bytes) {
        Ok(read) => Ok((read, Digest::of(&bytes))),
        Err(source) => Err(ManifestError::Syntax { path, source }),
    }
}
