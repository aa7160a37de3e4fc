//! Errors by kind, counted.

use super::kind::{kind, shortened};
use crate::record::Record;
use std::collections::HashMap;

/// More kinds than these are not kept: the rarest of them are counted together.
const MOST: usize = 400;
/// Characters of an example. An evaluator's last words are no longer.
const LONGEST: usize = 1_024;

/// One kind of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What the messages have in common, by [`kind`].
    pub text: String,
    /// How often.
    pub count: u64,
    /// How often in the newest batch.
    pub newest: u64,
    /// What became of the attempts.
    pub outcome: &'static str,
    /// The first message of the kind.
    pub example: String,
    /// Where it stands: batch and mutation.
    pub place: String,
    /// Kinds that were met before it.
    order: u64,
}

/// The errors of many attempts.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    patterns: HashMap<(&'static str, String), Pattern>,
    met: u64,
    others: u64,
}

impl Errors {
    /// What comes now is of a batch that is newer than all before.
    pub fn begin_batch(&mut self) {
        self.patterns.values_mut().for_each(|one| one.newest = 0);
    }

    /// Takes in a record; one without an error says nothing.
    pub fn add(&mut self, record: &Record<'_>) {
        let Some(error) = &record.error else { return };
        let key = (record.outcome.as_str(), kind(error));
        if let Some(known) = self.patterns.get_mut(&key) {
            known.count += 1;
            known.newest += 1;
            return;
        }
        if self.patterns.len() == MOST {
            self.forget_the_rarest();
        }
        self.met += 1;
        let found = Pattern {
            text: key.1.clone(),
            count: 1,
            newest: 1,
            outcome: key.0,
            example: shortened(error, LONGEST),
            place: format!("{}/{}", record.batch_id, record.mutation_id),
            order: self.met,
        };
        self.patterns.insert(key, found);
    }

    /// The most frequent first.
    pub fn by_count(&self) -> Vec<&Pattern> {
        let mut all: Vec<_> = self.patterns.values().collect();
        all.sort_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (&a.text, a.outcome).cmp(&(&b.text, b.outcome)))
        });
        all
    }

    /// How many were of a kind that was too rare to be kept.
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// Half of the kinds, so that it is seldom done; of equally rare ones those that were met first.
    fn forget_the_rarest(&mut self) {
        let mut ranks: Vec<_> = self.patterns.values().map(|one| (one.count, one.order)).collect();
        ranks.sort_unstable();
        let least = ranks[MOST / 2];
        let others = &mut self.others;
        self.patterns.retain(|_, one| {
            let stays = (one.count, one.order) >= least;
            *others += if stays { 0 } else { one.count };
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;
    use crate::record::tests::sample;
    use std::borrow::Cow;

    fn with(error: &str) -> Record<'_> {
        let template = sample(Cow::Owned("20261123T020000Z-7f3a9c".parse().unwrap()));
        Record { error: Some(Cow::Borrowed(error)), outcome: Outcome::EvaluatorFailed, ..template }
    }

    /// A word without digits for each number.
    fn word(number: u32) -> String {
        format!("{number:020b}").replace('0', "x").replace('1', "y")
    }

    #[test]
    fn errors_of_one_kind_are_counted_together_with_the_first_as_example() {
        let mut errors = Errors::default();
        for error in ["no prices for day 7", "out of memory", "no prices for day 12"] {
            errors.add(&with(error));
        }
        errors.begin_batch();
        errors.add(&with("no prices for day 13"));
        let found = errors.by_count();
        let texts: Vec<_> =
            found.iter().map(|one| (one.text.as_str(), one.count, one.newest)).collect();
        assert_eq!(texts, [("no prices for day #", 3, 1), ("out of memory", 1, 0)]);
        assert_eq!(found[0].example, "no prices for day 7");
    }

    #[test]
    fn the_same_text_with_another_outcome_is_another_kind_in_a_firm_order() {
        for turned in [false, true] {
            let mut errors = Errors::default();
            let mut both =
                [with("no"), Record { outcome: Outcome::EvaluatorTimeout, ..with("no") }];
            if turned {
                both.reverse();
            }
            for record in &both {
                errors.add(record);
            }
            let outcomes: Vec<_> = errors.by_count().iter().map(|one| one.outcome).collect();
            assert_eq!(outcomes, ["evaluator_failed", "evaluator_timeout"]);
        }
    }

    #[test]
    fn kinds_without_end_hide_none_that_comes_again_and_cost_no_memory_without_end() {
        let mut errors = Errors::default();
        for number in 0..10_000 {
            errors.add(&with(&word(number)));
            if number > 5_000 && number % 50 == 0 {
                errors.add(&with("out of memory"));
            }
        }
        let found = errors.by_count();
        assert_eq!((found[0].text.as_str(), found[0].count), ("out of memory", 99));
        assert!(found.len() <= MOST);
        assert_eq!(found.iter().map(|one| one.count).sum::<u64>() + errors.others(), 10_099);
    }
}
