//! What a batch will attempt: every strategy read and parsed once, every target found or told why not.

use super::planned::{self, PlannedStrategy};
use crate::audit::{StrategyEntry, TargetEntry, UnusableEntry};
use crate::config::{Config, ConfigError};
use crate::evolution::Constraint;
use crate::metrics::OutcomeSeries;
use crate::mutation::{Circle, Weights};
use crate::units::{MutationId, Shard};
use rand::Rng;
use std::collections::BTreeMap;

/// The strategies of a batch and their targets.
#[derive(Debug)]
pub struct BatchPlan {
    /// Seed of all random streams.
    pub seed: u64,
    /// Generations.
    pub rounds: u32,
    /// Attempts in each.
    pub mutations_per_round: u32,
    /// Those of our shard, in the order of their names.
    pub strategies: Vec<PlannedStrategy>,
    /// What must hold between the values of a strategy.
    pub constraints: Vec<Constraint>,
    /// Ways of mutating, one of which is drawn for each attempt, if there are any.
    pub variants: Vec<PlannedVariant>,
    /// How many parameters an attempt without a variant changes.
    most: usize,
    /// How often which variant is drawn.
    weights: Option<Weights>,
    /// Indices of the strategies that have usable targets.
    usable: Vec<usize>,
    /// The turns of all that have some; ours are parallel to `usable`.
    circle: Circle,
    /// Which of the strategies are ours; all if `None`.
    shard: Option<Shard>,
}

/// A way of mutating; how it proposes values is known to each target.
#[derive(Clone, Debug)]
pub struct PlannedVariant {
    /// Its name in records and labels.
    pub name: String,
    /// How many parameters its attempts change.
    most: usize,
}

impl BatchPlan {
    /// Reads all strategies. One that cannot be used is a finding, not an error. Which of them have turns decides which
    /// attempt is whose, and so those of other shards are read as well.
    pub fn make(config: &Config, seed: u64) -> Result<Self, ConfigError> {
        Self::of(config, seed, config.shard)
    }

    /// The strategies of all shards, for who looks at all that there is.
    pub fn whole(config: &Config) -> Result<Self, ConfigError> {
        Self::of(config, 0, None)
    }

    fn of(config: &Config, seed: u64, shard: Option<Shard>) -> Result<Self, ConfigError> {
        let files = config.strategy_files()?;
        let mut strategies = planned::read_all(config, &files);
        let ours: Vec<bool> =
            strategies.iter().map(|one| shard.is_none_or(|shard| shard.owns(&one.name))).collect();
        let circle = circle(&strategies, &ours);
        let mut ours = ours.into_iter();
        strategies.retain(|_| ours.next() == Some(true));
        let all = strategies.iter_mut().flat_map(|strategy| &mut strategy.targets);
        all.enumerate().for_each(|(number, target)| target.number = number);
        let usable = strategies.iter().enumerate().filter(|(_, one)| one.weights().is_some());
        let usual = config.evolution.parameters_per_mutation;
        let variants = config.variants.iter().map(|variant| PlannedVariant {
            name: variant.name.clone(),
            most: count(variant.parameters_per_mutation.unwrap_or(usual)),
        });
        let weights: Vec<f64> = config.variants.iter().map(|variant| variant.weight).collect();
        Ok(Self {
            seed,
            rounds: config.batch.rounds,
            mutations_per_round: config.batch.mutations_per_round,
            usable: usable.map(|(index, _)| index).collect(),
            circle,
            shard,
            strategies,
            constraints: config.constraints.clone(),
            variants: variants.collect(),
            most: count(usual),
            // An error means that there is no variant: the config lets no weight be 0.
            weights: Weights::new(&weights).ok(),
        })
    }

    /// Of a batch that attempts nothing itself, and records so many.
    pub(super) fn none(records: u64) -> Self {
        Self {
            seed: 0,
            rounds: 1,
            mutations_per_round: u32::try_from(records).unwrap_or(u32::MAX),
            strategies: Vec::new(),
            constraints: Vec::new(),
            variants: Vec::new(),
            most: 1,
            weights: None,
            usable: Vec::new(),
            circle: Circle::whole(1),
            shard: None,
        }
    }

    /// The variant of an attempt, by the first number of its stream; `None`, and nothing is drawn,
    /// where there are none.
    pub(super) fn variant(&self, rng: &mut impl Rng) -> Option<usize> {
        self.weights.as_ref().map(|weights| weights.pick(rng))
    }

    /// How many parameters an attempt changes; all of a strategy that has fewer.
    pub(super) fn most(&self, variant: Option<usize>) -> usize {
        variant.map_or(self.most, |index| self.variants[index].most)
    }

