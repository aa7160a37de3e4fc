//! agent.toml: from the text as typed to types that cannot be wrong.
//!
//! The file is read once, at the start, and everything that can be found wrong in it is found then,
//! with its line and column, so that a batch at two in the morning meets no surprise of the config's
//! making. [`Config`] assembles the types of the floors below, which know no config.

mod error;
mod source;

mod quantity;
mod raw;

mod diagnosis;

mod model;

mod environment;
mod fleet;
mod load;

mod checks;
mod sections;

mod strategies;

mod parameters;

mod evolution;

mod credentials;
mod gateways;

mod effective;

#[cfg(test)]
mod tests;

pub use environment::{Environment, Secrets};
pub use error::{ConfigError, KnownNames, Location};
pub use fleet::{Choice, FleetError};
pub use model::{
    Audit, Batch, Config, Evaluator, Evolution, Metrics, Output, Parameter, Promote, Push,
    Strategies, StrategyFile, Variant,
};
