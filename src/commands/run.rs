//! `run`: one batch, or with `--dry-run` what it would be.

use super::{Configuration, Failure, check};
use crate::batch::{self, BatchEnd, BatchPlan, Delivered};
use crate::config::{Config, Secrets};
use crate::exit::Exit;
use crate::metrics::BatchSummary;
use crate::notify::Notifier;
use std::collections::BTreeMap;
use std::io::Write;

/// What can be said differently from the configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Rounds in this batch, instead of those in the configuration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rounds: Option<u32>,
    /// Mutations in each round, instead of those in the configuration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub mutations: Option<u32>,
    /// Seed of all random streams, instead of the one in the configuration
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Say what would be done and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The config's text is at standard input, as `schedule` has read it
    #[arg(long, hide = true)]
    pub config_on_stdin: bool,
}

/// Runs a batch and says what became of it in one line.
pub fn run(
    source: &Configuration,
    args: &Args,
    json: bool,
    notifier: &Notifier,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let secrets = if args.dry_run { Secrets::Here } else { Secrets::Needed };
    let mut config = if args.config_on_stdin {
        source.read(std::io::stdin(), secrets)?
    } else {
        source.load(secrets)?
    };
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    config.batch.rounds = args.rounds.unwrap_or(config.batch.rounds);
    config.batch.mutations_per_round = args.mutations.unwrap_or(config.batch.mutations_per_round);
    config.batch.seed = args.seed.or(config.batch.seed);
    // No more bits than a double has, which is what jq makes of the number in the manifest.
    let seed = config.batch.seed.unwrap_or_else(|| batch::random() >> 11);
    let plan = BatchPlan::make(&config, seed)?;
    plan.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    if args.dry_run {
        return dry_run(&config, &plan, out);
    }
    let end = batch::run(&config, &plan, check::clients(&config.gateways)?, notifier)?;
    notifier.status(&in_words(&end));
    // The exit code says what became of the batch, even to a reader that went away.
    let line = if json { as_json(&end).to_string() } else { as_text(&end) };
    if let Err(unread) = writeln!(out, "{line}") {
        tracing::debug!("{unread}");
    }
    Ok(end.exit)
}

fn dry_run(config: &Config, plan: &BatchPlan, out: &mut dyn Write) -> Result<Exit, Failure> {
    writeln!(
        out,
        "would run {} rounds of {} mutations over {} of {} strategies, seed {}",
        plan.rounds,
        plan.mutations_per_round,
        plan.usable().len(),
        plan.strategies.len(),
        plan.seed,
    )?;
    if let Some((shard, turns)) = plan.shard() {
        let (own, all) =
            (plan.attempts(), u64::from(plan.rounds) * u64::from(plan.mutations_per_round));
        writeln!(out, "as shard {shard}: {own} of the {all} mutations of all {turns} strategies")?;
    }
    check::write_strategies(plan, out)?;
    writeln!(out, "would write below {}", config.data_dir.display())?;
    if config.output.keep > 0 {
        let keep = config.output.keep;
        writeln!(
            out,
            "would write up to {keep} candidates per strategy below {}",
            config.output.dir.display()
        )?;
    }
    for gateway in &config.gateways {
        writeln!(out, "would push to {}", gateway.group())?;
    }
    writeln!(out, "nothing was written or sent")?;
    let none = plan.usable().is_empty() && !plan.is_elsewhere();
    Ok(if none { Exit::NoStrategy } else { Exit::Done })
}

/// What became of it and where it is, in a line.
pub(super) fn as_text(end: &BatchEnd) -> String {
    let audit = match &end.audit {
        Some(path) => format!("; audit {}", path.display()),
        None => "; unsealed, the next start seals it".to_owned(),
    };
    let output = end.output.as_ref().map(|path| format!("; candidates {}", path.display()));
    format!("{}{audit}{}", in_words(end), output.unwrap_or_default())
}

/// What became of it, without where it is.
fn in_words(end: &BatchEnd) -> String {
    let BatchSummary { batch_id, status, tally, .. } = &end.summary;
    let (attempts, successes) = (tally.attempts(), tally.successes());
    let share = match attempts {
        0 => String::new(),
        _ => format!(" ({:.1} %)", tally.success_rate() * 100.0),
    };
    let time = end.summary.duration_seconds.map(|seconds| format!(" in {seconds:.3} s"));
    let delivered = end.delivered.iter().filter(|one| one.result.is_ok()).count();
    let delivery = match end.delivered.len() {
        0 => "no gateway to deliver to".to_owned(),
        all => format!("delivered to {delivered} of {all} gateways"),
    };
    // How a batch that is not sealed is counted is for the next start to find out.
    let status = if end.audit.is_some() { status.as_str() } else { "not sealed" };
    format!(
        "batch {batch_id} {status}: {attempts} mutations, {successes} succeeded{share}{}; {delivery}",
        time.unwrap_or_default(),
    )
}

/// What became of it, for programs.
pub(super) fn as_json(end: &BatchEnd) -> serde_json::Value {
    let summary = &end.summary;
    serde_json::json!({
        "batch_id": summary.batch_id,
        // Of a batch that is not sealed, the next start finds out.
        "status": end.audit.is_some().then_some(summary.status),
        "attempts": summary.tally.attempts(),
        "successes": summary.tally.successes(),
        "duration_seconds": summary.duration_seconds,
        "delivered": delivered(&end.delivered),
        "audit": end.audit,
        "output": end.output,
        "exit_code": end.exit.code(),
    })
}

/// By gateway, whether it has the totals.
pub(super) fn delivered(all: &[Delivered]) -> BTreeMap<&str, bool> {
    all.iter().map(|one| (&*one.gateway, one.result.is_ok())).collect()
}
