//! The searches of all strategies, from night to night.

use super::{Direction, Search, Settings, Start, Trial};
use crate::metrics::{SearchSummary, StrategySearch};
use crate::record::Record;
use crate::units::{BatchId, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The searches of an agent, each for one strategy. In JSON they are a list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Search>")]
pub struct Searches {
    /// By name and digest of the source.
    all: BTreeMap<(String, String), Search>,
}

impl Searches {
    /// So many are kept; beyond, those are forgotten that were not used for the longest time.
    pub const LIMIT: usize = 1000;

    /// So many texts of one strategy are: what was edited may be as it was again.
    pub const TEXTS: usize = 3;

    /// Begins a batch: each strategy goes on with the search of its name and digest, or else with
    /// a copy of the last one that has its digest, or from its source.
    pub fn begin(&mut self, settings: &Settings, batch: &BatchId, seed: u64, starts: &[Start<'_>]) {
        for start in starts {
            let key = (start.name.to_owned(), start.source.as_str().to_owned());
            let known = self.all.remove(&key).or_else(|| self.latest(start.source).cloned());
            let mut search = known.unwrap_or_else(|| Search::new(batch, seed, start));
            search.resume(settings, batch, seed, start);
            self.all.insert(key, search);
        }
        self.forget(batch);
    }

    /// Folds a record of the batch that was begun; those of a round in any order. One that is of
    /// no strategy that was begun changes nothing.
    pub fn take(&mut self, settings: &Settings, record: &Record<'_>) {
        if let Some(trial) = Trial::of(record) {
            self.take_trial(settings, &record.batch_id, &record.strategy, trial);
        }
    }

    /// The same for what a record says, of the strategy that is named.
    pub fn take_trial(&mut self, settings: &Settings, batch: &BatchId, name: &str, trial: Trial) {
        let mut all = self.all.values_mut();
        let search = all.find(|search| search.name() == name && search.last_batch() == batch);
        if let Some(search) = search {
            search.take(settings, trial);
        }
    }

    /// Ends the round whose records were taken.
    pub fn end_round(&mut self, settings: &Settings) {
        self.all.values_mut().for_each(|search| search.end_round(settings));
    }

    /// Whether every strategy of the batch has gone without a better individual for as many rounds
    /// as patience allows.
    pub fn exhausted(&self, settings: &Settings, batch: &BatchId) -> bool {
        settings
            .patience
            .is_some_and(|rounds| self.of(batch).all(|search| search.idle_rounds() >= rounds))
    }

    /// Those that the batch goes on with, by name.
    pub fn of<'a>(&'a self, batch: &'a BatchId) -> impl Iterator<Item = &'a Search> {
        self.all.values().filter(move |search| search.last_batch() == batch)
    }

    /// The same, to be reassessed.
    pub fn of_mut<'a>(&'a mut self, batch: &'a BatchId) -> impl Iterator<Item = &'a mut Search> {
        self.all.values_mut().filter(move |search| search.last_batch() == batch)
    }

    /// The search of a strategy that the batch goes on with.
    pub fn get(&self, batch: &BatchId, name: &str) -> Option<&Search> {
        self.all.values().find(|search| search.last_batch() == batch && search.name() == name)
    }

    /// The same where it is worth another attempt: not where it has gone without a better individual for as many rounds as
    /// patience allows.
    pub fn active(&self, settings: &Settings, batch: &BatchId, name: &str) -> Option<&Search> {
        let spent = |search: &Search| {
            settings.patience.is_some_and(|rounds| search.idle_rounds() >= rounds)
        };
        self.get(batch, name).filter(|search| !spent(search))
    }

    /// What metrics show of a batch's searches.
    pub fn summary(&self, settings: &Settings, batch: &BatchId) -> SearchSummary {
        let strategies = self.of(batch).map(|search| {
            let steps = search.steps().iter();
            let sigmas = steps.map(|(name, step)| (name.clone(), step.adapted)).collect();
            let (baseline, champion) = (search.baseline(), search.population()[0].fitness);
            let shown = StrategySearch { baseline, champion, sigmas };
            (search.name().to_owned(), shown)
        });
        let less_is_better = settings.direction == Direction::Minimize;
        SearchSummary { less_is_better, strategies: strategies.collect() }
    }

    /// The one that a batch would go on with.
    pub fn latest_of(&self, name: &str, source: &Digest) -> Option<&Search> {
        let key = (name.to_owned(), source.as_str().to_owned());
        self.all.get(&key).or_else(|| self.latest(source))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Search> {
        self.all.values()
    }

    /// Takes in those of another agent; of the same strategy and source the one that was used last stays.
    pub fn unite(&mut self, other: Self) {
        for (key, search) in other.all {
            let known = self.all.get(&key);
            if known.is_none_or(|known| known.last_batch() < search.last_batch()) {
                self.all.insert(key, search);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one with this digest that was used last.
    fn latest(&self, source: &Digest) -> Option<&Search> {
        let same = self.all.values().filter(|search| search.source() == source);
        same.max_by_key(|search| search.last_batch())
    }

    /// Forgets what is too much, but nothing of the batch that begins.
    fn forget(&mut self, batch: &BatchId) {
        let mut texts = BTreeMap::<&str, Vec<&BatchId>>::new();
        for search in self.all.values() {
            texts.entry(search.name()).or_default().push(search.last_batch());
        }
        // By name the batches from which on a search is kept.
        let kept: BTreeMap<String, BatchId> = texts
            .into_iter()
            .filter_map(|(name, mut batches)| {
                batches.sort_unstable_by(|one, other| other.cmp(one));
                Some((name.to_owned(), (*batches.get(Self::TEXTS - 1)?).clone()))
            })
            .collect();
        self.all.retain(|_, search| {
            search.last_batch() == batch
                || kept.get(search.name()).is_none_or(|from| search.last_batch() >= from)
        });
        while self.all.len() > Self::LIMIT {
            let others = self.all.iter().filter(|(_, search)| search.last_batch() != batch);
            let oldest = others.min_by_key(|(_, search)| search.last_batch());
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            self.all.remove(&key);
        }
    }
}

fn keyed(search: Search) -> ((String, String), Search) {
    ((search.name().to_owned(), search.source().as_str().to_owned()), search)
}

impl TryFrom<Vec<Search>> for Searches {
    type Error = String;

    /// What was read may be anybody's.
    fn try_from(all: Vec<Search>) -> Result<Self, Self::Error> {
        match all.iter().find_map(|search| Some((search.name(), search.fault()?))) {
            Some((name, fault)) => Err(format!("the search of `{name}` has {fault}")),
            None => Ok(Self { all: all.into_iter().map(keyed).collect() }),
        }
    }
}

impl Serialize for Searches {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all.values())
    }
}
