//! The configuration that a command works by: its file, and which shard of its strategies.

use super::Failure;
use crate::config::{Choice, Config, Environment, Secrets};
use crate::exit::Exit;
use crate::units::Shard;
use std::path::{Path, PathBuf};

/// As it is typed.
#[derive(Clone, Debug, clap::Args)]
pub struct Configuration {
    /// The configuration
    #[arg(long = "config", global = true, value_name = "FILE", default_value = "agent.toml")]
    path: PathBuf,

    /// Work on one of N parts of the strategies, counted from 0, in folders and a group of its own; `none`: on all,
    /// whatever Slurm or Kubernetes say
    #[arg(long, global = true, value_name = "I/N")]
    shard: Option<Choice>,

    /// Of how many parts this is one; which one, says JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID
    #[arg(long, global = true, value_name = "N", conflicts_with = "shard",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(Shard::MOST)))]
    shards: Option<u32>,
}

impl Configuration {
    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks it.
    pub fn load(&self, secrets: Secrets) -> Result<Config, Failure> {
        let environment = Environment::read(self.shard, self.shards);
        let environment = environment.map_err(|error| Failure::new(Exit::Usage, &error))?;
        Ok(Config::load(&self.path, &environment, secrets)?)
    }
}
