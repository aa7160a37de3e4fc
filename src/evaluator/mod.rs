//! Programs of the user's that judge candidates: started, fed, limited, and ended without leaving anything behind.
//!
//! The agent never starts an evaluator itself. Each worker of a [`Pool`] is a small process of ours, the *host*
//! ([`host::serve`], started as a hidden subcommand of our own binary), which owns the evaluator's processes: it leads a
//! session, adopts every orphan below it, and lives exactly as long as the pipe from the agent. So an agent that is
//! killed at any instant leaves nothing running, without `unsafe` and without a cgroup.
//!
//! Reading order: what is asked and answered ([`Settings`], [`Job`], [`Answer`]), the pool, the lines between agent and
//! host, the host, and `/proc`.

mod settings;
pub use settings::{EvaluatorError, Mode, PLACEHOLDER, Settings, check_command, check_words};

mod job;
pub use job::{Answer, Job, Verdict};

mod pool;
pub use pool::Pool;

mod left_behind;
pub use left_behind::end_left_behind;

mod post;

mod protocol;

pub mod host;

mod processes;

mod pipes;

mod wait;
