//! The scripted gateway for tests that are no async code themselves.

use crate::exposition::Exposition;
use crate::scripted_gateway::{Request, ScriptedGateway, Step};
use crate::story::LONG;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

/// A gateway on a free port of 127.0.0.1.
pub(crate) struct Gateway {
    inner: ScriptedGateway,
    runtime: Runtime,
}

impl Gateway {
    /// Takes everything.
    pub(crate) fn accepting() -> Self {
        Self::scripted(vec![Step::ok()])
    }

    pub(crate) fn scripted(steps: Vec<Step>) -> Self {
        let runtime = runtime();
        let inner = runtime.block_on(ScriptedGateway::start(steps));
        Self { inner, runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.inner.url()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.inner.requests()
    }

    /// Waits until so many requests have arrived.
    pub(crate) fn wait_for(&self, count: usize) {
        let arrived = async { tokio::time::timeout(LONG, self.inner.wait_for(count)).await };
        self.runtime.block_on(arrived).expect("the requests arrive");
    }

    /// What was pushed, in order; every request must have been a push of the story's group.
    pub(crate) fn pushes(&self) -> Vec<Exposition> {
        let requests = self.requests();
        for request in &requests {
            assert_eq!(request.method, "PUT");
            assert_eq!(request.path, "/metrics/job/exit_evolution/instance/night-1");
            assert_eq!(
                request.header("content-type"),
                Some("text/plain; version=0.0.4; charset=utf-8")
            );
        }
        requests.iter().map(|request| Exposition::parse(&request.body)).collect()
    }

    /// The newest push.
    pub(crate) fn newest(&self) -> Exposition {
        self.pushes().pop().expect("a push arrived")
    }
}

/// A port that is ours and where nobody listens yet.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn reserve() -> Self {
        Self(ScriptedGateway::reserve())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// The gateway comes up.
    pub(crate) fn open(self, steps: Vec<Step>) -> Gateway {
        let runtime = runtime();
        let entered = runtime.enter();
        let inner = ScriptedGateway::open(self.0, steps);
        drop(entered);
        Gateway { inner, runtime }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
