//! After the batch: the oldest logs go, and old ones are packed.

use super::{Shutdown, output};
use crate::audit::CompressError;
use crate::config::Config;
use crate::state::{DataDir, PackError, PrunePlan};
use crate::units::BatchId;

/// Prunes and packs old batches, as far as it comes before we are asked to stop. Nothing here can undo
/// the batch: failures are warnings.
pub(super) fn tidy(config: &Config, data: &mut DataDir, shutdown: &Shutdown) {
    if shutdown.asked().is_some() {
        return;
    }
    let (retention, pack) = (&config.audit.retention, config.audit.compress);
    let known = data.all_stay(retention, pack, super::now());
    let cleared = known.is_some() || clear(config, data);
    let Some(older) = known.or_else(|| prune(config, data)) else { return };
    let mut plain = older.len();
    for id in older.iter().filter(|_| pack) {
        tracing::info!(batch = %id, "packing");
        match data.pack(id, &|| shutdown.asked().is_some()) {
            Ok(()) => plain -= 1,
            Err(PackError::Compress(CompressError::Stopped)) => {
                tracing::info!(batch = %id, "asked to stop: it is packed another time");
                return;
            }
            Err(error) => tracing::warn!(batch = %id, %error, "not compressed"),
        }
    }
    if cleared && let Err(error) = data.note_outline(pack && plain == 0) {
        tracing::warn!(%error, "the next start has to list the audit");
    }
}

/// Removes candidates that killed batches had begun to write.
fn clear(config: &Config, data: &DataDir) -> bool {
    let cleared = output::clear(&config.output.dir, &data.folder);
    if let Err(error) = &cleared {
        tracing::warn!(%error, "what a killed batch had begun to write is left behind");
    }
    cleared.is_ok()
}

/// Lists the audit, and lets go what the retention does not keep. Gives the older logs that are not packed; the newest
/// stays plain, for people who look at it in the morning.
fn prune(config: &Config, data: &mut DataDir) -> Option<Vec<BatchId>> {
    let retention = &config.audit.retention;
    let made = PrunePlan::make(Some(&data.state), &data.folder, retention, super::now());
    let plan = made.inspect_err(|error| tracing::warn!(%error, "neither pruned nor compressed"));
    let plan = plan.ok()?;
    match data.prune(&plan) {
        Ok(()) => {
            for one in &plan.going {
                tracing::info!(batch = %one.id, reason = ?one.reason, "pruned");
            }
        }
        Err(error) => tracing::warn!(%error, "not pruned"),
    }
    let older = plan.kept.into_iter().rev().skip(1).filter(|one| one.plain);
    Some(older.map(|one| one.id).collect())
}
