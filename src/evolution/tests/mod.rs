//! What holds for every search, told in small stories and as laws.

mod carrying_over;
mod folding;
mod proposals;

use super::{Search, Settings, Start, Trial, Values};
use crate::evolution::{Change, Direction, Gene, Origin, Proposing, StepSize};
use crate::mutation::{BoundRule, Domain, Mutator, Streams};
use crate::record::Outcome;
use crate::units::{BatchId, Digest, Kind, MutationId, Number};
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["a", "b", "n"];

fn batch(day: u8) -> BatchId {
    format!("202611{day:02}T020000Z-000000").parse().unwrap()
}

fn mutators() -> [Mutator; 3] {
    let domain = |kind, bounds: [&str; 3]| {
        let [min, max, step] = bounds.map(|text| text.parse().unwrap());
        Domain::new(kind, min, max, step).unwrap()
    };
    [
        domain(Kind::Float, ["0.01", "0.5", "0.001"]),
        domain(Kind::Float, ["-1", "1", "0.01"]),
        domain(Kind::Int, ["1", "60", "1"]),
    ]
    .map(|domain| Mutator::new(domain, None, None, BoundRule::Reflect).unwrap())
}

fn source() -> Values {
    let numbers = [Number::Float(0.1), Number::Float(0.5), Number::Int(20)];
    NAMES.map(str::to_owned).into_iter().zip(numbers).collect()
}

fn steps() -> BTreeMap<String, StepSize> {
    let all = NAMES.iter().zip(mutators());
    all.map(|(name, mutator)| ((*name).to_owned(), StepSize::new(&mutator).unwrap())).collect()
}

/// Calls `with` with what a batch would begin with.
fn start<T>(baseline: f64, values: &Values, with: impl FnOnce(&Start<'_>) -> T) -> T {
    let (digest, steps) = (Digest::of(b"source"), steps());
    let fits = |_: &Values| true;
    let sites = BTreeMap::new();
    with(&Start {
        name: "s.py",
        source: &digest,
        baseline,
        values,
        sites: &sites,
        steps: &steps,
        fits: &fits,
    })
}

fn search() -> Search {
    start(1.0, &source(), |start| Search::new(&batch(1), 42, start))
}

/// The same where [`nearness`] is what counts.
fn searching() -> Search {
    let baseline = nearness(&source());
    start(baseline, &source(), |start| Search::new(&batch(1), 42, start))
}

fn settings(survivors: u32) -> Settings {
    Settings { survivors, ..Settings::default() }
}

fn trial(mutation: u64, parent: Option<u64>, parameter: &str, new: f64, fitness: f64) -> Trial {
    let parent = parent.map(|id| Origin { batch: batch(1), mutation: MutationId(id) });
    Trial {
        round: 1,
        mutation: MutationId(mutation),
        parent,
        changes: vec![Change {
            parameter: parameter.to_owned(),
            old: source()[parameter],
            new: Number::Float(new),
        }],
        outcome: Outcome::Success,
        fitness: Some(fitness),
    }
}

/// The trials of a round as the agent makes them, judged by `fitness`.
fn played(
    search: &Search,
    round: u32,
    attempts: u64,
    most: usize,
    fitness: impl Fn(&Values) -> f64,
) -> Vec<Trial> {
    let mutators = mutators();
    let genes: Vec<Gene<'_>> = NAMES
        .iter()
        .zip(&mutators)
        .map(|(name, mutator)| Gene { name, mutator, weight: 1.0 })
        .collect();
    let streams = Streams::new(7, round, "s.py");
    let mut proposing = Proposing::new(&settings(4), search);
    let trials = (0..attempts).map(|attempt| {
        let draft = proposing.propose(&genes, most, &mut streams.attempt(attempt));
        let change = |one: &super::Move| Change {
            parameter: NAMES[one.gene].to_owned(),
            old: one.old,
            new: draft.values[NAMES[one.gene]],
        };
        let fresh = draft.fate == super::Fate::New;
        Trial {
            round,
            mutation: MutationId(u64::from(round) * 100 + attempt),
            parent: draft.parent.born().cloned(),
            changes: draft.moves.iter().map(change).collect(),
            outcome: if fresh { Outcome::Success } else { Outcome::NoChange },
            fitness: fresh.then(|| fitness(&draft.values)),
        }
    });
    trials.collect()
}

/// How near to 0.2, -0.3 and 7; 0 is the best.
fn nearness(values: &Values) -> f64 {
    let away = |name: &str, best: f64, scale: f64| ((values[name].to_f64() - best) / scale).powi(2);
    -(away("a", 0.2, 0.1) + away("b", -0.3, 0.5) + away("n", 7.0, 10.0))
}

#[test]
fn directions_are_named_as_in_the_config() {
    for direction in Direction::ALL {
        let json = serde_json::to_string(&direction).unwrap();
        assert_eq!(json, format!("\"{}\"", direction.as_str()));
    }
    assert!(Direction::Minimize.better(1.0, 2.0) && Direction::Maximize.better(2.0, 1.0));
    assert!(Direction::ALL.iter().all(|direction| !direction.better(f64::NAN, 1.0)));
    assert!(Direction::ALL.iter().all(|direction| !direction.better(1.0, 1.0)));
}
