//! `audit verify`: whether the audit is what was written, and whether gateways show what it has.

use super::comparison::{Comparison, Expected, Verdict};
use super::look::batches;
use crate::audit::{Folder, Report};
use crate::batch::Threads;
use crate::commands::{Configuration, Failure, check::clients, failure::unread};
use crate::config::{Config, Secrets};
use crate::exit::Exit;
use crate::gateway::{Client, Shown};
use crate::state::{self, Store, VerifyError};
use serde_json::json;
use std::io::Write;

/// How many series of a gateway are listed; they mostly differ by one cause.
const LISTED: usize = 8;

/// How far to look.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
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
    let config = source.load(secrets)?;
    let clients = if args.gateway { clients(&config.gateways)? } else { Vec::new() };
    let threads = Threads::start().map_err(|error| Failure::new(Exit::Internal, &error))?;
    let store = Store::new(&config.data_dir);
    let folder = Folder::new(config.audit.dir.clone());
    let ask = || ask(&config, &clients, &threads);
    let (report, state, shown) = state::verify(&store, &folder, ask).map_err(failure)?;
    let expected = Expected::of(&report);
    let compared = clients.iter().zip(shown);
    let compared = compared
        .map(|(client, shown)| expected.compare(client, shown, state.as_ref()))
        .collect::<Vec<_>>();
    let exit = exit_of(&report, &compared);
    let said = if args.json {
        say_json(&report, &compared, exit, out)
    } else {
        say(&report, &compared, &config, args, out)
    };
    // The exit code says it, even to a reader that went away.
    match said {
        Err(unread) if unread.is_broken_pipe() => Ok(exit),
        Err(failure) => Err(failure),
        Ok(()) => Ok(exit),
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

fn exit_of(report: &Report, compared: &[Comparison]) -> Exit {
    let differs = |one: &Comparison| match one.result {
        Verdict::Equal | Verdict::NotAPushgateway => false,
        Verdict::Differs | Verdict::NoGroup | Verdict::Unreachable => true,
    };
    if !report.findings.is_empty() {
        Exit::NoStrategy
    } else if compared.iter().any(differs) {
        Exit::TryLater
    } else {
        Exit::Done
    }
}

fn say(
    report: &Report,
    compared: &[Comparison],
    config: &Config,
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
        writeln!(out, "no batch is in {}", config.audit.dir.display())?;
    }
    let verdict = match report.findings.len() {
        0 => "sound".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    Ok(writeln!(
        out,
        "{}, {} records verified: {verdict}",
        batches(report.batches),
        report.records
    )?)
}

fn say_json(
    report: &Report,
    compared: &[Comparison],
    exit: Exit,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for finding in &report.findings {
        let message = finding.fault.to_string();
        let line = json!({"file": finding.file, "message": message, "fault": finding.fault});
        writeln!(out, "{line}")?;
    }
    for one in compared {
        writeln!(out, "{}", json!(one))?;
    }
    let line = json!({
        "batches": report.batches,
        "records": report.records,
        "open": report.open.len(),
        "findings": report.findings.len(),
        "notes": report.notes,
        "sound": report.findings.is_empty(),
        "exit_code": exit.code(),
    });
    Ok(writeln!(out, "{line}")?)
}
