//! Through here an attempt becomes a fact: journal first, then the tally.

use super::attempt::Attempted;
use super::champions::Champions;
use super::evaluated::Attempt;
use super::open_batch::OpenBatch;
use super::verdict::{Change, Verdict, broken, in_words};
use super::{BatchPlan, Candidates, Clock, Target};
use crate::audit::{Folder, Journal, JournalEnd, Order, read_open};
use crate::disk::{self, DiskError};
use crate::evolution::Search;
use crate::ingest::Taken;
use crate::metrics::Tally;
use crate::mutation::Operator;
use crate::record::{Also, Outcome, Record};
use crate::units::{BatchId, MutationId, Number};
use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant};

/// The open batch: its journal, and the fold over what stands in it.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    plan: &'a BatchPlan,
    batch_id: &'a BatchId,
    journal: Journal,
    tally: Tally,
    /// The tally when the journal was last synced: what may be shown to others.
    durable: Tally,
    candidates: Candidates,
    champions: Champions,
    recorded: u64,
    /// Of the ids in the journal.
    order: Order,
    round: u32,
    clock: Clock,
    flush_interval: Duration,
    /// When what waits in memory has waited for long enough.
    due: Instant,
    /// Asked once: a disabled `debug!` per mutation is not free.
    log_each: bool,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(batch: &'a OpenBatch<'a>, journal: Journal, order: Order) -> Self {
        let keep = batch.config.output.keep;
        Self {
            plan: batch.plan,
            batch_id: &batch.id,
            journal,
            tally: Tally::new(batch.buckets()),
            durable: Tally::new(batch.buckets()),
            candidates: Candidates::new(batch.plan, keep),
            champions: Champions::new(keep, batch.config.evolution.settings.direction),
            recorded: 0,
            order,
            round: 0,
            clock: Clock::start(),
            flush_interval: batch.config.audit.flush_interval,
            due: Instant::now() + batch.config.audit.flush_interval,
            log_each: tracing::enabled!(tracing::Level::DEBUG),
        }
    }

    /// A new round, from 1; the time of day is read anew.
    pub(super) fn begin_round(&mut self, round: u32) {
        self.round = round;
        self.clock = Clock::start();
    }

    /// Records one attempt.
    pub(super) fn record(&mut self, attempted: &Attempted) -> Result<(), DiskError> {
        let record = self.record_of(attempted);
        let strategy = &self.plan.strategies[attempted.strategy as usize];
        let target = &strategy.targets[attempted.first.target as usize];
        self.journal.append(&record, self.kind_of_line(target, attempted.variant))?;
        self.count(&record);
        if attempted.verdict.outcome.is_success() {
            self.candidates.offer(attempted, record.mutation_id, self.recorded);
        }
        if attempted.ended >= self.due {
            self.due = attempted.ended + self.flush_interval;
            self.journal.flush()?;
        }
        Ok(())
    }

    fn record_of(&self, attempted: &Attempted) -> Record<'a> {
        let Attempted { first, variant, verdict, .. } = attempted;
        let Verdict { outcome, rule } = *verdict;
        let strategy = &self.plan.strategies[attempted.strategy as usize];
        let target = &strategy.targets[first.target as usize];
        let new_value = |target: &Target, change: &Change| match outcome {
            Outcome::NoChange => target.value,
            _ => Number::of(change.value, target.mutator.domain().kind()),
        };
        let also = attempted.also.iter().map(|change| {
            let target = &strategy.targets[change.target as usize];
            Also {
                parameter: Cow::Borrowed(&target.parameter),
                line: target.site.line(),
                operator: target.mutator_of(*variant).operator(),
                old_value: target.value,
                new_value: new_value(target, change),
                clamped: change.clamped,
            }
        });
        Record {
            timestamp: self.clock.at(attempted.ended),
            batch_id: Cow::Borrowed(self.batch_id),
            mutation_id: self.plan.id_of(self.round, attempted.index),
            round: self.round,
            strategy: Cow::Borrowed(&strategy.name),
            line: target.site.line(),
            parameter: Cow::Borrowed(&target.parameter),
            operator: target.mutator_of(*variant).operator(),
            variant: self.name_of(*variant),
            parent: None,
            old_value: target.value,
            new_value: new_value(target, first),
            clamped: first.clamped,
            outcome,
            success: outcome.is_success(),
            validation_passed: outcome.is_valid(),
            error: match rule {
                Some(rule) => Some(Cow::Owned(broken(&self.plan.constraints[rule]))),
                None => in_words(outcome).map(Cow::Borrowed),
            },
            fitness: None,
            duration: Some(attempted.duration),
            evaluation: None,
            // Hardly ever anything.
            also: if attempted.also.is_empty() { Vec::new() } else { also.collect() },
        }
    }

    fn name_of(&self, variant: Option<usize>) -> Option<Cow<'a, str>> {
        variant.map(|index| Cow::Borrowed(self.plan.variants[index].name.as_str()))
    }

    /// Lines of the same number and round have strategy, parameter and operator in common.
    fn kind_of_line(&self, target: &Target, variant: Option<usize>) -> usize {
        target.number * self.plan.variants.len().max(1) + variant.unwrap_or(0)
    }

    /// Records an attempt that was judged, or was not worth it. It is written at once: an evaluation takes longer than
    /// that, and a kill then loses only what is in flight.
    pub(super) fn evaluated(&mut self, attempt: &Attempt<'a, '_>) -> Result<Record<'a>, DiskError> {
        let Attempt { strategy, variant, draft, outcome, .. } = attempt;
        let mut changes = draft.moves.iter().map(|one| {
            let target = &strategy.targets[one.gene];
            let new = draft.values.get(&target.parameter).copied().unwrap_or(one.old);
            let also = Also {
                parameter: Cow::Borrowed(&*target.parameter),
                line: target.site.line(),
                operator: target.mutator_of(*variant).operator(),
                old_value: one.old,
                new_value: new,
                clamped: one.proposal.clamped,
            };
            (also, self.kind_of_line(target, *variant))
        });
        let first = changes.next();
        let also = changes.map(|(also, _)| also).collect();
        let Some((first, number)) = first else {
            let nothing = io::Error::other("an attempt that changes no parameter");
            return Err(DiskError::new("record", self.journal.path())(nothing));
        };
        let record = Record {
            timestamp: self.clock.at(attempt.ended),
            batch_id: Cow::Borrowed(self.batch_id),
            mutation_id: attempt.mutation,
            round: self.round,
            strategy: Cow::Borrowed(&strategy.name),
            line: first.line,
            parameter: first.parameter,
            operator: first.operator,
            variant: self.name_of(*variant),
            parent: draft.parent.born().map(|born| Cow::Owned(born.seen_from(self.batch_id))),
            old_value: first.old_value,
            new_value: first.new_value,
            clamped: first.clamped,
            outcome: *outcome,
            success: outcome.is_success(),
            validation_passed: outcome.is_valid(),
            error: attempt.error.clone().map(Cow::Owned),
            fitness: attempt.fitness,
            duration: Some(attempt.duration),
            evaluation: attempt.evaluation,
            also,
        };
        self.journal.append(&record, number)?;
        self.journal.flush()?;
        self.count(&record);
        self.champions.offer(attempt, self.round, self.plan.seed, self.batch_id);
        Ok(record)
    }

    /// Records an attempt of another program.
    pub(super) fn ingested(&mut self, taken: &Taken, log: &str) -> Result<Record<'a>, DiskError> {
        let Taken { line, timestamp, record } = taken;
        let record = Record {
            timestamp: *timestamp,
            batch_id: Cow::Borrowed(self.batch_id),
            mutation_id: MutationId(self.recorded + 1),
            round: self.round,
            strategy: Cow::Owned(log.to_owned()),
            line: u32::try_from(*line).unwrap_or(u32::MAX),
            parameter: Cow::Owned(record.parameter.clone()),
            operator: Operator::CompatGaussian,
            variant: None,
            parent: None,
            old_value: record.old_value,
            new_value: record.new_value,
            clamped: record.clamped,
            outcome: record.outcome,
            success: record.outcome.is_success(),
            validation_passed: record.outcome.is_valid(),
            error: record.error.clone().map(Cow::Owned),
            fitness: None,
            duration: record.duration,
            evaluation: None,
            also: Vec::new(),
        };
        self.journal.append_alone(&record)?;
        self.count(&record);
        Ok(record)
    }

    /// It stands in the journal.
    fn count(&mut self, record: &Record<'_>) {
        self.tally.add(record);
        self.recorded += 1;
        if self.log_each {
            log_each(record);
        }
    }

    /// Writes what has waited in memory for long enough.
    pub(super) fn flush_in_time(&mut self) -> Result<(), DiskError> {
        let now = Instant::now();
        if now >= self.due {
            self.due = now + self.flush_interval;
            self.journal.flush()?;
        }
        Ok(())
    }

    /// Makes all records lasting; what is shown to others is what was lasting then.
    pub(super) fn sync(&mut self) -> Result<(), DiskError> {
        self.journal.sync()?;
        self.durable.clone_from(&self.tally);
        Ok(())
    }

    /// The fold over the records that are surely on disk.
    pub(super) const fn durable(&self) -> &Tally {
        &self.durable
    }

    /// The fold over what the next start will find, after somebody has meddled with the journal.
    pub(super) fn found(&self, folder: &Folder) -> Tally {
        let buckets = self.tally.duration_histogram().buckets();
        match read_open(folder, self.batch_id, buckets, &self.order) {
            Ok((log, _)) => log.tally,
            // It is gone, or no file of ours.
            Err(_) => Tally::new(buckets.clone()),
        }
    }

    /// Attempts and successes recorded so far.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.tally.attempts(), self.tally.successes())
    }

    /// After an error: cuts the journal back to its whole lines and counts what stands in it.
    ///
    /// What was buffered when the disk gave out was never written, so it must not be counted. A
    /// second error here leaves `durable` as it was at the last good sync, and the rest to the
    /// next start.
    pub(super) fn cut_back(&mut self, folder: &Folder) -> Result<(), DiskError> {
        self.journal.cut_back()?;
        let buckets = self.tally.duration_histogram().buckets().clone();
        let (log, whole) = read_open(folder, self.batch_id, &buckets, &self.order)?;
        if !whole {
            // Sealed, it would be a log that its own manifest does not fit.
            let told = "its lines were changed while the batch ran, and not by this program";
            let path = folder.open_journal(self.batch_id);
            return Err(DiskError::new(disk::GO_ON, &path)(io::Error::other(told)));
        }
        self.recorded = log.tally.attempts();
        self.candidates.retain_up_to(self.recorded);
        self.tally = log.tally;
        self.durable.clone_from(&self.tally);
        Ok(())
    }

    /// Closes the journal for sealing.
    pub(super) fn end(&mut self) -> Result<JournalEnd, DiskError> {
        self.journal.end()
    }

    /// Whether the journal is still as it was closed.
    pub(super) fn is_untouched(&self) -> Result<(), DiskError> {
        self.journal.is_untouched()
    }

    /// The survivors of earlier nights may be among the best of this one.
    pub(super) fn begin_search<'s>(&mut self, searches: impl Iterator<Item = &'s Search>) {
        self.champions.begin(searches);
    }

    /// The best that were evaluated.
    pub(super) const fn champions(&self) -> &Champions {
        &self.champions
    }

    /// What is written for people.
    pub(super) const fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// The fold over all records.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }
}

fn log_each(record: &Record<'_>) {
    let took = record.duration.map(|one| format!(" (duration: {:.2}ms)", one.nanos() as f64 / 1e6));
    tracing::debug!(
        mutation = %record.mutation_id,
        strategy = %record.strategy,
        line = record.line,
        "Exit mutation {}: {} {:.4} -> {:.4}{}",
        record.outcome.as_str(),
        record.parameter,
        record.old_value.to_f64(),
        record.new_value.to_f64(),
        took.unwrap_or_default(),
    );
}
