//! `schedule`: batches by the config's own schedule, and `schedule next`, which says when.

use super::{Configuration, Failure};
use crate::batch;
use crate::config::Secrets;
use crate::exit::Exit;
use crate::notify::Notifier;
use crate::scheduler::{self, SchedulerError};
use std::io::Write;
use std::time::Duration;

const AFTER_HELP: &str = "\
SIGTERM and SIGINT go on to the batch, which seals and pushes within [batch] shutdown_timeout; a second one ends all at \
once. SIGHUP reads the configuration again; one that cannot be used changes nothing. Each batch uses the configuration \
that was in force when it began.

Exit codes:
    0  stopped while idle, or with the batch under way sealed
   73  cannot create data_dir; 74, 77  schedule.json or its lock cannot be used
   75  another schedule keeps this data_dir
   78  configuration, or no [schedule] in it
  130, 143  a batch was left unsealed, for the next start; else the batch's own code";

/// What to do with the schedule.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP, subcommand_value_name = "COMMAND")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Print the coming starts, in the schedule's zone and in UTC
    Next {
        /// How many
        #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 5,
            value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
    },
}

/// Keeps the schedule, or prints what is to come.
pub fn run(
    source: &Configuration,
    args: &Args,
    options: Vec<String>,
    notifier: &Notifier,
    watchdog: Option<Duration>,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    match args.what {
        Some(What::Next { count }) => next(source, count, out),
        None => Ok(scheduler::keep(&source.launch(options)?, notifier, watchdog)?),
    }
}

fn next(source: &Configuration, count: u32, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Some(schedule) = source.load(Secrets::Unneeded)?.schedule else {
        return Err(SchedulerError::NoSchedule(source.path().to_owned()).into());
    };
    let timetable = schedule.timetable;
    let first = timetable.next_after(batch::now());
    let starts = std::iter::successors(first, |start| timetable.next_after(*start));
    for start in starts.take(count as usize) {
        writeln!(out, "{}  {}", timetable.local_text(start), start.to_rfc3339())?;
    }
    Ok(Exit::Done)
}
