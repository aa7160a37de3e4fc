//! A batch agent that mutates trading-strategy parameters, audits every attempt and pushes truthful metrics.
//!
//! The floors, from the ground up; imports run downwards only (`tests/architecture.rs`).

pub mod units;

pub mod strategy;

pub mod mutation;

pub mod record;

pub mod metrics;

pub mod disk;

pub mod gateway;

pub mod audit;

pub mod state;

pub mod config;
