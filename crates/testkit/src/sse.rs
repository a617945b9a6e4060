//! A client of server-sent events: one connection, read by a thread of its own, with what arrived kept in order.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

const STACK_BYTES: usize = 128 << 10;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: String,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| Value::String(self.data.clone()))
    }
}

#[derive(Default)]
struct Heard {
    head: String,
    events: Vec<Event>,
    closed: bool,
    /// By its own end, and not because the connection broke.
    whole: bool,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    news: Condvar,
}

pub struct Stream {
    shared: Arc<Shared>,
    stream: TcpStream,
    /// The id that the server gave this client.
    pub id: String,
}

/// Connects and asks for the stream, without reading anything.
pub fn ask(port: u16) -> io::Result<TcpStream> {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream
        .write_all(b"GET /api/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")?;
    Ok(stream)
}

impl Stream {
    /// Connects and waits for the first event, which names the client.
    pub fn open(port: u16) -> io::Result<Stream> {
        let stream = ask(port)?;
        let shared = Arc::new(Shared::default());
        let (reader, heard) = (stream.try_clone()?, shared.clone());
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || read(reader, &heard))?;
        let mut opened = Stream { shared, stream, id: String::new() };
        let first = opened.wait_for(Duration::from_secs(20), |event| event.name == "PB_CONNECT");
        let first = first.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "no PB_CONNECT"))?;
        opened.take();
        opened.id = first.json()["clientId"].as_str().unwrap_or_default().to_owned();
        Ok(opened)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().unwrap()
    }

    /// The response's head.
    pub fn head(&self) -> String {
        self.heard().head.clone()
    }

    /// Everything that arrived since the last call.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.heard().events)
    }

    /// What arrived and was not taken yet.
    pub fn count(&self) -> usize {
        self.heard().events.len()
    }

    pub fn is_closed(&self) -> bool {
        self.heard().closed
    }

    /// Whether it ended as an answer does: nothing that had been sent is missing.
    pub fn is_whole(&self) -> bool {
        self.heard().whole
    }

    /// Waits for an event, which stays where it is.
    pub fn wait_for(&self, wait: Duration, is_it: impl Fn(&Event) -> bool) -> Option<Event> {
        let found = |heard: &Heard| heard.events.iter().find(|event| is_it(event)).cloned();
        self.wait(wait, |heard| found(heard).is_some() || heard.closed);
        found(&self.heard())
    }

    /// Whether the stream ends within `wait`.
    pub fn wait_closed(&self, wait: Duration) -> bool {
        self.wait(wait, |heard| heard.closed);
        self.is_closed()
    }

    fn wait(&self, wait: Duration, done: impl Fn(&Heard) -> bool) {
        let until = Instant::now() + wait;
        let mut heard = self.heard();
        while !done(&heard) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            heard = self.shared.news.wait_timeout(heard, left).unwrap().0;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

fn read(mut stream: TcpStream, shared: &Shared) {
    let mut parser = Parser::default();
    let mut chunk = [0; 16 << 10];
    loop {
        let n = stream.read(&mut chunk).unwrap_or(0);
        let more = n > 0 && parser.feed(&chunk[..n]);
        let mut heard = shared.heard.lock().unwrap();
        heard.head.clone_from(&parser.head);
        heard.events.append(&mut parser.events);
        heard.closed = !more;
        heard.whole = n > 0 && !more;
        shared.news.notify_all();
        if !more {
            return;
        }
    }
}

/// Head, chunks and events of a stream, fed with bytes as they come.
#[derive(Default)]
pub struct Parser {
    pub head: String,
    pub events: Vec<Event>,
    raw: Vec<u8>,
    body: Vec<u8>,
}

impl Parser {
    /// `false` at the end of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        self.raw.extend_from_slice(bytes);
        if self.head.is_empty() {
            let Some(end) = find(&self.raw, b"\r\n\r\n") else { return true };
            self.head = String::from_utf8_lossy(&self.raw[..end]).into_owned();
            self.raw.drain(..end + 4);
        }
        loop {
            let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(&self.raw) else {
                return true;
            };
            let size = size as usize;
            if self.raw.len() < head + size + 2 {
                return true;
            }
            self.body.extend_from_slice(&self.raw[head..head + size]);
            self.raw.drain(..head + size + 2);
            if size == 0 {
                return false;
            }
            while let Some(end) = find(&self.body, b"\n\n") {
                let text = String::from_utf8_lossy(&self.body[..end]).into_owned();
                self.body.drain(..end + 2);
                self.events.push(event(&text));
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn event(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(':') {
            Some(("id", value)) => event.id = value.to_owned(),
            Some(("event", value)) => event.name = value.to_owned(),
            Some(("data", value)) => event.data += value,
            _ => {}
        }
    }
    event
}
