//! The configuration that a command works by: its file, and which shard of its strategies.

use super::Failure;
use super::failure::unread;
use crate::audit::{Folder, shards_in};
use crate::config::{Choice, Config, Environment, Secrets};
use crate::exit::Exit;
use crate::state::Store;
use crate::units::Shard;
use std::path::{Path, PathBuf};

/// As it is typed.
#[derive(Clone, Debug, clap::Args)]
pub struct Configuration {
    /// The configuration
    #[arg(long = "config", global = true, value_name = "FILE", default_value = "agent.toml")]
    path: PathBuf,

    /// One of N parts of the strategies, counted from 0, with folders and a group of its own; `none`: all strategies,
    /// whatever Slurm or Kubernetes say. Without it, what only reads takes the folders of all
    #[arg(long, global = true, value_name = "I/N", help_heading = "Shards")]
    shard: Option<Choice>,

    /// Of how many parts this is one; which one, says `JOB_COMPLETION_INDEX` or `SLURM_ARRAY_TASK_ID`
    #[arg(long, global = true, value_name = "N", conflicts_with = "shard", help_heading = "Shards",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(Shard::MOST)))]
    shards: Option<u32>,
}

impl Configuration {
    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the command line says which shard is meant.
    pub(super) const fn names_a_shard(&self) -> bool {
        matches!(self.shard, Some(Choice::One(_)))
    }

    /// Reads and checks it.
    pub fn load(&self, secrets: Secrets) -> Result<Config, Failure> {
        let environment = self.environment()?;
        Ok(Config::load(&self.path, &environment, secrets)?)
    }

    /// For those who look: the same, or where no shard is meant and there are some, one for each of them, by number, after
    /// that of an agent for all strategies, if one ever ran. Of how many shards they are says nothing.
    pub(super) fn load_all(&self, secrets: Secrets) -> Result<Vec<Config>, Failure> {
        let environment = self.environment()?;
        let own = Config::load(&self.path, &environment, secrets)?;
        if own.shard.is_some() {
            return Ok(vec![own]);
        }
        let shards = shards_in(&own.data_dir).map_err(|error| unread(&error))?;
        let shards = shards.into_keys().filter_map(|index| Shard::new(index, Shard::MOST).ok());
        let shards = shards.map(|shard| {
            let environment = Environment { shard: Some(shard), ..environment.clone() };
            Config::load(&self.path, &environment, secrets)
        });
        let mut all = shards.collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() || has_run(&own)? {
            all.insert(0, own);
        }
        Ok(all)
    }

    fn environment(&self) -> Result<Environment, Failure> {
        Environment::read(self.shard, self.shards)
            .map_err(|error| Failure::new(Exit::Usage, &error))
    }
}

/// Whether an agent for all strategies has left something.
fn has_run(own: &Config) -> Result<bool, Failure> {
    let batches = Folder::new(own.audit.dir.clone()).batches().map_err(|error| unread(&error))?;
    Ok(!batches.is_empty() || Store::new(&own.data_dir).path().exists())
}
