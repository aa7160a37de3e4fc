//! `promote`: the best candidate in the place of its source, past a gate.

use super::Failure;
use super::best::{Champion, diff, named};
use crate::batch::{self, BatchPlan, PlannedStrategy};
use crate::config::{Config, Environment, Secrets};
use crate::disk::{self, DiskError, Mode};
use crate::evolution::Origin;
use crate::exit::Exit;
use crate::units::{Digest, Timestamp};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which strategy.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The strategy by name or path
    pub strategy: String,
    /// Say what would be done, ask the check of the configuration, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A line of `promotions.jsonl`. It is written before the source is replaced: whether that came to pass
/// is told by the digest of the source.
#[derive(Debug, Serialize)]
struct Promotion<'a> {
    timestamp: Timestamp,
    strategy: &'a str,
    path: &'a Path,
    source_sha256: &'a Digest,
    candidate_sha256: Digest,
    mutation: Option<&'a Origin>,
    baseline_fitness: f64,
    fitness: f64,
    min_improvement: f64,
    /// The words of the check that let it pass; empty if there is none.
    check: &'a [String],
    backup: &'a Path,
}

/// Replaces a source. Under the lock, so never while a batch runs.
pub fn run(path: &Path, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = Config::load(path, &Environment::read(), Secrets::Unneeded)?;
    let data = batch::open(&config)?;
    let plan = BatchPlan::make(&config, 0)?;
    let strategy = named(&plan, &args.strategy)?;
    let direction = config.evolution.settings.direction;
    let refused = |why: String| {
        Failure::said(Exit::Failed, format!("{} is not promoted: {why}", strategy.name))
    };
    let champion = Champion::of(strategy, &data.state.searches, direction).map_err(refused)?;
    let best = champion.individual();
    let (before, after) = (champion.search.baseline(), best.fitness);
    if (after - before).abs() <= config.promote.min_improvement {
        return Err(refused(format!(
            "its fitness is {after} and the source's {before}; `min_improvement` asks for more than {} between them",
            config.promote.min_improvement
        )));
    }
    if !plan.fits(strategy, &best.values) {
        return Err(refused(
            "the best candidate is outside of today's bounds or constraints; the next batch drops it".to_owned(),
        ));
    }
    write!(out, "{}", diff(strategy, &champion.text))?;
    check(&config, strategy, &champion.text, out)?.map_err(refused)?;
    if args.dry_run {
        writeln!(out, "{} would be replaced (dry run)", strategy.path.display())?;
        return Ok(Exit::Done);
    }
    let backup = replace(&config, strategy, &champion, out)?;
    writeln!(
        out,
        "{} is replaced: fitness {before} -> {after}; the source as it was: {}",
        strategy.path.display(),
        backup.display()
    )?;
    Ok(Exit::Done)
}

/// Lets the program of `[promote]` have its say; inside, why it said no.
fn check(
    config: &Config,
    strategy: &PlannedStrategy,
    text: &str,
    out: &mut dyn Write,
) -> Result<Result<(), String>, Failure> {
    let Some((program, words)) = config.promote.command.split_first() else { return Ok(Ok(())) };
    out.flush()?;
    let folder = config.data_dir.join("promoting");
    let io = |error: DiskError| Failure::new(Exit::Io, &error);
    disk::create_folder(&folder, Mode::Private).map_err(io)?;
    let candidate = folder.join(strategy.path.file_name().unwrap_or("candidate.py".as_ref()));
    disk::replace(&candidate, text.as_bytes(), Mode::Private).map_err(io)?;
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (judged, source) = (absolute(&candidate), absolute(&strategy.path));
    let word = |word: &String| {
        let word = word.replace("{candidate}", &judged.to_string_lossy());
        word.replace("{source}", &source.to_string_lossy())
    };
    let ended = Command::new(program)
        .args(words.iter().map(word))
        .current_dir(&config.base)
        .env("STRATEGY", &strategy.name)
        .stdin(Stdio::null())
        .status();
    disk::remove_if_there(&candidate).map_err(io)?;
    // What somebody else put there stays.
    drop(std::fs::remove_dir(&folder));
    Ok(match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the check `{program}` said no ({status})")),
        Err(error) => Err(format!("the check `{program}` cannot be run: {error}")),
    })
}

/// Keeps the source, writes down what is done, does it; gives where the source is kept.
fn replace(
    config: &Config,
    strategy: &PlannedStrategy,
    champion: &Champion<'_>,
    out: &mut dyn Write,
) -> Result<PathBuf, Failure> {
    let io = |error: DiskError| {
        let exit = if error.is_permission() { Exit::Permission } else { Exit::Io };
        Failure::new(exit, &error)
    };
    let source = strategy.source.as_ref().map_or("", |source| source.text());
    let now = batch::now();
    let folder = config.data_dir.join("promoted");
    disk::create_folder(&folder, Mode::Private).map_err(io)?;
    let name = strategy.name.trim_start_matches('/').replace('/', "_");
    let backup = folder.join(format!("{}-{name}", now.to_compact()));
    disk::replace(&backup, source.as_bytes(), Mode::Private).map_err(io)?;
    let path =
        strategy.path.canonicalize().map_err(DiskError::new("find", &strategy.path)).map_err(io)?;
    let line = Promotion {
        timestamp: now,
        strategy: &strategy.name,
        path: &path,
        source_sha256: champion.search.source(),
        candidate_sha256: Digest::of(champion.text.as_bytes()),
        mutation: champion.individual().born(),
        baseline_fitness: champion.search.baseline(),
        fitness: champion.individual().fitness,
        min_improvement: config.promote.min_improvement,
        check: &config.promote.command,
        backup: &backup,
    };
    let mut line =
        serde_json::to_vec(&line).map_err(|error| Failure::new(Exit::Internal, &error))?;
    line.push(b'\n');
    disk::append(&config.data_dir.join("promotions.jsonl"), &line).map_err(io)?;
    out.flush()?;
    disk::replace_alike(&path, champion.search.source(), champion.text.as_bytes()).map_err(io)?;
    Ok(backup)
}
