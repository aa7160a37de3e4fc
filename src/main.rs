//! Parse, dispatch, exit code; nothing else.

use clap::Parser as _;
use mutation_agent::cli::Cli;
use mutation_agent::exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.start_log();
    // A panic has printed itself; the table gives it a code of its own.
    std::panic::catch_unwind(|| cli.run()).unwrap_or(Exit::Internal).into()
}
