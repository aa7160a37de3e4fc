//! The limit: a socket, the very bytes of a request, and a look at the answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// A request as our client sends it, to be sent again by others.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// What arrives at a listener, which answers as a Pushgateway does. Made for the gateway at `port`.
    pub(crate) fn caught(listener: &TcpListener, port: u16) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        let mut part = vec![0; 64 << 10];
        while !is_whole(&bytes) {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the client closes before its request is whole");
            bytes.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let head = head(&bytes).unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let text = str::from_utf8(&bytes[..head]).unwrap().replace(&here, &host(port));
        Self([text.as_bytes(), &bytes[head..]].concat())
    }

    /// The same with another body.
    pub(crate) fn with(&self, body: &mutation_agent::gateway::Body) -> Self {
        let head = str::from_utf8(&self.0[..head(&self.0).unwrap()]).unwrap();
        let mut text = String::new();
        for line in head.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").map(|(name, _)| name.to_ascii_lowercase()).as_deref() {
                Some("content-type") => {
                    text += &format!("content-type: {}\r\n", body.content_type())
                }
                Some("content-length") => {
                    text += &format!("content-length: {}\r\n", body.bytes().len())
                }
                _ => text += &format!("{line}\r\n"),
            }
        }
        if let Some(encoding) = body.content_encoding() {
            text += &format!("content-encoding: {encoding}\r\n");
        }
        text += "\r\n";
        Self([text.as_bytes(), body.bytes()].concat())
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
