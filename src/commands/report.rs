//! `report`: one page about the nights, for people.

use super::best::{Champion, diff};
use super::selection::{Selection, unreadable};
use super::{Configuration, Failure};
use crate::audit::{Folder, Log, Manifest, Read};
use crate::batch::{BatchPlan, now};
use crate::config::{Config, ConfigError, Secrets};
use crate::disk::{self, DiskError, Mode};
use crate::evolution::{Direction, Searches};
use crate::exit::Exit;
use crate::report::{Batch, Bounds, Change, Delivery, Facts, Reading, Surroundings, Verdict, page};
use crate::state::{self, State, Store};
use crate::units::{BatchId, Period, Shard, printable};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

/// Over which records, and where to.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Where the page goes; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

/// Reads the logs one after the other, makes the page, and says in a line how the night was.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let logs = args.selection.logs(source)?;
    let period = args.selection.period()?;
    let mut facts = Facts::default();
    let mut newest = None;
    // In the order of time, however they were named: the newest is judged by those before it.
    let mut logs: Vec<&Log> = logs.iter().collect();
    logs.sort_by_key(|log| log.batch());
    for log in logs {
        newest = read(log, period, &mut facts)?.or(newest);
    }
    let mut around = Surroundings {
        bounds: newest
            .as_ref()
            .and_then(|manifest| manifest.config.as_deref())
            .map_or_else(BTreeMap::new, bounds),
        ..Surroundings::default()
    };
    if args.selection.files.is_empty() {
        look_around(source, args, &mut around)?;
    }
    let verdict = Verdict::of(&facts, &around);
    let text = page(&facts, &around, &verdict);
    if args.output.as_os_str() == "-" {
        write!(out, "{text}")?;
        return Ok(Exit::Done);
    }
    write_page(&args.output, &text)?;
    let first = verdict.reasons.first().map_or("", |reason| reason.text.as_str());
    let first = printable(first);
    writeln!(out, "{}: {first} {}", verdict.grade.in_words(), args.output.display())?;
    Ok(Exit::Done)
}

/// Puts the page where it is to go, whole or not at all. Where a link leads is meant, and no device is replaced.
fn write_page(path: &Path, text: &str) -> Result<(), Failure> {
    let target = if path.is_symlink() { path.canonicalize().ok() } else { None };
    let target = target.as_deref().unwrap_or(path);
    if target.exists() && !target.is_file() {
        let told = "is no regular file; `--output -` writes to standard output";
        return Err(Failure::said(Exit::CannotCreate, format!("{} {told}", target.display())));
    }
    if target.exists() && !is_page(target).map_err(|error| unreadable(&error.into()))? {
        let told = "is there and is no HTML page; `--output` is the page that is written";
        return Err(Failure::said(Exit::CannotCreate, format!("{} {told}", target.display())));
    }
    disk::replace(target, text.as_bytes(), Mode::Shared).map_err(|error| {
        let exit = if error.is_permission() { Exit::Permission } else { Exit::CannotCreate };
        Failure::new(exit, &error)
    })
}

/// Whether a file is a page of before, or empty: with `--output audit/*.jsonl` it is a log.
fn is_page(path: &Path) -> Result<bool, DiskError> {
    const BEGIN: &[u8] = b"<!DOCTYPE html>";
    let mut begin = Vec::new();
    let mut file = disk::open(path)?.take(BEGIN.len() as u64);
    file.read_to_end(&mut begin).map_err(DiskError::new("read", path))?;
    Ok(begin.is_empty() || begin == BEGIN)
}

/// Takes in a log with its manifest, which it gives back. What cannot be read is damage, and the rest goes on.
fn read(log: &Log, period: Period, facts: &mut Facts) -> Result<Option<Manifest>, Failure> {
    let manifest = match log.manifest() {
        Some(Ok(manifest)) => Some(manifest),
        Some(Err(error)) => {
            facts.damage.push(error.to_string());
            None
        }
        None => None,
    };
    let mut reading = None;
    let known = log.batch().cloned();
    let outcome = log.read(|record, _| {
        if !period.contains(record.timestamp) {
            return;
        }
        let id = known.as_ref().unwrap_or(&record.batch_id);
        // Several batches may have been put into one file.
        if let Some(other) = reading.take_if(|open: &mut Reading| open.batch_id() != id) {
            facts.end(other);
        }
        let mut open = reading.take().unwrap_or_else(|| facts.begin(batch(id, manifest.as_ref())));
        facts.add(&mut open, record);
        reading = Some(open);
    });
    match outcome {
        Ok(Read::Whole) => {}
        Ok(Read::Torn { bytes }) => {
            facts
                .damage
                .push(format!("{} ends in an unfinished line of {bytes} bytes", log.name()));
        }
        Ok(Read::Gone) => return Ok(None),
        // Where nothing was read at all, as of a file that is not there, there is nothing to go on with.
        Err(error) if known.is_none() && reading.is_none() => return Err(unreadable(&error)),
        Err(error) => facts.damage.push(error.to_string()),
    }
    // A batch without records is a night all the same, if it is of the time that is asked for.
    if let (None, Some(id)) = (&reading, &known)
        && period.contains(id.start())
    {
        reading = Some(facts.begin(batch(id, manifest.as_ref())));
    }
    let is_night = reading.is_some();
    if let Some(before) = manifest.as_ref().map(|manifest| &manifest.summary).filter(|_| !is_night)
    {
        let shard = manifest.as_ref().and_then(|one| one.shard).map(Shard::index);
        facts.remember(before, shard);
    }
    if let Some(reading) = reading {
        facts.end(reading);
    }
    Ok(manifest.filter(|_| is_night))
}

