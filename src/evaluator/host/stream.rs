//! An evaluator that is started once and fed a line per candidate; it may have several unanswered.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::job::Verdict;
use super::super::protocol::{Assignment, LONGEST_PAUSE, Order, Report};
use super::agent::Agent;
use super::asked::{Asked, Found, Request, Written};
use super::capture::{Lines, Output};
use super::child::Child;
use super::fitness::{self, Reply};
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
    /// Losses of a worker since the last success.
    failures: u32,
    /// Not started again before.
    not_before: Option<Instant>,
    /// Not yet written to a worker.
    waiting: VecDeque<Request>,
    asked: Asked,
}

/// What a worker reads.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    candidate: &'a str,
    strategy: &'a str,
    parameters: &'a BTreeMap<String, Number>,
    seed: u64,
}

/// How a worker was lost.
enum Loss {
    /// A line that is no answer, or an answer to nothing.
    Garbage(String),
    /// It ended, or closed its standard output.
    Ended,
}

impl Stream {
    /// Takes an order, which is answered by a later [`Self::turn`].
    pub(super) fn take(&mut self, order: Order) {
        self.waiting.push_back(Request { order, again: false });
    }

    /// Asks what can be asked, waits for the agent or for the worker, and says what came of orders meanwhile.
    pub(super) fn turn(&mut self, assignment: &Assignment, agent: &mut Agent) -> Vec<Report> {
        let mut done = Vec::new();
        self.ask(assignment, &mut done);
        // What could not be asked is answered, and whoever gave it may wait.
        if done.is_empty() {
            self.attend(assignment.timeout, agent);
        }
        self.hear(assignment, agent, &mut done);
        self.end_the_late(assignment, agent, &mut done);
        done
    }

    /// Starts the worker where it is needed, and writes as many requests as it takes.
    fn ask(&mut self, assignment: &Assignment, done: &mut Vec<Report>) {
        let now = Instant::now();
        let is_pausing = self.worker.is_none() && self.not_before.is_some_and(|end| now < end);
        if self.waiting.is_empty() || is_pausing {
            return;
        }
        let worker = match self.worker.take().map_or_else(|| start(assignment), Ok) {
            Ok(worker) => self.worker.insert(worker),
            Err(verdict) => {
                self.failed();
                let first = self.waiting.pop_front();
                done.extend(first.map(|request| report(&request, now.elapsed(), verdict)));
                return;
            }
        };
        // One request at the most is written in part: those behind it have time.
        while !worker.input.is_unsent()
            && let Some(request) = self.waiting.pop_front()
        {
            if self.asked.has(&request.order.mutation_id) {
                let text = "another request has this id, and was not answered".to_owned();
                done.push(report(&request, Duration::ZERO, Verdict::Failed(text)));
                continue;
            }
            if self.asked.len() == 0 {
                worker.tail.clear();
            }
            limits(assignment).allow_cpu(worker.pid());
            worker.input.put(&line(&request.order));
            self.asked.add(request, now);
        }
    }

    /// Waits until something happens, or is to be done.
    fn attend(&mut self, timeout: Duration, agent: &mut Agent) {
        match &mut self.worker {
            Some(worker) => worker.attend(agent, self.asked.end(timeout)),
            None => agent.attend(self.not_before.filter(|_| !self.waiting.is_empty())),
        }
    }

    /// Takes the answers that have come in. What is said while nothing is asked is read when something is.
    fn hear(&mut self, assignment: &Assignment, agent: &mut Agent, done: &mut Vec<Report>) {
        while self.asked.len() > 0
            && let Some(worker) = &mut self.worker
        {
            let Output::Lines(lines) = &mut worker.written else { return };
            let loss = match lines.next() {
                Ok(Some(line)) => match self.answer(&line, assignment.in_flight, done) {
                    Ok(()) => continue,
                    Err(text) => Loss::Garbage(text),
                },
                Ok(None) if worker.has_ended() && worker.drain() => continue,
                Ok(None) if worker.is_through() => Loss::Ended,
                Ok(None) => return,
                Err(_) => Loss::Garbage("a line of more than 64 KiB is no answer".to_owned()),
            };
            self.lose(loss, assignment, agent, done);
        }
        // One that ended while nobody asked it anything costs no evaluation; the next one gets a new worker.
        if self.worker.as_ref().is_some_and(Child::is_through) {
            self.end(agent);
            self.failed();
        }
    }

