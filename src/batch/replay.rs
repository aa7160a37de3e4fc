//! A batch drawn again from its manifest: every proposal, from the seed and the audited evaluations alone.
//!
//! It needs neither the strategies nor today's config: the manifest has the values that stood in the
//! sources, the config in force, and where the search began.

use super::turns::{Turn, Turns};
use crate::audit::{Manifest, StrategyEntry, TargetEntry};
use crate::config::{Config, ConfigError};
use crate::evolution::{
    Constraint, Draft, Fate, Gene, Move, Proposing, Searches, Settings, Values, moves,
};
use crate::mutation::{Circle, Streams, Weights};
use crate::record::{Outcome, Record};
use crate::units::{BatchId, MutationId, Number};
use rand::Rng;
use std::collections::{BTreeMap, HashMap};

/// A batch that cannot be drawn again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Killed in its first moment, or from before manifests held their config.
    #[error("its manifest does not have {0}")]
    Missing(&'static str),
    /// The manifest lists a parameter that its own config does not have.
    #[error(
        "its manifest lists the parameter `{parameter}` in {strategy}, and its config has none of that name"
    )]
    Parameter {
        /// In which strategy.
        strategy: String,
        /// Which.
        parameter: String,
    },
    /// Its own config cannot be read any more.
    #[error("the config in its manifest cannot be used: {0}")]
    Config(#[from] ConfigError),
}

/// A record that is not what is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub mutation: MutationId,
    /// The field.
    pub field: &'static str,
    /// What stands there.
    pub found: String,
    /// What is drawn.
    pub expected: String,
}

/// A batch that is drawn again while its records are read.
pub struct Replay {
    id: BatchId,
    seed: u64,
    per_round: u32,
    circle: Circle,
    config: Config,
    strategies: Vec<Strategy>,
    /// Draws a variant; `None` where there are none.
    variants: Option<Weights>,
    evolution: Option<(Settings, Searches)>,
    /// The round that is read, and its random numbers, by strategy.
    round: u32,
    streams: Vec<Streams>,
    /// What is drawn in it, by its place: where there is a search, one after the other, each depends on those before it.
    drawn: BTreeMap<u32, Expected>,
}

/// A strategy as the manifest lists it.
struct Strategy {
    name: String,
    values: Values,
    /// Its targets, as indices into the config's parameters.
    parameters: Vec<usize>,
    weights: Weights,
    /// Numbers that are not mutated, of which rules may speak.
    fixed: Values,
}

/// What a record should say.
struct Expected {
    strategy: String,
    variant: Option<String>,
    parent: Option<String>,
    outcome: Foreseen,
    changes: Vec<Changed>,
}

/// What is known of an outcome before anything is judged.
#[derive(Clone, Copy)]
enum Foreseen {
    Is(Outcome),
    /// Whatever the rendering and the evaluator made of it.
    Judged,
}

struct Changed {
    parameter: String,
    operator: &'static str,
    old: Number,
    new: Number,
    clamped: bool,
}

impl Replay {
    /// Of the batch with this manifest.
    pub fn new(manifest: &Manifest) -> Result<Self, ReplayError> {
        let text = manifest.config.as_ref().ok_or(ReplayError::Missing("its config"))?;
        let seed = manifest.seed.ok_or(ReplayError::Missing("its seed"))?;
        let config = Config::replayed(text)?;
        let evolution = manifest.evolution.as_ref();
        let id = &manifest.summary.batch_id;
        let entries = manifest.strategies.iter();
        let strategies: Vec<Option<Strategy>> =
            entries.map(|entry| Strategy::of(entry, &config)).collect::<Result<_, _>>()?;
        let strategies: Vec<Strategy> = strategies.into_iter().flatten().collect();
        let circle = circle(manifest, &config, strategies.len())?;
        let variants: Vec<f64> = config.variants.iter().map(|variant| variant.weight).collect();
        Ok(Self {
            id: id.clone(),
            seed,
            per_round: manifest.mutations_per_round.max(1),
            circle,
            strategies,
            variants: Weights::new(&variants).ok(),
            evolution: evolution.map(|one| (one.settings, one.searches.clone())),
            config,
            round: 0,
            streams: Vec::new(),
            drawn: BTreeMap::new(),
        })
    }

    /// Compares the next record, and says where it is not what is drawn.
    pub fn take(&mut self, record: &Record<'_>) -> Result<(), Difference> {
        let mutation = record.mutation_id;
        let before = mutation.0.saturating_sub(1);
        let round = before / u64::from(self.per_round) + 1;
        let differs = |field, found: String, expected: String| {
            Err(Difference { mutation, field, found, expected })
        };
        if u64::from(record.round) != round {
            return differs("round", record.round.to_string(), round.to_string());
        }
        if record.round != self.round {
            self.begin_round(record.round);
        }
        if let Some((settings, searches)) = &mut self.evolution {
            searches.take(settings, record);
        }
        // Less than that is no more than a u32 holds.
        let place = u32::try_from(before % u64::from(self.per_round)).unwrap_or_default();
        let drawn;
        let expected = if mutation.0 == 0 || self.strategies.is_empty() {
            None
        } else if self.evolution.is_some() {
            self.drawn.get(&place)
        } else {
            let turns = Turns::new(&self.circle, self.round, self.per_round);
            drawn = turns.at(place).map(|turn| self.draw(turn, None));
            drawn.as_ref()
        };
        match expected {
            Some(expected) => expected.compare(record),
            None => differs("mutation_id", mutation.to_string(), "no such mutation".to_owned()),
        }
    }

