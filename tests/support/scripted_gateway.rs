//! A gateway that does what a script says, on a real socket, and keeps every request that arrived.
//!
//! Used by the unit tests of `src/gateway` and by integration tests alike, through `#[path]`; so it knows nothing
//! but std and tokio.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What the gateway does with one request. The last step is repeated for ever.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Read the request, send these bytes, keep the connection.
    Answer(Vec<u8>),
    /// Read the request, send these bytes, close.
    AnswerAndClose(Vec<u8>),
    /// Read the request, send the bytes one by one with a pause before each.
    Drip(Vec<u8>, Duration),
    /// Read the request, send this head, then text without end.
    Endless(Vec<u8>),
    /// Read the request and never answer.
    Hang,
    /// Read the head only, then reset the connection.
    ResetBeforeBody,
    /// Read the request, then reset the connection.
    ResetAfterBody,
}

impl Step {
    /// An answer with this status, header lines (`Name: value`) and text.
    pub(crate) fn status(code: u16, headers: &[&str], text: &str) -> Self {
        let headers: String = headers.iter().flat_map(|line| [line, "\r\n"]).collect();
        let length = text.len();
        Self::Answer(
            format!("HTTP/1.1 {code} X\r\n{headers}Content-Length: {length}\r\n\r\n{text}").into(),
        )
    }

    /// What a Pushgateway answers to an accepted push.
    pub(crate) fn ok() -> Self {
        Self::status(200, &[], "")
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which connection brought it, from 0.
    pub(crate) connection: usize,
    /// When its last byte was there.
    pub(crate) at: Instant,
}

impl Request {
    /// The value of a header, its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The running gateway; it ends when it is dropped.
pub(crate) struct ScriptedGateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    steps: Vec<Step>,
    requests: Mutex<Vec<Request>>,
    count: watch::Sender<usize>,
}

impl ScriptedGateway {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), steps)
    }

    /// A port that is ours but refuses connections until [`Self::open`] is called with it.
    pub(crate) fn reserve() -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    }

    /// Listens on a reserved port.
    pub(crate) fn open(socket: TcpSocket, steps: Vec<Step>) -> Self {
        Self::listen(socket.listen(16).unwrap(), steps)
    }

    fn listen(listener: TcpListener, steps: Vec<Step>) -> Self {
        assert!(!steps.is_empty(), "a script has a step");
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { steps, requests: Mutex::default(), count: watch::Sender::new(0) });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, task }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that arrived until now.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn wait_for(&self, count: usize) {
        let mut seen = self.shared.count.subscribe();
        seen.wait_for(|seen| *seen >= count).await.unwrap();
    }
}

impl Drop for ScriptedGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, connection, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    while let Some((mut request, length)) = head(&mut stream, &mut bytes, connection).await {
        let step = shared.next_step();
        if matches!(step, Step::ResetBeforeBody) {
            shared.keep(request);
            stream.set_zero_linger().unwrap();
            return;
        }
        while bytes.len() < length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        request.body = bytes.drain(..length).collect();
        request.at = Instant::now();
        shared.keep(request);
        if act(&mut stream, step).await.is_err() {
            return;
        }
    }
}

/// Does what a step says; an error means that the connection is over.
async fn act(stream: &mut TcpStream, step: Step) -> std::io::Result<()> {
    let over = || Err(std::io::ErrorKind::ConnectionAborted.into());
    match step {
        Step::Answer(answer) => stream.write_all(&answer).await,
        Step::AnswerAndClose(answer) => {
            stream.write_all(&answer).await?;
            stream.shutdown().await?;
            over()
        }
        Step::Drip(answer, pause) => {
            for byte in answer {
                tokio::time::sleep(pause).await;
                stream.write_all(&[byte]).await?;
            }
            Ok(())
        }
        Step::Endless(head) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&[b'x'; 1000]).await?;
            }
        }
        Step::Hang => std::future::pending().await,
        Step::ResetBeforeBody | Step::ResetAfterBody => {
            stream.set_zero_linger()?;
            over()
        }
    }
}

impl Shared {
    fn next_step(&self) -> Step {
        let index = self.requests.lock().unwrap().len();
        self.steps[index.min(self.steps.len() - 1)].clone()
    }

    fn keep(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
        self.count.send_modify(|count| *count += 1);
    }
}

/// Reads up to the empty line; what follows stays in `bytes`. None when the client has gone.
async fn head(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    connection: usize,
) -> Option<(Request, usize)> {
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes.drain(..end).collect()).unwrap();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap().split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let request =
        Request { method, path, headers, body: Vec::new(), connection, at: Instant::now() };
    let length = request.header("content-length").map_or(0, |value| value.parse().unwrap());
    Some((request, length))
}
