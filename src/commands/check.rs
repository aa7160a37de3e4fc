//! `check`: everything that can be known before the night.

use super::program::write_programs;
use super::{Configuration, Failure};
use crate::batch::{BatchPlan, PlannedStrategy, Target, Threads};
use crate::config::{Config, Environment, Secrets};
use crate::disk;
use crate::exit::Exit;
use crate::gateway::{Client, Format, Gateway, Probe};
use crate::mutation::Operator;
use crate::units::Kind;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;

/// How far to look.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Also ask each gateway whether it is there and takes our credentials; changes nothing on it
    #[arg(long)]
    pub gateway: bool,
}

/// Prints what is in force and what was found; nothing is written anywhere.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    // Standard output is written line by line, and a thousand strategies are five thousand lines.
    let mut out = BufWriter::new(out);
    let exit = check(source, args, &mut out)?;
    out.flush()?;
    Ok(exit)
}

fn check(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let secrets = if args.gateway { Secrets::Needed } else { Secrets::Here };
    let config = source.load(secrets)?;
    let clients = clients(config.gateways.iter().filter(|gateway| gateway.is_usable()))?;
    // What else there is can be told without strategies, and is all that `ingest` needs.
    let plan = BatchPlan::make(&config, config.batch.seed.unwrap_or(0));
    writeln!(out, "# {}: what is in force", source.path().display())?;
    writeln!(out, "{}", config.to_toml().trim_end())?;
    writeln!(out, "\n# strategies")?;
    match &plan {
        Ok(plan) => {
            write_strategies(plan, out)?;
            // Another shard's strategies may have what these have not.
            if config.shard.is_none() {
                write_unfound(&config, plan, out)?;
            }
        }
        Err(error) => writeln!(out, "{error}")?,
    }
    writeln!(out, "\n# folders")?;
    let folders = [
        write_folder("data_dir", &config.data_dir, out)?,
        write_folder("audit", &config.audit.dir, out)?,
        write_folder("output", &config.output.dir, out)?,
    ];
    if let Some(textfile) = &config.metrics.textfile {
        write_textfile_folder(disk::folder_of(textfile), out)?;
    }
    let programs = write_programs(&config, &Environment::program_folders(), out)?;
    let unusable = folders.into_iter().find(|exit| *exit != Exit::Done);
    let none = |plan: &BatchPlan| plan.usable().is_empty() && !plan.is_elsewhere();
    let none = plan.as_ref().is_ok_and(none);
    let mut exit = unusable.unwrap_or(if none { Exit::NoStrategy } else { programs });
    writeln!(out, "\n# gateways")?;
    if config.gateways.is_empty() {
        writeln!(out, "none: metrics are pushed nowhere")?;
    }
    exit = write_gateways(&config, &clients, args.gateway, exit, out)?;
    let plan = plan?;
    for warning in config.warnings.iter().chain(&plan.warnings()) {
        writeln!(out, "\nwarning: {warning}")?;
    }
    writeln!(out, "\n{}", verdict(&plan))?;
    Ok(exit)
}

/// Each gateway, and whether it is there where that is asked; `exit` unless one of them is of no use.
fn write_gateways(
    config: &Config,
    clients: &[Client],
    asked: bool,
    mut exit: Exit,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let threads = Threads::start().map_err(|error| Failure::new(Exit::Internal, &error))?;
    for gateway in &config.gateways {
        write!(out, "{}  {}", gateway.name(), gateway.push_url())?;
        let client = clients.iter().find(|client| client.gateway().name() == gateway.name());
        if let Some(client) = client.filter(|_| asked) {
            let probe = threads.block_on(client.probe(config.push.attempt_timeout));
            write!(out, "  {probe}")?;
            // Others than a Pushgateway take text alone.
            let text = gateway.format() == Format::Text;
            let fits = matches!(probe, Probe::Ready)
                || (text && matches!(probe, Probe::NotAPushgateway(_)));
            if !fits && exit == Exit::Done {
                exit = Exit::TryLater;
            }
        }
        writeln!(out)?;
    }
    Ok(exit)
}

