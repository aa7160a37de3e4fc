//! What is known of a batch from its first moment to its last.

use super::{BatchPlan, Clock};
use crate::audit::{Journal, Manifest};
use crate::config::Config;
use crate::disk::{self, DiskError};
use crate::gateway::Client;
use crate::metrics::{BatchSummary, Buckets, Ingest, Tally};
use crate::notify::Notifier;
use crate::state::DataDir;
use crate::units::BatchId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What does not change while a batch runs.
pub(super) struct OpenBatch<'a> {
    pub(super) config: &'a Config,
    pub(super) plan: &'a BatchPlan,
    pub(super) clock: Clock,
    pub(super) id: BatchId,
    pub(super) clients: Arc<Vec<Client>>,
    pub(super) notifier: &'a Notifier,
    /// Logs of another program that it takes in, as they are known when it begins; `None` where it mutates.
    pub(super) ingest: Option<Ingest>,
}

impl OpenBatch<'_> {
    pub(super) fn buckets(&self) -> Buckets {
        self.config.metrics.buckets.clone()
    }

    /// Puts the batch on disk, with nothing in it. An error means that there is none.
    pub(super) fn begin(&self, data: &mut DataDir) -> Result<(Journal, Manifest), DiskError> {
        let manifest = self.first_manifest(data);
        let (buffer, midstates) = (self.config.audit.buffer, Some(data.store.midstates()));
        let journal = data.change(|folder| {
            let journal = Journal::create(folder, &self.id, buffer, midstates)?;
            if let Err(error) = manifest.write(folder) {
                // An empty journal would be counted as a batch that crashed, and a manifest without a
                // log would look like a log that somebody took away.
                let _ = disk::remove_if_there(&folder.manifest(&self.id));
                let _ = disk::remove_if_there(journal.path());
                return Err(error);
            }
            Ok(journal)
        })?;
        Ok((journal, manifest))
    }

    /// Another program's logs say nothing of targets, so what is shown of them stays.
    fn targets(&self, data: &DataDir) -> BTreeMap<String, u64> {
        match (&self.ingest, data.state.totals.last()) {
            (None, _) => self.plan.targets_by_state(),
            (Some(_), last) => last.map(|last| last.targets.clone()).unwrap_or_default(),
        }
    }

    /// What is known before the first mutation; a killed batch is sealed with it.
    fn first_manifest(&self, data: &DataDir) -> Manifest {
        let summary = BatchSummary {
            started: self.clock.started(),
            targets: self.targets(data),
            ingest: self.ingest.clone(),
            ..BatchSummary::new(self.id.clone(), Tally::new(self.buckets()))
        };
        Manifest {
            // Nothing is drawn of what another program did.
            seed: self.ingest.is_none().then_some(self.plan.seed),
            config_sha256: Some(self.config.digest()),
            config: Some(self.config.to_toml()),
            rounds_planned: self.plan.rounds,
            mutations_per_round: self.plan.mutations_per_round,
            strategies: self.plan.entries(),
            shard: self.config.shard,
            turns: self.ingest.is_none().then(|| self.plan.circle().all()),
            previous_sha256: data
                .state
                .last_batch
                .as_ref()
                .map(|last| last.manifest_sha256.clone()),
            totals_before: Some(data.state.totals.clone()),
            ..Manifest::new(summary)
        }
    }
}
