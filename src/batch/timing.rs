//! When the samples of a push were so, for the gateways that are told: those of remote write.

use super::now;
use crate::gateway::{Client, Format, Moment, Written};
use crate::state::State;
use crate::units::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// What NTP may set a clock back by without a word.
pub(super) const CLOCK_SLACK: Duration = Duration::from_mins(1);

/// The times of one push, by the gateway's name. They are noted in the state, which must be on disk before the push
/// begins: what is sent may arrive, and nothing later may be older.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    at: BTreeMap<String, Timestamp>,
    written: BTreeMap<String, Written>,
    is_last: bool,
}

impl Timing {
    /// Of a push while a batch runs.
    pub(super) fn of_batch(clients: &[Client], state: &mut State) -> Self {
        Self::new(clients, state, BTreeMap::new(), false)
    }

    /// Of a push after which nothing comes for long. What was `written` before and is not in it ends as well.
    pub fn last(clients: &[Client], state: &mut State, written: BTreeMap<String, Written>) -> Self {
        let timing = Self::new(clients, state, written, true);
        let now = now();
        for (gateway, at) in &timing.at {
            if at.since(now) > CLOCK_SLACK {
                tracing::warn!(
                    gateway,
                    %now,
                    %at,
                    "the clock stands before what was written there by it; the samples get the next time after \
                     that, so that none is refused as out of order"
                );
            }
        }
        timing
    }

    fn new(
        clients: &[Client],
        state: &mut State,
        written: BTreeMap<String, Written>,
        is_last: bool,
    ) -> Self {
        let mut timing = Self { at: BTreeMap::new(), written, is_last };
        for gateway in clients.iter().map(Client::gateway) {
            if gateway.format() == Format::RemoteWrite {
                let name = gateway.name();
                timing.at.insert(name.to_owned(), state.time_for(name, now()));
                state.note_sample(name, timing.moment(name).end());
            }
        }
        timing
    }

    /// Whether the state has something new that must be on disk first.
    pub fn is_told(&self) -> bool {
        !self.at.is_empty()
    }

    /// The same push, after those that have `written` something.
    pub(super) fn after(self, written: BTreeMap<String, Written>) -> Self {
        Self { written, ..self }
    }

    /// The newest time of what a gateway is sent; `None` where it is told none.
    pub(super) fn newest(&self, gateway: &str) -> Option<Timestamp> {
        self.at.contains_key(gateway).then(|| self.moment(gateway).end())
    }

    /// Of one gateway. Whom no time was noted for is not told any.
    pub(super) fn moment(&self, gateway: &str) -> Moment<'_> {
        let at = self.at.get(gateway).copied().unwrap_or_default();
        Moment { at, is_last: self.is_last, earlier: self.written.get(gateway) }
    }
}
