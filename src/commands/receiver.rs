//! A receiver on loopback for `demo`: takes one push after another and keeps the newest.

use crate::batch::Threads;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// More than any push of a demo.
const LONGEST_BODY: usize = 1 << 20;

/// What arrived.
#[derive(Clone, Debug)]
pub(super) struct Push {
    /// `PUT /metrics/job/…`
    pub(super) request: String,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// Listens on a free port of 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pushes: Arc<Mutex<Vec<Push>>>,
    _threads: Threads,
}

impl Receiver {
    pub(super) fn start() -> io::Result<Self> {
        let threads = Threads::start()?;
        let listener = threads.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let pushes = Arc::new(Mutex::new(Vec::new()));
        threads.spawn(accept(listener, Arc::clone(&pushes)));
        Ok(Self { address, pushes, _threads: threads })
    }

    /// Everything that arrived, in order.
    pub(super) fn pushes(&self) -> Vec<Push> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, pushes: Arc<Mutex<Vec<Push>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let pushes = Arc::clone(&pushes);
        tokio::spawn(async move {
            let service = service_fn(|request| take(request, &pushes));
            // A client that goes away in the middle has pushed nothing.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn take(
    request: Request<Incoming>,
    pushes: &Mutex<Vec<Push>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let content_type = request.headers().get(hyper::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let mut response = Response::new(Empty::new());
    match Limited::new(request.into_body(), LONGEST_BODY).collect().await {
        Ok(body) => {
            let push = Push { request: line, content_type, body: body.to_bytes() };
            pushes.lock().unwrap_or_else(PoisonError::into_inner).push(push);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}
