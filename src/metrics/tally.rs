//! The fold over records; all other figures are derived from it.

use super::histogram::{raise, sum};
use super::{Buckets, Durations, Histogram};
use crate::mutation::Operator;
use crate::record::{Millis, Outcome, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Attempts by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Outcome, u64>", into = "BTreeMap<Outcome, u64>")]
pub struct OutcomeCounts([u64; Outcome::ALL.len()]);

impl OutcomeCounts {
    /// How many ended so.
    pub const fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// All attempts.
    pub fn total(&self) -> u64 {
        sum(self.0.iter().copied())
    }

    fn add(&mut self, outcome: Outcome, count: u64) {
        raise(&mut self.0[outcome as usize], count);
    }

    fn merge(&mut self, later: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&later.0) {
            raise(sum, *count);
        }
    }
}

impl From<BTreeMap<Outcome, u64>> for OutcomeCounts {
    fn from(map: BTreeMap<Outcome, u64>) -> Self {
        let mut counts = Self::default();
        for (outcome, count) in map {
            counts.add(outcome, count);
        }
        counts
    }
}

impl From<OutcomeCounts> for BTreeMap<Outcome, u64> {
    fn from(counts: OutcomeCounts) -> Self {
        let pairs = Outcome::ALL.map(|outcome| (outcome, counts.get(outcome)));
        pairs.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// What became of one parameter's attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterTally {
    /// Changes whose proposal had left its bounds.
    pub clamped: u64,
    /// Changes beside another parameter's, whose attempts count there.
    #[serde(default, skip_serializing_if = "is_zero")]
    also: u64,
    /// Of the attempts that had no variant.
    operators: Operators,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    variants: BTreeMap<String, Operators>,
}

impl ParameterTally {
    /// Outcomes by operator, for the operators that were used, over all variants.
    pub fn operators(&self) -> impl Iterator<Item = (Operator, OutcomeCounts)> {
        let mut all = self.operators.clone();
        self.variants.values().for_each(|one| all.merge(one));
        let pairs = Operator::ALL.into_iter().zip(all.0);
        pairs.filter(|(_, counts)| counts.total() > 0)
    }

    /// Variants and operators that were used, with their outcomes; `None` is no variant.
    pub fn series(&self) -> impl Iterator<Item = (Option<&str>, Operator, &OutcomeCounts)> {
        let named = self.variants.iter().map(|(name, table)| (Some(name.as_str()), table));
        let tables = std::iter::once((None, &self.operators)).chain(named);
        let all = tables.flat_map(|(variant, table)| {
            Operator::ALL.into_iter().zip(&table.0).map(move |(one, counts)| (variant, one, counts))
        });
        all.filter(|(.., counts)| counts.total() > 0)
    }

    /// How many attempts of one variant and operator ended so.
    pub fn count(&self, variant: Option<&str>, operator: Operator, outcome: Outcome) -> u64 {
        let table = match variant {
            None => Some(&self.operators),
            Some(name) => self.variants.get(name),
        };
        table.map_or(0, |table| table.0[operator as usize].get(outcome))
    }

    /// All attempts, counted where the parameter is the record's own.
    pub fn attempts(&self) -> u64 {
        sum(self.series().map(|(.., counts)| counts.total()))
    }

    /// How often the parameter was drawn, as the record's own or beside another.
    pub fn draws(&self) -> u64 {
        self.attempts().saturating_add(self.also)
    }

    fn merge(&mut self, later: &Self) {
        raise(&mut self.clamped, later.clamped);
        raise(&mut self.also, later.also);
        self.operators.merge(&later.operators);
        for (name, theirs) in &later.variants {
            change(&mut self.variants, name, |ours| ours.merge(theirs));
        }
    }

