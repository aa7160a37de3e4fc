//! Looking at a data folder without its lock, and figures for people.

use crate::commands::Failure;
use crate::config::Config;
use crate::state::{State, Store};
use bytesize::ByteSize;

/// The state, if there is one that can be read.
pub(super) fn state_of(config: &Config) -> Result<Option<State>, Failure> {
    let store = Store::new(&config.data_dir);
    match store.look()? {
        Some(Ok(state)) => Ok(Some(state)),
        Some(Err(error)) => {
            let path = store.path().display();
            tracing::warn!("{path} is corrupt ({error}); the next start makes it again");
            Ok(None)
        }
        None => Ok(None),
    }
}

/// `9.3 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// `1 batch`, `2 batches`.
pub(super) fn batches(count: impl TryInto<u64>) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => "1 batch".to_owned(),
        count => format!("{count} batches"),
    }
}
