//! After the batch: old logs are packed, and the oldest go.

use super::Shutdown;
use crate::audit::{self, BatchFiles, Manifest, SealedBatch};
use crate::config::Config;
use crate::state::DataDir;
use crate::units::BatchId;

/// Prunes and packs old batches, as far as it comes before we are asked to stop. Nothing here can undo
/// the batch: failures are warnings.
pub(super) fn tidy(config: &Config, data: &DataDir, shutdown: &Shutdown) {
    let kept = prune(config, data, shutdown);
    if !config.audit.compress {
        return;
    }
    // The newest stays plain, for people who look at it in the morning.
    for (id, _) in kept.iter().rev().skip(1).filter(|(_, files)| files.plain) {
        if shutdown.asked().is_some() {
            return;
        }
        let packed = Manifest::read(&data.folder, id).map_err(|error| error.to_string()).and_then(
            |(manifest, _)| {
                audit::compress(&data.folder, &manifest).map_err(|error| error.to_string())
            },
        );
        if let Err(error) = packed {
            tracing::warn!(batch = %id, error, "not compressed");
        }
    }
}

/// Prunes what the retention lets go, and gives what stays, oldest first. Only what is sealed and
/// counted in the state is touched.
fn prune(config: &Config, data: &DataDir, shutdown: &Shutdown) -> Vec<(BatchId, BatchFiles)> {
    let (Some(last), Ok(batches)) = (&data.state.last_batch, data.folder.batches()) else {
        return Vec::new();
    };
    let mut kept: Vec<(BatchId, BatchFiles)> = batches
        .into_iter()
        .filter(|(id, files)| files.is_sealed() && *id <= last.batch_id)
        .collect();
    let sealed: Vec<SealedBatch> =
        kept.iter().map(|(id, files)| SealedBatch { id: id.clone(), bytes: files.bytes }).collect();
    for (id, reason) in config.audit.retention.plan(&sealed, super::now()) {
        if shutdown.asked().is_some() {
            break;
        }
        match data.folder.remove(&id) {
            Ok(()) => tracing::info!(batch = %id, ?reason, "pruned"),
            Err(error) => tracing::warn!(batch = %id, %error, "not pruned"),
        }
        kept.retain(|(other, _)| *other != id);
    }
    kept
}
