//! What the end of a round makes of the round's records.

use super::{NAMES, batch, nearness, played, search, searching, settings, source, start, trial};
use crate::evolution::{Fingerprint, Individual, Search, Settings, Step, Trial};
use crate::record::Outcome;
use crate::units::Number;
use proptest::prelude::*;

fn folded(trials: impl IntoIterator<Item = Trial>, settings: &Settings) -> Search {
    folded_into(search(), trials, settings)
}

fn folded_into(
    mut search: Search,
    trials: impl IntoIterator<Item = Trial>,
    settings: &Settings,
) -> Search {
    trials.into_iter().for_each(|trial| search.take(settings, trial));
    search.end_round(settings);
    search
}

fn fitnesses(search: &Search) -> Vec<f64> {
    search.population().iter().map(|one| one.fitness).collect()
}

#[test]
fn the_best_of_parents_and_offspring_survive_and_the_source_is_one_of_them() {
    let trials = [
        trial(1, None, "a", 0.2, 3.0),
        trial(2, None, "a", 0.05, 0.5),
        trial(3, None, "b", 0.6, 2.0),
    ];
    let search = folded(trials, &settings(3));
    assert_eq!(fitnesses(&search), [3.0, 2.0, 1.0]);
    assert_eq!(search.population()[2].born(), None);
    assert_eq!(search.population()[0].values["a"].to_f64().to_bits(), 0.2_f64.to_bits());
    assert_eq!(search.population()[0].lineage[0].changes[0].parameter, "a");
}

#[test]
fn equal_values_survive_once_and_of_equal_fitness_the_older_one() {
    let trials = [
        trial(3, None, "a", 0.2, 2.0),
        trial(1, None, "b", 0.3, 1.0),
        trial(2, None, "a", 0.2, 2.0),
    ];
    let search = folded(trials, &settings(4));
    assert_eq!(fitnesses(&search), [2.0, 1.0, 1.0]);
    let born = search.population().iter().map(|one| one.born().map(|origin| origin.mutation.0));
    assert_eq!(born.collect::<Vec<_>>(), [Some(2), None, Some(1)]);
}

#[test]
fn smaller_is_better_where_the_config_says_so() {
    let settings = Settings { direction: crate::evolution::Direction::Minimize, ..settings(1) };
    let trials = [trial(1, None, "a", 0.2, 3.0), trial(2, None, "a", 0.3, -1.0)];
    assert_eq!(fitnesses(&folded(trials, &settings)), [-1.0]);
}

#[test]
fn what_the_evaluator_failed_on_is_remembered_and_survives_nowhere() {
    let mut failed = trial(1, None, "a", 0.2, 0.0);
    (failed.outcome, failed.fitness) = (Outcome::EvaluatorFailed, None);
    let mut violated = trial(2, None, "a", 0.3, 0.0);
    (violated.outcome, violated.fitness) = (Outcome::ConstraintViolated, None);
    let search = folded([failed, violated], &settings(4));
    assert_eq!((search.remembered(), search.population().len()), (1, 1));
    let mut values = source();
    values.insert("a".to_owned(), Number::Float(0.2));
    let values = Fingerprint::of(&values);
    assert!(search.remembers(values), "tonight");
    let mut tomorrow = search.clone();
    start(1.0, &source(), |start| tomorrow.resume(&settings(4), &batch(2), 43, start));
    assert!(!tomorrow.remembers(values), "it may be mended");
    assert_eq!(search.idle_rounds(), 1);
    assert_eq!(search.steps(), super::search().steps());
}

#[test]
fn a_record_of_an_unknown_parent_changes_nothing() {
    let mut expected = search();
    expected.idle_rounds = 1;
    assert_eq!(folded([trial(2, Some(1), "a", 0.2, 9.0)], &settings(4)), expected);
}

/// How long the way to each survivor is.
fn ways(search: &Search) -> Vec<usize> {
    search.population().iter().map(|one| one.lineage.len()).collect()
}

