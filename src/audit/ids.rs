//! The ids of a log: each once, and in which order.

use super::Manifest;
use crate::units::MutationId;
use std::collections::BTreeSet;

/// In which order the ids of a log come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// 1, 2, 3, without a gap.
    Rising,
    /// Each once. Where candidates are evaluated, a record is written when its evaluation ends, and ids that
    /// were in flight when the batch was killed never come.
    Any,
}

impl Order {
    /// The one of a batch with this manifest; without one it could be either.
    pub fn of(manifest: Option<&Manifest>) -> Self {
        match manifest {
            Some(manifest) if !manifest.is_evaluated() => Self::Rising,
            Some(_) | None => Self::Any,
        }
    }
}

/// The ids that were seen so far.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    order: Order,
    /// All below were seen.
    next: u64,
    /// Those above it that were: as many as there are evaluations at once, where nothing is wrong.
    early: BTreeSet<u64>,
}

impl Ids {
    pub(crate) const fn new(order: Order) -> Self {
        Self { order, next: 1, early: BTreeSet::new() }
    }

    /// Takes in the next id; false where it is none that may come now.
    pub(crate) fn take(&mut self, MutationId(id): MutationId) -> bool {
        if id == self.next {
            self.next = id.saturating_add(1);
            while self.early.remove(&self.next) {
                self.next = self.next.saturating_add(1);
            }
            return true;
        }
        self.order == Order::Any && id > self.next && self.early.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(order: Order, ids: &[u64]) -> Vec<bool> {
        let mut seen = Ids::new(order);
        ids.iter().map(|id| seen.take(MutationId(*id))).collect()
    }

    #[test]
    fn an_id_comes_once_and_in_its_order() {
        assert_eq!(taken(Order::Rising, &[1, 2, 2, 3, 5]), [true, true, false, true, false]);
        assert_eq!(
            taken(Order::Any, &[2, 1, 4, 4, 2, 3, 5, 1, 0]),
            [true, true, true, false, false, true, true, false, false]
        );
    }
}