    /// Goes on from what the records of the rounds before this one say.
    fn begin_round(&mut self, round: u32) {
        self.round = round;
        let names = self.strategies.iter().map(|strategy| &*strategy.name);
        self.streams = names.map(|name| Streams::new(self.seed, round, name)).collect();
        if let Some((settings, searches)) = &mut self.evolution {
            searches.end_round(settings);
        }
        self.drawn = self.draw_with_search();
    }

    /// The whole round; nothing where there is no search.
    fn draw_with_search(&self) -> BTreeMap<u32, Expected> {
        let Some((settings, searches)) = &self.evolution else { return BTreeMap::new() };
        let rules = &self.config.constraints;
        let fits: Vec<_> = self
            .strategies
            .iter()
            .map(|strategy| move |values: &Values| strategy.fits(rules, values))
            .collect();
        if self.strategies.is_empty() {
            return BTreeMap::new();
        }
        // Made when the first turn comes, as in the batch: a model takes time.
        let mut proposing = HashMap::new();
        let turns = Turns::new(&self.circle, self.round, self.per_round);
        let all = (0..turns.count()).map(|nth| turns.of(nth));
        let drawn = all.filter_map(|turn| {
            let make = || {
                let (strategy, fits) = (&self.strategies[turn.slot], &fits[turn.slot]);
                let search = searches.active(settings, &self.id, &strategy.name)?;
                Some(Proposing::new(settings, search).within(fits))
            };
            let proposing = proposing.entry(turn.slot).or_insert_with(make).as_mut()?;
            Some((turn.index, self.draw(turn, Some(proposing))))
        });
        drawn.collect()
    }

    /// What the attempt of this turn should be.
    fn draw(
        &self,
        Turn { slot, number, .. }: Turn,
        proposing: Option<&mut Proposing<'_>>,
    ) -> Expected {
        let strategy = &self.strategies[slot];
        let rng = &mut self.streams[slot].attempt(number);
        let variant = self.variants.as_ref().map(|weights| weights.pick(rng));
        let of_variant = variant.map(|index| &self.config.variants[index]);
        let most = of_variant.and_then(|one| one.parameters_per_mutation);
        let most = most.unwrap_or(self.config.evolution.parameters_per_mutation);
        let genes: Vec<Gene<'_>> = strategy
            .parameters
            .iter()
            .map(|index| {
                let parameter = &self.config.parameters[*index];
                let own = &parameter.mutator;
                let mutator = of_variant.map_or(own, |variant| &variant.mutators[*index]);
                Gene { name: &parameter.name, mutator, weight: parameter.weight }
            })
            .collect();
        let (parent, moves, values, fate) = if let Some(proposing) = proposing {
            let Draft { parent, moves, values, fate } =
                proposing.propose(&genes, most as usize, rng);
            (parent.born().map(|born| born.seen_from(&self.id)), moves, values, fate)
        } else {
            let plain = variant.is_none() && most == 1;
            let (moves, values, fate) = strategy.draw(&genes, plain, most, rng);
            (None, moves, values, fate)
        };
        let changes = moves.iter().map(|one| {
            let Gene { name, mutator, .. } = genes[one.gene];
            let new = values.get(name).copied().unwrap_or(one.old);
            let (operator, clamped) = (mutator.operator().as_str(), one.proposal.clamped);
            Changed { parameter: name.to_owned(), operator, old: one.old, new, clamped }
        });
        Expected {
            strategy: strategy.name.clone(),
            variant: of_variant.map(|variant| variant.name.clone()),
            parent,
            outcome: self.foreseen(strategy, fate, &values),
            changes: changes.collect(),
        }
    }

    fn foreseen(&self, strategy: &Strategy, fate: Fate, values: &Values) -> Foreseen {
        match fate {
            Fate::Unchanged => return Foreseen::Is(Outcome::NoChange),
            Fate::Duplicate => return Foreseen::Is(Outcome::Duplicate),
            Fate::New => {}
        }
        if strategy.fits(&self.config.constraints, values) {
            Foreseen::Judged
        } else {
            Foreseen::Is(Outcome::ConstraintViolated)
        }
    }
}

