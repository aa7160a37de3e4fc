//! `push`: the newest totals to the gateways that have not seen them.

use super::{Configuration, Failure, check::clients};
use crate::batch::{self, Shutdown, Threads};
use crate::config::{Config, Secrets};
use crate::exit::Exit;
use crate::gateway::{Client, Gateway, Schedule};
use crate::notify::Notifier;
use crate::state::{DataDir, State};
use std::io::{self, Write};

/// Which gateways.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Also to gateways that have seen the newest totals: for one that lost what it had
    #[arg(long)]
    pub all: bool,
}

/// Delivers with the full retry and says what became of it, a line per gateway.
pub fn run(
    source: &Configuration,
    args: &Args,
    notifier: &Notifier,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let all = source.load_all(Secrets::Needed)?;
    let mut exit = Exit::Done;
    for config in &all {
        let ended = match push(source, config, args, exit, notifier, out) {
            Ok(ended) => ended,
            // Another one's folder that cannot be had is no reason not to deliver this one's totals.
            Err(failure) if all.len() > 1 && !failure.is_broken_pipe() => {
                tracing::error!("{}: {failure}", config.data_dir.display());
                failure.exit()
            }
            Err(failure) => return Err(failure),
        };
        exit = if exit == Exit::Done { ended } else { exit };
    }
    Ok(exit)
}

/// Delivers what one agent, or one shard, has.
fn push(
    source: &Configuration,
    config: &Config,
    args: &Args,
    so_far: Exit,
    notifier: &Notifier,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let clients = clients(&config.gateways)?;
    if !config.data_dir.exists() {
        writeln!(out, "no batch has run in {} yet: nothing to deliver", config.data_dir.display())?;
        return Ok(Exit::Done);
    }
    // Also where there is nobody to be told: a batch that was killed is sealed by this.
    let mut data = batch::open(config)?;
    if clients.is_empty() {
        writeln!(out, "no [[gateway]] in {}: nothing to deliver to", source.path().display())?;
        return Ok(Exit::Done);
    }
    if data.state.last_batch.is_none() {
        writeln!(out, "no batch has run in {} yet: nothing to deliver", config.data_dir.display())?;
        return Ok(Exit::Done);
    }
    let (waiting, seen): (Vec<Client>, Vec<Client>) = clients
        .into_iter()
        .partition(|client| args.all || !is_delivered(&data.state, client.gateway()));
    let mut lines: Vec<String> = seen
        .iter()
        .map(|client| format!("{}: has seen the newest totals", client.gateway().name()))
        .collect();
    let mut exit = Exit::Done;
    if !waiting.is_empty() {
        notifier.status(&format!("pushing to {} gateways", waiting.len()));
        // A gateway that another shard tried in vain is not waited for again.
        let patient = so_far == Exit::Done;
        exit = deliver(config, &waiting, patient, &mut data, &mut lines)?;
    }
    if let Some(shard) = config.shard {
        for line in &mut lines {
            *line = format!("{}: {line}", shard.folder());
        }
    }
    notifier.status(&lines.join("; "));
    // The exit code says what became of it, even to a reader that went away.
    if let Err(unread) = lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        tracing::debug!("{unread}");
    }
    Ok(exit)
}

fn is_delivered(state: &State, gateway: &Gateway) -> bool {
    state.is_delivered(gateway.name(), gateway.push_url().as_str())
}

fn deliver(
    config: &Config,
    waiting: &[Client],
    patient: bool,
    data: &mut DataDir,
    lines: &mut Vec<String>,
) -> Result<Exit, Failure> {
    let internal = |error: io::Error| Failure::new(Exit::Internal, &error);
    let threads = Threads::start().map_err(internal)?;
    let shutdown = Shutdown::listen(config.batch.shutdown_timeout).map_err(internal)?;
    let delivered = batch::deliver_totals(
        config,
        waiting,
        data,
        &threads,
        if patient { config.push.schedule() } else { Schedule::once(config.push.attempt_timeout) },
        shutdown.wait(),
    );
    data.save().map_err(|error| Failure::new(Exit::Io, &error))?;
    lines.extend(delivered.iter().map(|one| match &one.result {
        Ok(()) => format!("{}: delivered", one.gateway),
        Err(why) => format!("{}: undelivered: {why}", one.gateway),
    }));
    let failed = delivered.iter().any(|one| one.result.is_err());
    Ok(match shutdown.asked() {
        Some(signal) if failed => signal.exit(),
        _ if failed => Exit::TryLater,
        _ => Exit::Done,
    })
}
