//! `replay`: batches drawn again from their manifests, and held to their records.

use super::failure::unread;
use super::{Configuration, Failure};
use crate::audit::{Folder, Manifest, read_records};
use crate::batch::{Difference, Replay, ReplayError};
use crate::config::Secrets;
use crate::exit::Exit;
use crate::metrics::Status;
use crate::units::BatchId;
use serde::Serialize;
use std::io::Write;

/// Which batches, in which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Batches by id, or `latest`; without any, all that are sealed
    pub batches: Vec<String>,
    /// One JSON object per batch
    #[arg(long)]
    pub json: bool,
}

/// What came of one batch.
#[derive(Debug, Serialize)]
struct Row {
    batch_id: BatchId,
    /// Records that were compared.
    records: u64,
    /// `same`, `differs`, `impossible`, `ingested`, or `older`: from before manifests held their config.
    result: &'static str,
    /// Where it differs first, or why it cannot be drawn again.
    problem: Option<String>,
}

/// Draws each batch again and says at which record, if any, it differs.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let (mut sealed, mut places) = (Vec::new(), Vec::new());
    for config in source.load_all(Secrets::Unneeded)? {
        let folder = Folder::new(config.audit.dir);
        let batches = folder.batches().map_err(|error| unread(&error))?.into_iter();
        let batches = batches.filter(|(_, files)| files.is_sealed());
        sealed.extend(batches.map(|(id, _)| (id, folder.clone())));
        places.push(folder.path().display().to_string());
    }
    sealed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let places = places.join(", ");
    let mut wanted = Vec::new();
    for name in &args.batches {
        let found = match name.as_str() {
            "latest" => sealed.last(),
            name => sealed.iter().find(|(id, _)| id.as_str() == name),
        };
        let none = || {
            Failure::said(
                Exit::Usage,
                format!("no sealed batch `{name}` in {places}; see `mutation-agent audit list`"),
            )
        };
        wanted.push(found.ok_or_else(none)?.clone());
    }
    if sealed.is_empty() && !args.json {
        writeln!(out, "no batch is sealed in {places}")?;
    }
    let mut exit = Exit::Done;
    for (id, folder) in if args.batches.is_empty() { sealed } else { wanted } {
        let row = replay(&folder, id)?;
        let was_not_drawn = matches!(row.result, "older" | "ingested");
        if row.result != "same" && (!was_not_drawn || !args.batches.is_empty()) {
            exit = Exit::NoStrategy;
        }
        if args.json {
            let json = serde_json::to_string(&row)
                .map_err(|error| Failure::new(Exit::Internal, &error))?;
            writeln!(out, "{json}")?;
        } else {
            let Row { batch_id, records, .. } = &row;
            let said = match &row.problem {
                None => format!("{records} records, each as it is drawn again"),
                Some(problem) => problem.clone(),
            };
            writeln!(out, "{batch_id}: {said}")?;
        }
    }
    Ok(exit)
}

fn replay(folder: &Folder, id: BatchId) -> Result<Row, Failure> {
    let impossible = |batch_id, why: String| {
        Ok(Row {
            batch_id,
            records: 0,
            result: "impossible",
            problem: Some(format!("cannot be drawn again: {why}")),
        })
    };
    let manifest = match Manifest::read(folder, &id) {
        Ok((manifest, _)) => manifest,
        Err(error) => return impossible(id, error.to_string()),
    };
    if manifest.summary.ingest.is_some() {
        let drawn = "its records are another program's: nothing was drawn".to_owned();
        return Ok(Row { batch_id: id, records: 0, result: "ingested", problem: Some(drawn) });
    }
    let mut replay = match Replay::new(&manifest) {
        Ok(replay) => replay,
        // Nothing was attempted, so there is nothing to be drawn.
        Err(ReplayError::Missing(_))
            if manifest.records == 0 && manifest.summary.status != Status::Running =>
        {
            return Ok(Row { batch_id: id, records: 0, result: "same", problem: None });
        }
        Err(error @ ReplayError::Missing(_)) if !manifest.is_evaluated() => {
            let older = Row { result: "older", ..impossible(id, error.to_string())? };
            return Ok(older);
        }
        Err(error) => return impossible(id, error.to_string()),
    };
    let (mut line, mut records, mut difference) = (0_u64, 0_u64, None);
    let read = read_records(&folder.sealed_or_compressed(&id), |record, _| {
        line += 1;
        if difference.is_none() {
            records += 1;
            difference = replay.take(record).err().map(|difference| (line, difference));
        }
    });
    if let Err(error) = read {
        return impossible(id, error.to_string());
    }
    let problem = difference.map(|(line, Difference { mutation, field, found, expected })| {
        format!("line {line}, {mutation}: `{field}` is {found}, and {expected} is drawn")
    });
    let result = if problem.is_some() { "differs" } else { "same" };
    Ok(Row { batch_id: id, records, result, problem })
}
