//! A strategy as a batch sees it: read and parsed once, every target found or told why not.

use crate::config::{Config, Parameter, StrategyFile};
use crate::disk;
use crate::evolution::{Constraint, Gene, Values};
use crate::mutation::{Mutator, Weights};
use crate::strategy::{self, Bindings, Original, Site, Source, Unusable};
use crate::units::{Decimal, Digest, Kind, Number};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::iter;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Longer files are no strategies that somebody wrote. A tree takes up to eighty bytes for each byte
/// of text, and so this is what bounds the memory of a start.
const LONGEST_STRATEGY: u64 = 4 << 20;

/// Strategies that take as long to read as a thread to start, a few times over.
const WORTH_A_THREAD: usize = 8;

/// A strategy as it was read.
#[derive(Debug)]
pub struct PlannedStrategy {
    /// Its name in records: the path as the config leads to it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Digest of its bytes; `None` where it could not be read.
    pub sha256: Option<Digest>,
    /// Its text; `None` where it could not be parsed, and then no target is usable.
    pub source: Option<Original>,
    /// What is mutated.
    pub targets: Vec<Target>,
    /// What is not: the parameter's name, and why.
    pub unusable: Vec<(String, Unusable)>,
    /// Numbers that stand in it and are not mutated, by the names of their unusable parameters.
    fixed: BTreeMap<String, Number>,
    /// Indices of the plan's constraints that speak of nothing but its numbers.
    rules: Vec<usize>,
    weights: Option<Weights>,
}

/// A parameter in a strategy.
#[derive(Debug)]
pub struct Target {
    /// The parameter's name.
    pub parameter: String,
    /// Where its literal stands.
    pub site: Site,
    /// How its values are proposed where there are no variants.
    pub mutator: Mutator,
    /// How the variants propose them; parallel to the plan's.
    mutators: Vec<Mutator>,
    /// The value in the source.
    pub value: Number,
    /// Its number among all targets of the plan, from 0.
    pub number: usize,
    weight: f64,
}

impl PlannedStrategy {
    /// Draws a target by weight; `None` where there is none.
    pub(super) const fn weights(&self) -> Option<&Weights> {
        self.weights.as_ref()
    }

    /// Its targets as a search draws them, by the rules of a variant if there is one.
    pub(super) fn genes(&self, variant: Option<usize>) -> Vec<Gene<'_>> {
        let genes = self.targets.iter().map(|target| Gene {
            name: &target.parameter,
            mutator: target.mutator_of(variant),
            weight: target.weight,
        });
        genes.collect()
    }

    /// The values of its targets in the source.
    pub fn values(&self) -> Values {
        self.targets.iter().map(|target| (target.parameter.clone(), target.value)).collect()
    }

    /// The number of a parameter that is not mutated.
    pub(super) fn fixed(&self, parameter: &str) -> Option<Number> {
        self.fixed.get(parameter).copied()
    }

    /// Where the literals of its targets stand in the source, in bytes.
    pub fn sites(&self) -> BTreeMap<String, u64> {
        let sites = self.targets.iter();
        sites.map(|one| (one.parameter.clone(), one.site.range().start as u64)).collect()
    }

    /// Indices of the plan's constraints that speak of nothing but its numbers.
    pub fn rules(&self) -> &[usize] {
        &self.rules
    }

    /// The first of the plan's constraints that does not hold where the targets have the values
    /// that `value` gives by their index.
    pub(super) fn violated(
        &self,
        constraints: &[Constraint],
        value: impl Fn(usize) -> Number,
    ) -> Option<usize> {
        let lookup = |name: &str| {
            let target = self.targets.iter().position(|target| target.parameter == name);
            target.map(&value).or_else(|| self.fixed.get(name).copied())
        };
        let mut rules = self.rules.iter().copied();
        rules.find(|rule| constraints[*rule].holds(lookup) == Some(false))
    }

    /// The constraints that the source itself breaks.
    pub fn broken_by_source<'c>(
        &self,
        constraints: &'c [Constraint],
    ) -> impl Iterator<Item = &'c Constraint> {
        let rules = self.rules.iter().map(|rule| &constraints[*rule]);
        rules.filter(|rule| rule.holds(|name| self.number(name)) == Some(false))
    }

    /// What of a rule's names it has no number for; nothing where the rule applies to it.
    pub fn missing<'c>(&self, rule: &'c Constraint) -> Vec<&'c str> {
        let mut names: Vec<&str> =
            rule.names().filter(|name| self.number(name).is_none()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The number in the source, whether it is mutated or not.
    fn number(&self, name: &str) -> Option<Number> {
        let target = self.targets.iter().find(|target| target.parameter == name);
        target.map(|target| target.value).or_else(|| self.fixed.get(name).copied())
    }
}

