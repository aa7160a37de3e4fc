//! Many attempts: the same ones in the same order on any number of threads.

use super::BatchPlan;
use super::attempt::{Attempted, Proposer, streams};
use super::turns::Turns;
use std::ops::ControlFlow;
use std::sync::mpsc;

/// Attempts handed over at once: enough to hide a thread's wake-up, few enough to stay in the second cache.
const CHUNK: u32 = 2048;
/// Chunks that a worker may be ahead.
const AHEAD: usize = 2;

/// Hands our attempts of `round` (from 1) to `take`, in order, until it breaks.
///
/// Workers only propose. What makes an attempt a fact is `take`, on the caller's thread.
pub(super) fn run_round<B>(
    plan: &BatchPlan,
    round: u32,
    workers: usize,
    mut take: impl FnMut(&Attempted) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let streams = streams(plan, round);
    let all = Turns::new(plan.circle(), round, plan.mutations_per_round).count();
    let chunk = |from: u32| from..from.saturating_add(CHUNK).min(all);
    let chunks = (0..all).step_by(CHUNK as usize).map(chunk);
    if workers <= 1 || all <= CHUNK {
        let mut proposer = Proposer::new(plan, &streams, round);
        return chunks
            .into_iter()
            .try_for_each(|chunk| proposer.attempts(chunk).iter().try_for_each(&mut take));
    }
    std::thread::scope(|scope| {
        let receivers: Vec<_> = (0..workers.min(chunks.len()))
            .map(|worker| {
                let (sender, receiver) = mpsc::sync_channel(AHEAD);
                let (streams, chunks) = (&streams, chunks.clone());
                scope.spawn(move || {
                    let mut proposer = Proposer::new(plan, streams, round);
                    for chunk in chunks.skip(worker).step_by(workers) {
                        // Nobody listens any more: the batch was ended.
                        if sender.send(proposer.attempts(chunk)).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        // A worker that went away has panicked, and the scope passes that on.
        let made =
            (0..chunks.len()).map_while(|chunk| receivers[chunk % receivers.len()].recv().ok());
        for chunk in made {
            chunk.iter().try_for_each(&mut take)?;
        }
        ControlFlow::Continue(())
    })
}
