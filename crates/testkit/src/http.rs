//! A small blocking HTTP/1.1 client over one kept-alive connection. It sends exactly what it is told, odd
//! paths and broken bodies included, and never panics on an odd answer. No TLS, no redirects, no proxies.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(30);
/// What a connection is said to be that ends after the first byte of an answer and before its last.
pub const WITHIN_AN_ANSWER: &str = "the connection was closed within an answer";
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Path and query, already percent-encoded.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Request {
        Request { method: method.into(), target: target.into(), ..Request::default() }
    }

    pub fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    pub fn json(method: &str, target: &str, body: &Value) -> Request {
        Request::new(method, target).body("application/json", body.to_string())
    }

    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// Sends a token, unless it is empty.
    pub fn token(self, token: &str) -> Request {
        if token.is_empty() { self } else { self.header("Authorization", token) }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body without its content coding.
    pub fn unpacked(&self) -> io::Result<Vec<u8>> {
        let mut unpacked = Vec::new();
        match self.header("content-encoding") {
            None => return Ok(self.body.clone()),
            Some("br") => drop(brotli::Decompressor::new(&self.body[..], 4_096).read_to_end(&mut unpacked)?),
            Some("gzip") => drop(flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut unpacked)?),
            Some("zstd") => unpacked = zstd::decode_all(&self.body[..])?,
            Some(other) => return Err(io::Error::other(format!("a body in {other}"))),
        }
        Ok(unpacked)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; what is not JSON comes as a string, an empty body as null.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Value::String(self.text()))
    }

    /// The value at a JSON pointer, as text: strings without their quotes.
    pub fn at(&self, pointer: &str) -> Option<String> {
        match self.json().pointer(pointer)? {
            Value::String(s) => Some(s.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// A connection to a local server, opened at the first request and again whenever it was closed.
pub struct Client {
    address: SocketAddr,
    stream: RefCell<Option<TcpStream>>,
    wait: Duration,
    connect_wait: Duration,
    sends_again: bool,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client::to(([127, 0, 0, 1], port).into())
    }

    pub fn to(address: SocketAddr) -> Client {
        Client { address, stream: RefCell::new(None), wait: WAIT, connect_wait: WAIT, sends_again: true }
    }

    /// Sends every request at most once, also when the kept connection turns out to be closed.
    pub fn sending_once(mut self) -> Client {
        self.sends_again = false;
        self
    }

    pub fn with_timeout(mut self, wait: Duration) -> Client {
        (self.wait, self.connect_wait) = (wait, wait);
        self
    }

    /// How long a connection may take to come about.
    pub fn connecting_within(mut self, wait: Duration) -> Client {
        self.connect_wait = wait;
        self
    }

    /// Opens a connection unless one is kept and still open. When it fails, nothing has been sent.
    pub fn connect(&self) -> io::Result<()> {
        let kept = self.stream.borrow_mut().take().filter(is_open);
        let stream = match kept {
            Some(stream) => stream,
            None => self.open()?,
        };
        *self.stream.borrow_mut() = Some(stream);
        Ok(())
    }

    /// The kept connection, for somebody who may have to close it.
    pub fn stream(&self) -> Option<TcpStream> {
        self.stream.borrow().as_ref()?.try_clone().ok()
    }

    fn open(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, self.connect_wait)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.wait))?;
        stream.set_write_timeout(Some(self.wait))?;
        Ok(stream)
    }

    pub fn send(&self, request: &Request) -> io::Result<Answer> {
        let has_body = request.method != "HEAD";
        self.exchange(&request.bytes(), has_body)
    }

    /// Writes `bytes` as they are and reads one answer.
    pub fn send_raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        self.exchange(bytes, true)
    }

    fn exchange(&self, bytes: &[u8], has_body: bool) -> io::Result<Answer> {
        let kept = self.stream.borrow_mut().take();
        if let Some(mut stream) = kept {
            // A kept connection may have been closed meanwhile: only then, and before any answer, try anew.
            match self.once(&mut stream, bytes, has_body) {
                Err(e) if self.sends_again && is_closed(&e) => {}
                other => return self.keep(stream, other),
            }
        }
        let mut stream = self.open()?;
        let answer = self.once(&mut stream, bytes, has_body);
        self.keep(stream, answer)
    }

    fn keep(&self, stream: TcpStream, answer: io::Result<Answer>) -> io::Result<Answer> {
        let answer = answer?;
        if !answer.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close")) {
            *self.stream.borrow_mut() = Some(stream);
        }
        Ok(answer)
    }

    fn once(&self, stream: &mut TcpStream, bytes: &[u8], has_body: bool) -> io::Result<Answer> {
        // A server may refuse a body before having read it all: what it answered still counts.
        let written = stream.write_all(bytes);
        match read_answer(stream, has_body) {
            Ok(answer) => Ok(answer),
            Err(e) => Err(written.err().unwrap_or(e)),
        }
    }
}

