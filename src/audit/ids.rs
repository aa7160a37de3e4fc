//! The ids of a log: each once, and in which order.

use super::Manifest;
use crate::mutation::Circle;
use crate::units::MutationId;
use std::collections::BTreeMap;

/// In which order the ids of a log come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those of the turns, without a gap: 1, 2, 3 where all are ours.
    Rising(Circle),
    /// Each once. Where candidates are evaluated, a record is written when its evaluation ends, and ids that
    /// were in flight when the batch was killed never come.
    Any,
}

impl Order {
    /// The one of a batch with this manifest; without one it could be either.
    pub fn of(manifest: Option<&Manifest>) -> Self {
        match manifest {
            Some(manifest) if !manifest.is_evaluated() => {
                manifest.circle().map_or(Self::Any, Self::Rising)
            }
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
    /// Those above it that were, as bits of 64 ids each: the attempts of a strategy that is left out never come.
    early: BTreeMap<u64, u64>,
}

impl Ids {
    pub(crate) fn new(order: &Order) -> Self {
        let mut ids = Self { order: order.clone(), next: 1, early: BTreeMap::new() };
        ids.go_on_after(MutationId(0));
        ids
    }

    /// The id that comes next, or where the order is any, the first that did not come.
    pub(crate) const fn next(&self) -> MutationId {
        MutationId(self.next)
    }

    /// Goes on behind an id, whatever was expected.
    pub(crate) fn go_on_after(&mut self, id: MutationId) {
        self.next = match &self.order {
            Order::Rising(circle) => circle.next(id).0,
            Order::Any => id.0.saturating_add(1),
        };
    }

    pub(crate) const fn order(&self) -> &Order {
        &self.order
    }

    /// Takes in the next id; false where it is none that may come now.
    pub(crate) fn take(&mut self, MutationId(id): MutationId) -> bool {
        if id == self.next {
            self.go_on_after(MutationId(id));
            while self.came_early(self.next) {
                self.next = self.next.saturating_add(1);
            }
            return true;
        }
        self.order == Order::Any && id > self.next && self.note(id)
    }

    /// Whether the next id was seen; then it need not be known any more.
    fn came_early(&mut self, next: u64) -> bool {
        let Some(bits) = self.early.get_mut(&(next / 64)) else { return false };
        let bit = 1 << (next % 64);
        let came = *bits & bit != 0;
        *bits &= !bit;
        if *bits == 0 {
            self.early.remove(&(next / 64));
        }
        came
    }

    /// Notes an id; false where it was seen before.
    fn note(&mut self, id: u64) -> bool {
        let bits = self.early.entry(id / 64).or_default();
        let bit = 1 << (id % 64);
        let is_new = *bits & bit == 0;
        *bits |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(order: &Order, ids: &[u64]) -> Vec<bool> {
        let mut seen = Ids::new(order);
        ids.iter().map(|id| seen.take(MutationId(*id))).collect()
    }

    #[test]
    fn an_id_comes_once_and_in_its_order() {
        assert_eq!(
            taken(&Order::Rising(Circle::whole(3)), &[1, 2, 2, 3, 5]),
            [true, true, false, true, false]
        );
        assert_eq!(
            taken(&Order::Any, &[2, 1, 4, 4, 2, 3, 5, 1, 0]),
            [true, true, true, false, false, true, true, false, false]
        );
        assert_eq!(
            taken(&Order::Any, &[70, 64, 70, 3, 1, 2, 63, 64, 4]),
            [true, true, false, true, true, true, true, false, true]
        );
        assert_eq!(
            taken(&Order::Rising(Circle::new(5, vec![1, 4]).unwrap()), &[2, 5, 6, 7, 12, 10]),
            [true, true, false, true, false, true]
        );
    }
}
