//! The attempts of a round: from a survivor to new values.

use super::matrix::Triangle;
use super::model::Model;
use super::search::EVALUATIONS;
use super::{Direction, Fingerprint, Individual, Search, Settings, Values};
use crate::mutation::{Mutator, Operator, Proposal};
use crate::units::Number;
use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, StandardNormal};
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
///
/// The parent is the best survivor. Parameters whose operator has a σ on the scale of their domain,
/// as the default ones have, step together: about the survivors' centre, along directions that
/// survived before ([`Search`] keeps their covariance). As soon as there are evaluations enough for
/// a model of them, an attempt draws many such steps and takes the one that promises most.
/// Parameters with another operator step from the parent, each by itself.
pub struct Proposing<'a> {
    search: &'a Search,
    fits: &'a dyn Fn(&Values) -> bool,
    /// In this round, and the survivors.
    proposed: HashSet<Fingerprint>,
    triangle: Triangle,
    centre: Vec<f64>,
    /// Where the parent is.
    origin: Vec<f64>,
    model: Option<Model>,
}

/// How often an attempt that gave nothing new is drawn again.
const REDRAWS: u32 = 10;

/// By how much each redraw steps further, so that there is something new to find where the
/// neighbourhood is tried: at most 58 times as far.
const STRETCH: f64 = 1.5;

/// How many proposals a model chooses from.
const CHOICE: usize = 30;

/// One of several proposals of an attempt. Few of them are looked at closer, so their values are not here.
struct Candidate {
    moves: Vec<Move>,
    cost: f64,
}

impl<'a> Proposing<'a> {
    /// For the round that begins now. The search's last round has ended.
    pub fn new(settings: &Settings, search: &'a Search) -> Self {
        let survivors = search.population().iter();
        Self {
            search,
            fits: &|_| true,
            proposed: survivors.map(|one| Fingerprint::of(&one.values)).collect(),
            triangle: search.shape.triangle(),
            centre: search.centre(),
            origin: search.coordinates(&search.population()[0].values),
            model: model(settings, search),
        }
    }

    /// Where a model chooses, it chooses among values within the constraints, if it can.
    #[must_use]
    pub fn within(self, fits: &'a dyn Fn(&Values) -> bool) -> Self {
        Self { fits, ..self }
    }

