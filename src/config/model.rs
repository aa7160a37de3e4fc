//! The config as everything above uses it: checked, resolved, every default filled in.

use super::gateways::Typed;
use crate::audit::Retention;
use crate::evaluator::Mode;
use crate::evolution::{Constraint, Settings};
use crate::gateway::{self, Gateway, RetryPolicy};
use crate::metrics::Buckets;
use crate::mutation::{BoundRule, Mutator, Operator};
use crate::schedule::Timetable;
use crate::strategy::{PythonVersion, Selector};
use crate::units::Shard;
use std::collections::BTreeSet;
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
    /// What must hold between them.
    pub constraints: Vec<Constraint>,
    /// Ways of mutating that are compared; names unique.
    pub variants: Vec<Variant>,
    /// Who says how good a candidate is; nobody if `None`, and then there is no search.
    pub evaluator: Option<Evaluator>,
    /// How candidates come from those before them.
    pub evolution: Evolution,
    /// What a candidate needs to take the place of its source.
    pub promote: Promote,
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
    /// Which part of the strategies is worked on; all if `None`. Folders and groups above are that shard's already.
    pub shard: Option<Shard>,
    /// When `mutation-agent schedule` starts batches; nobody else asks.
    pub schedule: Option<Schedule>,
    /// What is allowed and yet probably not meant; for the log.
    pub warnings: Vec<String>,
    /// The gateways as they were typed, with file names in place of secrets; parallel to `gateways`.
    pub(super) typed_gateways: Vec<Typed>,
}

impl Config {
    /// The names of all parameters: those that may become labels.
    pub fn parameter_names(&self) -> BTreeSet<&str> {
        self.parameters.iter().map(|parameter| parameter.name.as_str()).collect()
    }
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

/// `[[variant]]`: a way of mutating, for some of the attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in labels and records.
    pub name: String,
    /// Its share of the attempts, relative to the other variants; finite, more than 0.
    pub weight: f64,
    /// How it proposes new values; parallel to [`Config::parameters`].
    pub mutators: Vec<Mutator>,
    /// How many parameters an attempt changes, if not as many as elsewhere.
    pub parameters_per_mutation: Option<u32>,
    /// The operator that it sets, for [`Config::to_toml`]; so too the σ and the rule.
    pub(super) operator: Option<Operator>,
    pub(super) sigma: Option<f64>,
    pub(super) bounds: Option<BoundRule>,
}

/// `[evaluator]`: a program that says how good a candidate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluator {
    /// The program and its arguments; at least one word.
    pub command: Vec<String>,
    /// How it is spoken to.
    pub mode: Mode,
    /// How long one evaluation may take.
    pub timeout: Duration,
    /// Processes of the evaluator; 0 is one per core, or one where each has several requests in flight.
    pub workers: usize,
    /// Requests that each worker may have unanswered; 1 in process mode.
    pub in_flight: usize,
    /// Bytes of address space that each of its processes may have.
    pub memory: Option<u64>,
    /// Processor time that each of its processes may use for an evaluation.
    pub cpu: Option<Duration>,
}

/// `[evolution]`: how candidates come from those before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evolution {
    /// What the search is told; without an evaluator nobody asks.
    pub settings: Settings,
    /// How many parameters an attempt changes; all of a strategy that has fewer.
    pub parameters_per_mutation: u32,
}

/// `[promote]`: what a candidate needs to take the place of its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Promote {
    /// A program that has the last word; empty if there is none.
    pub command: Vec<String>,
    /// By how much its fitness must be better than the source's; finite, 0 or more.
    pub min_improvement: f64,
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
    pub const fn schedule(&self) -> gateway::Schedule {
        gateway::Schedule {
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

/// `[schedule]`: when batches begin.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The cron expression, as typed.
    pub cron: String,
    /// The name of the zone that it is meant in, as typed.
    pub time_zone: String,
    /// How old a start may be that is made up for.
    pub catch_up_deadline: Duration,
    /// How much later a host may begin.
    pub splay: Duration,
    /// All of it.
    pub timetable: Timetable,
}

impl Schedule {
    /// What the starts come from, in words: two schedules with the same words have the same starts.
    pub fn in_words(&self) -> String {
        let delay = self.timetable.delay();
        let later = match delay.as_secs() {
            0 => String::new(),
            _ => format!(", {} later", humantime::format_duration(delay)),
        };
        format!("{} in {}{later}", self.cron, self.time_zone)
    }
}