    fn count_own(&mut self, record: &Record<'_>) {
        raise(&mut self.clamped, u64::from(record.clamped));
        let add = |table: &mut Operators| {
            table.0[record.operator as usize].add(record.outcome, 1);
        };
        match &record.variant {
            None => add(&mut self.operators),
            Some(name) => change(&mut self.variants, name, add),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A table and not a map: it is counted in once for each mutation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Operator, OutcomeCounts>", into = "BTreeMap<Operator, OutcomeCounts>")]
struct Operators([OutcomeCounts; Operator::ALL.len()]);

impl Operators {
    fn merge(&mut self, later: &Self) {
        for (sums, counts) in self.0.iter_mut().zip(&later.0) {
            sums.merge(counts);
        }
    }
}

impl From<BTreeMap<Operator, OutcomeCounts>> for Operators {
    fn from(map: BTreeMap<Operator, OutcomeCounts>) -> Self {
        let mut table = Self::default();
        for (operator, counts) in map {
            table.0[operator as usize] = counts;
        }
        table
    }
}

impl From<Operators> for BTreeMap<Operator, OutcomeCounts> {
    fn from(table: Operators) -> Self {
        let all = Operator::ALL.into_iter().zip(table.0);
        all.filter(|(_, counts)| counts.total() > 0).collect()
    }
}

/// The least and the greatest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extremes {
    /// The best one where less is better.
    pub least: f64,
    /// The best one where more is better.
    pub greatest: f64,
}

impl Extremes {
    /// Those of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), greatest: self.greatest.max(other.greatest) }
    }
}

/// Everything that is known of a set of attempts, in memory that does not grow with their number.
///
/// `add` and `merge` are its only ways to change, so a tally over records read back from the audit
/// is the tally that was pushed. Merging is associative; `other` is the later one, which matters
/// to the last ten durations alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    attempts: u64,
    successes: u64,
    parameters: BTreeMap<String, ParameterTally>,
    duration_histogram: Histogram,
    durations: Durations,
    evaluation_histogram: Histogram,
    /// Which fitness is the best depends on the evaluator, of which records say nothing.
    best_fitness: BTreeMap<String, Extremes>,
}

impl Tally {
    /// No attempts yet; `buckets` are those of the mutations' durations.
    pub fn new(buckets: Buckets) -> Self {
        Self {
            attempts: 0,
            successes: 0,
            parameters: BTreeMap::new(),
            duration_histogram: Histogram::new(buckets),
            durations: Durations::default(),
            evaluation_histogram: Histogram::new(Buckets::evaluation()),
            best_fitness: BTreeMap::new(),
        }
    }

    /// The same for one of thousands of groups: as small as what it has seen, and no other in what it says.
    pub(super) fn sparse(buckets: Buckets) -> Self {
        Self { durations: Durations::sparse(), ..Self::new(buckets) }
    }

    /// Takes in one record.
    pub fn add(&mut self, record: &Record<'_>) {
        self.observe(record.outcome.is_success(), record.duration);
        change(&mut self.parameters, &record.parameter, |parameter| parameter.count_own(record));
        for one in &record.also {
            change(&mut self.parameters, &one.parameter, |parameter| {
                raise(&mut parameter.also, 1);
                raise(&mut parameter.clamped, u64::from(one.clamped));
            });
        }
        if let Some(evaluation) = record.evaluation {
            self.evaluation_histogram.observe(evaluation);
        }
        if let Some(fitness) = record.fitness.filter(|fitness| fitness.is_finite()) {
            let both = Extremes { least: fitness, greatest: fitness };
            keep_extremes(&mut self.best_fitness, &record.strategy, both);
        }
    }

    /// Takes in an attempt of which nothing else is known.
    pub fn observe(&mut self, success: bool, duration: Option<Millis>) {
        raise(&mut self.attempts, 1);
        raise(&mut self.successes, u64::from(success));
        if let Some(duration) = duration {
            self.duration_histogram.observe(duration);
            self.durations.observe(duration);
        }
    }

    /// Takes in a later tally; false where its duration buckets differ, and so the histogram
    /// started anew with it.
    pub fn merge(&mut self, later: &Self) -> bool {
        raise(&mut self.attempts, later.attempts);
        raise(&mut self.successes, later.successes);
        for (name, theirs) in &later.parameters {
            change(&mut self.parameters, name, |ours| ours.merge(theirs));
        }
        self.durations.merge(&later.durations);
        self.evaluation_histogram.merge(&later.evaluation_histogram);
        for (strategy, fitness) in &later.best_fitness {
            keep_extremes(&mut self.best_fitness, strategy, *fitness);
        }
        self.duration_histogram.merge(&later.duration_histogram)
    }

