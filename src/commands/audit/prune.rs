//! `audit prune`: what the retention lets go, now and not only after a batch.

use super::look::{batches, bytes, state_of};
use crate::audit::{Folder, PruneReason};
use crate::batch;
use crate::commands::failure::unread;
use crate::commands::{Configuration, Failure};
use crate::config::{Config, Secrets};
use crate::exit::Exit;
use crate::state::{PruneError, PrunePlan};
use std::io::Write;

/// Whether to do it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Only say what would go; takes no lock, and repairs nothing either
    #[arg(long)]
    pub dry_run: bool,
}

/// Prints the plan, and carries it out unless it is only asked for.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let all = source.load_all(Secrets::Unneeded)?;
    all.iter().try_for_each(|config| prune(config, args, out))?;
    Ok(Exit::Done)
}

/// The same of one data folder.
fn prune(config: &Config, args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if !config.data_dir.exists() {
        writeln!(out, "no batch has run in {} yet: nothing to prune", config.data_dir.display())?;
        return Ok(());
    }
    if args.dry_run {
        let state = state_of(config)?;
        let folder = Folder::new(config.audit.dir.clone());
        let plan = PrunePlan::make(state.as_ref(), &folder, &config.audit.retention, batch::now());
        say(&plan.map_err(|error| unread(&error))?, config, true, out)?;
        return Ok(());
    }
    let mut data = batch::open(config)?;
    let plan =
        PrunePlan::make(Some(&data.state), &data.folder, &config.audit.retention, batch::now());
    let plan = plan.map_err(|error| unread(&error))?;
    data.prune(&plan).map_err(|error| {
        let denied = matches!(&error, PruneError::Disk(error) if error.is_permission());
        Failure::new(if denied { Exit::Permission } else { Exit::Io }, &error)
    })?;
    // It is done, even to a reader that went away.
    if let Err(unread) = say(&plan, config, false, out) {
        tracing::debug!("{unread}");
    }
    Ok(())
}

fn say(plan: &PrunePlan, config: &Config, only: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let verb = if only { "would go" } else { "gone" };
    for one in &plan.going {
        let why = one.reason.map_or_else(
            || "left behind by a prune that was killed".to_owned(),
            |reason| in_words(reason, config),
        );
        writeln!(out, "{}  {:>9}  {verb}: {why}", one.id, bytes(one.bytes))?;
    }
    for (id, why) in &plan.untouched {
        writeln!(out, "{id}  not touched: {}", why.as_str())?;
    }
    let kept = plan.kept.iter().map(|one| one.bytes).fold(0, u64::saturating_add);
    writeln!(
        out,
        "{} {verb} ({}), {} kept ({})",
        batches(plan.going.len()),
        bytes(plan.bytes()),
        batches(plan.kept.len()),
        bytes(kept)
    )?;
    Ok(())
}

fn in_words(reason: PruneReason, config: &Config) -> String {
    let retention = &config.audit.retention;
    match reason {
        PruneReason::Batches => format!("not among the newest {}", retention.batches()),
        PruneReason::Age => {
            format!("older than {}", humantime::format_duration(retention.age()))
        }
        PruneReason::Bytes => {
            format!("it and the newer ones take more than {}", bytes(retention.bytes()))
        }
    }
}
