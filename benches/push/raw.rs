//! The limit: a socket, the very bytes of a request, and a look at the answer.

use mutation_agent::gateway::Body;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// A request as our client sends it, to be sent again by others.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// What arrives at a listener, which answers as a Pushgateway does. Made for the gateway at `port`.
    pub(crate) fn caught(listener: &TcpListener, port: u16) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        while !is_whole(&bytes) {
            let read = stream.read(&mut chunk).unwrap();
            assert!(read > 0, "the client closes before its request is whole");
            bytes.extend_from_slice(&chunk[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let head = head(&bytes).unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let text = str::from_utf8(&bytes[..head]).unwrap().replace(&here, &host(port));
        Self([text.as_bytes(), &bytes[head..]].concat())
    }

    /// The same with another body.
    pub(crate) fn with(&self, body: &Body) -> Self {
        let text = str::from_utf8(&self.0[..head(&self.0).unwrap()]).unwrap();
        let is_kept = |line: &&str| {
            let line = line.to_ascii_lowercase();
            !line.is_empty() && !line.starts_with("content-")
        };
        let mut lines: Vec<String> = text.lines().filter(is_kept).map(str::to_owned).collect();
        lines.push(format!("content-type: {}", body.content_type()));
        lines.push(format!("content-length: {}", body.bytes().len()));
        lines.extend(body.content_encoding().map(|one| format!("content-encoding: {one}")));
        let head = lines.join("\r\n") + "\r\n\r\n";
        Self([head.as_bytes(), body.bytes()].concat())
    }
}

/// A connection that is kept.
pub(crate) struct Raw {
    stream: TcpStream,
    answer: [u8; 4096],
}

impl Raw {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(host(port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, answer: [0; 4096] }
    }

    /// One write, and as a rule one read.
    pub(crate) fn push(&mut self, request: &Request) {
        self.stream.write_all(&request.0).unwrap();
        let mut length = 0;
        while !is_whole(&self.answer[..length]) {
            let read = self.stream.read(&mut self.answer[length..]).unwrap();
            assert!(read > 0, "the gateway closes");
            length += read;
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200 "), "the gateway refuses");
    }
}

fn host(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Where the body begins.
fn head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = head(bytes) else { return false };
    let text = str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    bytes.len() - head == length.unwrap().parse::<usize>().unwrap()
}