    /// Forgets all, and keeps its memory for others: blocks of a log are read one after the other.
    pub fn clear(&mut self) {
        (self.attempts, self.successes) = (0, 0);
        self.parameters.clear();
        self.duration_histogram.clear();
        self.durations.clear();
        self.evaluation_histogram.clear();
        self.best_fitness.clear();
    }

    /// Attempts.
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Successful attempts.
    pub const fn successes(&self) -> u64 {
        self.successes
    }

    /// Successes per attempt, 0..=1; not a number before the first attempt.
    pub fn success_rate(&self) -> f64 {
        self.successes as f64 / self.attempts as f64
    }

    /// Whether all that was proposed had been evaluated before, or was the parent itself.
    pub fn is_exhausted(&self) -> bool {
        let outcomes = self.outcomes();
        let duplicates = outcomes.get(Outcome::Duplicate);
        duplicates > 0
            && duplicates.saturating_add(outcomes.get(Outcome::NoChange)) >= self.attempts
    }

    /// By parameter.
    pub const fn parameters(&self) -> &BTreeMap<String, ParameterTally> {
        &self.parameters
    }

    /// Attempts by outcome.
    pub fn outcomes(&self) -> OutcomeCounts {
        let mut all = OutcomeCounts::default();
        let series = self.parameters.values().flat_map(ParameterTally::series);
        series.for_each(|(_, _, counts)| all.merge(counts));
        all
    }

    /// Proposed values that were brought back into their bounds.
    pub fn clamped(&self) -> u64 {
        sum(self.parameters.values().map(|parameter| parameter.clamped))
    }

    /// Outcomes by variant, for the variants that were used, over all parameters.
    pub fn variants(&self) -> BTreeMap<&str, OutcomeCounts> {
        let mut all: BTreeMap<&str, OutcomeCounts> = BTreeMap::new();
        for parameter in self.parameters.values() {
            for (variant, _, counts) in parameter.series() {
                if let Some(name) = variant {
                    all.entry(name).or_default().merge(counts);
                }
            }
        }
        all
    }

    /// The mutations' own times.
    pub const fn duration_histogram(&self) -> &Histogram {
        &self.duration_histogram
    }

    /// The mutations' own times, for percentiles.
    pub const fn durations(&self) -> &Durations {
        &self.durations
    }

    /// The evaluations' times.
    pub const fn evaluation_histogram(&self) -> &Histogram {
        &self.evaluation_histogram
    }

    /// The least and the greatest fitness by strategy.
    pub const fn best_fitness(&self) -> &BTreeMap<String, Extremes> {
        &self.best_fitness
    }
}

/// Changes the value under `name`, with one look-up and no new `String` where it is there.
fn change<V: Default>(map: &mut BTreeMap<String, V>, name: &str, change: impl FnOnce(&mut V)) {
    match map.get_mut(name) {
        Some(value) => change(value),
        None => change(map.entry(name.to_owned()).or_default()),
    }
}

fn keep_extremes(all: &mut BTreeMap<String, Extremes>, strategy: &str, seen: Extremes) {
    match all.get_mut(strategy) {
        Some(known) => *known = known.with(seen),
        None => drop(all.insert(strategy.to_owned(), seen)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::Also;
    use crate::record::tests::sample;
    use crate::units::Number;
    use proptest::prelude::*;
    use std::borrow::Cow;

    pub(in crate::metrics) fn record(outcome: Outcome, nanos: u64) -> Record<'static> {
        Record {
            clamped: nanos.is_multiple_of(2),
            outcome,
            success: outcome.is_success(),
            validation_passed: outcome.is_valid(),
            fitness: Some(nanos as f64),
            duration: Some(Millis::from_nanos(nanos)),
            evaluation: Some(Millis::from_nanos(nanos)),
            ..sample(Cow::Owned("20261123T020000Z-7f3a9c".parse().unwrap()))
        }
    }

    fn also() -> impl Strategy<Value = Also<'static>> {
        ("[a-d]", any::<bool>()).prop_map(|(parameter, clamped)| Also {
            parameter: parameter.into(),
            line: 2,
            operator: Operator::Uniform,
            old_value: Number::Int(1),
            new_value: Number::Int(2),
            clamped,
        })
    }

    pub(in crate::metrics) fn records() -> impl Strategy<Value = Vec<Record<'static>>> {
        let one = (0..Outcome::ALL.len(), 0_u64..1 << 40, "[a-c]", 0..Operator::ALL.len());
        let one = (one, proptest::option::of("[v-x]"), prop::collection::vec(also(), 0..3));
        let one = one.prop_map(|((outcome, nanos, parameter, operator), variant, also)| Record {
            parameter: parameter.into(),
            operator: Operator::ALL[operator],
            variant: variant.map(Cow::Owned),
            also,
            ..record(Outcome::ALL[outcome], nanos)
        });
        prop::collection::vec(one, 0..30)
    }