fn batch(id: &BatchId, manifest: Option<&Manifest>) -> Batch {
    let summary = manifest.map(|manifest| &manifest.summary);
    let search = summary.and_then(|summary| summary.search.as_ref());
    let settings =
        manifest.and_then(|manifest| manifest.evolution.as_ref()).map(|one| one.settings.direction);
    let baselines = search.into_iter().flat_map(|search| &search.strategies);
    Batch {
        id: id.clone(),
        shard: manifest.and_then(|one| one.shard),
        started: summary.map_or_else(|| id.start(), |summary| summary.started),
        status: summary.map(|summary| summary.status),
        seconds: summary.and_then(|summary| summary.duration_seconds),
        exit_code: summary.and_then(|summary| summary.exit_code),
        rounds: summary.map_or(0, |summary| summary.rounds_completed),
        error: manifest.and_then(|manifest| manifest.error.clone()),
        targets: summary.map(|summary| summary.targets.clone()).unwrap_or_default(),
        less_is_better: search
            .map(|search| search.less_is_better)
            .or_else(|| settings.map(|direction| direction == Direction::Minimize)),
        baselines: baselines.map(|(name, one)| (name.clone(), one.baseline)).collect(),
    }
}

/// The bounds of each parameter, from the text of a config that was in force.
fn bounds(config: &str) -> BTreeMap<String, Bounds> {
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(default)]
        parameter: Vec<Parameter>,
    }
    #[derive(Deserialize)]
    struct Parameter {
        name: String,
        min: toml::Value,
        max: toml::Value,
    }
    #[expect(clippy::cast_precision_loss, reason = "bounds of whole numbers are far below 2^53")]
    let number =
        |value: &toml::Value| value.as_float().or_else(|| value.as_integer().map(|int| int as f64));
    let parameters =
        toml::from_str::<Parameters>(config).map(|all| all.parameter).unwrap_or_default();
    let bounds = parameters.into_iter().filter_map(|one| {
        Some((one.name, Bounds { min: number(&one.min)?, max: number(&one.max)? }))
    });
    bounds.collect()
}

/// What only the configured agent's own folders say: deliveries, champions, and whether the audit is whole.
fn look_around(
    source: &Configuration,
    args: &Args,
    around: &mut Surroundings,
) -> Result<(), Failure> {
    let own = source.load(Secrets::Unneeded)?;
    around.of = own.data_dir.display().to_string();
    if args.selection.until.is_none() {
        around.now = Some(now());
    }
    let (mut searches, mut findings) = (Searches::default(), Vec::new());
    for config in source.load_all(Secrets::Unneeded)? {
        let store = Store::new(&config.data_dir);
        let folder = Folder::new(config.audit.dir.clone());
        let (verified, state, ()) = state::verify(&store, &folder, || ())
            .map_err(|error| Failure::new(Exit::Io, &error))?;
        let of = config.shard.map(|shard| format!("{}: ", shard.folder())).unwrap_or_default();
        findings.extend(verified.findings.iter().map(|finding| format!("{of}{finding}")));
        if let Some(state) = state {
            around.deliveries.extend(deliveries(&config, &state, &of));
            searches.unite(state.searches);
        }
    }
    around.findings = Some(findings);
    // A report is of what was; that a strategy cannot be read today is no reason to have none.
    match champions(&own, &searches) {
        Ok(champions) => around.champions = champions,
        Err(error) => tracing::warn!(%error, "the better candidates are left out"),
    }
    Ok(())
}

fn deliveries(config: &Config, state: &State, of: &str) -> Vec<Delivery> {
    let all = config.gateways.iter().map(|gateway| Delivery {
        gateway: format!("{of}{}", gateway.name()),
        is_delivered: state.is_delivered(gateway.name(), gateway.push_url().as_str()),
    });
    all.collect()
}

fn champions(
    config: &Config,
    searches: &Searches,
) -> Result<Vec<crate::report::Champion>, ConfigError> {
    if searches.is_empty() {
        return Ok(Vec::new());
    }
    let plan = BatchPlan::make(config, 0)?;
    let direction = config.evolution.settings.direction;
    let mut found = Vec::new();
    for strategy in &plan.strategies {
        let Ok(champion) = Champion::of(strategy, searches, direction) else { continue };
        let best = champion.individual();
        let source = strategy.values();
        let changes = best.values.iter().filter_map(|(parameter, to)| {
            let from = source.get(parameter)?;
            let change =
                Change { parameter: parameter.clone(), from: from.to_string(), to: to.to_string() };
            (from != to).then_some(change)
        });
        found.push(crate::report::Champion {
            strategy: strategy.name.clone(),
            fitness: best.fitness,
            source_fitness: champion.search.baseline(),
            changes: changes.collect(),
            diff: diff(strategy, &champion.text),
        });
    }
    Ok(found)
}
