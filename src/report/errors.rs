//! Errors by pattern: what differs from one to the next taken out.

use crate::record::Record;
use std::collections::HashMap;

/// More patterns than these are counted together.
const MOST: usize = 200;
/// Characters of a pattern or an example.
const LONGEST: usize = 300;

/// One kind of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The message, with `#` for numbers and `…` for what stands in quotes or looks like a path.
    pub text: String,
    /// How often.
    pub count: u64,
    /// What became of the attempts.
    pub outcome: &'static str,
    /// The first message of the kind.
    pub example: String,
    /// Where it stands: batch and mutation.
    pub place: String,
}

/// The errors of many attempts.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    patterns: HashMap<(&'static str, String), Pattern>,
    others: u64,
}

impl Errors {
    /// Takes in a record; one without an error says nothing.
    pub fn add(&mut self, record: &Record<'_>) {
        let Some(error) = &record.error else { return };
        let key = (record.outcome.as_str(), pattern(error));
        if let Some(known) = self.patterns.get_mut(&key) {
            known.count += 1;
        } else if self.patterns.len() < MOST {
            let found = Pattern {
                text: key.1.clone(),
                count: 1,
                outcome: key.0,
                example: shortened(error),
                place: format!("{}/{}", record.batch_id, record.mutation_id),
            };
            self.patterns.insert(key, found);
        } else {
            self.others += 1;
        }
    }

    /// The most frequent first.
    pub fn by_count(&self) -> Vec<&Pattern> {
        let mut all: Vec<_> = self.patterns.values().collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        all
    }

    /// How many were of a kind that came after the 200th.
    pub const fn others(&self) -> u64 {
        self.others
    }
}

/// Numbers, hexadecimal digits and paths differ from one error to the next of its kind.
fn pattern(error: &str) -> String {
    let words = error.split_whitespace().map(|word| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/' && c != '.');
        let is_path = core.len() > 1 && core.contains('/');
        if is_path { word.replace(core, "…") } else { without_numbers(word) }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    shortened(&text)
}

fn without_numbers(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut in_number = false;
    for c in word.chars() {
        let part = c.is_ascii_digit() || in_number && (c == '.' || c == '_');
        if !part {
            text.push(c);
        } else if !in_number {
            text.push('#');
        }
        in_number = part;
    }
    text
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
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

    #[test]
    fn errors_that_differ_in_numbers_and_paths_are_of_one_kind() {
        let mut errors = Errors::default();
        for error in [
            "line 12: no prices in /data/2026-11-23/x.csv (3.5 s)",
            "line 7: no prices in /data/2026-11-24/y.csv (12.25 s)",
            "out of memory",
        ] {
            errors.add(&with(error));
        }
        let found = errors.by_count();
        let texts: Vec<_> = found.iter().map(|one| (one.text.as_str(), one.count)).collect();
        assert_eq!(texts, [("line #: no prices in … (# s)", 2), ("out of memory", 1)]);
        assert_eq!(found[0].example, "line 12: no prices in /data/2026-11-23/x.csv (3.5 s)");
    }

    #[test]
    fn kinds_without_end_cost_no_memory_without_end() {
        let mut errors = Errors::default();
        for letter in 0..1_000_u32 {
            let word: String = format!("{letter:010b}").replace('0', "a").replace('1', "b");
            errors.add(&with(&word));
        }
        assert_eq!((errors.by_count().len(), errors.others()), (200, 800));
    }
}
