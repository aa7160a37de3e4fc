//! Every metric by name: the one list that exposition, documentation and the config's reserved labels share.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Cumulative over all batches.
    Counter,
    /// As it is now.
    Gauge,
    /// Durations in buckets, cumulative over all batches.
    Histogram,
}

impl FamilyKind {
    /// The name in `# TYPE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric: its name, what it says, its labels.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name.
    pub name: &'static str,
    /// What it is.
    pub kind: FamilyKind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says, for `# HELP` and docs/METRICS.md.
    pub help: &'static str,
}

/// Label names that our metrics use; a grouping label of the same name would be overwritten or overwrite.
pub const LABELS: &[&str] = &[
    "parameter",
    "operator",
    "outcome",
    "variant",
    "strategy",
    "state",
    "status",
    "gateway",
    "result",
    "version",
    "revision",
    "bound",
];

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Family = Family {
            name: $name, kind: FamilyKind::$kind, labels: &[$($label),*], help: $help,
        };)*

        /// All metrics, in the order of docs/METRICS.md.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    MUTATIONS = Counter "exit_mutations_total" []
        "Mutation attempts, over all batches.";
    SUCCESSES = Counter "exit_mutations_success" []
        "Mutation attempts that gave a valid new candidate, over all batches.";
    SUCCESS_RATE = Gauge "exit_mutation_success_rate" []
        "Successes per attempt (0 to 1) of the batch now running or just run; NaN before its first attempt.";
    DURATION = Histogram "exit_mutation_duration_seconds" []
        "Time of one mutation from proposal to validation, without evaluation, over all batches.";
    DURATION_P95 = Gauge "exit_mutation_duration_p95_seconds" []
        "95th percentile of the durations of the batch now running or just run; NaN before its first.";
    BASELINE_RATE = Gauge "exit_mutation_baseline_success_rate" ["bound"]
        "What is usual for exit_mutation_success_rate by the last 30 completed batches before this one, from the seventh on: lower, median, upper.";
    BASELINE_P95 = Gauge "exit_mutation_baseline_duration_p95_seconds" ["bound"]
        "The same for exit_mutation_duration_p95_seconds.";
    BASELINE_BATCHES = Gauge "mutation_batch_baseline_batches" []
        "From how many batches it is taken what is usual; 0 before the seventh.";
    OUTCOMES = Counter "exit_mutation_outcomes_total" ["parameter", "operator", "outcome", "variant"]
        "Mutation attempts by parameter, operator, outcome and variant (where there are any), over all batches.";
    CLAMPED = Counter "exit_mutations_clamped_total" ["parameter"]
        "Proposed values that left their bounds and were brought back, over all batches.";
    DRAWS = Counter "exit_mutation_draws_total" ["parameter"]
        "Proposed values, of which an attempt may have several, over all batches.";
    EVALUATION = Histogram "exit_mutation_evaluation_duration_seconds" []
        "Time of one evaluation of a candidate, over all batches.";
    BEST_FITNESS = Gauge "exit_mutation_best_fitness" ["strategy"]
        "Best fitness that an evaluator ever gave a candidate of the strategy, over all batches, whatever the data.";
    BASELINE_FITNESS = Gauge "exit_mutation_baseline_fitness" ["strategy"]
        "Fitness of the strategy as it is written, by the data of the last batch that evaluated it.";
    CHAMPION_FITNESS = Gauge "exit_mutation_champion_fitness" ["strategy"]
        "Fitness of the best survivor, by the data of the last batch that evaluated the strategy.";
    SIGMA = Gauge "exit_mutation_sigma" ["strategy", "parameter"]
        "Step size of the search as the 1/5 success rule has made it, of the last batch with an evaluator.";
    TARGETS = Gauge "exit_mutation_targets" ["state"]
        "Targets (parameter in strategy) of the last batch by state: usable, or why not.";
    LAST_START = Gauge "mutation_batch_last_start_timestamp_seconds" []
        "When the last batch started, in seconds since 1970.";
    LAST_COMPLETION = Gauge "mutation_batch_last_completion_timestamp_seconds" []
        "When a batch last ended by itself, however it ended, in seconds since 1970.";
    LAST_SUCCESS = Gauge "mutation_batch_last_success_timestamp_seconds" []
        "When a batch last completed, in seconds since 1970; of an ingested log, when its last mutation succeeded. \
         Survives failed batches, never goes back.";
    LAST_DURATION = Gauge "mutation_batch_last_duration_seconds" []
        "How long the last ended batch took.";
    LAST_EXIT_CODE = Gauge "mutation_batch_last_exit_code" []
        "Exit code of the last batch that ended by itself.";
    IN_PROGRESS = Gauge "mutation_batch_in_progress" []
        "1 while a batch runs, else 0.";
    ROUNDS = Gauge "mutation_batch_rounds_completed" []
        "Completed rounds of the batch now running or just run.";
    BATCHES = Counter "mutation_batches_total" ["status"]
        "Batches by how they ended: completed, failed, interrupted, crashed.";
    RECORDS = Counter "mutation_audit_records_total" []
        "Records in the audit log, over all batches, pruned ones included.";
    PUSHES = Counter "mutation_push_attempts_total" ["gateway", "result"]
        "Push attempts by gateway and result: delivered, failed (may be tried again), refused (final).";
    BUILD_INFO = Gauge "mutation_agent_build_info" ["version", "revision"]
        "1, with the version and the git revision of the agent.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_label_is_reserved() {
        let used: BTreeSet<_> = FAMILIES.iter().flat_map(|family| family.labels).collect();
        let reserved: BTreeSet<_> = LABELS.iter().collect();
        assert_eq!(used, reserved);
    }

    #[test]
    fn no_name_is_given_twice() {
        let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
    }
}
