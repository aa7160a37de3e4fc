//! One file per subcommand; composition only. Results go to standard output, which is handed in.

pub mod audit;
pub mod best;
pub mod check;
pub mod compare;
pub mod demo;
pub mod evaluator_host;
pub mod ingest;
pub mod promote;
pub mod push;
pub mod replay;
pub mod report;
pub mod run;
pub mod stats;

mod configuration;
mod failure;
mod program;
mod receiver;
mod selection;

pub use configuration::Configuration;
pub use failure::Failure;
