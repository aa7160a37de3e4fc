//! The attempts of a round: from a survivor to new values.

use super::{Fingerprint, Individual, Search, Values};
use crate::mutation::{Mutator, Proposal};
use crate::units::Number;
use rand::{Rng, RngExt as _};
use std::collections::HashSet;

/// A parameter as an attempt may change it.
#[derive(Clone, Copy, Debug)]
pub struct Gene<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its values are proposed, by the parameter's own or a variant's rules.
    pub mutator: &'a Mutator,
    /// How often it is drawn, compared with the others.
    pub weight: f64,
}

/// What an attempt proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft<'a> {
    /// From whom.
    pub parent: &'a Individual,
    /// What changes, in the order in which the parameters were drawn; at least one.
    pub moves: Vec<Move>,
    /// All values after it.
    pub values: Values,
    /// Whether they are worth an evaluation.
    pub fate: Fate,
}

/// One parameter's proposal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    /// Index into the genes.
    pub gene: usize,
    /// The parent's value.
    pub old: Number,
    /// The new one.
    pub proposal: Proposal,
}

/// What is known of a draft before it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not tried before.
    New,
    /// All redraws gave the parent's own values.
    Unchanged,
    /// All redraws gave values that were evaluated or proposed before.
    Duplicate,
}

/// Makes the attempts of one round, one after the other.
#[derive(Clone, Debug)]
pub struct Proposing<'a> {
    search: &'a Search,
    proposed: HashSet<Fingerprint>,
}

/// How often an attempt that gave nothing new is drawn again.
const REDRAWS: u32 = 10;

impl<'a> Proposing<'a> {
    /// For the round that begins now. The search's last round has ended.
    pub fn new(search: &'a Search) -> Self {
        let survivors = search.population().iter();
        Self { search, proposed: survivors.map(|one| Fingerprint::of(&one.values)).collect() }
    }

    /// The next attempt, which changes `most` of the genes, or all if there are fewer.
    ///
    /// Drawn are the parent, if there are several survivors, the genes by weight, each once, and
    /// their values. What was tried before, or earlier in this round, is drawn again from the
    /// parent on, ten times at the most. A gene whose value did not change is left out of the
    /// moves, unless it is the first and none did.
    pub fn propose(&mut self, genes: &[Gene<'_>], most: usize, rng: &mut impl Rng) -> Draft<'a> {
        let mut redraws = 0;
        loop {
            let mut draft = self.draw(genes, most, rng);
            let tried = Fingerprint::of(&draft.values);
            if draft.fate == Fate::New && !self.tried(tried) {
                self.proposed.insert(tried);
                return draft;
            }
            if redraws == REDRAWS {
                if draft.fate == Fate::New {
                    draft.fate = Fate::Duplicate;
                }
                return draft;
            }
            redraws += 1;
        }
    }

    fn tried(&self, values: Fingerprint) -> bool {
        self.proposed.contains(&values) || self.search.remembers(values)
    }

    fn draw(&self, genes: &[Gene<'_>], most: usize, rng: &mut impl Rng) -> Draft<'a> {
        let survivors = self.search.population();
        let parent = if survivors.len() > 1 { rng.random_range(0..survivors.len()) } else { 0 };
        let parent = &survivors[parent];
        let sigma = |gene: &Gene<'_>| {
            let step = self.search.steps().get(gene.name)?;
            gene.mutator.sigma().map(|sigma| step.of(sigma))
        };
        let moves = moves(genes, &parent.values, sigma, most, rng);
        let mut values = parent.values.clone();
        let changed = moves.iter().any(|one| one.proposal.changed);
        for Move { gene, proposal, .. } in moves.iter().filter(|one| one.proposal.changed) {
            let kind = genes[*gene].mutator.domain().kind();
            values.insert(genes[*gene].name.to_owned(), Number::of(proposal.value, kind));
        }
        let fate = if changed { Fate::New } else { Fate::Unchanged };
        Draft { parent, moves, values, fate }
    }
}

/// What an attempt that goes on from `parent` proposes for `most` of the genes, or for all if there
/// are fewer: drawn by weight, each once, then their values.
///
/// `sigma` is the width for a gene, where it is another than its mutator's own. A gene that the
/// parent does not have is left out, and so is one whose value did not change, unless it is the
/// first and none did.
pub fn moves(
    genes: &[Gene<'_>],
    parent: &Values,
    sigma: impl Fn(&Gene<'_>) -> Option<f64>,
    most: usize,
    rng: &mut impl Rng,
) -> Vec<Move> {
    let mut moves = Vec::with_capacity(most.min(genes.len()));
    for index in picks(genes, most, rng) {
        let gene = &genes[index];
        let Some(old) = parent.get(gene.name).copied() else { continue };
        let proposal = match sigma(gene) {
            Some(sigma) => gene.mutator.propose_with(sigma, old.to_f64(), rng),
            None => gene.mutator.propose(old.to_f64(), rng),
        };
        moves.push(Move { gene: index, old, proposal });
    }
    if moves.iter().any(|one| one.proposal.changed) {
        moves.retain(|one| one.proposal.changed);
    } else {
        moves.truncate(1);
    }
    moves
}

/// Indices of `most` different genes, or of all, drawn by weight.
fn picks(genes: &[Gene<'_>], most: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut left: Vec<usize> = (0..genes.len()).collect();
    let mut picked = Vec::with_capacity(most.min(genes.len()));
    while picked.len() < most && !left.is_empty() {
        let total: f64 = left.iter().map(|gene| genes[*gene].weight).sum();
        let mut at = rng.random::<f64>() * total;
        let place = left.iter().position(|gene| {
            at -= genes[*gene].weight;
            at < 0.0
        });
        // The product can round up to the total itself.
        picked.push(left.remove(place.unwrap_or(left.len() - 1)));
    }
    picked
}