#[test]
fn whoever_survives_has_the_way_of_the_parent_it_was_born_of_and_one_step_more() {
    let settings = settings(3);
    let mut search = folded([trial(1, None, "a", 0.2, 2.0)], &settings);
    // The parent goes in the same round.
    let second = [
        trial(2, Some(1), "b", 0.3, 5.0),
        trial(3, None, "b", 0.4, 4.0),
        trial(4, Some(1), "b", 0.6, 3.0),
    ];
    search = folded_into(search, second.map(|one| Trial { round: 2, ..one }), &settings);
    assert_eq!((fitnesses(&search), ways(&search)), (vec![5.0, 4.0, 3.0], vec![2, 1, 2]));
    let born = search.population()[0].lineage.iter().map(|step| step.born.mutation.0);
    assert_eq!(born.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn of_a_long_way_the_end_is_kept_and_the_rest_is_counted() {
    let settings = settings(1);
    let first = trial(1, None, "a", 0.1001, 2.0);
    let mut search = folded([first], &settings);
    let rounds = u32::try_from(Individual::WAY).unwrap() + 8;
    for round in 2..=rounds {
        let (id, value) = (u64::from(round), 0.1 + f64::from(round) / 10_000.0);
        let next = trial(id, Some(id - 1), "a", value, 1.0 + f64::from(round));
        let next = Trial { round, ..next };
        search = folded_into(search, [next], &settings);
    }
    let best = &search.population()[0];
    assert_eq!((best.lineage.len(), best.earlier), (Individual::WAY, 8));
    assert_eq!(
        (best.lineage[0].born.mutation.0, best.born().unwrap().mutation.0),
        (9, rounds.into())
    );
    let step = Step { fitness: 99.0, ..best.lineage[0].clone() };
    let child = Individual::child(best, best.values.clone(), step);
    assert_eq!((child.lineage.len(), child.earlier, child.fitness), (Individual::WAY, 9, 99.0));
    assert!(child.lineage[..31] == best.lineage[1..]);
    let json = serde_json::to_string(&search).unwrap();
    assert_eq!(serde_json::from_str::<Search>(&json).unwrap(), search);
}

#[test]
fn a_log_in_which_ids_come_again_lets_no_way_grow_by_more_than_a_step_a_round() {
    let settings = settings(4);
    let mut search = folded([trial(5, None, "a", 0.1, 2.0)], &settings);
    for round in 2..20 {
        let again = trial(5, Some(5), "a", 0.1 + f64::from(round) / 100.0, 2.0 + f64::from(round));
        let other = trial(5, None, "b", 0.2 + f64::from(round) / 100.0, 2.0 + f64::from(round));
        let trials = [again, other].map(|one| Trial { round, ..one });
        search = folded_into(search, trials, &settings);
        assert!(
            ways(&search).iter().all(|way| *way <= round as usize),
            "{round}: {:?}",
            ways(&search)
        );
    }
}

#[test]
fn one_success_in_five_leaves_the_step_as_it_is() {
    let attempts = |better: u64| {
        let trials = (0..5).map(|id| {
            let fitness = if id < better { 2.0 } else { 0.0 };
            trial(id, None, "a", 0.101 + id as f64 / 1e3, fitness)
        });
        folded(trials, &settings(4)).steps()["a"].adapted / 0.15
    };
    let close = |left: f64, right: f64| (left - right).abs() < 1e-12;
    assert!(close(attempts(1), 1.0));
    assert!(close(attempts(0), 1.5_f64.powf(-1.25)));
    assert!(close(attempts(2), 1.5_f64.powf(1.25)));
    assert!(close(attempts(5), 3.0), "a round does not do more than that");
}

#[test]
fn a_plateau_leaves_the_step_as_it_is() {
    let search = folded((1..=5).map(|id| trial(id, None, "a", 0.2, 1.0)), &settings(4));
    assert_eq!(search.steps(), super::search().steps());
}

#[test]
fn steps_stay_within_their_range() {
    for (fitness, end) in [(0.0, 0.01), (2.0, 1.5)] {
        let mut search = search();
        for round in 1..=100 {
            let mut trial =
                trial(u64::from(round), None, "a", 0.2, fitness + f64::from(round) / 1e3);
            (trial.round, trial.fitness) = (round, Some(fitness));
            // The source stays the parent: with so many survivors nobody has to go.
            search.take(&settings(1000), trial);
        }
        search.end_round(&settings(1000));
        assert!((search.steps()["a"].adapted - end).abs() < 1e-12, "{:?}", search.steps());
    }
}

#[test]
fn rounds_without_a_better_one_are_counted_until_there_is_one() {
    let mut search = search();
    let mut idle = Vec::new();
    for (round, fitness) in (1_u32..).zip([0.5, 1.0, 2.0, 2.0]) {
        let mut trial = trial(round.into(), None, "a", 0.2 + f64::from(round) / 100.0, fitness);
        trial.round = round;
        search.take(&settings(4), trial);
        search.end_round(&settings(4));
        search.end_round(&settings(4));
        idle.push(search.idle_rounds());
    }
    assert_eq!(idle, [1, 2, 0, 1]);
}

#[test]
fn a_search_finds_the_best_values() {
    let (mut search, settings) = (searching(), settings(4));
    for round in 1..=30 {
        for trial in played(&search, round, 8, 1, nearness) {
            search.take(&settings, trial);
        }
        search.end_round(&settings);
    }
    assert!(search.population()[0].fitness > -0.002, "{:?}", search.population()[0]);
    let best = &search.population()[0];
    let fresh = search_values_by(&best.lineage);
    assert_eq!(fresh, best.values, "its lineage leads to it");
}

fn search_values_by(lineage: &[crate::evolution::Step]) -> crate::evolution::Values {
    let mut values = super::source();
    for change in lineage.iter().flat_map(|step| &step.changes) {
        assert_eq!(values.insert(change.parameter.clone(), change.new), Some(change.old));
    }
    values
}

/// Rounds as the agent would make them, whatever their order is later.
fn history(attempts: u64, most: usize, settings: &Settings) -> Vec<Vec<Trial>> {
    let mut search = searching();
    let rounds = (1..=6).map(|round| {
        let trials = played(&search, round, attempts, most, nearness);
        for trial in &trials {
            search.take(settings, trial.clone());
        }
        search.end_round(settings);
        trials
    });
    rounds.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_a_rounds_records_does_not_matter(
        attempts in 1_u64..12, most in 1..=NAMES.len(), survivors in 1_u32..6,
        cut in 0_usize..72, keys in prop::collection::vec(any::<u64>(), 72), saved in 0_usize..72,
    ) {
        let settings = settings(survivors);
        let mut rounds = history(attempts, most, &settings);
        // A batch that was killed has records missing at its end.
        let mut left = cut;
        for round in &mut rounds {
            round.truncate(left);
            left -= round.len();
        }
        let straight = folded_into(searching(), rounds.iter().flatten().cloned(), &settings);
        let mut shuffled = searching();
        let mut taken = 0;
        for round in &mut rounds {
            let mut order: Vec<_> = round.drain(..).zip(&keys[taken..]).collect();
            order.sort_by_key(|(_, key)| **key);
            for (trial, _) in order {
                shuffled.take(&settings, trial);
                taken += 1;
                if taken == saved {
                    let json = serde_json::to_string(&shuffled).unwrap();
                    shuffled = serde_json::from_str(&json).unwrap();
                }
            }
        }
        shuffled.end_round(&settings);
        prop_assert_eq!(shuffled, straight);
    }
}
