//! Subscribers: they stay connected to one node each, note what they are told and when, and connect anew when their
//! stream ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::nodes::Fleet;
use super::reads::seen;
use super::schema::{FEED, RECORDS};
use super::{Load, Shared, lock};
use crate::checker::history::{Heard, Stream, Told};
use crate::sse::{Event, Parser};
use crate::{Client, Request};

/// How long a node may take to take a subscriber.
const WAIT: Duration = Duration::from_secs(5);
/// How long a look at the connection takes.
const LOOK: Duration = Duration::from_millis(100);
/// Before it is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the first connections may take.
const FIRST_WAIT: Duration = Duration::from_secs(30);

pub struct Subscribers {
    seat: Arc<Seat>,
    threads: Vec<JoinHandle<()>>,
}

/// What all subscribers share.
struct Seat {
    fleet: Arc<Fleet>,
    token: String,
    stop: AtomicBool,
    streams: Mutex<Vec<Stream>>,
}

impl Subscribers {
    /// Ready when all of them are subscribed.
    pub fn start(load: &Load, shared: &Shared, token: &str) -> Result<Subscribers> {
        let fleet = shared.fleet.clone();
        let seat =
            Seat { fleet, token: token.into(), stop: AtomicBool::new(false), streams: Mutex::default() };
        let mut subscribers = Subscribers { seat: Arc::new(seat), threads: Vec::new() };
        let count = load.subscribers * load.nodes.len();
        for number in 0..count {
            let (seat, node) = (subscribers.seat.clone(), number % load.nodes.len());
            subscribers.threads.push(std::thread::spawn(move || follow(&seat, number, node)));
        }
        let until = std::time::Instant::now() + FIRST_WAIT;
        while subscribers.streams().len() < count {
            if std::time::Instant::now() > until {
                bail!("{} of {count} subscribers could connect", subscribers.streams().len());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(subscribers)
    }

    pub fn streams(&self) -> Vec<Stream> {
        lock(&self.seat.streams).clone()
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.seat.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Seat {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn follow(seat: &Seat, number: usize, node: usize) {
    let address = seat.fleet.addresses[node];
    while !seat.is_over() {
        if let Ok((socket, parser)) = subscribe(seat, address) {
            let mut streams = lock(&seat.streams);
            let index = streams.len();
            let from = seat.fleet.now();
            let (resyncs, heard) = Default::default();
            streams.push(Stream { subscriber: number, node, from, until: None, resyncs, heard });
            drop(streams);
            listen(seat, index, socket, parser);
        }
        std::thread::sleep(PAUSE);
    }
}

/// A connection with all subscriptions, acknowledged.
fn subscribe(seat: &Seat, address: SocketAddr) -> Result<(TcpStream, Parser)> {
    let mut socket = TcpStream::connect_timeout(&address, WAIT)?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.set_write_timeout(Some(WAIT))?;
    socket
        .write_all(b"GET /api/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")?;
    let mut parser = Parser::default();
    let mut chunk = [0; 4096];
    let first = loop {
        let read = socket.read(&mut chunk)?;
        if read == 0 || !parser.feed(&chunk[..read]) {
            bail!("the stream ended at once");
        }
        if let Some(first) = parser.events.first() {
            break first.json();
        }
    };
    parser.events.clear();
    let id = first["clientId"].as_str().context("no id")?;
    let body = json!({"clientId": id, "subscriptions": [format!("{RECORDS}/*"), format!("{FEED}/*")]});
    let request = Request::json("POST", "/api/realtime", &body).token(&seat.token);
    match Client::to(address).with_timeout(WAIT).send(&request)?.status {
        204 => Ok((socket, parser)),
        status => bail!("subscribing was answered with {status}"),
    }
}

/// Notes what arrives until the stream ends.
fn listen(seat: &Seat, index: usize, mut socket: TcpStream, mut parser: Parser) {
    let _ = socket.set_read_timeout(Some(LOOK));
    let mut chunk = [0; 16 << 10];
    while !seat.is_over() {
        let more = match socket.read(&mut chunk) {
            Ok(0) => false,
            Ok(read) => parser.feed(&chunk[..read]),
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        let at = seat.fleet.now();
        let mut streams = lock(&seat.streams);
        let stream = &mut streams[index];
        for event in parser.events.drain(..) {
            match heard(&event) {
                _ if event.name == "PB_RESYNC" => stream.resyncs.push(at),
                Some((record, told)) => stream.heard.push(Heard { at, record, told }),
                None => {}
            }
        }
        if !more {
            stream.until = Some(at);
            return;
        }
    }
}

fn heard(event: &Event) -> Option<(crate::checker::history::Name, Told)> {
    let data = event.json();
    let action = data["action"].as_str()?;
    let (record, seen) = seen(&data["record"]);
    Some((record, if action == "delete" { Told::Gone(seen) } else { Told::Seen(seen) }))
}
