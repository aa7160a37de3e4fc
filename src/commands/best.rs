//! `best`: the best candidate of each strategy beside its source.

use super::{Configuration, Failure};
use crate::batch::{BatchPlan, PlannedStrategy, Provenance};
use crate::config::{Config, Secrets};
use crate::evolution::{Direction, Search, Searches};
use crate::exit::Exit;
use crate::state::Store;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Of which strategies, in which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Strategies by name or path; without any, all
    pub strategies: Vec<String>,
    /// An array of objects: values, fitness, and every mutation from the source on
    #[arg(long)]
    pub json: bool,
    /// What would change in the sources
    #[arg(long, conflicts_with = "json")]
    pub diff: bool,
}

/// Shows the champions, also while a batch runs; those are the ones of the batches before it.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let config = source.load(Secrets::Unneeded)?;
    let all = args.strategies.is_empty();
    let plan = if all { BatchPlan::make(&config, 0)? } else { BatchPlan::whole(&config)? };
    let searches = searches(&source.load_all(Secrets::Unneeded)?)?;
    let direction = config.evolution.settings.direction;
    let mut wanted: Vec<&PlannedStrategy> = plan.strategies.iter().collect();
    if !args.strategies.is_empty() {
        let named = args.strategies.iter().map(|name| named(&plan, name));
        wanted = named.collect::<Result<_, _>>()?;
    }
    let none = BTreeMap::new();
    let mut shown = Vec::new();
    for strategy in wanted {
        let champion = match Champion::of(strategy, &searches, direction) {
            Ok(champion) => champion,
            Err(why) => {
                if !args.json && !args.diff {
                    writeln!(out, "{}: {why}", strategy.name)?;
                }
                continue;
            }
        };
        let (search, best) = (champion.search, champion.individual());
        let provenance = Provenance::new(strategy, search, best, &none, direction, &champion.text);
        if args.diff {
            write!(out, "{}", diff(strategy, &champion.text))?;
        } else if args.json {
            shown.push(serde_json::to_value(&provenance).map_err(internal)?);
        } else {
            in_words(&provenance, out)?;
        }
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&shown).map_err(internal)?)?;
    }
    Ok(Exit::Done)
}

/// A candidate that is better than its source.
pub(super) struct Champion<'a> {
    pub(super) search: &'a Search,
    /// Its whole text.
    pub(super) text: String,
}

impl<'a> Champion<'a> {
    /// The best of a strategy as it stands now; or why there is none.
    pub(super) fn of(
        strategy: &PlannedStrategy,
        searches: &'a Searches,
        direction: Direction,
    ) -> Result<Self, String> {
        let Some(digest) = &strategy.sha256 else {
            return Err("cannot be read; see `mutation-agent check`".to_owned());
        };
        let Some(search) = searches.latest_of(&strategy.name, digest) else {
            let known = searches.iter().any(|search| search.name() == strategy.name);
            return Err(if known {
                "was changed or promoted since its candidates were evaluated; the next batch begins anew"
                    .to_owned()
            } else {
                "no candidate was evaluated yet".to_owned()
            });
        };
        let best = &search.population()[0];
        let is_known = best.values.keys().eq(strategy.values().keys());
        if !is_known || *search.sites() != strategy.sites() {
            return Err(
                "the parameters of the config are others than those that its candidates were evaluated with; the next batch sees to it"
                    .to_owned(),
            );
        }
        if best.born().is_none() || !direction.better(best.fitness, search.baseline()) {
            return Err(format!(
                "no candidate is better than the source (fitness {})",
                search.baseline()
            ));
        }
        let text = strategy.rendered(&best.values).map_err(|error| error.to_string())?;
        Ok(Self { search, text })
    }

    /// Its values and how it came about.
    pub(super) fn individual(&self) -> &'a crate::evolution::Individual {
        &self.search.population()[0]
    }
}

/// The searches of all shards, whoever looks.
pub(super) fn searches(configs: &[Config]) -> Result<Searches, Failure> {
    let mut all = Searches::default();
    for config in configs {
        all.unite(searches_of(config)?);
    }
    Ok(all)
}

/// The searches of one data folder.
pub(super) fn searches_of(config: &Config) -> Result<Searches, Failure> {
    let store = Store::new(&config.data_dir);
    match store.look() {
        Ok(Some(Ok(state))) => Ok(state.searches),
        Ok(None) => Ok(Searches::default()),
        Ok(Some(Err(error))) => {
            tracing::warn!(
                %error,
                "{} is corrupt; the next start makes it again from the audit",
                store.path().display()
            );
            Ok(Searches::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// The strategy that someone means by its name, its path, or the end of one of them.
pub(super) fn named<'a>(plan: &'a BatchPlan, text: &str) -> Result<&'a PlannedStrategy, Failure> {
    let exact = |one: &&PlannedStrategy| one.name == text || one.path == Path::new(text);
    if let Some(strategy) = plan.strategies.iter().find(exact) {
        return Ok(strategy);
    }
    let end = |one: &&PlannedStrategy| {
        one.path.ends_with(text) || one.path.with_extension("").ends_with(text)
    };
    let mut found = plan.strategies.iter().filter(end);
    match (found.next(), found.next()) {
        (Some(strategy), None) => Ok(strategy),
        (Some(one), Some(other)) => Err(Failure::said(
            Exit::Usage,
            format!("`{text}` could be {} or {}; give the whole name", one.name, other.name),
        )),
        (None, _) => {
            let names: Vec<&str> = plan.strategies.iter().map(|one| &*one.name).collect();
            let names = names.join(", ");
            Err(Failure::said(
                Exit::Usage,
                format!("no strategy is named `{text}`; there are: {names}"),
            ))
        }
    }
}

/// A unified diff, as `patch` takes it.
pub(super) fn diff(strategy: &PlannedStrategy, text: &str) -> String {
    let source = strategy.source.as_ref().map_or("", |source| source.text());
    let diff = TextDiff::from_lines(source, text);
    let (old, new) = (format!("a/{}", strategy.name), format!("b/{}", strategy.name));
    // Without a tab after it, `patch` ends a name at its first blank.
    let end = if strategy.name.contains(char::is_whitespace) { "\t" } else { "" };
    diff.unified_diff().header(&(old + end), &(new + end)).to_string()
}

fn in_words(provenance: &Provenance<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let Provenance { strategy, fitness, baseline_fitness, .. } = provenance;
    let steps = provenance.lineage.len() as u64 + provenance.earlier;
    let plural = if steps == 1 { "" } else { "s" };
    let born = provenance.mutation.map_or_else(String::new, ToString::to_string);
    writeln!(
        out,
        "{strategy}: fitness {fitness}, source {baseline_fitness}; {steps} mutation{plural} from it, the last {born}"
    )?;
    for (name, value) in provenance.values {
        let Some(source) = provenance.source_values.get(name).filter(|source| *source != value)
        else {
            continue;
        };
        writeln!(out, "  {name:<24} {source} -> {value}")?;
    }
    Ok(())
}

fn internal(error: impl std::error::Error) -> Failure {
    Failure::new(Exit::Internal, &error)
}
