//! Strategies that take turns, and which of them are ours. *Pure.*
//!
//! Attempt number `n` of a batch, from 0, is the turn of strategy number `n` modulo their number, and its id is `n` + 1. Turns
//! are counted over all strategies, and so each attempt has the id that it has where one agent makes all.

use crate::units::MutationId;
use std::sync::Arc;

/// The strategies that have turns, and which of them are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    all: usize,
    /// The places of ours, rising.
    own: Arc<[usize]>,
}

impl Circle {
    /// Of `all` strategies; ours have these places. `None` where they do not rise or are not less than `all`.
    pub fn new(all: usize, own: Vec<usize>) -> Option<Self> {
        let fits =
            own.is_sorted_by(|one, next| one < next) && own.last().is_none_or(|last| *last < all);
        fits.then(|| Self { all, own: own.into() })
    }

    /// Of so many strategies, all of them ours.
    pub fn whole(all: usize) -> Self {
        Self { all, own: (0..all).collect() }
    }

    /// How many strategies have turns, here and elsewhere.
    pub const fn all(&self) -> usize {
        self.all
    }

    /// The places of ours.
    pub fn own(&self) -> &[usize] {
        &self.own
    }

    /// Whether all turns are ours.
    pub fn is_whole(&self) -> bool {
        self.own.len() == self.all
    }

    /// How many of the first so many attempts of a batch are ours.
    pub fn attempts(&self, of: u64) -> u64 {
        let (all, own) = (self.all.max(1) as u64, self.own.len() as u64);
        let rest = usize::try_from(of % all).unwrap_or(0);
        of / all * own + self.own.partition_point(|place| *place < rest) as u64
    }

    /// The id of our first attempt after `id`; any, where no turns are ours.
    pub fn next(&self, MutationId(id): MutationId) -> MutationId {
        if self.is_whole() || self.own.is_empty() {
            return MutationId(id.saturating_add(1));
        }
        let all = self.all as u64;
        let rest = usize::try_from(id % all).unwrap_or(0);
        let begin = id - id % all;
        let next = match self.own.get(self.own.partition_point(|place| *place < rest)) {
            Some(place) => begin.saturating_add(*place as u64),
            None => begin.saturating_add(all).saturating_add(self.own[0] as u64),
        };
        MutationId(next.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(circle: &Circle, count: usize) -> Vec<u64> {
        let ids = std::iter::successors(Some(MutationId(0)), |id| Some(circle.next(*id)));
        ids.skip(1).take(count).map(|MutationId(id)| id).collect()
    }

    #[test]
    fn the_ids_of_ours_are_those_of_their_turns() {
        assert_eq!(ids(&Circle::whole(3), 4), [1, 2, 3, 4]);
        assert_eq!(ids(&Circle::whole(0), 2), [1, 2]);
        let some = Circle::new(5, vec![1, 4]).unwrap();
        assert_eq!(ids(&some, 6), [2, 5, 7, 10, 12, 15]);
        assert_eq!([0, 1, 2, 4, 5, 7].map(|of| some.attempts(of)), [0, 0, 1, 1, 2, 3]);
        assert_eq!(some.next(MutationId(u64::MAX)), MutationId(u64::MAX));
    }

    #[test]
    fn places_that_are_none_make_no_circle() {
        assert_eq!(Circle::new(3, vec![3]), None);
        assert_eq!(Circle::new(3, vec![1, 1]), None);
        assert_eq!(Circle::new(3, vec![2, 1]), None);
    }
}