    /// Whether each attempt changes one parameter by its own rules.
    pub(super) const fn is_plain(&self) -> bool {
        self.weights.is_none() && self.most == 1
    }

    /// What is allowed and yet probably not meant: sources that break a constraint.
    pub fn warnings(&self) -> Vec<String> {
        let broken = self.strategies.iter().flat_map(|strategy| {
            strategy.broken_by_source(&self.constraints).map(|rule| {
                format!("{}: the source itself breaks the constraint `{rule}`", strategy.name)
            })
        });
        broken.collect()
    }

    /// Indices of the strategies with usable targets; attempts are spread evenly over them.
    pub fn usable(&self) -> &[usize] {
        &self.usable
    }

    /// Whose turn is when; ours are parallel to [`Self::usable`].
    pub(super) const fn circle(&self) -> &Circle {
        &self.circle
    }

    /// Whether there is nothing to do, because all turns are other shards'.
    pub fn is_elsewhere(&self) -> bool {
        self.attempts() == 0 && self.circle.all() > 0
    }

    /// Which of the strategies are ours, and of how many; `None` where all are.
    pub fn shard(&self) -> Option<(Shard, usize)> {
        self.shard.map(|shard| (shard, self.circle.all()))
    }

    /// Our attempts in all rounds.
    pub fn attempts(&self) -> u64 {
        self.circle.attempts(u64::from(self.rounds) * u64::from(self.mutations_per_round))
    }

    /// The id of the attempt number `index`, from 0, of `round`, from 1.
    pub(super) fn id_of(&self, round: u32, index: u32) -> MutationId {
        let before = u64::from(round - 1) * u64::from(self.mutations_per_round);
        MutationId(before + u64::from(index) + 1)
    }

    /// How many targets are `usable`, and how many are not for which reason.
    pub fn targets_by_state(&self) -> BTreeMap<String, u64> {
        let mut states = BTreeMap::from([("usable".to_owned(), 0)]);
        for strategy in &self.strategies {
            *states.entry("usable".to_owned()).or_default() += strategy.targets.len() as u64;
            for (_, reason) in &strategy.unusable {
                *states.entry(reason.as_str().to_owned()).or_default() += 1;
            }
        }
        states
    }

    /// The strategies as the manifest lists them.
    pub fn entries(&self) -> Vec<StrategyEntry> {
        let entries = self.strategies.iter().enumerate().map(|(index, strategy)| StrategyEntry {
            path: strategy.name.clone(),
            turn: self.shard.and_then(|_| self.turn_of(index)),
            sha256: strategy.sha256.clone(),
            usable: strategy
                .targets
                .iter()
                .map(|target| TargetEntry {
                    parameter: target.parameter.clone(),
                    line: target.site.line(),
                    value: target.value,
                })
                .collect(),
            unusable: strategy
                .unusable
                .iter()
                .map(|(parameter, reason)| UnusableEntry {
                    parameter: parameter.clone(),
                    reason: reason.as_str().to_owned(),
                    detail: reason.to_string(),
                    value: strategy.fixed(parameter),
                })
                .collect(),
        });
        entries.collect()
    }

    /// The place of a strategy among those that have turns.
    fn turn_of(&self, index: usize) -> Option<usize> {
        let own = self.usable.binary_search(&index).ok()?;
        self.circle.own().get(own).copied()
    }

    /// The series that this batch can count in.
    pub fn series(config: &Config) -> impl Iterator<Item = OutcomeSeries> + '_ {
        let own = config.parameters.iter().map(|one| (one, &one.mutator, None));
        // With variants each attempt has one.
        let own = own.filter(|_| config.variants.is_empty());
        let variants = config.variants.iter().flat_map(|variant| {
            let pairs = config.parameters.iter().zip(&variant.mutators);
            pairs.map(|(one, mutator)| (one, mutator, Some(variant.name.clone())))
        });
        own.chain(variants).map(|(one, mutator, variant)| OutcomeSeries {
            parameter: one.name.clone(),
            operator: mutator.operator(),
            variant,
        })
    }
}

/// The turns of strategies, of which these are ours.
fn circle(strategies: &[PlannedStrategy], ours: &[bool]) -> Circle {
    let usable = strategies.iter().zip(ours).filter(|(one, _)| one.weights().is_some());
    let usable: Vec<bool> = usable.map(|(_, is_ours)| *is_ours).collect();
    let own = usable.iter().enumerate().filter(|(_, is_ours)| **is_ours);
    // Numbers that were counted rise.
    Circle::new(usable.len(), own.map(|(place, _)| place).collect())
        .unwrap_or_else(|| Circle::whole(usable.len()))
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
