//! `[batch]`, `[output]`, `[metrics]`, `[push]` and `[audit]`: the plain numbers, and their defaults.

use super::checks::Reader;
use super::model::{Audit, Batch, Metrics, Output, Push};
use super::quantity::{duration_text, size_text};
use super::{ConfigError, raw};
use crate::audit::Retention;
use crate::gateway::{RetryPolicy, RetryPolicyError};
use crate::metrics::Buckets;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

const MILLISECOND: Duration = Duration::from_millis(1);
const LEAST_RETAINED_BYTES: u64 = 1 << 20;

pub(super) fn batch(reader: &Reader<'_>, raw: &raw::Batch) -> Result<Batch, ConfigError> {
    let job = match &raw.job {
        Some(job) => reader.name("job", job)?,
        None => "exit_evolution".to_owned(),
    };
    let deadline = match &raw.deadline {
        None => Some(Duration::from_hours(6)),
        Some(limit) => limit
            .get_ref()
            .0
            .map(|typed| reader.duration_within("deadline", &limit.span(), typed, MILLISECOND))
            .transpose()?,
    };
    Ok(Batch {
        job,
        rounds: reader.whole("rounds", raw.rounds.as_ref(), 10, 1..=1_000_000)?,
        mutations_per_round: reader.whole(
            "mutations_per_round",
            raw.mutations_per_round.as_ref(),
            50,
            1..=1_000_000,
        )?,
        seed: raw.seed.as_ref().map(|seed| *seed.get_ref()),
        deadline,
        workers: reader.whole("workers", raw.workers.as_ref(), 0, 0..=1024)?,
        shutdown_timeout: reader.duration(
            "shutdown_timeout",
            raw.shutdown_timeout.as_ref(),
            Duration::from_secs(30),
            MILLISECOND,
        )?,
    })
}

pub(super) fn output(reader: &Reader<'_>, raw: &raw::Output) -> Result<Output, ConfigError> {
    Ok(Output {
        dir: reader.own(reader.path("dir", raw.dir.as_ref(), "evolved")?),
        keep: reader.whole("keep", raw.keep.as_ref(), 10, 0..=100_000)?,
    })
}

pub(super) fn metrics(reader: &Reader<'_>, raw: &raw::Metrics) -> Result<Metrics, ConfigError> {
    let textfile = raw.textfile.as_ref().map(|typed| textfile(reader, typed)).transpose()?;
    let buckets = match &raw.buckets {
        Some(typed) => buckets(reader, typed)?,
        None => Buckets::default(),
    };
    Ok(Metrics { textfile, buckets })
}

fn textfile(reader: &Reader<'_>, typed: &Spanned<String>) -> Result<PathBuf, ConfigError> {
    let path = reader.given_path("textfile", typed)?;
    if path.extension().is_none_or(|extension| extension != "prom") {
        let message = "`textfile` must end in .prom, or node_exporter will not read it";
        return Err(reader.invalid(&typed.span(), message));
    }
    // Shards may have one host, and one folder of the collector.
    Ok(match reader.environment.shard {
        Some(shard) => path.with_extension(format!("{}.prom", shard.folder())),
        None => path,
    })
}

fn buckets(
    reader: &Reader<'_>,
    typed: &Spanned<Vec<Spanned<f64>>>,
) -> Result<Buckets, ConfigError> {
    let bounds = typed.get_ref().iter().map(|bound| *bound.get_ref()).collect();
    Buckets::new(bounds).map_err(|error| {
        let wrong = error.index().and_then(|index| typed.get_ref().get(index));
        reader.invalid(&wrong.map_or_else(|| typed.span(), Spanned::span), error)
    })
}

pub(super) fn push(reader: &Reader<'_>, raw: &raw::Push) -> Result<Push, ConfigError> {
    let interval = reader.duration(
        "interval",
        raw.interval.as_ref(),
        Duration::from_secs(15),
        Duration::from_millis(100),
    )?;
    let deadline =
        reader.duration("deadline", raw.deadline.as_ref(), Duration::from_mins(2), MILLISECOND)?;
    let attempt_timeout = reader.duration(
        "attempt_timeout",
        raw.attempt_timeout.as_ref(),
        Duration::from_secs(10).min(deadline),
        MILLISECOND,
    )?;
    if let Some(typed) = &raw.attempt_timeout
        && attempt_timeout > deadline
    {
        let (one, all) = (duration_text(attempt_timeout), duration_text(deadline));
        let message = format!(
            "`attempt_timeout` ({one}) must be at most `deadline` ({all}), which is for all attempts"
        );
        return Err(reader.invalid(&typed.span(), message));
    }
    let retry = retry(reader, raw.retry.as_ref())?;
    Ok(Push { interval, attempt_timeout, deadline, retry })
}

fn retry(
    reader: &Reader<'_>,
    typed: Option<&Spanned<raw::Retry>>,
) -> Result<RetryPolicy, ConfigError> {
    let none = raw::Retry::default();
    let (raw, span) = typed.map_or((&none, 0..0), |typed| (typed.get_ref(), typed.span()));
    let default_initial = Duration::from_millis(500);
    let max = reader.duration("max", raw.max.as_ref(), Duration::from_secs(30), MILLISECOND)?;
    let initial =
        reader.duration("initial", raw.initial.as_ref(), default_initial.min(max), MILLISECOND)?;
    let multiplier = raw.multiplier.as_ref().map_or(2.0, |typed| *typed.get_ref());
    RetryPolicy::new(initial, max, multiplier).map_err(|error| {
        let key = match error {
            RetryPolicyError::Initial => raw.initial.as_ref().map(Spanned::span),
            RetryPolicyError::Multiplier => raw.multiplier.as_ref().map(Spanned::span),
        };
        reader.invalid(&key.unwrap_or_else(|| span.clone()), error)
    })
}

pub(super) fn audit(
    reader: &Reader<'_>,
    raw: &raw::Audit,
    data_dir: &Path,
) -> Result<Audit, ConfigError> {
    let dir = match &raw.dir {
        Some(typed) => reader.own(reader.given_path("dir", typed)?),
        None => data_dir.join("audit"),
    };
    let flush_interval = reader.duration(
        "flush_interval",
        raw.flush_interval.as_ref(),
        Duration::from_secs(1),
        MILLISECOND,
    )?;
    Ok(Audit {
        dir,
        buffer: reader.whole("buffer", raw.buffer.as_ref(), 10, 1..=100_000)?,
        flush_interval,
        retention: retention(reader, &raw.retention)?,
        compress: raw.compress.as_ref().is_none_or(|typed| *typed.get_ref()),
    })
}

fn retention(reader: &Reader<'_>, raw: &raw::Retention) -> Result<Retention, ConfigError> {
    let bytes = raw.bytes.as_ref().map_or(10 << 30, |typed| typed.get_ref().0);
    if let Some(typed) = &raw.bytes
        && bytes < LEAST_RETAINED_BYTES
    {
        let message = format!("`bytes` must be at least 1MiB, not {}", size_text(bytes));
        return Err(reader.invalid(&typed.span(), message));
    }
    let default_age = Duration::from_hours(400 * 24);
    let batches = reader.whole("batches", raw.batches.as_ref(), 400, 1..=1_000_000)?;
    let age = reader.duration("age", raw.age.as_ref(), default_age, Duration::from_hours(1))?;
    // Each was checked at its own place above.
    Ok(Retention::new(batches, age, bytes).unwrap_or_default())
}
