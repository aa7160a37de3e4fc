//! Totals across batches: tallies folded together, and what became of the batches themselves.

use super::histogram::raise;
use super::{Baseline, BatchFigures, Ingest, KnownLogs, Recent, Tally};
use crate::units::{BatchId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Still at work, or killed and not recovered yet. Never counted.
    Running,
    /// Done: its rounds were run or its deadline came, and a mutation succeeded.
    Completed,
    /// No mutation succeeded, or an error ended it.
    Failed,
    /// Ended by SIGTERM, SIGINT or SIGHUP.
    Interrupted,
    /// Killed; the next start found it.
    Crashed,
}

impl Status {
    /// The ways in which a batch ends.
    pub const ENDED: [Self; 4] = [Self::Completed, Self::Failed, Self::Interrupted, Self::Crashed];

    /// The name in manifests and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
        }
    }
}

/// One batch, as far as metrics show it. The manifest holds it; every total is a fold over these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchSummary {
    /// Which batch.
    pub batch_id: BatchId,
    /// What became of it.
    pub status: Status,
    /// When it started.
    pub started: Timestamp,
    /// When it ended; `None` while it runs and where it was killed.
    pub ended: Option<Timestamp>,
    /// How long it took, by a clock that is never set; `None` as for `ended`.
    pub duration_seconds: Option<f64>,
    /// The exit code that its own end gave, before any push; `None` as for `ended`.
    pub exit_code: Option<u8>,
    /// Rounds whose every attempt is on record.
    pub rounds_completed: u32,
    /// Targets by state: `usable`, or why not.
    pub targets: BTreeMap<String, u64>,
    /// What an evaluator's search came to; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSummary>,
    /// What it took of the logs of another program; `None` where it made mutations of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<Ingest>,
    /// The fold over its records.
    pub tally: Tally,
}

/// The search of a batch, as far as metrics show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSummary {
    /// Whether a smaller fitness is the better one.
    pub less_is_better: bool,
    /// By strategy; those whose source was evaluated.
    pub strategies: BTreeMap<String, StrategySearch>,
}

/// The search in one strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategySearch {
    /// The fitness of the source.
    pub baseline: f64,
    /// That of the best survivor.
    pub champion: f64,
    /// σ by parameter, of those whose operator has one.
    pub sigmas: BTreeMap<String, f64>,
}

impl BatchSummary {
    /// A batch of which nothing is known but its id and its records.
    pub fn new(batch_id: BatchId, tally: Tally) -> Self {
        Self {
            started: batch_id.start(),
            batch_id,
            status: Status::Running,
            ended: None,
            duration_seconds: None,
            exit_code: None,
            rounds_completed: 0,
            targets: BTreeMap::new(),
            search: None,
            ingest: None,
            tally,
        }
    }

    /// When something last succeeded in it, if it was completed. Of another program's log that was when the log says,
    /// which may be long ago; what it says lies ahead is no later than the batch.
    fn succeeded(&self) -> Option<Timestamp> {
        match &self.ingest {
            None => self.ended,
            Some(ingest) => ingest.last_success.min(self.ended),
        }
    }
}

/// What came of one push attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushResult {
    /// The gateway took it.
    Delivered,
    /// It may be tried again.
    Failed,
    /// The gateway said no for good.
    Refused,
}

impl PushResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Refused];

    /// The name in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Everything that is pushed, cumulative over all batches of a data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    tally: Tally,
    batches: BTreeMap<Status, u64>,
    last: Option<LastBatch>,
    last_completion: Option<Timestamp>,
    last_success: Option<Timestamp>,
    pushes: BTreeMap<String, BTreeMap<PushResult, u64>>,
    /// The completed batches before the last one.
    #[serde(default, skip_serializing_if = "Recent::is_empty")]
    recent: Recent,
    /// The logs of other programs that are in `tally`.
    #[serde(default, skip_serializing_if = "KnownLogs::is_empty")]
    ingested: KnownLogs,
}

/// The batch that the gauges speak of: the one now running, or the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastBatch {
    /// What became of it.
    pub status: Status,
    /// When it started.
    pub started: Timestamp,
    /// How long the last batch that ended by itself took, in seconds.
    pub duration_seconds: Option<f64>,
    /// The exit code of the last batch that ended by itself.
    pub exit_code: Option<u8>,
    /// Rounds whose every attempt is on record.
    pub rounds_completed: u32,
    /// Its attempts.
    pub attempts: u64,
    /// Successes among them.
    pub successes: u64,
    /// 95th percentile of its mutations' durations, in seconds; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_p95: Option<f64>,
    /// Targets by state.
    pub targets: BTreeMap<String, u64>,
    /// The search of the last batch that had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSummary>,
}

impl Totals {
    /// Nothing yet.
    pub fn new(buckets: super::Buckets) -> Self {
        Self {
            tally: Tally::new(buckets),
            batches: BTreeMap::new(),
            last: None,
            last_completion: None,
            last_success: None,
            pushes: BTreeMap::new(),
            recent: Recent::default(),
            ingested: KnownLogs::default(),
        }
    }

