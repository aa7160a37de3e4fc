//! One attempt: propose, hold against the constraints, render the literals, read them back. The hot
//! path; with one parameter at a time and no variants nothing here allocates.

use super::BatchPlan;
use super::planned::PlannedStrategy;
use super::turns::{Turn, Turns};
use super::verdict::{Change, Verdict, judge};
use crate::evolution::{Gene, Move, Values, moves};
use crate::mutation::{LANES, Openings, Streams};
use crate::record::{Millis, Outcome};
use rand::Rng;
use std::array;
use std::ops::Range;
use std::time::Instant;

/// What one attempt gave, small enough to be handed between threads by the thousand.
#[derive(Clone, Debug)]
pub(super) struct Attempted {
    /// Its number in the round, from 0.
    pub(super) index: u32,
    /// Index into the plan's strategies.
    pub(super) strategy: u32,
    /// Index into the plan's variants.
    pub(super) variant: Option<usize>,
    /// The change that was drawn first.
    pub(super) first: Change,
    /// What changed besides; an empty box is no allocation.
    pub(super) also: Box<[Change]>,
    pub(super) verdict: Verdict,
    pub(super) ended: Instant,
    pub(super) duration: Millis,
}

/// Makes the attempts of one round. Each has a random stream of its own, so it is the same
/// whichever thread makes it, and whichever came before.
pub(super) struct Proposer<'a> {
    plan: &'a BatchPlan,
    /// By index into the plan's usable strategies.
    streams: &'a [Streams],
    /// The same; empty where the plan is plain.
    slots: Vec<Slot<'a>>,
    turns: Turns<'a>,
    text: String,
}

/// What the attempts of one strategy draw from, whatever values they go on from.
struct Slot<'a> {
    /// The values in the source.
    source: Values,
    /// By variant; one where there are none.
    genes: Vec<Vec<Gene<'a>>>,
}

/// The streams of a round, by index into the plan's usable strategies.
pub(super) fn streams(plan: &BatchPlan, round: u32) -> Vec<Streams> {
    let names = plan.usable().iter().map(|index| &plan.strategies[*index].name);
    names.map(|name| Streams::new(plan.seed, round, name)).collect()
}

impl<'a> Proposer<'a> {
    /// For `round`, from 1. The plan has a usable strategy.
    pub(super) fn new(plan: &'a BatchPlan, streams: &'a [Streams], round: u32) -> Self {
        let turns = Turns::new(plan.circle(), round, plan.mutations_per_round);
        let strategies = plan.usable().iter().filter(|_| !plan.is_plain());
        let slots = strategies.map(|index| Slot::new(plan, &plan.strategies[*index])).collect();
        Self { plan, streams, slots, turns, text: String::with_capacity(64) }
    }

    /// Our attempts of these numbers in the round, from 0, one upon the other: where one ends the next begins, so that the
    /// clock is read once for each.
    pub(super) fn attempts(&mut self, numbers: Range<u32>) -> Vec<Attempted> {
        let mut started = Instant::now();
        let mut attempts = Vec::with_capacity(numbers.len());
        let (mut numbers, streams) = (numbers.peekable(), self.streams);
        while let Some(first) = numbers.peek().copied() {
            let turns: [_; LANES] =
                array::from_fn(|lane| self.turns.of(first.saturating_add(index_of(lane))));
            let openings = Openings::of(turns.map(|turn| (&streams[turn.slot], turn.number)));
            for (lane, (turn, _)) in turns.into_iter().zip(&mut numbers).enumerate() {
                let random = &mut openings.attempt(lane);
                // Two calls of `push`: the one would copy what both ways have written, and wait for that to be read.
                if self.slots.is_empty() {
                    attempts.push(self.one(turn, random, &mut started));
                } else {
                    attempts.push(self.several(turn, random, &mut started));
                }
            }
        }
        attempts
    }

    /// One parameter, by its own rules.
    fn one(&mut self, turn: Turn, random: &mut impl Rng, started: &mut Instant) -> Attempted {
        let place = self.plan.usable()[turn.slot];
        let strategy = &self.plan.strategies[place];
        let target = strategy.weights().map_or(0, |weights| weights.pick(random));
        let chosen = &strategy.targets[target];
        let proposal = chosen.mutator.propose(chosen.value.to_f64(), random);
        let (value, clamped) = (proposal.value, proposal.clamped);
        let first = Change { target: index_of(target), value, clamped };
        let verdict = self.verdict(strategy, proposal.changed, &[first]);
        let (ended, duration) = lap(started);
        let (strategy, also) = (index_of(place), Box::default());
        let index = turn.index;
        Attempted { index, strategy, variant: None, first, also, verdict, ended, duration }
    }

    /// By the rules of a variant, or more than one parameter.
    fn several(&mut self, turn: Turn, random: &mut impl Rng, started: &mut Instant) -> Attempted {
        let place = self.plan.usable()[turn.slot];
        let strategy = &self.plan.strategies[place];
        let variant = self.plan.variant(random);
        let Slot { source, genes } = &self.slots[turn.slot];
        let genes = &genes[variant.unwrap_or(0)];
        let moves = moves(genes, source, self.plan.most(variant), random);
        let any = moves.iter().any(|one| one.proposal.changed);
        let changes: Vec<Change> = moves.iter().map(Change::from).collect();
        let verdict = self.verdict(strategy, any, &changes);
        // A usable strategy has a target, and its source a value for it.
        let (first, also) = (changes[0], changes[1..].into());
        let (ended, duration) = lap(started);
        let (strategy, index) = (index_of(place), turn.index);
        Attempted { index, strategy, variant, first, also, verdict, ended, duration }
    }

    /// Whether any of the changes is one decides what they are worth.
    fn verdict(&mut self, strategy: &PlannedStrategy, any: bool, changes: &[Change]) -> Verdict {
        if !any {
            return Verdict { outcome: Outcome::NoChange, rule: None };
        }
        let parent = |target: usize| strategy.targets[target].value;
        judge(self.plan, strategy, parent, changes, &mut self.text)
    }
}

/// Ends an attempt: when that is, and the time since `started`, where the next one starts.
fn lap(started: &mut Instant) -> (Instant, Millis) {
    let ended = Instant::now();
    let duration = Millis::from(ended.duration_since(*started));
    *started = ended;
    (ended, duration)
}

impl<'a> Slot<'a> {
    fn new(plan: &'a BatchPlan, strategy: &'a PlannedStrategy) -> Self {
        Self { source: strategy.values(), genes: plan.genes(strategy) }
    }
}

impl From<&Move> for Change {
    /// A strategy's genes are parallel to its targets.
    fn from(one: &Move) -> Self {
        let Move { gene, proposal, .. } = one;
        Self { target: index_of(*gene), value: proposal.value, clamped: proposal.clamped }
    }
}

/// Strategies and targets are far fewer than 2^32.
fn index_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
