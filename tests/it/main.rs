//! The agent as its users meet it: the built binary in a folder of its own, before a gateway that does what a script
//! says.
//!
//! A [`story::Story`] is such a folder. Nothing of the machine reaches the process but `PATH`, and nothing is waited
//! for by the clock: every wait is on a condition, with a bound.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking and write their fixtures plainly"
)]

#[path = "../support/scripted_gateway.rs"]
mod scripted_gateway;

mod exposition;
mod gateway;
mod story;
mod tamperings;

mod audit;
mod batches;
mod candidates;
mod champions;
mod cli;
mod compare;
mod delivery;
mod demo;
mod disk_full;
mod drawn_again;
mod evaluator;
mod evaluator_in_flight;
mod evaluator_orphans;
mod evaluator_stream;
mod evolution;
mod hard_inputs;
mod hostile;
mod ingest;
mod listing;
mod logs;
mod looking;
mod meddling;
mod recovery;
mod refusals;
mod replay;
mod report;
mod retention;
mod schedule;
mod secrets;
mod service;
mod shards;
mod shown;
mod signals;
mod state;
mod stats;
mod textfile;
mod variants;
mod verify;