    /// Takes in a batch; a running one is shown but not counted among the batches. False where
    /// its duration buckets differ, and so the histogram started anew.
    pub fn fold(&mut self, batch: &BatchSummary) -> bool {
        if batch.status != Status::Running {
            raise(self.batches.entry(batch.status).or_default(), 1);
        }
        self.last_completion = batch.ended.or(self.last_completion);
        if batch.status == Status::Completed {
            // A clock that was set back must not take this back: alerts count from it.
            self.last_success = self.last_success.max(batch.succeeded());
        }
        if batch.status != Status::Running {
            let sources = batch.ingest.iter().flat_map(|ingest| &ingest.sources);
            sources.for_each(|source| self.ingested.add(source.known.clone()));
        }
        let before = self.last.take();
        if let Some(last) = before.as_ref().filter(|last| last.status == Status::Completed) {
            self.recent.push(last.figures());
        }
        let BatchFigures { attempts, successes, duration_p95 } = BatchFigures::of(&batch.tally);
        self.last = Some(LastBatch {
            status: batch.status,
            started: batch.started,
            // A gauge that vanishes while a batch runs would leave a gap in the graph.
            duration_seconds: batch
                .duration_seconds
                .or(before.as_ref().and_then(|last| last.duration_seconds)),
            exit_code: batch.exit_code.or(before.as_ref().and_then(|last| last.exit_code)),
            search: batch.search.clone().or(before.and_then(|last| last.search)),
            rounds_completed: batch.rounds_completed,
            attempts,
            successes,
            duration_p95,
            targets: batch.targets.clone(),
        });
        self.tally.merge(&batch.tally)
    }

    /// What was usual for a batch like the last one, by the completed ones before it.
    pub fn baseline(&self) -> Option<Baseline> {
        self.recent.baseline(self.last.as_ref()?.attempts)
    }

    /// Adds push attempts to one gateway, by result.
    pub fn count_pushes(&mut self, gateway: &str, attempts: &BTreeMap<PushResult, u64>) {
        for (result, count) in attempts.iter().filter(|(_, count)| **count > 0) {
            let results = self.pushes.entry(gateway.to_owned()).or_default();
            raise(results.entry(*result).or_default(), *count);
        }
    }

    /// Corrects the exit code of the last batch: it is 75 where its push failed.
    pub fn set_exit_code(&mut self, code: u8) {
        if let Some(last) = &mut self.last {
            last.exit_code = Some(code);
        }
    }

    /// Whether both are the fold over the same batches. What is in no audit is left out: push attempts,
    /// and the exit code that a push corrects.
    pub fn same_facts(&self, other: &Self) -> bool {
        let last = |of: &Self| of.last.clone().map(|last| LastBatch { exit_code: None, ..last });
        self.batches == other.batches
            && self.last_completion == other.last_completion
            && self.last_success == other.last_success
            && last(self) == last(other)
            && self.recent == other.recent
            && self.ingested == other.ingested
            && self.tally == other.tally
    }

    /// Whether these are `before` and one more batch with these records, however that batch ended.
    pub fn is_one_batch_after(&self, before: &Self, records: &Tally) -> bool {
        let mut tally = before.tally.clone();
        tally.merge(records);
        self.tally == tally
            && self.ended() == before.ended().saturating_add(1)
            && Status::ENDED.iter().all(|status| self.batches(*status) >= before.batches(*status))
    }

    /// Shows the last batch as over, without a word for how it ended: the next start decides that.
    pub fn leave_undecided(&mut self) {
        if let Some(last) = &mut self.last {
            last.status = Status::Crashed;
        }
    }

    /// The logs of other programs that are in these totals.
    pub const fn ingested(&self) -> &KnownLogs {
        &self.ingested
    }

    /// The fold over all records.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many batches ended so.
    pub fn batches(&self, status: Status) -> u64 {
        self.batches.get(&status).copied().unwrap_or(0)
    }

    /// How many batches ended.
    pub fn ended(&self) -> u64 {
        let counts = Status::ENDED.into_iter().map(|status| self.batches(status));
        counts.fold(0, u64::saturating_add)
    }

    /// The batch now running, or the last one.
    pub const fn last(&self) -> Option<&LastBatch> {
        self.last.as_ref()
    }

    /// When a batch last ended by itself.
    pub const fn last_completion(&self) -> Option<Timestamp> {
        self.last_completion
    }

    /// When a batch last ended `completed`; never goes back.
    pub const fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// Push attempts of one gateway that ended so.
    pub fn pushes(&self, gateway: &str, result: PushResult) -> u64 {
        self.pushes.get(gateway).and_then(|results| results.get(&result)).copied().unwrap_or(0)
    }

    /// Gateways that were ever pushed to.
    pub fn pushed_gateways(&self) -> impl Iterator<Item = &str> {
        self.pushes.keys().map(String::as_str)
    }
}

impl LastBatch {
    const fn figures(&self) -> BatchFigures {
        BatchFigures {
            attempts: self.attempts,
            successes: self.successes,
            duration_p95: self.duration_p95,
        }
    }

    /// Successes per attempt; not a number before the first.
    pub fn success_rate(&self) -> f64 {
        self.successes as f64 / self.attempts as f64
    }
}