    pub(in crate::metrics) fn fold<'a, 'b: 'a>(
        records: impl IntoIterator<Item = &'a Record<'b>>,
    ) -> Tally {
        let mut tally = Tally::new(Buckets::default());
        for record in records {
            tally.add(record);
        }
        tally
    }

    proptest! {
        #[test]
        fn what_was_cleared_is_as_new(a in records(), b in records()) {
            let mut tally = fold(&a);
            tally.clear();
            prop_assert_eq!(&tally, &fold(&[]));
            for record in &b {
                tally.add(record);
            }
            prop_assert_eq!(tally, fold(&b));
        }

        #[test]
        fn a_fold_over_all_is_the_merge_of_folds_over_the_parts(a in records(), b in records(), c in records()) {
            let mut left = fold(&a);
            left.merge(&fold(&b));
            left.merge(&fold(&c));
            let mut right = fold(&b);
            right.merge(&fold(&c));
            let mut nested = fold(&a);
            nested.merge(&right);
            prop_assert_eq!(&left, &fold(&[a, b, c].concat()));
            prop_assert_eq!(left, nested);
        }

        #[test]
        fn a_tally_reads_back_from_json_as_itself(records in records()) {
            let tally = fold(&records);
            let text = serde_json::to_string(&tally).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        }

        #[test]
        fn a_fold_over_lines_read_back_is_the_fold_over_the_records(records in records()) {
            let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
            let read: Vec<Record<'_>> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(fold(&read), fold(&records));
        }
    }

    #[test]
    fn an_outcome_counts_once_and_a_clamped_value_where_it_was_proposed() {
        let clamped = |parameter: &str, clamped| Also {
            parameter: parameter.to_owned().into(),
            line: 2,
            operator: Operator::Uniform,
            old_value: Number::Int(1),
            new_value: Number::Int(2),
            clamped,
        };
        let also = vec![clamped("a", true), clamped("b", false)];
        let variant = Some(Cow::Borrowed("wide"));
        let tally = fold(&[Record { variant, also, ..record(Outcome::Success, 1) }]);
        let figures: Vec<_> = tally.parameters().iter().collect();
        let figures = figures
            .iter()
            .map(|(name, one)| (name.as_str(), one.attempts(), one.draws(), one.clamped));
        let expected = [("a", 0, 1, 1), ("b", 0, 1, 0), ("stop_loss_pct", 1, 1, 0)];
        assert_eq!(figures.collect::<Vec<_>>(), expected);
        let own = &tally.parameters()["stop_loss_pct"];
        assert_eq!(own.count(Some("wide"), Operator::Lognormal, Outcome::Success), 1);
        assert_eq!(own.count(None, Operator::Lognormal, Outcome::Success), 0);
        assert_eq!(tally.variants()["wide"].total(), 1);
    }

    #[test]
    fn without_variants_a_parameter_is_written_as_before_there_were_any() {
        let text = r#"{"clamped":1,"operators":{"lognormal":{"success":1}}}"#;
        let tally = fold(&[record(Outcome::Success, 2)]);
        let parameter = &tally.parameters()["stop_loss_pct"];
        assert_eq!(serde_json::to_string(parameter).unwrap(), text);
        assert_eq!(&serde_json::from_str::<ParameterTally>(text).unwrap(), parameter);
    }

    #[test]
    fn the_success_rate_of_nothing_is_not_a_number() {
        assert!(fold(&[]).success_rate().is_nan());
        let half = fold(&[record(Outcome::Success, 1), record(Outcome::NoChange, 1)]);
        assert!((half.success_rate() - 0.5).abs() < f64::EPSILON);
    }
}
