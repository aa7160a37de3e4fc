//! From night to night.

use super::{batch, search, settings, source, start, steps, trial};
use crate::evolution::{Search, Searches, Settings, Start, StepSize, Trial, Values};
use crate::record::Record;
use crate::units::{Digest, MutationId, Number};
use std::collections::BTreeMap;

/// The first night: two offspring beside the source, and a step that was adapted.
fn first_night() -> Search {
    let mut search = search();
    search.take(&settings(4), trial(1, None, "a", 0.2, 3.0));
    search.take(&settings(4), trial(2, None, "b", 0.6, 2.0));
    search.end_round(&settings(4));
    search
}

fn fitnesses(search: &Search) -> Vec<f64> {
    search.population().iter().map(|one| one.fitness).collect()
}

#[test]
fn survivors_steps_and_memory_go_on_in_the_next_night() {
    let (before, mut after) = (first_night(), first_night());
    start(1.0, &source(), |start| after.resume(&settings(4), &batch(2), 43, start));
    assert_eq!(after.population(), before.population());
    assert_eq!(after.steps(), before.steps());
    assert_eq!(after.remembered(), 3);
    assert_eq!((after.idle_rounds(), after.last_batch()), (0, &batch(2)));
    assert!(after.stale().is_empty());
}

#[test]
fn another_baseline_makes_survivors_stale_and_memory_empty() {
    let mut search = first_night();
    start(1.5, &source(), |start| search.resume(&settings(4), &batch(2), 43, start));
    assert_eq!(fitnesses(&search), [1.5]);
    assert_eq!((search.stale().len(), search.remembered()), (2, 1), "the source is judged already");
    let stale: Vec<_> = search.stale().to_vec();
    for fitness in [None, Some(4.0)] {
        search.reassess(&settings(4), fitness);
    }
    assert_eq!(fitnesses(&search), [4.0, 1.5]);
    assert_eq!(search.population()[0].values, stale[1].values);
    assert_eq!(search.population()[0].lineage.len(), 1);
    // The other one is asked for again.
    assert_eq!((search.stale(), search.remembered()), (&stale[..1], 2));
    start(1.5, &source(), |start| search.resume(&settings(4), &batch(3), 44, start));
    assert_eq!(search.stale(), &stale[..1]);
}

#[test]
fn survivors_outside_of_tonights_bounds_go_and_the_source_comes_back() {
    let mut search = first_night();
    search.select(&settings(2));
    let (digest, steps, values) = (Digest::of(b"source"), steps(), source());
    let fits = |values: &Values| values["a"].to_f64() < 0.15;
    let start = Start {
        sites: &BTreeMap::from([]),
        name: "s.py",
        source: &digest,
        baseline: 1.0,
        values: &values,
        steps: &steps,
        fits: &fits,
    };
    search.resume(&settings(4), &batch(2), 43, &start);
    assert_eq!(fitnesses(&search), [2.0, 1.0]);
}

#[test]
fn where_a_parameter_means_another_literal_the_search_begins_anew() {
    let (digest, values, steps) = (Digest::of(b"source"), source(), steps());
    let fits = |_: &Values| true;
    let begin = |search: &mut Search, site: u64| {
        let sites = BTreeMap::from([("a".to_owned(), site)]);
        let (sites, steps, values) = (&sites, &steps, &values);
        let (source, fits) = (&digest, &fits);
        let start = Start { name: "s.py", source, baseline: 1.0, values, sites, steps, fits };
        search.resume(&settings(4), &batch(2), 43, &start);
    };
    let mut search = first_night();
    begin(&mut search, 10);
    assert_eq!(search.population().len(), 3);
    begin(&mut search, 20);
    assert_eq!((fitnesses(&search), search.remembered()), (vec![1.0], 1));
}

#[test]
fn a_new_parameter_has_the_sources_value_and_one_that_went_makes_stale() {
    let mut search = first_night();
    let mut values = source();
    values.insert("m".into(), Number::Int(3));
    start(1.0, &values, |start| search.resume(&settings(4), &batch(2), 43, start));
    assert_eq!(search.population().len(), 3);
    assert!(search.population().iter().all(|one| one.values["m"] == Number::Int(3)));
    values.remove("b");
    start(1.0, &values, |start| search.resume(&settings(4), &batch(3), 44, start));
    assert_eq!((search.population().len(), search.stale().len()), (1, 2));
    values.insert("n".into(), Number::Float(20.0));
    start(1.0, &values, |start| search.resume(&settings(4), &batch(4), 45, start));
    assert!(search.stale().is_empty(), "an int is written otherwise than a float");
}

#[test]
fn a_step_begins_anew_where_the_config_has_another_sigma() {
    let mut search = first_night();
    let adapted = search.steps()["b"].adapted;
    let (digest, values, mut steps) = (Digest::of(b"source"), source(), steps());
    let anew = StepSize { configured: 0.3, adapted: 0.3, width: None };
    steps.insert("a".into(), anew);
    steps.remove("n");
    let start = Start {
        sites: &BTreeMap::from([]),
        name: "s.py",
        source: &digest,
        baseline: 1.0,
        values: &values,
        steps: &steps,
        fits: &|_| true,
    };
    search.resume(&settings(4), &batch(2), 43, &start);
    let steps: BTreeMap<&str, f64> =
        search.steps().iter().map(|(name, step)| (&**name, step.adapted)).collect();
    assert_eq!(steps, BTreeMap::from([("a", 0.3), ("b", adapted)]));
}

fn begin(searches: &mut Searches, night: u8, name: &str, text: &str) {
    begin_all(searches, &Settings::default(), night, &[(name, text)], 1);
}

