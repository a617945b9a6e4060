//! How one caller sends: to any node, and where a node does not answer, to the next one, as a balancer does. Reads are
//! sent again; a write only if nothing of it had been sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use super::super::history::{Instant, Outcome};
use crate::fuzz::Random;
use crate::{Answer, Client, Request};

/// For how long a node that did not answer is left out, by everybody.
const SUSPECT: Duration = Duration::from_millis(500);

/// What all callers know of the nodes.
pub struct Fleet {
    pub addresses: Vec<SocketAddr>,
    pub began: Clock,
    suspect_until: Vec<AtomicU64>,
}

impl Fleet {
    pub fn new(addresses: Vec<SocketAddr>) -> Arc<Fleet> {
        let suspect_until = addresses.iter().map(|_| AtomicU64::new(0)).collect();
        Arc::new(Fleet { addresses, began: Clock::now(), suspect_until })
    }

    pub fn now(&self) -> Instant {
        self.began.elapsed().as_nanos() as Instant
    }
}

/// What came of a request.
pub struct Sent {
    pub node: usize,
    pub asked: Instant,
    pub start: Instant,
    pub end: Instant,
    pub retries: usize,
    /// The answer, or why there is none.
    pub answer: Result<Answer, String>,
}

impl Sent {
    pub fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    pub fn outcome(&self) -> Outcome {
        match &self.answer {
            Ok(answer) if answer.status < 300 => Outcome::Done,
            Ok(answer) if answer.status < 500 => Outcome::Refused(answer.status),
            Ok(answer) => Outcome::Unknown(answer.status.to_string().into()),
            Err(why) => Outcome::Unknown(why.as_str().into()),
        }
    }
}

pub struct Nodes {
    fleet: Arc<Fleet>,
    reading: Vec<Client>,
    writing: Vec<Client>,
    last: usize,
}

impl Nodes {
    pub fn new(fleet: &Arc<Fleet>, read_wait: Duration, write_wait: Duration) -> Nodes {
        let clients = |wait: Duration| {
            let to = |address: &SocketAddr| Client::to(*address).with_timeout(wait).sending_once();
            fleet.addresses.iter().map(to).collect()
        };
        Nodes { fleet: fleet.clone(), reading: clients(read_wait), writing: clients(write_wait), last: 0 }
    }

    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Any node, rather not the one that answered last, and none that is suspect unless all are.
    fn pick(&self, random: &mut Random, tried: &[usize]) -> usize {
        let all = 0..self.fleet.addresses.len();
        let now = self.fleet.now();
        let is_free = |n: &usize| !tried.contains(n);
        let is_well = |n: &usize| self.fleet.suspect_until[*n].load(Ordering::Relaxed) <= now;
        let well: Vec<usize> = all.clone().filter(|n| is_free(n) && is_well(n)).collect();
        let other: Vec<usize> = well.iter().copied().filter(|n| *n != self.last).collect();
        let free: Vec<usize> = all.filter(is_free).collect();
        let best = [other, well, free].into_iter().find(|nodes| !nodes.is_empty()).unwrap_or(vec![0]);
        *random.pick(&best)
    }

    pub fn read(&mut self, random: &mut Random, request: &Request) -> Sent {
        self.send(random, request, None, true)
    }

    /// Reads from this node and no other.
    pub fn read_from(&mut self, node: usize, request: &Request) -> Sent {
        self.send(&mut Random(0), request, Some(node), true)
    }

    pub fn write(&mut self, random: &mut Random, request: &Request) -> Sent {
        self.send(random, request, None, false)
    }

    fn send(&mut self, random: &mut Random, request: &Request, only: Option<usize>, is_read: bool) -> Sent {
        let asked = self.fleet.now();
        let mut tried = Vec::new();
        loop {
            let node = only.unwrap_or_else(|| self.pick(random, &tried));
            self.last = node;
            let client = if is_read { &self.reading[node] } else { &self.writing[node] };
            let start = self.fleet.now();
            let connected = client.connect();
            let was_sent = connected.is_ok();
            let answer = connected.and_then(|()| client.send(request));
            let end = self.fleet.now();
            let sent = |answer| Sent { node, asked, start, end, retries: tried.len(), answer };
            match answer {
                Ok(answer) => return sent(Ok(answer)),
                Err(e) => {
                    let until = end + SUSPECT.as_nanos() as u64;
                    self.fleet.suspect_until[node].store(until, Ordering::Relaxed);
                    let again = (is_read || !was_sent) && only.is_none();
                    if !again || tried.len() + 1 == self.fleet.addresses.len() {
                        return sent(Err(reason(&e, was_sent)));
                    }
                    tried.push(node);
                }
            }
        }
    }
}

fn reason(e: &io::Error, was_sent: bool) -> String {
    use io::ErrorKind::*;
    match e.kind() {
        WouldBlock | TimedOut if was_sent => "no answer".into(),
        _ if !was_sent => "no connection".into(),
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => "broken".into(),
        _ => e.to_string(),
    }
}
