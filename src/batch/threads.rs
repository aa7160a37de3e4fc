//! The threads that pushes run on. Mutations stay off them.

use std::io;
use std::ops::Deref;
use tokio::runtime::{Builder, Runtime};

/// A runtime that does not hold the process: a look-up of a host name that hangs cannot be
/// cancelled, and a runtime that is dropped would wait for it.
#[derive(Debug)]
pub struct Threads(Option<Runtime>);

impl Threads {
    /// One thread, with network and timers.
    pub fn start() -> io::Result<Self> {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().map(Some).map(Self)
    }
}

impl Deref for Threads {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        #[expect(clippy::expect_used, reason = "it is taken by `drop` alone")]
        self.0.as_ref().expect("the runtime is there until it is dropped")
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