/// One client per gateway; a certificate that cannot be used is found before anything is written.
pub(in crate::commands) fn clients<'a>(
    gateways: impl IntoIterator<Item = &'a Gateway>,
) -> Result<Vec<Client>, Failure> {
    let clients =
        gateways.into_iter().map(|gateway| Client::new(gateway.clone(), crate::batch::now));
    clients.collect::<Result<_, _>>().map_err(|error| Failure::new(Exit::Config, &error))
}

fn verdict(plan: &BatchPlan) -> String {
    let (usable, all) = (plan.usable().len(), plan.strategies.len());
    let targets: usize = plan.strategies.iter().map(|strategy| strategy.targets.len()).sum();
    if let Some((shard, turns)) = plan.shard().filter(|_| usable > 0 || plan.is_elsewhere()) {
        return format!(
            "shard {shard} has {targets} usable targets in {usable} of the {turns} strategies that have some: a run would \
             make {} mutations",
            plan.attempts()
        );
    }
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
            if is_coarse(target) {
                writeln!(
                    out,
                    "    warning: most proposals are less than half a step away and change nothing; give a smaller `step`"
                )?;
            }
        }
        for (parameter, reason) in &strategy.unusable {
            writeln!(out, "  unusable: {parameter}: {} ({reason})", reason.as_str())?;
        }
        write_rules(plan, strategy, out)?;
    }
    Ok(())
}

/// The constraints that say nothing of a strategy whose numbers are mutated.
fn write_rules(
    plan: &BatchPlan,
    strategy: &PlannedStrategy,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for rule in plan.constraints.iter().filter(|_| !strategy.targets.is_empty()) {
        let missing = strategy.missing(rule);
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(", ");
            writeln!(out, "  does not apply: constraint `{rule}`: there is no number {names}")?;
        }
    }
    Ok(())
}

/// Whether the operator's usual move is less than what it takes to reach the next value.
fn is_coarse(target: &Target) -> bool {
    let (min, max) = target.mutator.domain().bounds();
    let reach = match target.mutator.operator() {
        Operator::Lognormal | Operator::CompatGaussian => target.value.to_f64().abs(),
        Operator::Gaussian => max.to_f64() - min.to_f64(),
        Operator::Polynomial | Operator::Uniform => return false,
    };
    let step = target.mutator.domain().step().to_f64();
    // Whole numbers always move by one at least, but for `compat-gaussian`.
    target.mutator.domain().kind() == Kind::Float
        && target.mutator.sigma().is_some_and(|sigma| sigma * reach < step / 2.0)
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

/// The textfile's folder is somebody else's, so it is not made; without it a run only warns.
fn write_textfile_folder(path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let state = if !path.is_dir() {
        "is not there: a run would go on without a textfile"
    } else if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        "may not be written: a run would go on without a textfile"
    } else {
        "is there and can be written"
    };
    Ok(writeln!(out, "textfile  {}  {state}", path.display())?)
}

/// Says whether a run could use the folder, and the exit code if it could not.
fn write_folder(name: &str, path: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let (exit, state) = folder_state(name, path);
    let path = path.display();
    if exit == Exit::Done {
        writeln!(out, "{name}  {path}  {state}")?;
    } else {
        let code = exit.code();
        writeln!(out, "{name}  {path}  {state}: a run would fail with exit code {code}")?;
    }
    Ok(exit)
}

fn folder_state(name: &str, path: &Path) -> (Exit, Cow<'static, str>) {
    // What is not there yet is made in the nearest folder that is.
    let there =
        path.ancestors().map(disk::or_here).find(|folder| folder.symlink_metadata().is_ok());
    let there = there.unwrap_or(path);
    let writable = rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_ok();
    // Candidates are for others to read and to do with as they like.
    let exposed = if name == "output" { Ok(()) } else { disk::exposed(path) };
    let (exit, state) = match (there.is_dir(), exposed, there == path) {
        (false, _, _) => (Exit::CannotCreate, "cannot be made: something else is in its place"),
        (true, Err(exposed), _) => return (Exit::Permission, exposed.to_string().into()),
        (true, Ok(()), _) if !writable => (Exit::Permission, "may not be written"),
        (true, Ok(()), true) => (Exit::Done, "is there and can be written"),
        (true, Ok(()), false) => (Exit::Done, "will be made"),
    };
    (exit, state.into())
}