/// Whether the other side has neither closed the connection nor sent anything unasked.
fn is_open(stream: &TcpStream) -> bool {
    let blocks = |is: bool| stream.set_nonblocking(is).is_ok();
    let looked = blocks(true).then(|| stream.peek(&mut [0]));
    blocks(false) && matches!(looked, Some(Err(e)) if e.kind() == io::ErrorKind::WouldBlock)
}

fn is_closed(e: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(e.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected | UnexpectedEof)
}

fn within(e: io::Error) -> io::Error {
    if is_closed(&e) { io::Error::new(e.kind(), WITHIN_AN_ANSWER) } else { e }
}

fn odd(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

pub(crate) fn read_answer(stream: &mut impl Read, has_body: bool) -> io::Result<Answer> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut headers);
        let state = parsed.parse(&buffer).map_err(|e| odd(format!("not HTTP: {e}")))?;
        let httparse::Status::Complete(head) = state else {
            let is_begun = !buffer.is_empty();
            fill(stream, &mut buffer).map_err(|e| if is_begun { within(e) } else { e })?;
            continue;
        };
        let status = parsed.code.unwrap_or(0);
        let headers: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
            .collect();
        buffer.drain(..head);
        if (100..200).contains(&status) {
            continue;
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if has_body && status != 204 && status != 304 {
            answer.body = read_body(stream, buffer, &answer).map_err(within)?;
        }
        return Ok(answer);
    }
}

fn fill(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 16 << 10];
    let n = stream.read(&mut chunk)?;
    if n == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    if buffer.len() + n > ANSWER_BYTES_MAX {
        return Err(odd("the answer is too long"));
    }
    buffer.extend_from_slice(&chunk[..n]);
    Ok(())
}

fn read_body(stream: &mut impl Read, mut buffer: Vec<u8>, answer: &Answer) -> io::Result<Vec<u8>> {
    if answer.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        return read_chunks(stream, buffer);
    }
    if let Some(length) = answer.header("content-length") {
        let length: usize = length.trim().parse().map_err(|_| odd("Content-Length is not a number"))?;
        while buffer.len() < length {
            fill(stream, &mut buffer)?;
        }
        buffer.truncate(length);
        return Ok(buffer);
    }
    loop {
        match fill(stream, &mut buffer) {
            Ok(()) => {}
            Err(e) if is_closed(&e) => return Ok(buffer),
            Err(e) => return Err(e),
        }
    }
}

fn read_chunks(stream: &mut impl Read, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (head, size) = match httparse::parse_chunk_size(&buffer) {
            Ok(httparse::Status::Complete((head, size))) => (head, size as usize),
            Ok(httparse::Status::Partial) => {
                fill(stream, &mut buffer)?;
                continue;
            }
            Err(_) => return Err(odd("a chunk without a size")),
        };
        if size > ANSWER_BYTES_MAX {
            return Err(odd("the answer is too long"));
        }
        while buffer.len() < head + size + 2 {
            fill(stream, &mut buffer)?;
        }
        body.extend_from_slice(&buffer[head..head + size]);
        buffer.drain(..head + size + 2);
        if size == 0 {
            return Ok(body);
        }
    }
}
