//! `promote`: the best candidate in the place of its source, past a gate.

use super::best::{Champion, diff, named, searches, searches_of};
use super::{Configuration, Failure};
use crate::batch::{self, BatchPlan, PlannedStrategy, Shutdown, Signal};
use crate::config::{Config, Secrets};
use crate::disk::{self, DiskError, Mode};
use crate::evolution::Origin;
use crate::exit::Exit;
use crate::units::{Digest, Timestamp};
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::Serialize;
use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The time that the check has is so often that of an evaluation.
const EVALUATIONS: u32 = 10;
/// And without an evaluator it is this.
const UNEVALUATED: Duration = Duration::from_mins(10);
/// How long a check that was asked to end by SIGTERM may take.
const GRACE: Duration = Duration::from_secs(2);
/// How long until we look again at a check that goes on.
const LOOK: Duration = Duration::from_millis(10);

/// Which strategy.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The strategy by name or path
    pub strategy: String,
    /// Say what would be done, ask the check of the configuration, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A line of `promotions.jsonl`. It is written before the source is replaced; an [`Outcome`] follows it.
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

/// The line after it. Where there is none we were killed, and the digest of the source tells what came to pass.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    timestamp: Timestamp,
    strategy: &'a str,
    candidate_sha256: Digest,
    /// Whether the candidate is in the place of its source.
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How a check ended.
enum Checked {
    Exited(ExitStatus),
    /// It was ended, since its time was over.
    TimedOut,
    /// It was ended, since we were asked to stop.
    Asked(Signal),
}

