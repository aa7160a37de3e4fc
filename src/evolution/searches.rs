//! The searches of all strategies, from night to night.

use super::{Direction, Search, Settings, Start, Trial};
use crate::metrics::{SearchSummary, StrategySearch};
use crate::record::Record;
use crate::units::{BatchId, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The searches of an agent, each for one strategy. In JSON they are a list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Search>")]
pub struct Searches {
    /// By name; of each the texts that are known, by digest. Every record asks for one, so that nothing goes through all.
    all: BTreeMap<String, Vec<Search>>,
}

impl Searches {
    /// So many are kept, or two for each strategy that there is where that is more; beyond, those are forgotten that were not
    /// used for the longest time.
    pub const LIMIT: usize = 1000;

    /// So many value sets are remembered of all strategies together, which as JSON are a hundred megabytes; where the
    /// strategies are too many for `memory` of each, each has its share.
    pub const REMEMBERED: usize = 10_000_000;

    /// So many texts of one strategy are: what was edited may be as it was again.
    pub const TEXTS: usize = 3;

    /// Begins a batch: each strategy goes on with the search of its name and digest, or else with
    /// a copy of the last one that has its digest, or from its source. There are `strategies`, some of which
    /// may not start tonight, because they could not be judged.
    pub fn begin(
        &mut self,
        settings: &Settings,
        batch: &BatchId,
        seed: u64,
        starts: &[Start<'_>],
        strategies: usize,
    ) {
        let mut latest = self.latest();
        for start in starts {
            let known = self.exact(start.name, start.source).or_else(|| {
                let (_, name) = latest.get(start.source)?;
                self.exact(name, start.source)
            });
            let mut search = known.map_or_else(|| Search::new(batch, seed, start), Search::clone);
            search.resume(settings, batch, seed, start);
            note(&mut latest, &search);
            self.insert(search);
        }
        self.forget(batch, Self::LIMIT.max(2 * strategies));
        let share = self.share(settings);
        self.all.values_mut().flatten().for_each(|search| search.remember(&share));
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
        let share = self.share(settings);
        if let Some(search) = self.get_mut(batch, name) {
            search.take(&share, trial);
        }
    }

    /// Ends the round whose records were taken.
    pub fn end_round(&mut self, settings: &Settings) {
        let share = self.share(settings);
        self.all.values_mut().flatten().for_each(|search| search.end_round(&share));
    }

    /// Whether every strategy of the batch has gone without a better individual for as many rounds
    /// as patience allows.
    pub fn exhausted(&self, settings: &Settings, batch: &BatchId) -> bool {
        // Without patience it never is, even of no strategy.
        settings.patience.is_some() && self.of(batch).all(|search| search.is_spent(settings))
    }

    /// Those that the batch goes on with, by name.
    pub fn of<'a>(&'a self, batch: &'a BatchId) -> impl Iterator<Item = &'a Search> {
        self.iter().filter(move |search| search.last_batch() == batch)
    }

    /// The search of a strategy that the batch goes on with.
    pub fn get(&self, batch: &BatchId, name: &str) -> Option<&Search> {
        self.all.get(name)?.iter().find(|search| search.last_batch() == batch)
    }

    /// The same, to be reassessed.
    pub fn get_mut(&mut self, batch: &BatchId, name: &str) -> Option<&mut Search> {
        self.all.get_mut(name)?.iter_mut().find(|search| search.last_batch() == batch)
    }

    /// The same where it is worth another attempt: not where it has gone without a better individual for as many rounds as
    /// patience allows.
    pub fn active(&self, settings: &Settings, batch: &BatchId, name: &str) -> Option<&Search> {
        self.get(batch, name).filter(|search| !search.is_spent(settings))
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
        self.exact(name, source).or_else(|| {
            let same = self.iter().filter(|search| search.source() == source);
            same.max_by_key(|search| search.last_batch())
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Search> {
        self.all.values().flatten()
    }

    /// Takes in those of another agent; of the same strategy and source the one that was used last stays.
    pub fn unite(&mut self, other: Self) {
        for search in other.all.into_values().flatten() {
            let known = self.exact(search.name(), search.source());
            if known.is_none_or(|known| known.last_batch() < search.last_batch()) {
                self.insert(search);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn exact(&self, name: &str, source: &Digest) -> Option<&Search> {
        self.all.get(name)?.iter().find(|search| search.source() == source)
    }

    /// In the place of the one of its name and digest, or beside the others.
    fn insert(&mut self, search: Search) {
        let texts = self.all.entry(search.name().to_owned()).or_default();
        match texts.binary_search_by_key(&search.source(), Search::source) {
            Ok(at) => texts[at] = search,
            Err(at) => texts.insert(at, search),
        }
    }

    /// By digest the one that was used last: its batch and its name.
    fn latest(&self) -> Latest {
        let mut latest = Latest::new();
        self.iter().for_each(|search| note(&mut latest, search));
        latest
    }

    /// The settings with as much memory as there is for each strategy.
    fn share(&self, settings: &Settings) -> Settings {
        let share = Self::REMEMBERED / self.all.len().max(1);
        let memory =
            u32::try_from(share).map_or(settings.memory, |share| share.min(settings.memory));
        Settings { memory, ..*settings }
    }

    /// Forgets what is more than `limit`, but nothing of the batch that begins.
    fn forget(&mut self, batch: &BatchId, limit: usize) {
        for texts in self.all.values_mut().filter(|texts| texts.len() > Self::TEXTS) {
            let mut batches: Vec<BatchId> =
                texts.iter().map(|one| one.last_batch().clone()).collect();
            batches.sort_unstable();
            let from = &batches[batches.len() - Self::TEXTS];
            texts.retain(|search| search.last_batch() == batch || search.last_batch() >= from);
        }
        let surplus = self.len().saturating_sub(limit);
        if surplus == 0 {
            return;
        }
        let others = self.iter().filter(|search| search.last_batch() != batch);
        let mut others: Vec<(BatchId, String, Digest)> = others
            .map(|one| (one.last_batch().clone(), one.name().to_owned(), one.source().clone()))
            .collect();
        others.sort_unstable();
        for (_, name, source) in others.into_iter().take(surplus) {
            self.remove(&name, &source);
        }
    }

    fn remove(&mut self, name: &str, source: &Digest) {
        if let Some(texts) = self.all.get_mut(name) {
            texts.retain(|search| search.source() != source);
            if texts.is_empty() {
                self.all.remove(name);
            }
        }
    }
}

/// By digest of a source, the batch that used it last and the strategy's name.
type Latest = BTreeMap<Digest, (BatchId, String)>;

fn note(latest: &mut Latest, search: &Search) {
    let this = (search.last_batch().clone(), search.name().to_owned());
    match latest.entry(search.source().clone()) {
        Entry::Vacant(entry) => _ = entry.insert(this),
        Entry::Occupied(mut entry) if *entry.get() < this => _ = entry.insert(this),
        Entry::Occupied(_) => {}
    }
}

impl TryFrom<Vec<Search>> for Searches {
    type Error = String;

    /// What was read may be anybody's.
    fn try_from(all: Vec<Search>) -> Result<Self, Self::Error> {
        let fault = all.iter().find_map(|search| Some((search.name(), search.fault()?)));
        if let Some((name, fault)) = fault {
            return Err(format!("the search of `{name}` has {fault}"));
        }
        let mut searches = Self::default();
        for search in all {
            searches.insert(search);
        }
        Ok(searches)
    }
}

impl Serialize for Searches {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
