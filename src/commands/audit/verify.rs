//! `audit verify`: whether the audit is what was written, and whether gateways show what it has.

use super::comparison::{Comparison, Expected, Verdict};
use super::look::batches;
use crate::audit::{Fault, Folder, Report};
use crate::batch::Threads;
use crate::commands::{Configuration, Failure, check::clients, failure::unread};
use crate::config::{Config, Secrets};
use crate::disk::DiskError;
use crate::exit::Exit;
use crate::gateway::{Client, Shown};
use crate::state::{self, Store, VerifyError};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// How many series of a gateway are listed; they mostly differ by one cause.
const LISTED: usize = 8;

/// How far to look.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Data folders, each with those of the shards in it; without any, that of the configuration and those of its shards
    #[arg(conflicts_with = "gateway")]
    pub folders: Vec<PathBuf>,
    /// Also ask each gateway what it shows, and compare it with the fold over the audit
    #[arg(long)]
    pub gateway: bool,
    /// One JSON object for each finding and each gateway, and one that sums up
    #[arg(long)]
    pub json: bool,
}

/// Reads everything, writes nothing, takes no lock.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let secrets = if args.gateway { Secrets::Needed } else { Secrets::Unneeded };
    let threads = Threads::start().map_err(|error| Failure::new(Exit::Internal, &error))?;
    let mut all = Vec::new();
    if args.folders.is_empty() {
        for config in source.load_all(secrets)? {
            all.push(Verified::of_config(&config, args.gateway, &threads)?);
        }
    } else {
        let mut seen = BTreeSet::new();
        for path in &args.folders {
            let mut found = false;
            for folder in Folder::all_in(path).map_err(|error| unread(&error))? {
                let place = folder.path().canonicalize();
                let place = place.map_err(DiskError::new("find", folder.path()));
                // However often it was named.
                let is_new = seen.insert(place.map_err(|error| unread(&error))?);
                let verified = if is_new { Verified::of_folder(folder)? } else { None };
                found |= !is_new || verified.is_some();
                all.extend(verified);
            }
            if !found {
                let text = format!("no audit is in {}: nothing was verified", path.display());
                return Err(Failure::said(Exit::NoStrategy, text));
            }
        }
    }
    let exit = exit_of(&all);
    let said = if args.json { say_json(&all, exit, out) } else { say(&all, args, out) };
    // The exit code says it, even to a reader that went away.
    match said {
        Err(unread) if unread.is_broken_pipe() => Ok(exit),
        Err(failure) => Err(failure),
        Ok(()) => Ok(exit),
    }
}

/// What was found in one data folder, and how its gateways compare with it.
struct Verified {
    folder: Folder,
    report: Report,
    compared: Vec<Comparison>,
}

impl Verified {
    fn of_config(config: &Config, gateway: bool, threads: &Threads) -> Result<Self, Failure> {
        let clients = if gateway { clients(&config.gateways)? } else { Vec::new() };
        let store = Store::new(&config.data_dir);
        let folder = Folder::new(config.audit.dir.clone());
        let ask = || ask(config, &clients, threads);
        let (report, state, shown) = state::verify(&store, &folder, ask).map_err(failure)?;
        let expected = Expected::of(&report);
        let compared = clients.iter().zip(shown);
        let compared =
            compared.map(|(client, shown)| expected.compare(client, shown, state.as_ref()));
        Ok(Self { compared: compared.collect(), folder, report })
    }

    /// Of a folder that was named, or stands below the one that was; `None` where nothing is in it.
    fn of_folder(folder: Folder) -> Result<Option<Self>, Failure> {
        // The audit stands in the data folder, or is all that there is of it.
        let parent = folder.path().parent().filter(|_| folder.path().ends_with("audit"));
        let store = Store::new(parent.unwrap_or(folder.path()));
        let (mut report, _, ()) = state::verify(&store, &folder, || ()).map_err(failure)?;
        if !store.path().exists() {
            if report.batches == 0 && report.open.is_empty() {
                return Ok(None);
            }
            if parent.is_none() {
                let is_state = |fault: &Fault| *fault == Fault::StateMissing;
                report.findings.retain(|finding| !is_state(&finding.fault));
                let told = "no state is beside this audit: whether its newest batches are there is not known";
                report.notes.push(told.to_owned());
            }
        }
        Ok(Some(Self { folder, report, compared: Vec::new() }))
    }
}