/// A night of `strategies`, of which these have a baseline, given as name and text.
fn begin_all(
    searches: &mut Searches,
    settings: &Settings,
    night: u8,
    started: &[(&str, &str)],
    strategies: usize,
) {
    let (steps, sites, values) = (steps(), BTreeMap::from([]), source());
    let digests: Vec<_> = started.iter().map(|(_, text)| Digest::of(text.as_bytes())).collect();
    let starts = started.iter().zip(&digests).map(|((name, _), source)| Start {
        sites: &sites,
        name,
        source,
        baseline: 1.0,
        values: &values,
        steps: &steps,
        fits: &|_| true,
    });
    searches.begin(settings, &batch(night), 42, &starts.collect::<Vec<_>>(), strategies);
}

/// Names of so many strategies, each the text of itself.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number}.py")).collect()
}

fn texts(names: &[String]) -> Vec<(&str, &str)> {
    names.iter().map(|name| (&**name, &**name)).collect()
}

fn record(night: u8, name: &'static str) -> Record<'static> {
    let batch = std::borrow::Cow::Owned(batch(night));
    let mut record = crate::record::tests::sample(batch);
    (record.strategy, record.parameter) = (name.into(), "a".into());
    (record.mutation_id, record.fitness) = (MutationId(7), Some(2.0));
    record
}

#[test]
fn a_strategy_that_was_renamed_goes_on_and_one_that_was_rewritten_begins_anew() {
    let mut searches = Searches::default();
    begin(&mut searches, 1, "old.py", "text");
    searches.take(&Settings::default(), &record(1, "old.py"));
    searches.take(&Settings::default(), &record(2, "old.py"));
    searches.take(&Settings::default(), &record(1, "nobody.py"));
    searches.end_round(&Settings::default());
    begin(&mut searches, 2, "new.py", "text");
    begin(&mut searches, 2, "old.py", "another text");
    let survivors = |name| searches.get(&batch(2), name).unwrap().population().len();
    assert_eq!((survivors("new.py"), survivors("old.py")), (2, 1));
    assert_eq!((searches.len(), searches.of(&batch(2)).count()), (3, 2));
    let json = serde_json::to_string(&searches).unwrap();
    assert_eq!(serde_json::from_str::<Searches>(&json).unwrap(), searches);
}

#[test]
fn the_longest_unused_are_forgotten() {
    let (mut searches, names) = (Searches::default(), names(Searches::LIMIT));
    begin(&mut searches, 2, "old.py", "old");
    begin(&mut searches, 1, "older.py", "older");
    begin_all(&mut searches, &Settings::default(), 3, &texts(&names[1..]), 1);
    assert_eq!(searches.len(), Searches::LIMIT);
    let is_known = |night, name| searches.get(&batch(night), name).is_some();
    assert!(is_known(2, "old.py") && !is_known(1, "older.py"));
}

#[test]
fn of_many_strategies_those_that_cannot_be_judged_for_a_night_are_not_forgotten() {
    let (mut searches, names) = (Searches::default(), names(2 * Searches::LIMIT));
    let (all, settings) = (texts(&names), Settings::default());
    begin_all(&mut searches, &settings, 1, &all, all.len());
    begin_all(&mut searches, &settings, 2, &all[..1], all.len());
    assert_eq!((searches.len(), searches.of(&batch(2)).count()), (all.len(), 1));
    begin_all(&mut searches, &settings, 3, &all, all.len());
    assert_eq!(searches.of(&batch(3)).count(), all.len());
}

#[test]
fn many_strategies_share_what_is_remembered() {
    let settings = Settings { memory: 10_000, ..Settings::default() };
    let (mut searches, names) = (Searches::default(), names(Searches::REMEMBERED / 5000));
    begin_all(&mut searches, &settings, 1, &texts(&names[..1]), 1);
    for number in 0..6000 {
        let one = trial(number, None, "a", 0.1 + number as f64 / 1e6, 2.0);
        searches.take_trial(&settings, &batch(1), &names[0], one);
    }
    searches.end_round(&settings);
    let remembered = |searches: &Searches| searches.iter().map(Search::remembered).max();
    assert_eq!(remembered(&searches), Some(6000));
    begin_all(&mut searches, &settings, 2, &texts(&names), names.len());
    assert_eq!(remembered(&searches), Some(5000));
    let late = Trial { round: 2, ..trial(6001, None, "a", 0.2, 2.0) };
    searches.take_trial(&settings, &batch(2), &names[0], late);
    searches.end_round(&settings);
    assert_eq!(remembered(&searches), Some(5000));
}

#[test]
fn patience_ends_when_every_strategy_has_lost_it() {
    let patient = Settings { patience: Some(1), ..Settings::default() };
    let mut searches = Searches::default();
    begin(&mut searches, 1, "a.py", "a");
    begin(&mut searches, 1, "b.py", "b");
    let mut exhausted = Vec::new();
    for name in ["a.py", "b.py"] {
        searches.take(&patient, &Record { fitness: Some(0.5), ..record(1, name) });
        searches.end_round(&patient);
        exhausted.push(searches.exhausted(&patient, &batch(1)));
    }
    assert_eq!(exhausted, [false, true]);
    assert!(!searches.exhausted(&Settings::default(), &batch(1)));
}

#[test]
fn a_search_without_individuals_is_refused() {
    let mut json = serde_json::to_value(search()).unwrap();
    json["population"] = serde_json::json!([]);
    let error = serde_json::from_value::<Search>(json).unwrap_err();
    assert_eq!(error.to_string(), "a population needs at least one individual");
}
