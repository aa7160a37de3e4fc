//! A batch agent that mutates trading-strategy parameters, audits every attempt and pushes truthful metrics.
//!
//! The audit log is the truth; everything else is derived from it. docs/ARCHITECTURE.md has the
//! two-page view. The floors, from the ground up; a module imports from those above it in this
//! list and never from those below (`tests/architecture.rs`).

pub mod exit;
pub mod units;

pub mod strategy;

pub mod mutation;

pub mod record;

pub mod metrics;

pub mod schedule;

pub mod disk;

pub mod notify;

pub mod evolution;

pub mod comparison;

pub mod report;

pub mod ingest;

pub mod evaluator;

pub mod gateway;

pub mod audit;

pub mod state;

pub mod config;

pub mod batch;

pub mod scheduler;

pub mod commands;

pub mod log;

pub mod cli;
