//! Whether the night was good, and why.

use super::facts::NIGHT;
use super::{Facts, Night, Surroundings};
use crate::metrics::Status;
use crate::units::{Shard, seconds};
use std::fmt::Write as _;
use std::time::Duration;

/// So much later than the first the last shard of a night may begin.
const LATEST: Duration = Duration::from_hours(20);
/// Fewer attempts than these say nothing about shares.
const ENOUGH: u64 = 30;

/// From good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing to do.
    Good,
    /// Somebody should look.
    Look,
    /// Something is broken.
    Bad,
}

impl Grade {
    /// `the night was good` and the like.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Good => "The night was good",
            Self::Look => "Have a look at this night",
            Self::Bad => "The night was bad",
        }
    }
}

/// One thing that makes a night what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How bad it is.
    pub grade: Grade,
    /// In words.
    pub text: String,
}

/// The grade of the newest night, and all that was weighed, the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// That of the worst reason.
    pub grade: Grade,
    /// At least one.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Over the newest batch, of shards over that of each, and over the audit as a whole.
    pub fn of(facts: &Facts, around: &Surroundings) -> Self {
        let mut reasons = Reasons(Vec::new());
        let last = facts.last_of_each();
        if last.is_empty() {
            reasons.add(Grade::Bad, "There is no batch.");
        }
        reasons.of_shards(&last);
        for (night, before) in last {
            let known = reasons.0.len();
            reasons.of_end(night);
            reasons.of_success(night);
            reasons.of_durations(night);
            reasons.of_evaluator(night);
            reasons.of_targets(night);
            reasons.of_age(night, around);
            reasons.of_the_one_before(before);
            if let Some(shard) = night.batch.shard {
                for reason in &mut reasons.0[known..] {
                    reason.text = format!("Shard {}: {}", shard.index(), reason.text);
                }
            }
        }
        reasons.of_clamping(facts);
        reasons.of_champions(facts, around);
        reasons.of_audit(facts, around);
        let mut reasons = reasons.0;
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.grade));
        let grade = reasons.iter().map(|reason| reason.grade).max().unwrap_or(Grade::Good);
        Self { grade, reasons }
    }
}

struct Reasons(Vec<Reason>);

impl Reasons {
    fn add(&mut self, grade: Grade, text: impl Into<String>) {
        self.0.push(Reason { grade, text: text.into() });
    }

    /// That one of several has never run.
    fn of_shards(&mut self, last: &[(&Night, Option<&Night>)]) {
        let shards: Vec<Shard> = last.iter().filter_map(|(night, _)| night.batch.shard).collect();
        let Some(count) = shards.iter().map(|shard| shard.count()).max() else { return };
        let nights = last.iter().filter(|(night, _)| night.batch.shard.is_some());
        let figures = nights.map(|(night, _)| (night.figures.attempts, night.figures.successes));
        let (attempts, successes) = figures.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let rate = percent(successes as f64 / attempts.max(1) as f64);
        let text = format!("{successes} of {attempts} mutations of all shards succeeded ({rate}).");
        self.add(if successes == 0 { Grade::Bad } else { Grade::Good }, text);
        let missing: Vec<String> = (0..count)
            .filter(|index| !shards.iter().any(|shard| shard.index() == *index))
            .map(|index| index.to_string())
            .collect();
        // All of a night begin at its time, but for those that wait for their turn.
        let newest = last.iter().map(|(night, _)| night.batch.started).max();
        for (night, _) in last {
            let (Some(shard), Some(newest)) = (night.batch.shard, newest) else { continue };
            let age = newest.since(night.batch.started);
            if age > LATEST {
                let (index, hours) = (shard.index(), age.as_secs() / 3_600);
                let text = format!(
                    "Shard {index} was not there tonight: its last batch began {hours} hours before the newest."
                );
                self.add(Grade::Bad, text);
            }
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            self.add(Grade::Bad, format!("Of {count} shards these have no batch: {missing}."));
        }
    }

    fn of_end(&mut self, night: &Night) {
        let error = night.batch.error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        match night.batch.status {
            Some(Status::Completed) => {}
            Some(Status::Failed) => self.add(Grade::Bad, format!("The batch failed{error}.")),
            Some(Status::Crashed) => {
                self.add(Grade::Bad, "The batch was killed before it could end.");
            }
            Some(Status::Interrupted) => self.add(Grade::Look, "The batch was told to stop."),
            Some(Status::Running) => {
                self.add(Grade::Look, "The batch is under way, or was killed and not counted yet.");
            }
            None => self.add(Grade::Look, "How the batch ended is not known: it has no manifest."),
        }
    }

