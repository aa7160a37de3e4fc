//! What an attempt proposes.

use super::{NAMES, mutators, nearness, played, search, searching, settings, source};
use crate::evolution::{Fate, Fingerprint, Gene, Memory, Proposing, Values, moves};
use crate::mutation::{BoundRule, Domain, Mutator, Operator, Streams, Weights};
use crate::units::{Kind, Number};
use std::collections::HashSet;

#[test]
fn nothing_is_proposed_twice_as_long_as_it_is_remembered() {
    let (mut search, settings) = (searching(), settings(4));
    let mut seen = HashSet::from([Fingerprint::of(&source())]);
    for round in 1..=12 {
        let trials = played(&search, round, 16, 2, nearness);
        for trial in trials {
            let mut survivors = search.population().iter();
            let parent = survivors.find(|one| one.born() == trial.parent.as_ref()).unwrap();
            let mut values = parent.values.clone();
            for change in &trial.changes {
                values.insert(change.parameter.clone(), change.new);
            }
            assert!(trial.fitness.is_none() || seen.insert(Fingerprint::of(&values)));
            search.take(&settings, trial);
        }
        search.end_round(&settings);
    }
    assert_eq!((search.remembered(), seen.len()), (193, 193), "no attempt was wasted");
}

#[test]
fn where_all_is_tried_it_is_a_duplicate() {
    let domain =
        Domain::new(Kind::Int, "19".parse().unwrap(), "21".parse().unwrap(), "1".parse().unwrap());
    let mutator = Mutator::new(domain.unwrap(), None, None, BoundRule::Reflect).unwrap();
    let genes = [Gene { name: "n", mutator: &mutator, weight: 1.0 }];
    let search = search();
    let mut proposing = Proposing::new(&settings(4), &search);
    let fates: Vec<Fate> = (0..4)
        .map(|attempt| {
            let mut rng = Streams::new(1, 1, "s.py").attempt(attempt);
            proposing.propose(&genes, 1, &mut rng).fate
        })
        .collect();
    assert_eq!(fates[..2], [Fate::New, Fate::New]);
    assert!(!fates[2..].contains(&Fate::New), "{fates:?}");
}

#[test]
fn as_many_parameters_change_as_are_asked_for_each_once() {
    let search = search();
    for most in 1..=5 {
        for trial in played(&search, 1, 8, most, nearness) {
            let names: HashSet<_> = trial.changes.iter().map(|one| &one.parameter).collect();
            assert_eq!(names.len(), trial.changes.len());
            assert!(names.len() <= most.min(NAMES.len()));
        }
    }
}

#[test]
fn the_adapted_step_is_what_values_are_drawn_with() {
    let spread = |adapted: f64| {
        let mut search = search();
        search.steps.get_mut("a").unwrap().adapted = adapted;
        let trials = played(&search, 1, 64, 3, nearness);
        let changes = trials.iter().flat_map(|trial| &trial.changes);
        let moves = changes.filter(|change| change.parameter == "a");
        let sizes = moves.map(|change| (change.new.to_f64() / change.old.to_f64()).ln().abs());
        sizes.sum::<f64>() / 64.0
    };
    assert!(spread(0.05) < 0.08 && spread(0.5) > 0.2, "{} {}", spread(0.05), spread(0.5));
}

#[test]
fn a_variants_own_sigma_is_scaled_by_what_was_learned() {
    let step = crate::evolution::StepSize { configured: 0.1, adapted: 0.2, width: None };
    assert!((step.of(0.1) - 0.2).abs() < 1e-12);
    assert!((step.of(0.3) - 0.6).abs() < 1e-12);
    assert!((step.of(1.0) - 1.5).abs() < 1e-12, "within the range");
}

#[test]
fn a_model_leads_to_the_best_values_in_few_evaluations() {
    let (mut search, settings) = (searching(), settings(4));
    for round in 1..=10 {
        for trial in played(&search, round, 8, 3, nearness) {
            search.take(&settings, trial);
        }
        search.end_round(&settings);
    }
    assert!(search.population()[0].fitness > -0.02, "{:?}", search.population()[0]);
}

#[test]
fn where_a_model_chooses_it_stays_within_the_constraints() {
    let (mut search, settings) = (searching(), settings(4));
    for round in 1..=5 {
        for trial in played(&search, round, 8, 3, nearness) {
            search.take(&settings, trial);
        }
        search.end_round(&settings);
    }
    let mutators = mutators();
    let genes = NAMES.iter().zip(&mutators);
    let genes: Vec<Gene<'_>> =
        genes.map(|(name, mutator)| Gene { name, mutator, weight: 1.0 }).collect();
    let bound = search.population()[0].values["a"].to_f64();
    let drafts = |fits: &dyn Fn(&Values) -> bool| -> Vec<f64> {
        let mut proposing = Proposing::new(&settings, &search).within(fits);
        let drafts = (0..20).map(|attempt| {
            proposing.propose(&genes, 3, &mut Streams::new(9, 9, "s.py").attempt(attempt))
        });
        drafts.map(|draft| draft.values["a"].to_f64()).collect()
    };
    // Whichever way the model leads is forbidden.
    let free = drafts(&|_| true);
    let up = free.iter().filter(|value| **value > bound).count() > 5;
    let outside = |value: f64| if up { value > bound } else { value < bound };
    assert!(free.iter().any(|value| outside(*value)), "{free:?}");
    let held = drafts(&|values| !outside(values["a"].to_f64()));
    assert!(!held.iter().any(|value| outside(*value)), "{held:?}");
}

