//! A host's life: an assignment, orders, the end.

use std::io::{self, Write};

use super::super::protocol::{Assignment, Order, Report};
use super::super::settings::Mode;
use super::agent::Agent;
use super::child::end_all;
use super::limits::without_core_files;
use super::process;
use super::stream::Stream;
use rustix::process::{getpid, set_child_subreaper, setsid};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Why there is nothing to host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It cannot own what it starts.
    #[error("cannot become the owner of evaluators: {0}")]
    Own(#[source] io::Error),
    /// What came in is nothing that an agent says.
    #[error("this is for the agent itself to start: {0}")]
    Line(#[source] serde_json::Error),
    /// The agent does not listen.
    #[error("cannot report: {0}")]
    Report(#[source] io::Error),
}

/// Serves the agent at standard input until it dismisses us or dies; reports on `out`.
pub fn serve(out: &mut dyn Write) -> Result<(), HostError> {
    own_what_descends().map_err(HostError::Own)?;
    let mut agent = Agent::new();
    let mut stream = Stream::default();
    let Some(line) = next(&mut agent, &mut stream) else { return Ok(()) };
    let assignment: Assignment = serde_json::from_slice(&line).map_err(HostError::Line)?;
    report(out, &Report::Ready)?;
    let served = orders(&assignment, &mut agent, &mut stream, out);
    stream.end(&mut agent);
    end_all();
    served
}

fn orders(
    assignment: &Assignment,
    agent: &mut Agent,
    stream: &mut Stream,
    out: &mut dyn Write,
) -> Result<(), HostError> {
    while let Some(line) = next(agent, stream) {
        let order: Order = serde_json::from_slice(&line).map_err(HostError::Line)?;
        let (verdict, took) = match assignment.mode {
            Mode::Process => process::evaluate(assignment, &order, agent),
            Mode::Stream => stream.evaluate(assignment, &order, agent),
        };
        if !agent.is_gone() {
            report(out, &Report::Done { number: order.number, took, verdict })?;
        }
    }
    Ok(())
}

/// The next line; none when the agent is gone.
fn next(agent: &mut Agent, stream: &mut Stream) -> Option<Vec<u8>> {
    while !agent.is_gone() {
        if let Some(line) = agent.line() {
            return Some(line);
        }
        stream.idle(agent);
    }
    None
}

fn report(out: &mut dyn Write, report: &Report) -> Result<(), HostError> {
    let mut line = serde_json::to_vec(report).map_err(HostError::Line)?;
    line.push(b'\n');
    match out.write_all(&line).and_then(|()| out.flush()) {
        // Nobody is there to hear it. The orders have ended as well, which is seen next.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(HostError::Report),
    }
}

/// A session of our own, every orphan below us, and no signal that is meant for the agent.
fn own_what_descends() -> io::Result<()> {
    // Whoever leads a group already, such as one who starts us by hand, has to do without the session.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    without_core_files();
    // A service manager asks all of a service to end at once. Our end is the agent's; handlers that do nothing are
    // not passed on to what we start, as ignoring would be.
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    for kind in
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()]
    {
        drop(signal(kind)?);
    }
    Ok(())
}
