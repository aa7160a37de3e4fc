//! `check`: everything that can be known before the night.

use super::Failure;
use crate::batch::{self, BatchPlan};
use crate::config::{Config, Environment};
use crate::disk;
use crate::exit::Exit;
use crate::gateway::{Client, Probe};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// How far to look.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Also ask each gateway whether it is there and takes our credentials; changes nothing on it
    #[arg(long)]
    pub gateway: bool,
}

/// Prints what is in force and what was found; nothing is written anywhere.
pub fn run(path: &Path, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = Config::load(path, &Environment::read())?;
    let clients = clients(&config)?;
    let plan = BatchPlan::make(&config, config.batch.seed.unwrap_or(0))?;
    writeln!(out, "# {}: what is in force", path.display())?;
    writeln!(out, "{}", config.to_toml().trim_end())?;
    writeln!(out, "\n# strategies")?;
    write_strategies(&plan, out)?;
    write_unfound(&config, &plan, out)?;
    writeln!(out, "\n# folders")?;
    write_folder("data_dir", &config.data_dir, out)?;
    write_folder("audit", &config.audit.dir, out)?;
    write_folder("output", &config.output.dir, out)?;
    let mut exit = if plan.usable().is_empty() { Exit::NoStrategy } else { Exit::Done };
    writeln!(out, "\n# gateways")?;
    if clients.is_empty() {
        writeln!(out, "none: metrics are pushed nowhere")?;
    }
    let runtime = batch::runtime().map_err(|error| Failure::new(Exit::Internal, &error))?;
    for client in &clients {
        let gateway = client.gateway();
        write!(out, "{}  {}", gateway.name(), gateway.push_url())?;
        if args.gateway {
            let probe = runtime.block_on(client.probe(config.push.attempt_timeout));
            write!(out, "  {probe}")?;
            if !matches!(probe, Probe::Ready | Probe::NotAPushgateway(_)) && exit == Exit::Done {
                exit = Exit::TryLater;
            }
        }
        writeln!(out)?;
    }
    for warning in &config.warnings {
        writeln!(out, "\nwarning: {warning}")?;
    }
    writeln!(out, "\n{}", verdict(&plan))?;
    Ok(exit)
}

/// One client per gateway; a certificate that cannot be used is found before anything is written.
pub(super) fn clients(config: &Config) -> Result<Vec<Client>, Failure> {
    let clients = config.gateways.iter().map(|gateway| Client::new(gateway.clone(), batch::now));
    clients.collect::<Result<_, _>>().map_err(|error| Failure::new(Exit::Config, &error))
}

fn verdict(plan: &BatchPlan) -> String {
    let (usable, all) = (plan.usable().len(), plan.strategies.len());
    let targets: usize = plan.strategies.iter().map(|strategy| strategy.targets.len()).sum();
    if usable == 0 {
        return "no strategy has a usable target: a run would fail with exit code 65".to_owned();
    }
    format!(
        "{targets} usable targets in {usable} of {all} strategies: a run would make {} mutations",
        plan.attempts()
    )
}

/// Each strategy with its targets as `file:line`, and what cannot be used, with the reason.
pub(super) fn write_strategies(plan: &BatchPlan, out: &mut dyn Write) -> Result<(), Failure> {
    for strategy in &plan.strategies {
        writeln!(out, "{}", strategy.name)?;
        for target in &strategy.targets {
            let mutator = &target.mutator;
            let (min, max) = mutator.domain().bounds();
            write!(out, "  {}:{}  ", strategy.name, target.site.line())?;
            write!(out, "{} = {}  in {min} … {max} ", target.parameter, target.value)?;
            write!(out, "step {}, {}", mutator.domain().step(), mutator.operator().as_str())?;
            match mutator.sigma() {
                Some(sigma) => writeln!(out, " σ {sigma}")?,
                None => writeln!(out)?,
            }
        }
        for (parameter, reason) in &strategy.unusable {
            writeln!(out, "  unusable: {parameter}: {} ({reason})", reason.as_str())?;
        }
    }
    Ok(())
}

/// A parameter that no strategy has is more likely a slip than a wish.
fn write_unfound(config: &Config, plan: &BatchPlan, out: &mut dyn Write) -> Result<(), Failure> {
    let targets = plan.strategies.iter().flat_map(|strategy| &strategy.targets);
    let used: BTreeSet<&str> = targets.map(|target| target.parameter.as_str()).collect();
    for parameter in config.parameters.iter().filter(|one| !used.contains(one.name.as_str())) {
        writeln!(out, "warning: no strategy has a usable target for `{}`", parameter.name)?;
    }
    Ok(())
}

fn write_folder(name: &str, path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let state = match path.metadata() {
        Ok(metadata) if !metadata.is_dir() => "is no folder: a run would fail with exit code 73",
        Ok(_) if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() => {
            "may not be written: a run would fail with exit code 77"
        }
        Ok(_) if name != "output" && disk::writable_by_others(path) == Some(true) => {
            "can be written by others: a run would fail with exit code 77; run chmod go-w on it"
        }
        Ok(_) => "is there and can be written",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "will be made",
        Err(_) => "cannot be looked at: a run would fail with exit code 77",
    };
    Ok(writeln!(out, "{name}  {}  {state}", path.display())?)
}
