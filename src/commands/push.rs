//! `push`: the newest totals to the gateways that have not seen them.

use super::{Failure, check::clients};
use crate::batch::{self, Shutdown};
use crate::config::{Config, Environment};
use crate::exit::Exit;
use crate::gateway::{Client, Schedule};
use std::io::Write;
use std::path::Path;

/// Which gateways.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Also to gateways that have seen the newest totals: for one that lost what it had
    #[arg(long)]
    pub all: bool,
}

/// Delivers with the full retry and says what became of it, a line per gateway.
pub fn run(path: &Path, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = Config::load(path, &Environment::read())?;
    if config.gateways.is_empty() {
        writeln!(out, "no [[gateway]] in {}: nothing to deliver to", path.display())?;
        return Ok(Exit::Done);
    }
    let clients = clients(&config)?;
    if !config.data_dir.exists() {
        writeln!(out, "no batch has run in {} yet: nothing to deliver", config.data_dir.display())?;
        return Ok(Exit::Done);
    }
    let mut data = batch::open(&config)?;
    if data.state.last_batch.is_none() {
        writeln!(out, "no batch has run in {} yet: nothing to deliver", config.data_dir.display())?;
        return Ok(Exit::Done);
    }
    let (waiting, seen): (Vec<Client>, Vec<Client>) = clients
        .into_iter()
        .partition(|client| args.all || !data.state.is_delivered(client.gateway().name()));
    for client in seen {
        writeln!(out, "{}: has seen the newest totals", client.gateway().name())?;
    }
    if waiting.is_empty() {
        return Ok(Exit::Done);
    }
    let runtime = batch::runtime().map_err(|error| Failure::new(Exit::Internal, &error))?;
    let shutdown = Shutdown::listen(runtime.handle(), config.batch.shutdown_timeout)
        .map_err(|error| Failure::new(Exit::Internal, &error))?;
    let schedule = Schedule {
        policy: Some(config.push.retry),
        attempt_timeout: config.push.attempt_timeout,
        deadline: config.push.deadline,
    };
    let delivered =
        batch::deliver_totals(&config, &waiting, &mut data, &runtime, schedule, shutdown.wait());
    data.save().map_err(|error| Failure::new(Exit::Io, &error))?;
    for one in &delivered {
        match &one.result {
            Ok(()) => writeln!(out, "{}: delivered", one.gateway)?,
            Err(why) => writeln!(out, "{}: undelivered: {why}", one.gateway)?,
        }
    }
    let failed = delivered.iter().any(|one| one.result.is_err());
    Ok(match shutdown.asked() {
        Some(signal) if failed => signal.exit(),
        _ if failed => Exit::TryLater,
        _ => Exit::Done,
    })
}
