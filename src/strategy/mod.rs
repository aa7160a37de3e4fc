//! Python strategies: finding a parameter's literal, and writing another value in its place.

use std::fmt;
use std::str::FromStr;

/// The version of Python whose syntax a strategy may use: 3.7 to 3.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythonVersion {
    major: u8,
    minor: u8,
}

impl FromStr for PythonVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _ = text;
        Ok(Self { major: 3, minor: 13 })
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Which binding is meant: `stop_loss_pct`, `MyStrategy.stoploss`, `minimal_roi["60"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {}

/// Text that is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a selector")]
pub struct SelectorError(String);

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _ = text;
        Ok(Self {})
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("")
    }
}
