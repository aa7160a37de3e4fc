//! What a worker was asked and has not answered, by id and by age.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::super::protocol::Order;

/// An order on its way to an answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) order: Order,
    /// Whether it was in flight when a worker was lost.
    pub(super) again: bool,
}

/// A request, and when it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) request: Request,
    pub(super) at: Instant,
}

/// Whom an answer is for.
#[derive(Debug)]
pub(super) enum Found {
    Request(Written),
    /// One whose time was over.
    Late,
    Unknown,
}

/// The requests of one worker.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// In the order in which they were written.
    written: BTreeMap<u64, Written>,
    /// Where those are whose answers may come; of those that are late nothing is there any more.
    ids: HashMap<String, u64>,
    count: u64,
    /// The last answer.
    heard: Option<Instant>,
}

impl Asked {
    /// Requests in flight.
    pub(super) fn len(&self) -> usize {
        self.written.len()
    }

    /// Answers that the worker owes beyond those.
    pub(super) fn owed(&self) -> usize {
        self.ids.len() - self.written.len()
    }

    /// Whether an answer with this id would be for another request.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// The request in flight, where there is only one.
    pub(super) fn only(&self) -> Option<&Order> {
        let mut written = self.written.values();
        written.next().filter(|_| written.next().is_none()).map(|one| &one.request.order)
    }

    /// Takes in one that is written now; no other one has its id.
    pub(super) fn add(&mut self, request: Request, at: Instant) {
        self.ids.insert(request.order.mutation_id.clone(), self.count);
        self.written.insert(self.count, Written { request, at });
        self.count += 1;
    }

    /// The one that was answered.
    pub(super) fn answered(&mut self, id: &str, now: Instant) -> Found {
        let Some(place) = self.ids.remove(id) else { return Found::Unknown };
        self.heard = Some(now);
        self.written.remove(&place).map_or(Found::Late, Found::Request)
    }

    /// When the oldest one's time is over.
    pub(super) fn end(&self, timeout: Duration) -> Option<Instant> {
        self.written.first_key_value()?.1.at.checked_add(timeout)
    }

    /// Takes out those whose time is over, the oldest first; their answers may still come.
    pub(super) fn take_late(&mut self, timeout: Duration, now: Instant) -> Vec<Written> {
        let mut late = Vec::new();
        while self.end(timeout).is_some_and(|end| end <= now) {
            late.extend(self.written.pop_first().map(|(_, written)| written));
        }
        late
    }

    /// Whether anything was answered since then.
    pub(super) fn heard_since(&self, at: Instant) -> bool {
        self.heard.is_some_and(|heard| heard >= at)
    }

    /// Takes out all, the oldest first: their worker is gone.
    pub(super) fn take_all(&mut self) -> Vec<Written> {
        std::mem::take(self).written.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> Request {
        let order = Order {
            number: 1,
            mutation_id: id.to_owned(),
            strategy: String::new(),
            candidate: String::new(),
            parameters: BTreeMap::new(),
            seed: 0,
        };
        Request { order, again: false }
    }

    fn ids(written: &[Written]) -> Vec<&str> {
        written.iter().map(|one| one.request.order.mutation_id.as_str()).collect()
    }

    #[test]
    fn each_is_answered_once_in_time_or_late() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let at = |seconds: u32| start + seconds * second;
        let mut asked = Asked::default();
        asked.add(request("a"), at(0));
        assert_eq!(asked.only().unwrap().mutation_id, "a");
        asked.add(request("b"), at(1));
        asked.add(request("c"), at(2));
        assert!(asked.only().is_none() && asked.has("b") && !asked.heard_since(at(0)));
        assert!(matches!(asked.answered("b", at(3)), Found::Request(one) if one.at == at(1)));
        assert!(matches!(asked.answered("b", at(3)), Found::Unknown));
        assert!(asked.heard_since(at(3)) && !asked.heard_since(at(4)));
        assert_eq!(asked.end(9 * second), Some(at(9)));
        assert_eq!(ids(&asked.take_late(9 * second, at(8))), [""; 0]);
        assert_eq!(ids(&asked.take_late(9 * second, at(9))), ["a"]);
        assert_eq!((asked.len(), asked.owed(), asked.has("a")), (1, 1, true));
        assert!(matches!(asked.answered("a", at(10)), Found::Late));
        assert!(matches!(asked.answered("a", at(10)), Found::Unknown));
        assert_eq!(ids(&asked.take_all()), ["c"]);
        assert!(!asked.has("c") && !asked.heard_since(at(0)));
    }
}
