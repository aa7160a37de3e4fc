//! The search on known functions, by the code that a batch uses: propose, record, fold.
//!
//! `benches/search/run.sh` runs it beside other optimisers. It reads problems as JSON lines and writes
//! for each, as a JSON line, the best fitness after every evaluation and the best values.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends at once where something is wrong, and prints what it found"
)]

use mutation_agent::evolution::{
    Change, Direction, Draft, Fate, Gene, Move, Proposing, Searches, Settings, Start, StepSize,
    Trial, Values,
};
use mutation_agent::mutation::{BoundRule, Domain, Mutator, Streams};
use mutation_agent::record::Outcome;
use mutation_agent::units::{BatchId, Digest, Kind, MutationId, Number};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// What is to be minimised, and from where.
#[derive(Deserialize)]
struct Problem {
    function: String,
    seed: u64,
    start: Vec<f64>,
    optimum: Vec<f64>,
    evaluations: usize,
    per_round: u64,
    survivors: u32,
    parameters_per_mutation: usize,
}

#[derive(Serialize)]
struct Solution {
    best: Vec<f64>,
    values: Vec<f64>,
}

fn main() {
    for line in io::stdin().lines() {
        let problem: Problem = serde_json::from_str(&line.unwrap()).unwrap();
        println!("{}", serde_json::to_string(&solve(&problem)).unwrap());
    }
}

fn solve(problem: &Problem) -> Solution {
    let mut night = Night::begin(problem);
    let mut round = 0;
    while night.best.len() < problem.evaluations {
        round += 1;
        night.round(round);
    }
    Solution { values: night.values.values().map(|one| one.to_f64()).collect(), best: night.best }
}

/// A batch of one strategy whose evaluator is a function.
struct Night<'a> {
    problem: &'a Problem,
    settings: Settings,
    batch: BatchId,
    names: Vec<String>,
    mutator: Mutator,
    searches: Searches,
    /// The best fitness after each evaluation; the first is that of the source.
    best: Vec<f64>,
    /// Those of the best.
    values: Values,
}

const STRATEGY: &str = "strategy.py";

impl<'a> Night<'a> {
    fn begin(problem: &'a Problem) -> Self {
        let [min, max, step] = ["0.01", "1", "0.0001"].map(|text| text.parse().unwrap());
        let domain = Domain::new(Kind::Float, min, max, step).unwrap();
        let mut night = Self {
            problem,
            settings: Settings {
                direction: Direction::Minimize,
                survivors: problem.survivors,
                ..Settings::default()
            },
            batch: "20261123T020000Z-000000".parse().unwrap(),
            names: (0..problem.start.len()).map(|number| format!("p{number:02}")).collect(),
            mutator: Mutator::new(domain, None, None, BoundRule::default()).unwrap(),
            searches: Searches::default(),
            best: Vec::new(),
            values: Values::new(),
        };
        let values = night.names.iter().cloned().zip(&problem.start);
        let values: Values = values.map(|(name, value)| (name, Number::Float(*value))).collect();
        let step = StepSize::new(&night.mutator).unwrap();
        let steps: BTreeMap<String, StepSize> =
            night.names.iter().map(|name| (name.clone(), step)).collect();
        let start = Start {
            sites: &BTreeMap::new(),
            name: STRATEGY,
            source: &Digest::of(b"source"),
            baseline: night.evaluate(&values),
            values: &values,
            steps: &steps,
            fits: &|_| true,
        };
        night.searches.begin(&night.settings, &night.batch, problem.seed, &[start], 1);
        night
    }

    fn round(&mut self, round: u32) {
        let search = self.searches.get(&self.batch, STRATEGY).unwrap();
        let genes: Vec<Gene<'_>> = self
            .names
            .iter()
            .map(|name| Gene { name, mutator: &self.mutator, weight: 1.0 })
            .collect();
        let streams = Streams::new(self.problem.seed, round, STRATEGY);
        let mut proposing = Proposing::new(&self.settings, search);
        let most = self.problem.parameters_per_mutation;
        let drafts: Vec<(Draft<'_>, u64)> = (0..self.problem.per_round)
            .map(|attempt| {
                let draft = proposing.propose(&genes, most, &mut streams.attempt(attempt));
                (draft, u64::from(round - 1) * self.problem.per_round + attempt + 1)
            })
            .collect();
        let mut trials = Vec::new();
        for (draft, id) in &drafts {
            // An attempt that found nothing new costs no evaluation; it is counted, to come to an end.
            let fitness = (draft.fate == Fate::New).then(|| evaluate(self.problem, &draft.values));
            let before = self.best.last().copied().unwrap_or(f64::INFINITY);
            if self.best.len() < self.problem.evaluations {
                if fitness.is_some_and(|fitness| fitness < before) {
                    self.values.clone_from(&draft.values);
                }
                self.best.push(before.min(fitness.unwrap_or(before)));
            }
            trials.push(trial(&self.names, (round, *id), draft, fitness));
        }
        for trial in trials {
            self.searches.take_trial(&self.settings, &self.batch, STRATEGY, trial);
        }
        self.searches.end_round(&self.settings);
    }

    fn evaluate(&mut self, values: &Values) -> f64 {
        let fitness = evaluate(self.problem, values);
        self.best.push(fitness);
        self.values.clone_from(values);
        fitness
    }
}

/// What the attempt's record would say.
fn trial(
    names: &[String],
    (round, id): (u32, u64),
    draft: &Draft<'_>,
    fitness: Option<f64>,
) -> Trial {
    let change = |one: &Move| Change {
        parameter: names[one.gene].clone(),
        old: one.old,
        new: draft.values[&names[one.gene]],
    };
    Trial {
        round,
        mutation: MutationId(id),
        parent: draft.parent.born().cloned(),
        changes: draft.moves.iter().map(change).collect(),
        outcome: if fitness.is_some() { Outcome::Success } else { Outcome::NoChange },
        fitness,
    }
}

fn evaluate(problem: &Problem, values: &Values) -> f64 {
    let ratios = values.values().zip(&problem.optimum);
    let u: Vec<f64> = ratios.map(|(value, optimum)| (value.to_f64() / optimum).ln()).collect();
    match problem.function.as_str() {
        "sphere" => u.iter().map(|x| x * x).sum(),
        "rosenbrock" => {
            let y: Vec<f64> = u.iter().map(|x| 1.0 + x).collect();
            let pairs = y.iter().zip(&y[1..]);
            pairs.map(|(a, b)| 100.0 * (b - a * a).powi(2) + (1.0 - a).powi(2)).sum()
        }
        _ => u.iter().map(|x| ((5.0 * x.abs()).floor() / 5.0).powi(2)).sum(),
    }
}
