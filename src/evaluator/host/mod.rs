//! The host of one worker: a process of ours between the agent and an evaluator, which owns everything that descends
//! from it and ends it with itself.
//!
//! It lives as long as its standard input is open. The kernel closes that when the agent dies, however it dies; so it
//! is safer than a death signal, which is tied to the thread that started us.
//!
//! One thread, one `poll`: nothing is waited for that could hold up the end.

mod agent;

mod capture;

mod limits;

mod child;

mod fitness;

mod text;

mod process;

mod asked;

mod stream;

mod serve;
pub use serve::{HostError, serve};
