//! What a reader must know before believing the figures.

use super::Set;
use std::collections::BTreeSet;

/// What records do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Operators or parameters were selected.
    pub of_draws: bool,
    /// Manifests disagree on which fitness is better.
    pub other_directions: bool,
    /// Manifests have another fitness for the same source.
    pub other_data: bool,
}

/// One line each, those that apply.
pub fn caveats(a: &Set, b: &Set, context: Context) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |applies: bool, text: &str| {
        if applies {
            found.push(text.to_owned());
        }
    };
    let other_nights = !a.batches.keys().eq(b.batches.keys());
    let alone = [a, b].into_iter().filter(|set| set.batches.len() == 1).count();
    let evaluated = !a.fitness.ordered().is_empty() || !b.fitness.ordered().is_empty();
    let strategies: BTreeSet<&String> = a.strategies.union(&b.strategies).collect();
    say(
        other_nights && alone == 2,
        "a single batch on each side: what differs may be the night; attempts of one night are not independent",
    );
    say(
        other_nights && alone == 1,
        "other batches, and a single one on a side: the interval of the success rate takes it to vary as the others do, p-values do not",
    );
    say(
        other_nights && alone == 0,
        "other batches on each side: attempts of one night are not independent; the interval of the success rate allows for it, p-values do not",
    );
    say(a.strategies != b.strategies, "the sets are over other strategies");
    say(a.parameters != b.parameters && !context.of_draws, "the sets are over other parameters");
    say(
        evaluated && strategies.len() > 1,
        "fitness is over several strategies together; `strategy=NAME` compares within one",
    );
    say(
        evaluated,
        "with an evaluator a success is a candidate that was evaluated, not a better one: see the fitness",
    );
    say(
        a.descended || b.descended,
        "in a search attempts descend from one another, later rounds from better ones: p-values of the fitness are too sure",
    );
    say(
        (a.descended || b.descended) && a.rounds != b.rounds,
        "the sets reach to other rounds, and the later the better a fitness starts",
    );
    say(
        context.of_draws && (a.several || b.several),
        "some attempts changed several parameters; each counts for the first that was drawn",
    );
    say(context.other_directions, "batches disagree on which fitness is better");
    say(
        context.other_data,
        "a source's fitness differs between batches: other data, so fitness cannot be compared across them",
    );
    say(
        a.durations.is_rounded() || b.durations.is_rounded(),
        "more than a million durations: they are rounded to 1 in 8,192",
    );
    found
}
