//! The command line.

use crate::commands::{self, Configuration, Failure};
use crate::exit::Exit;
use crate::log::Look;
use crate::notify::Notifier;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::{self, Write};
use tracing::level_filters::LevelFilter;

const AFTER_HELP: &str = "\
Exit codes:
    0  done and delivered          75  undelivered, a gateway differs, or another is at work
    1  no mutation succeeded       77  permission denied
    2  usage                       78  configuration
   65  no usable strategy, or an audit that is not as it was written
   70  internal error
   73  cannot create state, audit or output
   74  I/O error during the batch
  129, 130, 143  interrupted: sealed, pushed

Try `mutation-agent demo` first: it needs no configuration and no server.";

/// Mutates trading-strategy parameters each night, audits every attempt, pushes truthful metrics.
#[derive(Debug, Parser)]
#[command(name = "mutation-agent", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    configuration: Configuration,

    /// How log lines on standard error look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,

    /// Say more: -v one line per mutation, -vv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Text; in colour on a terminal, with priorities and without times where it goes to systemd's journal
    Auto,
    /// Text with times
    Text,
    /// One JSON object per line, and the result of `run` as one on standard output
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one batch: mutate, record, seal, push
    Run(commands::run::Args),
    /// Show the effective configuration, every target by file and line, and what is wrong
    Check(commands::check::Args),
    /// Deliver totals that a gateway has not seen
    Push(commands::push::Args),
    /// Show the best candidate of each strategy beside its source
    Best(commands::best::Args),
    /// Put the best candidate in the place of its source, past the gate of [promote]
    Promote(commands::promote::Args),
    /// Take in what another program logged, so that its mutations are counted and pushed
    Ingest(commands::ingest::Args),
    /// Draw batches again from their manifests, and say at which record, if any, they differ
    Replay(commands::replay::Args),
    /// Statistics over audit files
    Stats(commands::stats::Args),
    /// One page about the nights, for people: an HTML file that needs nothing beside it
    Report(commands::report::Args),
    /// Hold two sets of attempts against each other: what differs, by how much, how sure that is
    Compare(commands::compare::Args),
    /// The audit log: what there is, whether it is what was written, what may go
    #[command(subcommand)]
    Audit(Audit),
    /// Do the whole job in memory and show what arrives at a gateway: no configuration, no server
    Demo,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for `man -l -`
    Man,
    /// Own the evaluators of one worker; started by `run`, which tells it what to do
    #[command(hide = true)]
    EvaluatorHost,
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// A row per batch, oldest first; also while a batch runs
    List(commands::audit::list::Args),
    /// Read everything again: digests, the chain of manifests, ids, counts; also while a batch runs
    Verify(commands::audit::verify::Args),
    /// Remove what the retention lets go; never what is open, not counted, or the newest
    Prune(commands::audit::prune::Args),
}

impl Audit {
    fn run(&self, config: &Configuration, out: &mut dyn Write) -> Result<Exit, Failure> {
        match self {
            Self::List(args) => commands::audit::list::run(config, args, out),
            Self::Verify(args) => commands::audit::verify::run(config, args, out),
            Self::Prune(args) => commands::audit::prune::run(config, args, out),
        }
    }
}

impl Cli {
    /// Sends log lines to standard error from now on.
    pub fn start_log(&self) {
        let level = match (&self.command, self.verbose) {
            // The demo's output is its own story.
            (Command::Demo, 0) => LevelFilter::WARN,
            (_, 0) => LevelFilter::INFO,
            (_, 1) => LevelFilter::DEBUG,
            (_, _) => LevelFilter::TRACE,
        };
        let other = if self.verbose > 1 { LevelFilter::DEBUG } else { LevelFilter::WARN };
        self.look().start(level, other);
    }

    fn look(&self) -> Look {
        let no_colour = environment("NO_COLOR").is_some();
        match self.log_format {
            LogFormat::Json => Look::Json,
            LogFormat::Text => Look::text(no_colour),
            LogFormat::Auto => Look::of_stderr(environment("JOURNAL_STREAM").as_deref(), no_colour),
        }
    }

    /// Does what was asked for.
    pub fn run(&self) -> Exit {
        let mut out = io::stdout().lock();
        let look = self.look();
        let json = look == Look::Json;
        let notifier = Notifier::new(environment("NOTIFY_SOCKET").as_deref());
        let done = match &self.command {
            Command::Run(args) => {
                commands::run::run(&self.configuration, args, json, &notifier, &mut out)
            }
            Command::Check(args) => commands::check::run(&self.configuration, args, &mut out),
            Command::Push(args) => {
                commands::push::run(&self.configuration, args, &notifier, &mut out)
            }
            Command::Best(args) => commands::best::run(&self.configuration, args, &mut out),
            Command::Promote(args) => commands::promote::run(&self.configuration, args, &mut out),
            Command::Ingest(args) => {
                commands::ingest::run(&self.configuration, args, json, &notifier, &mut out)
            }
            Command::Replay(args) => commands::replay::run(&self.configuration, args, &mut out),
            Command::Stats(args) => commands::stats::run(&self.configuration, args, &mut out),
            Command::Report(args) => commands::report::run(&self.configuration, args, &mut out),
            Command::Compare(args) => commands::compare::run(&self.configuration, args, &mut out),
            Command::Audit(audit) => audit.run(&self.configuration, &mut out),
            Command::Demo => commands::demo::run(&mut out),
            Command::EvaluatorHost => commands::evaluator_host::run(&mut out),
            Command::Completions { shell } => {
                // It panics where a write fails, and memory does not.
                let mut script = Vec::new();
                let command = &mut shown();
                clap_complete::generate(*shell, command, "mutation-agent", &mut script);
                out.write_all(&script).map(|()| Exit::Done).map_err(Failure::from)
            }
            Command::Man => {
                let page = clap_mangen::Man::new(Self::command()).render(&mut out);
                page.map(|()| Exit::Done).map_err(Failure::from)
            }
        };
        match done {
            Ok(exit) => match out.flush() {
                // A reader that went away changes nothing of what was done.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    let unwritten = say(&error.into(), look);
                    // What had gone wrong before says more; a terminal that was closed is the end of both.
                    if exit == Exit::Done { unwritten } else { exit }
                }
                Ok(()) | Err(_) => exit,
            },
            Err(failure) => {
                notifier.status(&failure.to_string());
                say(&failure, look)
            }
        }
    }
}

/// The command line as a person uses it. Completions would offer hidden subcommands as well.
fn shown() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("mutation-agent")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(shown.collect::<Vec<_>>())
}

/// Says what went wrong. A reader that went away (`| head`) is nothing that did.
fn say(failure: &Failure, look: Look) -> Exit {
    if failure.is_broken_pipe() {
        return Exit::Done;
    }
    match look {
        Look::Json | Look::Journal => tracing::error!("{failure}"),
        Look::Text { .. } => {
            // Standard error is all there is to say it on.
            let _ = writeln!(io::stderr(), "error: {failure}");
        }
    }
    failure.exit()
}

/// A variable, if it is there and not empty.
fn environment(name: &str) -> Option<OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how output looks is for the command line to know"
    )]
    let value = std::env::var_os(name);
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        shown().debug_assert();
    }

    #[test]
    fn completions_offer_what_a_person_may_start() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut shown(), "agent", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(
            script.contains(
                "run check push best promote ingest replay stats report compare audit demo completions man"
            ),
            "{script}"
        );
        assert!(!script.contains("evaluator-host"));
    }
}