/// The turns as the manifest lists them, of so many strategies that are the batch's.
fn circle(manifest: &Manifest, config: &Config, own: usize) -> Result<Circle, ReplayError> {
    let id = &manifest.summary.batch_id;
    let is_left_out = |searches: &Searches| {
        let mut usable = manifest.strategies.iter().filter(|entry| !entry.usable.is_empty());
        usable.any(|entry| searches.get(id, &entry.path).is_none())
    };
    let searches = manifest.evolution.as_ref().map(|evolution| &evolution.searches);
    let patience = config.evolution.settings.patience.is_some();
    if manifest.turns.is_none() && searches.is_some_and(|all| patience || is_left_out(all)) {
        return Err(ReplayError::Missing("its turns: an older version gave them by another rule"));
    }
    let circle = manifest.circle().filter(|circle| circle.own().len() == own);
    circle.ok_or(ReplayError::Missing("the turns of its strategies"))
}

impl Strategy {
    /// As the manifest lists it; `None` where nothing of it is mutated.
    fn of(entry: &StrategyEntry, config: &Config) -> Result<Option<Self>, ReplayError> {
        let place = |target: &TargetEntry| {
            let known = config.parameters.iter().position(|one| one.name == target.parameter);
            known.ok_or_else(|| ReplayError::Parameter {
                strategy: entry.path.clone(),
                parameter: target.parameter.clone(),
            })
        };
        let parameters = entry.usable.iter().map(place).collect::<Result<Vec<usize>, _>>()?;
        let weights: Vec<f64> =
            parameters.iter().map(|index| config.parameters[*index].weight).collect();
        let values = entry.usable.iter().map(|target| (target.parameter.clone(), target.value));
        let fixed = entry.unusable.iter();
        let fixed = fixed.filter_map(|one| Some((one.parameter.clone(), one.value?)));
        // An error means that there is no target.
        Ok(Weights::new(&weights).ok().map(|weights| Self {
            name: entry.path.clone(),
            values: values.collect(),
            parameters,
            weights,
            fixed: fixed.collect(),
        }))
    }

    /// Whether values are within the rules. A batch asks for bounds too, and all that is drawn is within them.
    fn fits(&self, rules: &[Constraint], values: &Values) -> bool {
        let number = |name: &str| values.get(name).or_else(|| self.fixed.get(name)).copied();
        rules.iter().all(|rule| rule.holds(number) != Some(false))
    }

    /// An attempt from the source.
    fn draw(
        &self,
        genes: &[Gene<'_>],
        plain: bool,
        most: u32,
        rng: &mut impl Rng,
    ) -> (Vec<Move>, Values, Fate) {
        let moves = if plain {
            let gene = self.weights.pick(rng);
            let old = self.values.get(genes[gene].name).copied();
            let propose = |old: Number| Move {
                gene,
                old,
                proposal: genes[gene].mutator.propose(old.to_f64(), rng),
            };
            old.map(propose).into_iter().collect()
        } else {
            moves(genes, &self.values, most as usize, rng)
        };
        let mut values = self.values.clone();
        let mut fate = Fate::Unchanged;
        for one in moves.iter().filter(|one| one.proposal.changed) {
            let Gene { name, mutator, .. } = genes[one.gene];
            let new = Number::of(one.proposal.value, mutator.domain().kind());
            values.insert(name.to_owned(), new);
            fate = Fate::New;
        }
        (moves, values, fate)
    }
}

impl Expected {
    fn compare(&self, record: &Record<'_>) -> Result<(), Difference> {
        let own = std::iter::once((
            &record.parameter,
            record.operator,
            record.old_value,
            record.new_value,
            record.clamped,
        ));
        let also = record.also.iter().map(|also| {
            (&also.parameter, also.operator, also.old_value, also.new_value, also.clamped)
        });
        let found: Vec<_> = own.chain(also).collect();
        let none = || "null".to_owned();
        let text = |text: Option<&str>| text.map_or_else(none, str::to_owned);
        let mut pairs = vec![
            ("strategy", record.strategy.to_string(), self.strategy.clone()),
            ("variant", text(record.variant.as_deref()), text(self.variant.as_deref())),
            ("parent", text(record.parent.as_deref()), text(self.parent.as_deref())),
            ("also", found.len().to_string(), self.changes.len().to_string()),
        ];
        for ((parameter, operator, old, new, clamped), change) in found.iter().zip(&self.changes) {
            pairs.extend([
                ("parameter", parameter.to_string(), change.parameter.clone()),
                ("operator", operator.to_string(), change.operator.to_owned()),
                ("old_value", old.to_string(), change.old.to_string()),
                ("new_value", new.to_string(), change.new.to_string()),
                ("clamped", clamped.to_string(), change.clamped.to_string()),
            ]);
        }
        let outcome = record.outcome;
        if !self.outcome.allows(outcome) {
            pairs.push(("outcome", outcome.as_str().to_owned(), self.outcome.as_str().to_owned()));
        }
        match pairs.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((field, found, expected)) => {
                Err(Difference { mutation: record.mutation_id, field, found, expected })
            }
        }
    }
}

impl Foreseen {
    fn allows(self, outcome: Outcome) -> bool {
        match self {
            Self::Is(foreseen) => outcome == foreseen,
            Self::Judged => !matches!(
                outcome,
                Outcome::NoChange | Outcome::Duplicate | Outcome::ConstraintViolated
            ),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Is(outcome) => outcome.as_str(),
            Self::Judged => "another outcome",
        }
    }
}