/// Replaces a source. Under the lock, so never while a batch runs.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = home(source, &args.strategy)?;
    let shutdown = Shutdown::listen(config.batch.shutdown_timeout.max(2 * GRACE));
    let shutdown = shutdown.map_err(|error| Failure::new(Exit::Internal, &error))?;
    let data = batch::open(&config)?;
    let promoting = config.data_dir.join("promoting");
    if let Err(error) = disk::remove_tree(&promoting) {
        tracing::warn!(%error, "what an earlier promote left is still there; remove it by hand");
    }
    let plan = BatchPlan::whole(&config)?;
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
    check(&config, strategy, &champion.text, &shutdown, out)?.map_err(refused)?;
    if args.dry_run {
        writeln!(out, "{} would be replaced (dry run)", strategy.path.display())?;
        return Ok(Exit::Done);
    }
    if let Some(signal) = shutdown.asked() {
        return Err(stopped(signal, strategy));
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

/// The config of the shard whose search `best` shows; where there are no shards, of the one agent.
fn home(source: &Configuration, strategy: &str) -> Result<Config, Failure> {
    let own = source.load(Secrets::Unneeded)?;
    let plan = BatchPlan::whole(&own)?;
    let strategy = named(&plan, strategy)?;
    let all = source.load_all(Secrets::Unneeded)?;
    let united = searches(&all)?;
    let digest = strategy.sha256.as_ref();
    let Some(shown) = digest.and_then(|digest| united.latest_of(&strategy.name, digest)) else {
        return Ok(own);
    };
    for config in all {
        if searches_of(&config)?.iter().any(|search| search == shown) {
            return Ok(config);
        }
    }
    Ok(own)
}

fn stopped(signal: Signal, strategy: &PlannedStrategy) -> Failure {
    Failure::said(signal.exit(), format!("asked to stop: {} is not promoted", strategy.name))
}

/// Lets the program of `[promote]` have its say; inside, why it said no.
fn check(
    config: &Config,
    strategy: &PlannedStrategy,
    text: &str,
    shutdown: &Shutdown,
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
    let mut command = Command::new(program);
    command.args(words.iter().map(word)).current_dir(&config.base).process_group(0);
    command.env("STRATEGY", &strategy.name).stdin(Stdio::null());
    let limit = time_limit(config);
    let ended = command.spawn().and_then(|child| attend(child, limit, shutdown));
    disk::remove_if_there(&candidate).map_err(io)?;
    // What somebody else put there stays.
    drop(std::fs::remove_dir(&folder));
    Ok(match ended {
        Ok(Checked::Exited(status)) if status.success() => Ok(()),
        Ok(Checked::Exited(status)) => Err(format!("the check `{program}` said no ({status})")),
        Ok(Checked::TimedOut) => Err(format!(
            "the check `{program}` was ended after {}; {}",
            humantime::format_duration(limit),
            if config.evaluator.is_some() {
                "it may take 10 times the `timeout` of [evaluator]"
            } else {
                "it may not take longer"
            }
        )),
        Ok(Checked::Asked(signal)) => return Err(stopped(signal, strategy)),
        Err(error) => Err(format!("the check `{program}` cannot be run: {error}")),
    })
}

/// How long the check may take.
fn time_limit(config: &Config) -> Duration {
    let evaluator = config.evaluator.as_ref();
    evaluator.map_or(UNEVALUATED, |evaluator| evaluator.timeout.saturating_mul(EVALUATIONS))
}

/// Waits for the check to end, and ends it where its time is over or we are asked to stop. Nothing of its
/// process group outlives it.
fn attend(mut child: Child, limit: Duration, shutdown: &Shutdown) -> io::Result<Checked> {
    let (pid, started) = (Pid::from_child(&child), Instant::now());
    let ended_for = loop {
        if has_ended(pid) {
            break None;
        }
        if let Some(signal) = shutdown.asked() {
            break Some(Checked::Asked(signal));
        }
        if started.elapsed() >= limit {
            break Some(Checked::TimedOut);
        }
        std::thread::sleep(LOOK);
    };
    if ended_for.is_some() {
        let asked = Instant::now();
        let _ = kill_process_group(pid, rustix::process::Signal::TERM);
        while !has_ended(pid) && asked.elapsed() < GRACE {
            std::thread::sleep(LOOK);
        }
    }
    // Its first process is not reaped yet, so the number of the group is still its own.
    let _ = kill_process_group(pid, rustix::process::Signal::KILL);
    let status = child.wait()?;
    Ok(ended_for.unwrap_or(Checked::Exited(status)))
}

/// Whether the process has ended; it stays to be reaped.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None) | Err(rustix::io::Errno::INTR))
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
    let backup = unused(&folder, &format!("{}-{name}", now.to_compact()));
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
    note(config, &line).map_err(io)?;
    out.flush()?;
    let candidate = champion.text.as_bytes();
    let replaced = disk::replace_alike(&path, champion.search.source(), candidate);
    let outcome = Outcome {
        timestamp: batch::now(),
        strategy: &strategy.name,
        candidate_sha256: Digest::of(candidate),
        // An error may have come after it, with the sync of the folder.
        done: replaced.is_ok() || std::fs::read(&path).is_ok_and(|there| there == candidate),
        error: replaced.as_ref().err().map(ToString::to_string),
    };
    // It is as it is, whether it can be written down or not.
    if let Err(error) = note(config, &outcome) {
        tracing::warn!(%error, done = outcome.done, "how the promotion ended is not on record");
    }
    replaced.map_err(io)?;
    Ok(backup)
}

/// Adds a line to `promotions.jsonl`.
fn note(config: &Config, line: &impl Serialize) -> Result<(), DiskError> {
    let path = config.data_dir.join("promotions.jsonl");
    let mut bytes =
        serde_json::to_vec(line).map_err(|error| DiskError::new("write", &path)(error.into()))?;
    bytes.push(b'\n');
    disk::append(&path, &bytes)
}

/// The name in the folder; with a number, if it is taken: two strategies may be told apart by a `/` alone, and
/// there may be one of the same second.
fn unused(folder: &Path, name: &str) -> PathBuf {
    let mut names = (2..).map(|number| format!("{name}-{number}"));
    let mut path = folder.join(name);
    while path.symlink_metadata().is_ok() {
        path = folder.join(names.next().unwrap_or_default());
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_backups_share_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for _backup in 0..3 {
            let path = unused(folder.path(), "a_b.py");
            disk::write_passing(&path, b"").unwrap();
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(names, ["a_b.py", "a_b.py-2", "a_b.py-3"]);
    }
}
