//! The config as everything above uses it: checked, resolved, every default filled in.

use super::gateways::Typed;
use crate::audit::Retention;
use crate::gateway::{Gateway, RetryPolicy, Schedule};
use crate::metrics::Buckets;
use crate::mutation::Mutator;
use crate::strategy::{PythonVersion, Selector};
use std::path::PathBuf;
use std::time::Duration;

/// A checked config. There is no way to one but [`Config::load`] and [`Config::parse`].
///
/// The public fields may be overridden from the command line; what prints and digests the config
/// reads them, so that it shows what is in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The folder that relative paths in the file are relative to: the file's own.
    pub base: PathBuf,
    /// Where state, lock and, by default, the audit live.
    pub data_dir: PathBuf,
    /// How much is done in one start.
    pub batch: Batch,
    /// What is mutated.
    pub strategies: Strategies,
    /// Which numbers in it; at least one, names unique.
    pub parameters: Vec<Parameter>,
    /// What is written of what was found.
    pub output: Output,
    /// What is measured.
    pub metrics: Metrics,
    /// Where the metrics go; may be empty; names unique.
    pub gateways: Vec<Gateway>,
    /// How they get there.
    pub push: Push,
    /// What is kept of every attempt.
    pub audit: Audit,
    /// What is allowed and yet probably not meant; for the log.
    pub warnings: Vec<String>,
    /// The gateways as they were typed, with file names in place of secrets; parallel to `gateways`.
    pub(super) typed_gateways: Vec<Typed>,
}

/// `[batch]`: how much is done in one start, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The label `job` of everything that is pushed.
    pub job: String,
    /// Generations, 1 to 1,000,000.
    pub rounds: u32,
    /// Attempts in each, 1 to 1,000,000.
    pub mutations_per_round: u32,
    /// The seed of the random streams; drawn anew for each batch if `None`.
    pub seed: Option<u64>,
    /// How long mutations go on at the most.
    pub deadline: Option<Duration>,
    /// Threads; 0 is one per core.
    pub workers: usize,
    /// How long a batch that is told to stop may take over it.
    pub shutdown_timeout: Duration,
}

/// `[strategies]`: which files; patterns as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategies {
    /// Patterns of files, relative to [`Config::base`]; at least one.
    pub include: Vec<String>,
    /// Patterns of files to leave out.
    pub exclude: Vec<String>,
    /// The Python whose syntax they are written in.
    pub python: PythonVersion,
}

/// A strategy's file, as [`Config::strategy_files`] found it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StrategyFile {
    /// Its name in labels and records: the path relative to [`Config::base`] if it lies below, with `/`.
    pub name: String,
    /// The path to open.
    pub path: PathBuf,
}

/// `[[parameter]]`: a number in strategies and what may become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in labels and records.
    pub name: String,
    /// Where it stands in a strategy.
    pub selector: Selector,
    /// How new values are proposed.
    pub mutator: Mutator,
    /// Its share of the draws, relative to the others; finite, more than 0.
    pub weight: f64,
    /// Which of several matches in one file is meant, from 1.
    pub occurrence: Option<usize>,
}

/// `[output]`: where evolved strategies are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The folder.
    pub dir: PathBuf,
    /// How many candidates of each strategy are written for each batch; 0 writes none.
    pub keep: usize,
}

/// `[metrics]`: what is measured and where else it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// A file for node exporter's textfile collector; ends in `.prom`.
    pub textfile: Option<PathBuf>,
    /// Buckets of the mutations' durations.
    pub buckets: Buckets,
}

/// `[push]`: when and how patiently metrics are delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Between pushes during a batch.
    pub interval: Duration,
    /// For one attempt; at most `deadline`.
    pub attempt_timeout: Duration,
    /// For all attempts of one delivery together.
    pub deadline: Duration,
    /// The waits between attempts.
    pub retry: RetryPolicy,
}

impl Push {
    /// The full effort of one delivery.
    pub const fn schedule(&self) -> Schedule {
        Schedule {
            policy: Some(self.retry),
            attempt_timeout: self.attempt_timeout,
            deadline: self.deadline,
        }
    }
}

/// `[audit]`: the journal and what is kept of old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The folder.
    pub dir: PathBuf,
    /// Records that are held before they are written, 1 to 100,000.
    pub buffer: usize,
    /// How long a record is held at the most.
    pub flush_interval: Duration,
    /// When old batches go.
    pub retention: Retention,
    /// Whether all sealed journals but the newest are compressed.
    pub compress: bool,
}
