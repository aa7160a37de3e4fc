//! `evaluator-host`: started by a batch for each of its workers, and by nobody else.

use super::Failure;
use crate::evaluator::host::{HostError, serve};
use crate::exit::Exit;
use std::io::Write;

/// Serves the batch at standard input until it is gone.
pub fn run(out: &mut dyn Write) -> Result<Exit, Failure> {
    serve(out).map(|()| Exit::Done).map_err(|error| {
        let exit = match error {
            HostError::Own(_) => Exit::Internal,
            HostError::Line(_) => Exit::Usage,
            HostError::Report(_) => Exit::Io,
        };
        Failure::new(exit, &error)
    })
}
