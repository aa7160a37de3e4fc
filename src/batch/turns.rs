//! Which strategy an attempt is for: all in turn, so that none is favoured within a round or over the rounds.

/// The turns of one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    strategies: usize,
    /// Whose turn is the first, so that none is favoured over the rounds.
    first: usize,
}

impl Turns {
    /// Of `round`, from 1, between so many strategies; there is at least one.
    pub(super) fn new(strategies: usize, round: u32, mutations_per_round: u32) -> Self {
        let before = u64::from(round - 1) * u64::from(mutations_per_round);
        let first = usize::try_from(before % strategies as u64).unwrap_or(0);
        Self { strategies, first }
    }

    /// Whose turn the round's attempt number `index` is, from 0, and its number among that strategy's attempts.
    pub(super) fn of(self, index: u32) -> (usize, u64) {
        let slot = (self.first + index as usize) % self.strategies;
        (slot, u64::from(index) / self.strategies as u64)
    }
}
