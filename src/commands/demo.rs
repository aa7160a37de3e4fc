//! `demo`: the whole job in a scratch folder, against a receiver in this process.

use super::receiver::{Push, Receiver};
use super::{Failure, check::clients, stats};
use crate::audit::read_records;
use crate::batch::{self, BatchEnd, BatchPlan};
use crate::config::{Config, Environment};
use crate::disk::{self, DiskError, Mode};
use crate::exit::Exit;
use crate::metrics::{Buckets, Tally};
use crate::notify::Notifier;
use std::io::{self, Write};
use std::path::Path;

/// The example strategies, as they are in the repository.
const STRATEGIES: [(&str, &str); 4] = [
    ("momentum.py", include_str!("../../examples/strategies/momentum.py")),
    ("mean_reversion.py", include_str!("../../examples/strategies/mean_reversion.py")),
    ("pairs.py", include_str!("../../examples/strategies/pairs.py")),
    ("trend_following.py", include_str!("../../examples/strategies/trend_following.py")),
];

/// How many mutations are shown.
const SHOWN: usize = 6;

/// Runs the demo; what it prints is what happened.
pub fn run(out: &mut dyn Write) -> Result<Exit, Failure> {
    let scratch = scratch()?;
    let receiver = Receiver::start().map_err(|error| Failure::new(Exit::Internal, &error))?;
    let config = configure(scratch.path(), &receiver)?;
    let plan = BatchPlan::make(&config, config.batch.seed.unwrap_or_default())?;
    let targets: usize = plan.strategies.iter().map(|strategy| strategy.targets.len()).sum();
    writeln!(
        out,
        "mutation-agent {}: {} mutations of {targets} parameters in {} strategies, seed {}\n",
        env!("CARGO_PKG_VERSION"),
        plan.attempts(),
        plan.strategies.len(),
        plan.seed,
    )?;
    let end = batch::run(&config, &plan, clients(&config.gateways)?, &Notifier::default())?;
    let pushes = receiver.pushes();
    let tally = show_mutations(&end, out)?;
    show_candidate(&end, scratch.path(), out)?;
    writeln!(out, "Statistics, read back from the audit log")?;
    stats::write_table(&tally, out)?;
    show_push(&pushes, out)?;
    writeln!(
        out,
        "\nNow with your strategies and a real Pushgateway:\n\
         \x20 cp agent.toml.example agent.toml    # set [strategies] include and [[gateway]] url\n\
         \x20 mutation-agent check --gateway      # what would be mutated, file by file\n\
         \x20 mutation-agent run                  # one batch; cron and systemd: see README.md"
    )?;
    Ok(end.exit)
}

/// A folder that is gone when the demo is over.
fn scratch() -> Result<tempfile::TempDir, Failure> {
    let place = tempfile::env::temp_dir();
    let made = tempfile::Builder::new().prefix("mutation-agent-demo-").tempdir_in(&place);
    made.map_err(DiskError::new("create a folder in", &place))
        .map_err(|error| Failure::new(Exit::CannotCreate, &error))
}

/// The bundled strategies and a config for them, in a folder of their own.
fn configure(folder: &Path, receiver: &Receiver) -> Result<Config, Failure> {
    let created = |error: DiskError| Failure::new(Exit::CannotCreate, &error);
    let strategies = folder.join("strategies");
    disk::create_folder(&strategies, Mode::Private).map_err(created)?;
    for (name, text) in STRATEGIES {
        disk::replace(&strategies.join(name), text.as_bytes(), Mode::Private).map_err(created)?;
    }
    let text = format!(
        "[batch]\nrounds = 5\nmutations_per_round = 10\nseed = 42\n\
         [strategies]\ninclude = [\"strategies/*.py\"]\n\
         [output]\nkeep = 1\n\
         [[gateway]]\nurl = \"http://{}\"\nname = \"demo\"\nformat = \"text\"\n\
         grouping = {{ instance = \"demo\" }}\n",
        receiver.address
    );
    Ok(Config::parse(&text, &folder.join("agent.toml"), &Environment::default())?)
}

/// Some of the records, and the fold over all of them.
fn show_mutations(end: &BatchEnd, out: &mut dyn Write) -> Result<Tally, Failure> {
    let mut tally = Tally::new(Buckets::default());
    let mut lines = Vec::new();
    if let Some(audit) = &end.audit {
        let read = read_records(audit, |record, _| {
            if lines.len() < SHOWN {
                lines.push(format!(
                    "  {}  {}:{:<3} {:<22} {:>6} -> {:<6} {}",
                    record.mutation_id,
                    record.strategy,
                    record.line,
                    record.parameter,
                    record.old_value.to_string(),
                    record.new_value.to_string(),
                    record.outcome.as_str(),
                ));
            }
            tally.add(record);
        });
        read.map_err(|error| Failure::new(Exit::Io, &error))?;
    }
    writeln!(out, "The first {} of {} audit records", lines.len(), tally.attempts())?;
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out)?;
    Ok(tally)
}

/// One candidate beside its source: only the literal differs.
fn show_candidate(end: &BatchEnd, scratch: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(folder) = end.output.as_ref().map(|output| output.join("strategies/momentum")) else {
        return Ok(());
    };
    let entries = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let Some(candidate) = entries.min() else { return Ok(()) };
    let name = candidate.strip_prefix(scratch).unwrap_or(&candidate).display().to_string();
    let text = std::fs::read_to_string(&candidate)?;
    writeln!(out, "A candidate, {name}, differs from its source in one literal")?;
    for (old, new) in STRATEGIES[0].1.lines().zip(text.lines()).filter(|(old, new)| old != new) {
        writeln!(out, "  - {old}\n  + {new}")?;
    }
    Ok(writeln!(out)?)
}

/// The newest push, byte for byte as it came over HTTP.
fn show_push(pushes: &[Push], out: &mut dyn Write) -> Result<(), Failure> {
    let Some(newest) = pushes.last() else {
        return Err(io::Error::other("no push arrived").into());
    };
    writeln!(out, "\n{} pushes arrived over HTTP; the newest:", pushes.len())?;
    writeln!(out, "{}\nContent-Type: {}\n", newest.request, newest.content_type)?;
    out.write_all(&newest.body)?;
    Ok(())
}