fn failure(error: VerifyError) -> Failure {
    match error {
        VerifyError::State(error) => error.into(),
        VerifyError::Disk(error) => unread(&error),
    }
}

fn ask(config: &Config, clients: &[Client], threads: &Threads) -> Vec<Shown> {
    let limit = config.push.attempt_timeout;
    clients.iter().map(|client| threads.block_on(client.shown(limit))).collect()
}

fn exit_of(all: &[Verified]) -> Exit {
    let differs = |one: &Comparison| match one.result {
        Verdict::Equal | Verdict::NotAPushgateway => false,
        Verdict::Differs | Verdict::NoGroup | Verdict::Unreachable => true,
    };
    if all.iter().any(|one| !one.report.findings.is_empty()) {
        Exit::NoStrategy
    } else if all.iter().flat_map(|one| &one.compared).any(differs) {
        Exit::TryLater
    } else {
        Exit::Done
    }
}

fn say(all: &[Verified], args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    for one in all {
        if all.len() > 1 {
            writeln!(out, "{}:", one.folder.path().display())?;
        }
        say_one(one, args, out)?;
    }
    let sum = |count: fn(&Report) -> u64| all.iter().map(|one| count(&one.report)).sum::<u64>();
    let verdict = match sum(|report| report.findings.len() as u64) {
        0 => "sound".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    let (count, records) = (sum(|report| report.batches), sum(|report| report.records));
    Ok(writeln!(out, "{}, {records} records verified: {verdict}", batches(count))?)
}

fn say_one(
    Verified { folder, report, compared }: &Verified,
    args: &Args,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    for one in compared {
        for difference in one.differences.iter().take(LISTED) {
            writeln!(out, "gateway {}: {}", one.gateway, difference.in_words())?;
        }
        let more = one.differences.len().saturating_sub(LISTED);
        if more > 0 {
            writeln!(out, "gateway {}: and {more} more series", one.gateway)?;
        }
        write!(out, "gateway {}: {}", one.gateway, one.message)?;
        match one.result {
            Verdict::Equal if one.series > 0 => writeln!(out, " ({} series)", one.series)?,
            _ => writeln!(out)?,
        }
    }
    if args.gateway && compared.is_empty() {
        writeln!(out, "no [[gateway]] is configured: none is asked")?;
    }
    if report.batches == 0 && report.open.is_empty() && report.findings.is_empty() {
        writeln!(out, "no batch is in {}", folder.path().display())?;
    }
    Ok(())
}

fn say_json(all: &[Verified], exit: Exit, out: &mut dyn Write) -> Result<(), Failure> {
    for Verified { folder, report, compared } in all {
        let folder = folder.path().display().to_string();
        for finding in &report.findings {
            let (file, fault) = (&finding.file, &finding.fault);
            let message = fault.to_string();
            let line = json!({"folder": folder, "file": file, "message": message, "fault": fault});
            writeln!(out, "{line}")?;
        }
        for one in compared {
            writeln!(out, "{}", json!(one))?;
        }
    }
    let reports = || all.iter().map(|one| &one.report);
    let findings: usize = reports().map(|report| report.findings.len()).sum();
    let line = json!({
        "batches": reports().map(|report| report.batches).sum::<u64>(),
        "records": reports().map(|report| report.records).sum::<u64>(),
        "open": reports().map(|report| report.open.len()).sum::<usize>(),
        "findings": findings,
        "notes": reports().flat_map(|report| &report.notes).collect::<Vec<_>>(),
        "sound": findings == 0,
        "exit_code": exit.code(),
    });
    Ok(writeln!(out, "{line}")?)
}