    /// What a line says of a request; as an error, why it costs the worker.
    fn answer(
        &mut self,
        line: &[u8],
        in_flight: usize,
        done: &mut Vec<Report>,
    ) -> Result<(), String> {
        let Reply { id, verdict } = fitness::of_answer(line)?;
        if in_flight == 1 {
            verdict.as_ref().map_err(String::clone)?;
        }
        let Written { request, at } = match self.asked.answered(&id, Instant::now()) {
            Found::Request(written) => written,
            Found::Late => return Ok(()),
            Found::Unknown => return Err(fitness::of_another(line, self.asked.only())),
        };
        if verdict.is_ok() {
            self.failures = 0;
            self.not_before = None;
        }
        let verdict = verdict.unwrap_or_else(|why| Verdict::Invalid(with_tail(&why, b"")));
        done.push(report(&request, at.elapsed(), verdict));
        if let Some(worker) = &mut self.worker {
            worker.reap_orphans();
        }
        Ok(())
    }

    /// Answers for those whose time is over. Where nothing was answered since they were written, the worker hangs; so it
    /// does where it owes more late answers than it may have in flight.
    fn end_the_late(&mut self, assignment: &Assignment, agent: &mut Agent, done: &mut Vec<Report>) {
        let timeout = assignment.timeout;
        // What is in its pipe was answered in time.
        while let Some(worker) = &mut self.worker
            && self.asked.end(timeout).is_some_and(|end| end <= Instant::now())
        {
            let before = self.asked.len();
            worker.attend(agent, Some(Instant::now()));
            self.hear(assignment, agent, done);
            if self.asked.len() == before {
                break;
            }
        }
        let overdue = self.asked.take_late(timeout, Instant::now());
        let Some(last) = overdue.last() else { return };
        let hangs = !self.asked.heard_since(last.at) || self.asked.owed() > assignment.in_flight;
        let took: Vec<Duration> = overdue.iter().map(|one| one.at.elapsed()).collect();
        let mut said = Vec::new();
        if let Some(mut worker) = self.worker.take_if(|_| hangs) {
            worker.terminate(agent);
            said = worker.finish().tail.get().to_vec();
            self.failed();
            let text = with_tail("the worker hung and was ended", &said);
            self.ask_again(&Verdict::Failed(text), false, done);
        }
        for (Written { request, .. }, took) in overdue.iter().zip(took) {
            done.push(report(request, took, late(timeout, &said)));
        }
    }

    /// Ends a worker that is of no more use, and sees to what it was asked.
    fn lose(
        &mut self,
        loss: Loss,
        assignment: &Assignment,
        agent: &mut Agent,
        done: &mut Vec<Report>,
    ) {
        let Some(mut worker) = self.worker.take() else { return };
        let is_alone = self.asked.only().is_some();
        let verdict = match loss {
            Loss::Garbage(text) => {
                worker.terminate(agent);
                let text = with_tail(&text, worker.finish().tail.get());
                if is_alone { Verdict::Invalid(text) } else { Verdict::Failed(text) }
            }
            Loss::Ended => crash(worker, assignment, agent),
        };
        self.failed();
        self.ask_again(&verdict, is_alone, done);
    }

    /// Nobody knows which of several requests was at fault: each is asked once more of the next worker, and of no third
    /// one.
    fn ask_again(&mut self, verdict: &Verdict, is_known: bool, done: &mut Vec<Report>) {
        for Written { request, at } in self.asked.take_all().into_iter().rev() {
            if is_known || request.again {
                done.push(report(&request, at.elapsed(), verdict.clone()));
            } else {
                self.waiting.push_front(Request { again: true, ..request });
            }
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
}

fn report(request: &Request, took: Duration, verdict: Verdict) -> Report {
    Report::Done { number: request.order.number, took, verdict }
}

fn start(assignment: &Assignment) -> Result<Child, Verdict> {
    let mut command = command(&assignment.command, assignment);
    Child::start(&mut command, limits(assignment), Output::Lines(Lines::default()), true)
        .map_err(|error| not_started(&assignment.command, &error))
}

fn line(order: &Order) -> Vec<u8> {
    let line = Line {
        id: &order.mutation_id,
        candidate: &order.candidate,
        strategy: &order.strategy,
        parameters: &order.parameters,
        seed: order.seed,
    };
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The verdict on the evaluation in which a worker ended.
fn crash(mut worker: Child, assignment: &Assignment, agent: &mut Agent) -> Verdict {
    // Its pipes close a moment before it has ended.
    let until = Instant::now() + LAST_MOMENT;
    while !worker.has_ended() && Instant::now() < until {
        worker.attend(agent, Some(until));
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
