//! An evaluator that is started for each candidate.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::job::Verdict;
use super::super::protocol::{Assignment, MARK, Order, mark};
use super::super::settings::PLACEHOLDER;
use super::agent::Agent;
use super::capture::{LastLine, Output};
use super::child::{Child, Ended};
use super::fitness;
use super::limits::Limits;
use super::text::with_tail;
use rustix::process::Signal;

/// Judges one candidate and leaves nothing behind; also says how long it took.
pub(super) fn evaluate(
    assignment: &Assignment,
    order: &Order,
    agent: &mut Agent,
) -> (Verdict, Duration) {
    let words: Vec<String> =
        assignment.command.iter().map(|word| word.replace(PLACEHOLDER, &order.candidate)).collect();
    let mut command = command(&words, assignment);
    command
        .env("MUTATION_ID", &order.mutation_id)
        .env("STRATEGY", &order.strategy)
        .env("SEED", order.seed.to_string());
    let began = Instant::now();
    let limits = limits(assignment);
    let started = Child::start(&mut command, limits, Output::Last(LastLine::default()), false);
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return (not_started(&words, &error), began.elapsed()),
    };
    let until = began.checked_add(assignment.timeout);
    while !child.has_ended() && !agent.is_gone() {
        if until.is_some_and(|until| Instant::now() >= until) {
            child.terminate(agent);
            let ended = child.finish();
            return (late(assignment.timeout, said(&ended)), began.elapsed());
        }
        child.attend(agent, until);
    }
    let took = began.elapsed();
    if agent.is_gone() {
        child.terminate(agent);
    }
    let ended = child.finish();
    (judge(&ended, limits), took)
}

/// The command in our folder with the environment of every evaluator.
pub(super) fn command(words: &[String], assignment: &Assignment) -> Command {
    let mut words = words.iter();
    // Not empty: the settings were checked.
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words).env("BATCH_ID", &assignment.batch_id);
    command.env(MARK, mark(&assignment.batch_id, std::process::id()));
    command
}

/// The limits as they were assigned.
pub(super) const fn limits(assignment: &Assignment) -> Limits {
    Limits { memory: assignment.memory, cpu: assignment.cpu }
}

/// Why a program cannot be started; whether that can be otherwise for the next one.
pub(super) fn not_started(words: &[String], error: &io::Error) -> Verdict {
    let program = words.first().map_or("", String::as_str);
    let cannot =
        |why: &str| with_tail(&format!("cannot run the evaluator `{program}`: {why}"), b"");
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => Verdict::Unusable(cannot(
            "it, or the interpreter that its first line names, is not there",
        )),
        io::ErrorKind::NotFound => Verdict::Unusable(cannot(
            "it is not in PATH; name it with its folder, such as ./evaluator",
        )),
        io::ErrorKind::PermissionDenied => {
            Verdict::Unusable(cannot("it is not executable for this user (chmod +x)"))
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            Verdict::Unusable(cannot(
                "it is no program; a script begins with a line such as #!/bin/sh",
            ))
        }
        // Too many processes, no memory: another time it may go.
        _ => Verdict::Failed(cannot(&error.to_string())),
    }
}

/// The verdict on one that took too long.
pub(super) fn late(timeout: Duration, said: &[u8]) -> Verdict {
    let timeout = humantime::format_duration(timeout);
    Verdict::Timeout(with_tail(&format!("no answer within {timeout}"), said))
}

/// What it has to say for itself: the end of standard error, or else of standard output.
pub(super) fn said(ended: &Ended) -> &[u8] {
    match &ended.written {
        Output::Last(last) if ended.tail.get().is_empty() => last.get().kept(),
        Output::Last(_) | Output::Lines(_) => ended.tail.get(),
    }
}

fn judge(ended: &Ended, limits: Limits) -> Verdict {
    match (&ended.status, &ended.written) {
        (Some(status), Output::Last(last)) if status.exit_status() == Some(0) => {
            fitness::of_last_line(last.get())
        }
        _ => Verdict::Failed(with_tail(&ending(ended, limits), said(ended))),
    }
}

/// How it ended, in words, with the limit that it ran into where that can be told.
pub(super) fn ending(ended: &Ended, limits: Limits) -> String {
    let Some(status) = &ended.status else {
        return "it does not end, not even by SIGKILL".to_owned();
    };
    let how = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by {}", name(signal)),
        (None, None) => "it ended in an unknown way".to_owned(),
    };
    let signal = status.terminating_signal();
    let is = |wanted: Signal| signal == Some(wanted.as_raw());
    if let Some(cpu) = limits.cpu
        && (is(Signal::XCPU) || is(Signal::KILL) && ended.cpu >= cpu)
    {
        return format!("{how}: the limit of {} processor time", humantime::format_duration(cpu));
    }
    if let Some(memory) = limits.memory
        && speaks_of_memory(ended.tail.get())
    {
        return format!("{how}, with memory limited to {}", bytesize::ByteSize(memory));
    }
    how
}

/// How the common runtimes say that there is no memory.
fn speaks_of_memory(said: &[u8]) -> bool {
    let text = String::from_utf8_lossy(said).to_lowercase();
    [
        "memoryerror",
        "bad_alloc",
        "cannot allocate",
        "out of memory",
        "memory exhausted",
        "failed to map",
        "enomem",
    ]
    .iter()
    .any(|words| text.contains(words))
}

fn name(signal: i32) -> String {
    let name = match Signal::from_named_raw(signal) {
        Some(Signal::HUP) => "SIGHUP",
        Some(Signal::INT) => "SIGINT",
        Some(Signal::QUIT) => "SIGQUIT",
        Some(Signal::ILL) => "SIGILL",
        Some(Signal::ABORT) => "SIGABRT",
        Some(Signal::BUS) => "SIGBUS",
        Some(Signal::FPE) => "SIGFPE",
        Some(Signal::KILL) => "SIGKILL (if by nobody here, the kernel had no memory left)",
        Some(Signal::SEGV) => "SIGSEGV",
        Some(Signal::PIPE) => "SIGPIPE",
        Some(Signal::TERM) => "SIGTERM",
        Some(Signal::XCPU) => "SIGXCPU",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}