#[test]
fn operators_on_another_scale_step_from_the_parent_by_themselves() {
    let mutators = Operator::ALL.map(|operator| {
        let domain = mutators()[0].domain().clone();
        Mutator::new(domain, Some(operator), None, BoundRule::Reflect).unwrap()
    });
    let search = search();
    for mutator in &mutators {
        let genes = [Gene { name: "a", mutator, weight: 1.0 }];
        let mut proposing = Proposing::new(&settings(4), &search);
        let mut rng = Streams::new(1, 1, "s.py").attempt(0);
        let draft = proposing.propose(&genes, 1, &mut rng);
        assert_eq!((draft.fate, draft.moves.len()), (Fate::New, 1), "{}", mutator.operator());
        assert!(mutator.domain().contains(draft.values["a"].to_f64()));
    }
}

#[test]
fn a_sigma_above_the_limit_moves_whole_numbers_within_their_bounds() {
    let [_, _, whole] = mutators();
    let mut rng = Streams::new(1, 1, "s.py").attempt(0);
    let values: Vec<f64> =
        (0..1000).map(|_| whole.propose_with(1.5, 20.0, &mut rng).value.to_f64()).collect();
    assert!(values.iter().all(|value| (1.0..=60.0).contains(value)));
    assert!(values.iter().filter(|value| **value > 20.0).count().abs_diff(500) < 200);
}

#[test]
fn a_memory_keeps_the_last_and_reads_back() {
    let prints: Vec<Fingerprint> = (1..=5).map(Fingerprint).collect();
    let mut memory: Memory = prints.iter().copied().collect();
    memory.insert(prints[0], 3);
    assert!(!memory.contains(prints[1]) && memory.contains(prints[2]) && memory.len() == 3);
    let json = serde_json::to_string(&memory).unwrap();
    assert_eq!(json, "\"AAAAAAAAAAMAAAAAAAAABAAAAAAAAAAF\"");
    assert_eq!(serde_json::from_str::<Memory>(&json).unwrap(), memory);
    assert!(serde_json::from_str::<Memory>("\"AAAA\"").is_err());
    memory.insert(prints[0], 0);
    assert!(memory.is_empty() && !memory.contains(prints[0]));
}

/// Pinned: a memory must know tomorrow, on another machine, what it knew today.
#[test]
fn the_fingerprint_of_the_source_is_this() {
    assert_eq!(Fingerprint::of(&source()), Fingerprint(8_555_617_086_694_753_264));
    let mut negative = source();
    negative.insert("b".into(), crate::units::Number::Float(-0.0));
    let mut positive = source();
    positive.insert("b".into(), crate::units::Number::Float(0.0));
    assert_eq!(Fingerprint::of(&negative), Fingerprint::of(&positive));
}

/// A batch without an evaluator draws one parameter at a time by this shorter way.
#[test]
fn one_parameter_is_drawn_as_by_weights_and_its_mutator_alone() {
    let mutators = mutators();
    let weights = [1.0, 0.5, 3.0];
    let genes = NAMES.iter().zip(&mutators).zip(weights);
    let genes: Vec<Gene<'_>> =
        genes.map(|((name, mutator), weight)| Gene { name, mutator, weight }).collect();
    let (weights, streams) = (Weights::new(&weights).unwrap(), Streams::new(3, 1, "s.py"));
    for attempt in 0..500 {
        let ours = moves(&genes, &source(), 1, &mut streams.attempt(attempt));
        let mut rng = streams.attempt(attempt);
        let gene = weights.pick(&mut rng);
        let proposal = mutators[gene].propose(source()[NAMES[gene]].to_f64(), &mut rng);
        assert_eq!(ours.len(), 1);
        assert_eq!((ours[0].gene, ours[0].proposal), (gene, proposal));
    }
}

#[test]
fn a_parameter_that_stays_is_no_change_beside_one_that_does_not() {
    let decimal = |text: &str| text.parse().unwrap();
    let whole = Domain::new(Kind::Int, decimal("1"), decimal("9"), decimal("1")).unwrap();
    // By this operator a whole number of 1 stays 1.
    let operator = Some(Operator::CompatGaussian);
    let stuck = Mutator::new(whole, operator, Some(0.01), BoundRule::Reflect).unwrap();
    let [free, ..] = mutators();
    let genes = [
        Gene { name: NAMES[0], mutator: &free, weight: 1.0 },
        Gene { name: "stuck", mutator: &stuck, weight: 1.0 },
    ];
    let mut parent = source();
    parent.insert("stuck".to_owned(), Number::Int(1));
    for attempt in 0..50 {
        let mut rng = Streams::new(1, 1, "s.py").attempt(attempt);
        let both = moves(&genes, &parent, 2, &mut rng);
        assert_eq!(both.iter().map(|one| one.gene).collect::<Vec<_>>(), [0]);
        let none = moves(&genes[1..], &parent, 1, &mut rng);
        assert_eq!(none.len(), 1);
        assert!(!none[0].proposal.changed);
    }
}
