//! After the batch: the oldest logs go, and old ones are packed.

use super::Shutdown;
use crate::audit::{self, Manifest};
use crate::config::Config;
use crate::state::{DataDir, PrunePlan};

/// Prunes and packs old batches, as far as it comes before we are asked to stop. Nothing here can undo
/// the batch: failures are warnings.
pub(super) fn tidy(config: &Config, data: &mut DataDir, shutdown: &Shutdown) {
    if shutdown.asked().is_some() {
        return;
    }
    let retention = &config.audit.retention;
    let plan = match PrunePlan::make(Some(&data.state), &data.folder, retention, super::now()) {
        Ok(plan) => plan,
        Err(error) => return tracing::warn!(%error, "neither pruned nor compressed"),
    };
    match plan.carry_out(&mut data.state, &data.store, &data.folder) {
        Ok(()) => {
            for one in &plan.going {
                tracing::info!(batch = %one.id, reason = ?one.reason, "pruned");
            }
        }
        Err(error) => tracing::warn!(%error, "not pruned"),
    }
    if !config.audit.compress {
        return;
    }
    // The newest stays plain, for people who look at it in the morning.
    for (id, _) in plan.kept.iter().rev().skip(1).filter(|(_, files)| files.plain) {
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
