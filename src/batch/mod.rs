//! A batch: planned, run in rounds, recorded, published, sealed.
//!
//! In reading order: a [`BatchPlan`] says what will be attempted; `attempt.rs` is one mutation, with
//! its `verdict.rs`, and `rounds.rs` many, on as many cores as there are. With an evaluator
//! `baselines.rs` judges the sources, and `generations.rs` runs the rounds: `drafting.rs` proposes
//! from the survivors, `judge.rs` hands candidates to the evaluator, `evaluated.rs` is what comes
//! back. Through the `Recorder` each becomes a fact; the `Publisher` shows the facts to the gateways
//! while the batch runs; [`Candidates`], or the best with their [`Provenance`], are what is written
//! for people (`output.rs`); [`run`] is the story from the lock to the last push, with its
//! `ending.rs`, `delivery.rs` and `tidy.rs`. A [`Replay`] draws a batch again. [`Clock`] and
//! [`Shutdown`] are the two things that come from outside.

mod attempt;
mod baselines;
mod candidates;
mod champions;
mod clock;
mod delivery;
mod drafting;
mod ending;
mod evaluated;
mod follow;
mod generations;
mod ingestion;
mod judge;
mod open_batch;
mod output;
mod places;
mod plan;
mod planned;
mod progress;
mod provenance;
mod publisher;
mod recorder;
mod replay;
mod rounds;
mod run;
mod shutdown;
mod threads;
mod tidy;
mod timing;
mod turns;
mod verdict;

pub use candidates::Candidates;
pub use clock::{Clock, now, random};
pub use delivery::{Delivered, deliver_totals};
pub use ending::BatchEnd;
pub use ingestion::{IngestError, Ingested, Ingestion};
pub(crate) use judge::workers;
pub use plan::{BatchPlan, PlannedVariant};
pub use planned::{PlannedStrategy, Target};
pub use progress::{Progress, StderrBesideBar};
pub use provenance::{Link, Provenance};
pub use publisher::PushLog;
pub use replay::{Difference, Replay, ReplayError};
pub(crate) use run::open;
pub use run::{BatchError, run};
pub use shutdown::{Shutdown, Signal};
pub(crate) use shutdown::{SignalStream, listen_to, received};
pub use threads::Threads;
pub use timing::Timing;
