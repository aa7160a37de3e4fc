//! Which strategy an attempt is for: all in turn, so that none is favoured within a round or over the rounds.
//!
//! A shard makes those attempts alone that are its own strategies' turn, with the number, and so the random stream, that
//! each has where one agent makes all.

use crate::mutation::Circle;

/// The turns of one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns<'a> {
    circle: &'a Circle,
    /// Whose turn is the first, so that none is favoured over the rounds.
    first: usize,
    /// The first of ours that has a turn.
    own_first: usize,
    /// How many attempts are ours.
    count: u32,
}

/// An attempt of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Index into our strategies.
    pub(super) slot: usize,
    /// The attempt's number among that strategy's in the round, from 0.
    pub(super) number: u64,
    /// Its number among all of the round, from 0.
    pub(super) index: u32,
}

impl<'a> Turns<'a> {
    /// Of `round`, from 1; one of the strategies at least is ours.
    pub(super) fn new(circle: &'a Circle, round: u32, mutations_per_round: u32) -> Self {
        let before = u64::from(round - 1) * u64::from(mutations_per_round);
        let first = usize::try_from(before % circle.all() as u64).unwrap_or(0);
        let own_first = circle.own().partition_point(|place| *place < first);
        let ours = circle.attempts(before + u64::from(mutations_per_round));
        // Of a `u32` of attempts no more are ours.
        let count = u32::try_from(ours - circle.attempts(before)).unwrap_or(u32::MAX);
        Self { circle, first, own_first, count }
    }

    /// How many attempts of the round are ours.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// The attempt number `index` of all of the round, from 0, if it is ours.
    pub(super) fn at(&self, index: u32) -> Option<Turn> {
        let all = self.circle.all();
        let slot = self.circle.own().binary_search(&((self.first + index as usize) % all)).ok()?;
        Some(Turn { slot, number: u64::from(index) / all as u64, index })
    }

    /// Our attempt number `nth` of the round, from 0.
    pub(super) fn of(&self, nth: u32) -> Turn {
        let (all, own) = (self.circle.all(), self.circle.own());
        let (number, at) = (nth as usize / own.len(), self.own_first + nth as usize % own.len());
        let slot = if at < own.len() { at } else { at - own.len() };
        let place = own[slot];
        let after = if place < self.first { place + all - self.first } else { place - self.first };
        let index = u32::try_from(number * all + after).unwrap_or(u32::MAX);
        Turn { slot, number: number as u64, index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of all rounds: round, place of the strategy, the attempt's number among its own, and among all of the round.
    fn turns(circle: &Circle, rounds: u32, per_round: u32) -> Vec<(u32, usize, u64, u32)> {
        let all = (1..=rounds).filter(|_| !circle.own().is_empty()).flat_map(|round| {
            let turns = Turns::new(circle, round, per_round);
            (0..turns.count()).map(move |nth| {
                let turn @ Turn { slot, number, index } = turns.of(nth);
                assert_eq!(turns.at(index), Some(turn));
                (round, circle.own()[slot], number, index)
            })
        });
        all.collect()
    }

    #[test]
    fn strategies_take_turns_and_the_next_round_goes_on_where_the_last_one_ended() {
        let places: Vec<usize> =
            turns(&Circle::whole(3), 2, 4).into_iter().map(|(_, place, ..)| place).collect();
        assert_eq!(places, [0, 1, 2, 0, 1, 2, 0, 1]);
    }

    proptest! {
        #[test]
        fn the_turns_of_all_shards_are_those_of_one(
            owners in prop::collection::vec(0_usize..4, 1..40),
            rounds in 1_u32..5,
            per_round in 1_u32..100,
        ) {
            let whole = turns(&Circle::whole(owners.len()), rounds, per_round);
            let mut united = Vec::new();
            for shard in 0..4 {
                let own = (0..owners.len()).filter(|place| owners[*place] == shard).collect();
                let circle = Circle::new(owners.len(), own).unwrap();
                let turns = turns(&circle, rounds, per_round);
                let rising = turns.is_sorted_by_key(|(round, _, _, index)| (*round, *index));
                prop_assert!(rising, "{:?}", turns);
                let attempts = circle.attempts(u64::from(rounds) * u64::from(per_round));
                prop_assert_eq!(attempts, turns.len() as u64);
                united.extend(turns);
            }
            united.sort_by_key(|(round, _, _, index)| (*round, *index));
            prop_assert_eq!(united, whole);
        }
    }
}