    fn of_success(&mut self, night: &Night) {
        let figures = night.figures;
        // A shard may have no turn.
        if figures.attempts == 0 && night.batch.shard.is_some() {
            return;
        }
        if figures.attempts == 0 {
            return self.add(Grade::Bad, "The batch attempted no mutation.");
        }
        let rate = figures.success_rate();
        let mut text = format!(
            "{} of {} mutations succeeded ({})",
            figures.successes,
            figures.attempts,
            percent(rate)
        );
        let usual = night.usual.map(|usual| usual.success_rate);
        if let Some(usual) = usual {
            let _infallible =
                write!(text, "; usual are {} to {}", percent(usual.lower), percent(usual.upper));
        }
        if night.duplicates > 0 {
            let _infallible = write!(text, "; {} found nothing new to try", night.duplicates);
        }
        text.push('.');
        // That a search has tried what is near says nothing against the night.
        let new = figures.attempts.saturating_sub(night.duplicates);
        let rate = figures.successes as f64 / new.max(1) as f64;
        let is_enough = new >= ENOUGH;
        let grade = match usual {
            _ if figures.successes == 0 || rate < 0.5 && is_enough => Grade::Bad,
            Some(usual) if rate < usual.lower && is_enough => Grade::Look,
            _ => Grade::Good,
        };
        self.add(grade, text);
    }

    fn of_durations(&mut self, night: &Night) {
        let Some(p95) = night.figures.duration_p95 else { return };
        let usual = night.usual.and_then(|usual| usual.duration_p95);
        if p95 > 1.0 {
            self.add(
                Grade::Look,
                format!("The slowest 5 % of mutations took {} or longer.", seconds(p95)),
            );
        } else if let Some(usual) = usual.filter(|usual| p95 > usual.upper && p95 > 1e-3) {
            self.add(
                Grade::Look,
                format!(
                    "The slowest 5 % of mutations took {} or longer; usual is up to {}.",
                    seconds(p95),
                    seconds(usual.upper)
                ),
            );
        }
    }

    fn of_evaluator(&mut self, night: &Night) {
        let (errors, asked) = (night.evaluator_errors, night.evaluated.max(night.evaluator_errors));
        let share = errors as f64 / asked.max(1) as f64;
        let grade = match share {
            share if share > 0.5 => Grade::Bad,
            share if share > 0.1 && asked >= 10 => Grade::Look,
            _ => return,
        };
        let share = percent(share);
        self.add(
            grade,
            format!("The evaluator had no answer for {errors} of {asked} candidates ({share})."),
        );
    }

    fn of_targets(&mut self, night: &Night) {
        let odd = night.batch.targets.iter();
        let odd = odd.filter(|(state, count)| {
            !matches!(state.as_str(), "usable" | "not_found") && **count > 0
        });
        let odd: Vec<String> = odd.map(|(state, count)| format!("{count} {state}")).collect();
        if !odd.is_empty() {
            let states = odd.join(", ");
            self.add(Grade::Look, format!("Some targets cannot be used: {states}."));
        }
    }

    fn of_age(&mut self, night: &Night, around: &Surroundings) {
        let Some(now) = around.now else { return };
        let age = now.since(night.batch.started);
        if age > NIGHT {
            let hours = age.as_secs() / 3_600;
            self.add(
                Grade::Bad,
                format!("No batch has begun for {hours} hours: a night is missing."),
            );
        }
    }

    fn of_the_one_before(&mut self, before: Option<&Night>) {
        if before.is_some_and(|night| night.batch.status == Some(Status::Crashed)) {
            self.add(
                Grade::Look,
                "The batch before it was killed; what it had recorded is counted.",
            );
        }
    }

    fn of_clamping(&mut self, facts: &Facts) {
        for (parameter, values) in &facts.clamping {
            if values.draws >= ENOUGH && values.share() > 0.3 {
                let share = percent(values.share());
                self.add(
                    Grade::Look,
                    format!("{share} of the values for {parameter} left their bounds, which may be too tight."),
                );
            }
        }
    }

    fn of_champions(&mut self, facts: &Facts, around: &Surroundings) {
        let is_evaluated = facts.newest().is_some_and(|night| night.batch.less_is_better.is_some());
        match around.champions.len() {
            0 if !is_evaluated => {}
            0 => self.add(Grade::Good, "No candidate is better than its source yet."),
            1 => {
                self.add(Grade::Good, "1 strategy has a candidate that is better than its source.");
            }
            many => {
                let text =
                    format!("{many} strategies have a candidate that is better than their source.");
                self.add(Grade::Good, text);
            }
        }
    }

    fn of_audit(&mut self, facts: &Facts, around: &Surroundings) {
        match around.findings.as_deref() {
            None => {}
            Some([]) => self.add(Grade::Good, "The audit is as it was written."),
            Some([one]) => {
                self.add(Grade::Bad, format!("The audit is not as it was written: {one}"));
            }
            Some(many) => {
                let count = many.len();
                self.add(
                    Grade::Bad,
                    format!("The audit is not as it was written in {count} places."),
                );
            }
        }
        if !facts.damage.is_empty() {
            let files = facts.damage.len();
            let are =
                if files == 1 { "1 file is".to_owned() } else { format!("{files} files are") };
            self.add(Grade::Look, format!("Of the audit {are} missing or damaged."));
        }
        for delivery in around.deliveries.iter().filter(|delivery| !delivery.is_delivered) {
            let name = &delivery.gateway;
            self.add(Grade::Look, format!("Gateway {name} has not taken the newest totals."));
        }
    }
}

/// `91.2 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
