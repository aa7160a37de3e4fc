//! An evaluator that is started once and fed a line per candidate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::job::Verdict;
use super::super::protocol::{Assignment, LONGEST_PAUSE, Order};
use super::agent::Agent;
use super::capture::{Lines, Output};
use super::child::Child;
use super::fitness;
use super::process::{command, ending, late, limits, not_started};
use super::text::with_tail;
use crate::units::Number;
use serde::Serialize;

/// The wait before the first restart; each one that brings no success doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long a worker that closed its standard output may take to end by itself.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// A worker, once it is needed, and how it has done of late.
#[derive(Debug, Default)]
pub(super) struct Stream {
    worker: Option<Child>,
    /// Evaluations since the last success that cost a worker.
    failures: u32,
    /// Not started again before.
    not_before: Option<Instant>,
}

/// What a worker reads.
#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    candidate: &'a str,
    strategy: &'a str,
    parameters: &'a BTreeMap<String, Number>,
    seed: u64,
}

/// What came of a request.
enum Heard {
    Answer(Verdict),
    Garbage(String),
    /// It ended, or closed its standard output.
    Ended,
    Late,
    AgentGone,
}

impl Stream {
    /// Judges one candidate; also says how long it took. The order came in by [`Self::idle`], which has just seen whether
    /// the worker is there.
    pub(super) fn evaluate(
        &mut self,
        assignment: &Assignment,
        order: &Order,
        agent: &mut Agent,
    ) -> (Verdict, Duration) {
        if self.worker.is_none() {
            self.pause(agent);
        }
        let began = Instant::now();
        let mut worker = match self.worker.take().map_or_else(|| start(assignment), Ok) {
            Ok(worker) => worker,
            Err(verdict) => {
                self.failed();
                return (verdict, began.elapsed());
            }
        };
        limits(assignment).allow_cpu(worker.pid());
        worker.tail.clear();
        let heard = ask(&mut worker, order, began.checked_add(assignment.timeout), agent);
        let took = began.elapsed();
        let verdict = match heard {
            Heard::Answer(verdict) => {
                worker.reap_orphans();
                self.worker = Some(worker);
                self.failures = 0;
                self.not_before = None;
                return (verdict, took);
            }
            Heard::Garbage(text) => {
                worker.terminate(agent);
                Verdict::Invalid(with_tail(&text, worker.finish().tail.get()))
            }
            Heard::Late => {
                worker.terminate(agent);
                late(assignment.timeout, worker.finish().tail.get())
            }
            Heard::AgentGone => {
                worker.terminate(agent);
                worker.finish();
                Verdict::Failed("the agent is gone".to_owned())
            }
            Heard::Ended => crash(worker, assignment, agent),
        };
        self.failed();
        (verdict, took)
    }

    /// Waits for the agent, and meanwhile takes in what the worker writes.
    pub(super) fn idle(&mut self, agent: &mut Agent) {
        match &mut self.worker {
            Some(worker) => worker.attend(agent, None, None),
            None => agent.attend(None),
        }
        self.bury(agent);
    }

    /// One that ended while nobody asked it anything costs no evaluation; the next one gets a new worker.
    fn bury(&mut self, agent: &mut Agent) {
        if self.worker.as_ref().is_some_and(Child::is_through) {
            self.end(agent);
            self.failed();
        }
    }

    /// Ends the worker.
    pub(super) fn end(&mut self, agent: &mut Agent) {
        if let Some(mut worker) = self.worker.take() {
            worker.terminate(agent);
            worker.finish();
        }
    }

    fn failed(&mut self) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now().checked_add(pause);
    }

    fn pause(&self, agent: &mut Agent) {
        while let Some(until) = self.not_before
            && Instant::now() < until
            && !agent.is_gone()
        {
            agent.attend(Some(until));
        }
    }
}

fn start(assignment: &Assignment) -> Result<Child, Verdict> {
    let mut command = command(&assignment.command, assignment);
    Child::start(&mut command, limits(assignment), Output::Lines(Lines::default()), true)
        .map_err(|error| not_started(&assignment.command, &error))
}

fn ask(worker: &mut Child, order: &Order, until: Option<Instant>, agent: &mut Agent) -> Heard {
    let request = Request {
        id: &order.mutation_id,
        candidate: &order.candidate,
        strategy: &order.strategy,
        parameters: &order.parameters,
        seed: order.seed,
    };
    let mut request = serde_json::to_vec(&request).unwrap_or_default();
    request.push(b'\n');
    let mut unsent = &request[..];
    // It waits for us, nearly always.
    worker.feed(&mut unsent);
    loop {
        if worker.has_ended() {
            worker.drain();
        }
        let Output::Lines(lines) = &mut worker.written else { return Heard::Ended };
        match lines.next() {
            Ok(Some(line)) => {
                let answer = fitness::of_answer(&line, &order.mutation_id);
                return answer.map_or_else(Heard::Garbage, Heard::Answer);
            }
            Ok(None) if worker.is_through() => return Heard::Ended,
            Ok(None) if agent.is_gone() => return Heard::AgentGone,
            Ok(None) if until.is_some_and(|until| Instant::now() >= until) => return Heard::Late,
            Ok(None) => worker.attend(agent, until, Some(&mut unsent)),
            Err(_) => return Heard::Garbage("a line of more than 64 KiB is no answer".to_owned()),
        }
    }
}

/// The verdict on the evaluation in which a worker ended.
fn crash(mut worker: Child, assignment: &Assignment, agent: &mut Agent) -> Verdict {
    // Its pipes close a moment before it has ended.
    let until = Instant::now() + LAST_MOMENT;
    while !worker.has_ended() && Instant::now() < until {
        worker.attend(agent, Some(until), None);
    }
    let what = if worker.has_ended() {
        "the worker ended without an answer"
    } else {
        worker.terminate(agent);
        "the worker closed its standard output"
    };
    let ended = worker.finish();
    let how = format!("{what}, {}", ending(&ended, limits(assignment)));
    Verdict::Failed(with_tail(&how, ended.tail.get()))
}
