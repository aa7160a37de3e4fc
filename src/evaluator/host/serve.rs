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
    let Some(line) = next(&mut agent) else { return Ok(()) };
    let assignment: Assignment = serde_json::from_slice(&line).map_err(HostError::Line)?;
    report(out, &[Report::Ready])?;
    let served = match assignment.mode {
        Mode::Process => one_by_one(&assignment, &mut agent, out),
        Mode::Stream => streaming(&assignment, &mut agent, out),
    };
    end_all();
    served
}

fn one_by_one(
    assignment: &Assignment,
    agent: &mut Agent,
    out: &mut dyn Write,
) -> Result<(), HostError> {
    while let Some(line) = next(agent) {
        let order: Order = serde_json::from_slice(&line).map_err(HostError::Line)?;
        let (verdict, took) = process::evaluate(assignment, &order, agent);
        report(out, &[Report::Done { number: order.number, took, verdict }])?;
    }
    Ok(())
}

fn streaming(
    assignment: &Assignment,
    agent: &mut Agent,
    out: &mut dyn Write,
) -> Result<(), HostError> {
    let mut stream = Stream::default();
    let mut served = Ok(());
    while served.is_ok() && !agent.is_gone() {
        served =
            orders(agent, &mut stream).and_then(|()| report(out, &stream.turn(assignment, agent)));
    }
    stream.end(agent);
    served
}

/// Hands over the orders that have come in.
fn orders(agent: &mut Agent, stream: &mut Stream) -> Result<(), HostError> {
    while let Some(line) = agent.line() {
        stream.take(serde_json::from_slice(&line).map_err(HostError::Line)?);
    }
    Ok(())
}

/// The next line; none when the agent is gone.
fn next(agent: &mut Agent) -> Option<Vec<u8>> {
    while !agent.is_gone() {
        if let Some(line) = agent.line() {
            return Some(line);
        }
        agent.attend(None);
    }
    None
}

fn report(out: &mut dyn Write, reports: &[Report]) -> Result<(), HostError> {
    let mut lines = Vec::new();
    for report in reports {
        serde_json::to_writer(&mut lines, report).map_err(HostError::Line)?;
        lines.push(b'\n');
    }
    match out.write_all(&lines).and_then(|()| out.flush()) {
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
