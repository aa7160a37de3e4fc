//! What a config takes from the process's surroundings, as a value, so that tests need none.

use std::path::PathBuf;

/// The surroundings of a config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Where `credential:NAME` is read: systemd's `$CREDENTIALS_DIRECTORY`.
    pub credentials_directory: Option<PathBuf>,
    /// The host's name: the default label `instance`.
    pub host_name: String,
}

impl Environment {
    /// The real one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the config's environment is read"
    )]
    pub fn read() -> Self {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty());
        Self {
            credentials_directory: directory.map(PathBuf::from),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }
}