impl Target {
    /// One of the domain's values, with all decimals of the step.
    pub(super) fn decimal(&self, value: f64) -> Decimal {
        let domain = self.mutator.domain();
        domain.value(domain.nearest(value))
    }

    /// How its values are proposed, by a variant if there is one.
    pub(super) fn mutator_of(&self, variant: Option<usize>) -> &Mutator {
        variant.and_then(|index| self.mutators.get(index)).unwrap_or(&self.mutator)
    }
}

/// Reads strategies, on every core where there are many.
pub(super) fn read_all(config: &Config, files: &[StrategyFile]) -> Vec<PlannedStrategy> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let read_some = || {
        let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let files = numbers.map_while(|number| Some((number, files.get(number)?)));
        files.map(|(number, file)| (number, read(config, file))).collect::<Vec<_>>()
    };
    let mut strategies = thread::scope(|scope| {
        // One that cannot be had is not needed.
        let start = || thread::Builder::new().spawn_scoped(scope, read_some).ok();
        let helpers = 1..cores.min(files.len() / WORTH_A_THREAD);
        let helpers: Vec<_> = helpers.filter_map(|_| start()).collect();
        let mut strategies = read_some();
        for helper in helpers {
            strategies.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        strategies
    });
    strategies.sort_unstable_by_key(|(number, _)| *number);
    strategies.into_iter().map(|(_, strategy)| strategy).collect()
}

/// Reads a strategy. One that cannot be used is a finding, not an error.
fn read(config: &Config, file: &StrategyFile) -> PlannedStrategy {
    let mut strategy = PlannedStrategy {
        name: file.name.clone(),
        path: file.path.clone(),
        sha256: None,
        source: None,
        targets: Vec::new(),
        unusable: Vec::new(),
        fixed: BTreeMap::new(),
        rules: Vec::new(),
        weights: None,
    };
    match parse(config, &mut strategy) {
        Ok(source) => {
            let bindings = source.bindings();
            for (index, parameter) in config.parameters.iter().enumerate() {
                add(config, &bindings, index, parameter, &mut strategy);
            }
            strategy.source = Some(source.into_original());
        }
        Err(reason) => {
            let all = config.parameters.iter().map(|one| (one.name.clone(), reason.clone()));
            strategy.unusable = all.collect();
        }
    }
    let weights: Vec<f64> = strategy.targets.iter().map(|target| target.weight).collect();
    let rules = config.constraints.iter().enumerate();
    let rules = rules.filter(|(_, rule)| strategy.missing(rule).is_empty());
    strategy.rules = rules.map(|(index, _)| index).collect();
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
    let mut bytes = Vec::with_capacity(disk::room(metadata.len()));
    // It may grow while it is read.
    File::open(path)?.take(LONGEST_STRATEGY + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_STRATEGY { Err(too_long()) } else { Ok(bytes) }
}

/// Adds a parameter to what is mutated in the strategy, or to what is not.
fn add(
    config: &Config,
    bindings: &Bindings<'_>,
    index: usize,
    parameter: &Parameter,
    strategy: &mut PlannedStrategy,
) {
    let name = || parameter.name.clone();
    let occurrence = parameter.occurrence.and_then(NonZeroUsize::new);
    let site = match bindings.site(&parameter.selector, occurrence) {
        Ok(site) => site,
        Err(reason) => return strategy.unusable.push((name(), reason)),
    };
    let domain = parameter.mutator.domain();
    let (min, max) = domain.bounds();
    if let Err(reason) = strategy::check(&site, domain.kind(), min, max) {
        strategy.fixed.insert(name(), site.value());
        strategy.unusable.push((name(), reason));
        return;
    }
    let variants = config.variants.iter();
    strategy.targets.push(Target {
        parameter: name(),
        value: match (domain.kind(), site.value()) {
            // `1` for a float parameter is the double 1.0, in the audit too.
            (Kind::Float, Number::Int(value)) => Number::Float(value as f64),
            (_, value) => value,
        },
        site,
        number: 0,
        mutator: parameter.mutator.clone(),
        mutators: variants.map(|variant| variant.mutators[index].clone()).collect(),
        weight: parameter.weight,
    });
}
