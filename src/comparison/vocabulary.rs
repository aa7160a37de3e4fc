//! The names that there are in an audit.

use crate::record::Record;
use crate::units::BatchId;
use std::collections::BTreeSet;

/// What was seen in records, to know a bare word by, and to tell of a misspelt name.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    pub(super) variants: BTreeSet<String>,
    pub(super) parameters: BTreeSet<String>,
    pub(super) strategies: BTreeSet<String>,
    pub(super) batches: BTreeSet<String>,
    pub(super) attempts: u64,
}

impl Vocabulary {
    /// Takes in the names of one record.
    pub fn add(&mut self, record: &Record<'_>) {
        self.attempts += 1;
        learn(&mut self.parameters, &record.parameter);
        learn(&mut self.strategies, &record.strategy);
        learn(&mut self.batches, record.batch_id.as_str());
        if let Some(variant) = &record.variant {
            learn(&mut self.variants, variant);
        }
    }

    /// Takes in a batch, of which there may be no record.
    pub fn add_batch(&mut self, id: &BatchId) {
        learn(&mut self.batches, id.as_str());
    }

    pub(super) fn of(&self, kind: &str) -> &BTreeSet<String> {
        match kind {
            "variant" => &self.variants,
            "parameter" => &self.parameters,
            "strategy" => &self.strategies,
            _ => &self.batches,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let sets = [&self.variants, &self.parameters, &self.strategies, &self.batches];
        sets.into_iter().flatten().map(String::as_str)
    }
}

/// Whether a strategy goes by this name: its path, or the file's name with or without its end.
pub(super) fn is_strategy(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    path == name || file == name || file.strip_suffix(".py") == Some(name)
}

/// The name that is most like what was typed, if one is like it.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| {
        strsim::normalized_damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase())
    };
    let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= 0.6).then_some(best)
}

pub(super) fn listed(names: &BTreeSet<String>) -> String {
    const MOST: usize = 8;
    let mut text = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(", …");
    }
    text
}

fn learn(names: &mut BTreeSet<String>, name: &str) {
    if !names.contains(name) {
        names.insert(name.to_owned());
    }
}