    /// The next attempt, which changes `most` of the genes, or all if there are fewer.
    ///
    /// Drawn are the genes by weight, each once, where it is all of them the first alone, and their
    /// values. What was tried before, or earlier in this round, is drawn again, ten times at the most. A gene
    /// whose value did not change is left out of the moves, unless it is the first and none did.
    pub fn propose(&mut self, genes: &[Gene<'_>], most: usize, rng: &mut impl Rng) -> Draft<'a> {
        let mut redraws = 0;
        let mut stretch = 1.0;
        loop {
            let picks = picks(genes, most, rng);
            let candidates = self.candidates(genes, &picks, stretch, rng);
            let (chosen, values, fresh) = self.choose(candidates, genes);
            if fresh || redraws == REDRAWS {
                if fresh {
                    self.proposed.insert(Fingerprint::of(&values));
                }
                return self.draft(chosen, values, fresh);
            }
            redraws += 1;
            stretch *= STRETCH;
        }
    }

    /// The one that promises most, those within the constraints first, of those that were not tried before; and
    /// whether there is one, else the first of all.
    fn choose(
        &self,
        mut candidates: Vec<Candidate>,
        genes: &[Gene<'_>],
    ) -> (Candidate, Values, bool) {
        candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let (mut tried, mut unfit) = (None, Vec::new());
        for one in candidates {
            let values = self.values(&one.moves, genes);
            if !(self.fits)(&values) {
                unfit.push((one, values));
            } else if !self.tried(&values) {
                return (one, values, true);
            } else {
                tried = tried.or(Some((one, values, false)));
            }
        }
        for (one, values) in unfit {
            if !self.tried(&values) {
                return (one, values, true);
            }
            tried = tried.or(Some((one, values, false)));
        }
        let none =
            || (Candidate { moves: Vec::new(), cost: 0.0 }, self.parent().values.clone(), false);
        tried.unwrap_or_else(none)
    }

    fn tried(&self, values: &Values) -> bool {
        let values = Fingerprint::of(values);
        self.proposed.contains(&values) || self.search.remembers(values)
    }

    fn parent(&self) -> &'a Individual {
        &self.search.population()[0]
    }

    fn draft(&self, chosen: Candidate, values: Values, fresh: bool) -> Draft<'a> {
        let mut moves = chosen.moves;
        let changed = moves.iter().any(|one| one.proposal.changed);
        let fate = match (fresh, changed) {
            (true, _) => Fate::New,
            (false, true) => Fate::Duplicate,
            (false, false) => Fate::Unchanged,
        };
        if changed {
            moves.retain(|one| one.proposal.changed);
        } else {
            moves.truncate(1);
        }
        Draft { parent: self.parent(), moves, values, fate }
    }

    /// As many as there are to choose from; at least one.
    fn candidates(
        &self,
        genes: &[Gene<'_>],
        picks: &[usize],
        stretch: f64,
        rng: &mut impl Rng,
    ) -> Vec<Candidate> {
        let together = self.model.is_some()
            && picks.iter().all(|gene| genes[*gene].steps_on_the_scale_of(self.search));
        let count = if together { CHOICE } else { 1 };
        (0..count).map(|_| self.candidate(genes, picks, stretch, rng)).collect()
    }

    fn candidate(
        &self,
        genes: &[Gene<'_>],
        picks: &[usize],
        stretch: f64,
        rng: &mut impl Rng,
    ) -> Candidate {
        let deviates: Vec<f64> =
            (0..self.centre.len()).map(|_| StandardNormal.sample(rng)).collect();
        let way = self.triangle.times(&deviates);
        let parent = self.parent();
        let mut moves = Vec::with_capacity(picks.len());
        for gene in picks.iter().copied() {
            let Some(old) = parent.values.get(genes[gene].name).copied() else { continue };
            let proposal = self.value(&genes[gene], (&way, stretch), old.to_f64(), rng);
            moves.push(Move { gene, old, proposal });
        }
        let cost = self.model.as_ref().map_or(0.0, |model| model.cost(&self.place(&moves, genes)));
        Candidate { moves, cost }
    }

    /// The parent's values after these moves.
    fn values(&self, moves: &[Move], genes: &[Gene<'_>]) -> Values {
        let mut values = self.parent().values.clone();
        for one in moves.iter().filter(|one| one.proposal.changed) {
            values.insert(genes[one.gene].name.to_owned(), one.new_value(genes));
        }
        values
    }

    /// Where those are, as [`Search::coordinates`] has it.
    fn place(&self, moves: &[Move], genes: &[Gene<'_>]) -> Vec<f64> {
        let mut place = self.origin.clone();
        for one in moves.iter().filter(|one| one.proposal.changed) {
            let mut steps = self.search.steps().iter().enumerate();
            if let Some((at, (_, step))) =
                steps.find(|(_, (name, _))| *name == genes[one.gene].name)
            {
                place[at] = step.coordinate(one.new_value(genes));
            }
        }
        place
    }

    fn value(
        &self,
        gene: &Gene<'_>,
        (way, stretch): (&[f64], f64),
        old: f64,
        rng: &mut impl Rng,
    ) -> Proposal {
        let mutator = gene.mutator;
        let known =
            self.search.steps().iter().enumerate().find(|(_, (name, _))| *name == gene.name);
        let (Some(configured), Some((index, (_, step)))) = (mutator.sigma(), known) else {
            return mutator.propose(old, rng);
        };
        let sigma = step.of(configured) * stretch;
        let spread = sigma * self.search.shape.spread(index);
        mutator
            .at(self.centre[index], sigma * way[index], spread, old)
            .unwrap_or_else(|| mutator.propose_with(sigma, old, rng))
    }
}

impl Move {
    fn new_value(&self, genes: &[Gene<'_>]) -> Number {
        Number::of(self.proposal.value, genes[self.gene].mutator.domain().kind())
    }
}

impl Gene<'_> {
    fn steps_on_the_scale_of(&self, search: &Search) -> bool {
        search.steps().contains_key(self.name)
            && self.mutator.operator() == Operator::default_for(self.mutator.domain())
    }
}

/// What an attempt that goes on from `parent` proposes for `most` of the genes, or for all if there
/// are fewer: drawn by weight, each once, then their values.
///
/// A gene that the parent does not have is left out, and so is one whose value did not change,
/// unless it is the first and none did.
pub fn moves(genes: &[Gene<'_>], parent: &Values, most: usize, rng: &mut impl Rng) -> Vec<Move> {
    let mut moves = Vec::with_capacity(most.min(genes.len()));
    for index in picks(genes, most, rng) {
        let gene = &genes[index];
        let Some(old) = parent.get(gene.name).copied() else { continue };
        let proposal = gene.mutator.propose(old.to_f64(), rng);
        moves.push(Move { gene: index, old, proposal });
    }
    if moves.iter().any(|one| one.proposal.changed) {
        moves.retain(|one| one.proposal.changed);
    } else {
        moves.truncate(1);
    }
    moves
}

/// A model of the better half of the last evaluations.
fn model(settings: &Settings, search: &Search) -> Option<Model> {
    let cost = |fitness: f64| match settings.direction {
        Direction::Maximize => -fitness,
        Direction::Minimize => fitness,
    };
    let evaluations = search.evaluations.iter();
    let mut points: Vec<(Vec<f64>, f64)> = evaluations
        .map(|(numbers, fitness)| {
            let steps = numbers.iter().zip(search.steps().values());
            (steps.map(|(number, step)| step.coordinate(*number)).collect(), cost(*fitness))
        })
        .collect();
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    points.truncate(EVALUATIONS / 2);
    Model::fit(&points)
}

/// Indices of `most` different genes, or of all, drawn by weight. Where it is all of them only the first is drawn,
/// which a record speaks of.
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
        if most >= genes.len() {
            picked.append(&mut left);
        }
    }
    picked
}
