//! What a batch will attempt: every strategy read and parsed once, every target found or told why not.

use crate::audit::{StrategyEntry, TargetEntry, UnusableEntry};
use crate::config::{Config, ConfigError, Parameter};
use crate::evolution::{Constraint, Values};
use crate::metrics::OutcomeSeries;
use crate::mutation::{Mutator, Weights};
use crate::strategy::{self, Site, Source, Unusable};
use crate::units::{Decimal, Digest, Number};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Longer files are no strategies that somebody wrote. A tree takes up to eighty bytes for each byte
/// of text, and so this is what bounds the memory of a start.
const LONGEST_STRATEGY: u64 = 4 << 20;

/// The strategies of a batch and their targets.
#[derive(Debug)]
pub struct BatchPlan {
    /// Seed of all random streams.
    pub seed: u64,
    /// Generations.
    pub rounds: u32,
    /// Attempts in each.
    pub mutations_per_round: u32,
    /// How many parameters an attempt changes.
    pub parameters_per_mutation: u32,
    /// What must hold between them.
    pub constraints: Vec<Constraint>,
    /// In the order of their names.
    pub strategies: Vec<PlannedStrategy>,
    /// Indices of the strategies that have usable targets.
    usable: Vec<usize>,
}

/// A strategy as it was read.
#[derive(Debug)]
pub struct PlannedStrategy {
    /// Its name in records: the path as the config leads to it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Digest of its bytes; `None` where it could not be read.
    pub sha256: Option<Digest>,
    /// Its text, parsed; `None` where that failed, and then no target is usable.
    pub source: Option<Source>,
    /// What is mutated.
    pub targets: Vec<Target>,
    /// What is not: the parameter's name, and why.
    pub unusable: Vec<(String, Unusable)>,
    weights: Option<Weights>,
}

/// A parameter in a strategy.
#[derive(Debug)]
pub struct Target {
    /// The parameter's name.
    pub parameter: String,
    /// Where its literal stands.
    pub site: Site,
    /// How its values are proposed.
    pub mutator: Mutator,
    /// The value in the source.
    pub value: Number,
    /// Its number among all targets of the plan, from 0.
    pub number: usize,
    pub(super) weight: f64,
}

impl Target {
    /// One of the domain's values, with all decimals of the step.
    pub(super) fn decimal(&self, value: f64) -> Decimal {
        let domain = self.mutator.domain();
        domain.value(domain.nearest(value))
    }
}

impl BatchPlan {
    /// Reads all strategies. One that cannot be used is a finding, not an error.
    pub fn make(config: &Config, seed: u64) -> Result<Self, ConfigError> {
        let files = config.strategy_files()?;
        let mut strategies: Vec<PlannedStrategy> =
            files.into_iter().map(|file| read(config, file.name, file.path)).collect();
        let all = strategies.iter_mut().flat_map(|strategy| &mut strategy.targets);
        all.enumerate().for_each(|(number, target)| target.number = number);
        let usable = strategies.iter().enumerate().filter(|(_, one)| one.weights.is_some());
        Ok(Self {
            seed,
            rounds: config.batch.rounds,
            mutations_per_round: config.batch.mutations_per_round,
            parameters_per_mutation: config.evolution.parameters_per_mutation,
            constraints: config.constraints.clone(),
            usable: usable.map(|(index, _)| index).collect(),
            strategies,
        })
    }

    /// Indices of the strategies with usable targets; attempts are spread evenly over them.
    pub fn usable(&self) -> &[usize] {
        &self.usable
    }

    /// The first rule that does not hold for these values.
    pub(super) fn broken_rule(&self, values: &Values) -> Option<&Constraint> {
        let broken =
            |rule: &&Constraint| rule.holds(|name| values.get(name).copied()) == Some(false);
        self.constraints.iter().find(broken)
    }

    /// Attempts in all rounds.
    pub fn attempts(&self) -> u64 {
        u64::from(self.rounds) * u64::from(self.mutations_per_round)
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
        let entries = self.strategies.iter().map(|strategy| StrategyEntry {
            path: strategy.name.clone(),
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
                })
                .collect(),
        });
        entries.collect()
    }

    /// The series that this batch can count in.
    pub fn series(config: &Config) -> impl Iterator<Item = OutcomeSeries> + '_ {
        config.parameters.iter().map(|one| OutcomeSeries {
            parameter: one.name.clone(),
            operator: one.mutator.operator(),
            variant: None,
        })
    }
}

impl PlannedStrategy {
    /// Draws a target by weight; `None` where there is none.
    pub(super) fn weights(&self) -> Option<&Weights> {
        self.weights.as_ref()
    }
}

fn read(config: &Config, name: String, path: PathBuf) -> PlannedStrategy {
    let mut strategy = PlannedStrategy {
        name,
        path,
        sha256: None,
        source: None,
        targets: Vec::new(),
        unusable: Vec::new(),
        weights: None,
    };
    match parse(config, &mut strategy) {
        Ok(source) => {
            for parameter in &config.parameters {
                match find(&source, parameter) {
                    Ok(target) => strategy.targets.push(target),
                    Err(reason) => strategy.unusable.push((parameter.name.clone(), reason)),
                }
            }
            strategy.source = Some(source);
        }
        Err(reason) => {
            let all = config.parameters.iter().map(|one| (one.name.clone(), reason.clone()));
            strategy.unusable = all.collect();
        }
    }
    let weights: Vec<f64> = strategy.targets.iter().map(|target| target.weight).collect();
    // An error means that there is no target: the config lets no weight be 0.
    strategy.weights = Weights::new(&weights).ok();
    strategy
}

fn parse(config: &Config, strategy: &mut PlannedStrategy) -> Result<Source, Unusable> {
    let unreadable = |message: String| Unusable::Unreadable { message };
    let bytes = read_bytes(&strategy.path).map_err(|error| unreadable(error.to_string()))?;
    strategy.sha256 = Some(Digest::of(&bytes));
    Source::parse(bytes, config.strategies.python)
        .map_err(|error| Unusable::InvalidSource { message: error.to_string() })
}

/// Links to strategies are fine, so this is no `disk::read`.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::other(format!("longer than {LONGEST_STRATEGY} bytes"));
    let metadata = path.metadata()?;
    // A pipe would hold up the start.
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > LONGEST_STRATEGY {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    File::open(path)?.take(LONGEST_STRATEGY + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_STRATEGY { Err(too_long()) } else { Ok(bytes) }
}

fn find(source: &Source, parameter: &Parameter) -> Result<Target, Unusable> {
    let site =
        source.site(&parameter.selector, parameter.occurrence.and_then(NonZeroUsize::new))?;
    let domain = parameter.mutator.domain();
    let (min, max) = domain.bounds();
    strategy::check(&site, domain.kind(), min, max)?;
    Ok(Target {
        parameter: parameter.name.clone(),
        value: match (domain.kind(), site.value()) {
            // `1` for a float parameter is the double 1.0, in the audit too.
            (crate::units::Kind::Float, Number::Int(value)) => Number::Float(value as f64),
            (_, value) => value,
        },
        site,
        number: 0,
        mutator: parameter.mutator.clone(),
        weight: parameter.weight,
    })
}
