//! What a config takes from the process's surroundings, as a value, so that tests need none.

use super::fleet::{self, Choice, FleetError};
use crate::units::Shard;
use std::path::PathBuf;

/// The surroundings of a config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Where `credential:NAME` is read: systemd's `$CREDENTIALS_DIRECTORY`.
    pub credentials_directory: Option<PathBuf>,
    /// The host's name: the default label `instance`.
    pub host_name: String,
    /// Which part of the strategies is meant; all if `None`.
    pub shard: Option<Shard>,
}

/// Which of the files with secrets and certificates are read. A gateway that lacks one is there, and
/// no client can be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// All: something may be sent.
    Needed,
    /// Those that can be had here: what systemd hands over to the unit alone is a warning elsewhere.
    Here,
    /// None: nothing will be sent.
    Unneeded,
}

impl Environment {
    /// The real one, with the shard that is asked for, or that the surroundings say.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the config's environment is read"
    )]
    pub fn read(asked: Option<Choice>, shards: Option<u32>) -> Result<Self, FleetError> {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty());
        // One that cannot be read as text is no number either.
        let variable =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Ok(Self {
            credentials_directory: directory.map(PathBuf::from),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            shard: fleet::shard(asked, shards, &variable)?,
        })
    }

    /// The folders in which programs without a slash in their names are looked up: `$PATH`.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the config's environment is read"
    )]
    pub fn program_folders() -> Vec<PathBuf> {
        std::env::var_os("PATH")
            .map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
    }
}
