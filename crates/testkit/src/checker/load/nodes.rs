//! How one caller sends: to any node, and where a node does not answer, to the next one, as a balancer does. Reads are
//! sent again; a write only if nothing of it had been sent.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant as Clock};

use super::super::history::{Instant, Outcome};
use crate::fuzz::Random;
use crate::{Answer, Client, Request};

/// For how long a node that did not answer is left out, by everybody.
const SUSPECT: Duration = Duration::from_millis(500);
/// How often a node is asked whether it lives, and how long it may take.
const PROBE_EVERY: Duration = Duration::from_millis(250);
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// So many silent probes in a row, and the node is down. A busy machine may miss one.
const PROBES_MAX: usize = 2;

/// What all callers know of the nodes.
pub struct Fleet {
    pub addresses: Vec<SocketAddr>,
    pub began: Clock,
    health: Vec<Health>,
}

/// What is known of one node.
#[derive(Default)]
struct Health {
    suspect_until: AtomicU64,
    is_down: AtomicBool,
    /// Connections on which a caller waits. They are closed when the node is found down, as a balancer does.
    waiting: Mutex<HashMap<usize, TcpStream>>,
}

impl Fleet {
    pub fn new(addresses: Vec<SocketAddr>) -> Arc<Fleet> {
        let health = addresses.iter().map(|_| Health::default()).collect();
        let fleet = Arc::new(Fleet { addresses, began: Clock::now(), health });
        for node in 0..fleet.addresses.len() {
            let fleet = Arc::downgrade(&fleet);
            std::thread::spawn(move || watch(&fleet, node));
        }
        fleet
    }

    pub fn now(&self) -> Instant {
        self.began.elapsed().as_nanos() as Instant
    }

    fn is_well(&self, node: usize) -> bool {
        let health = &self.health[node];
        let is_suspect = health.suspect_until.load(Ordering::Relaxed) > self.now();
        !is_suspect && !health.is_down.load(Ordering::Relaxed)
    }
}

impl Health {
    fn waiting(&self) -> MutexGuard<'_, HashMap<usize, TcpStream>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn down(&self) {
        self.is_down.store(true, Ordering::Relaxed);
        for stream in self.waiting().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Asks a node whether it lives, until nobody wants to know any more.
fn watch(fleet: &Weak<Fleet>, node: usize) {
    let mut silent = 0;
    let Some(address) = fleet.upgrade().map(|fleet| fleet.addresses[node]) else { return };
    let client = Client::to(address).with_timeout(PROBE_WAIT);
    loop {
        let lives = client.send(&Request::get("/livez")).is_ok();
        let Some(fleet) = fleet.upgrade() else { return };
        silent = if lives { 0 } else { silent + 1 };
        match silent {
            0 => fleet.health[node].is_down.store(false, Ordering::Relaxed),
            PROBES_MAX => fleet.health[node].down(),
            _ => {}
        }
        drop(fleet);
        std::thread::sleep(PROBE_EVERY);
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
            Ok(answer) => {
                let said = answer.at("/message").unwrap_or_default();
                Outcome::Unknown(format!("{} {said}", answer.status).into())
            }
            Err(why) => Outcome::Unknown(why.as_str().into()),
        }
    }
}

pub struct Nodes {
    caller: usize,
    fleet: Arc<Fleet>,
    reading: Vec<Client>,
    writing: Vec<Client>,
    last: usize,
}

impl Nodes {
    pub fn new(caller: usize, fleet: &Arc<Fleet>, read_wait: Duration, write_wait: Duration) -> Nodes {
        let clients = |wait: Duration| {
            let to = |address: &SocketAddr| Client::to(*address).with_timeout(wait).sending_once();
            fleet.addresses.iter().map(to).collect()
        };
        Nodes {
            caller,
            fleet: fleet.clone(),
            reading: clients(read_wait),
            writing: clients(write_wait),
            last: 0,
        }
    }

    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Any node, rather not the one that answered last, and none that is suspect unless all are.
    fn pick(&self, random: &mut Random, tried: &[usize]) -> usize {
        let all = 0..self.fleet.addresses.len();
        let is_free = |n: &usize| !tried.contains(n);
        let is_well = |n: &usize| self.fleet.is_well(*n);
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
            let health = &self.fleet.health[node];
            let answer = connected.and_then(|()| {
                if let Some(stream) = client.stream() {
                    health.waiting().insert(self.caller, stream);
                }
                client.send(request)
            });
            health.waiting().remove(&self.caller);
            let end = self.fleet.now();
            let sent = |answer| Sent { node, asked, start, end, retries: tried.len(), answer };
            match answer {
                Ok(answer) => return sent(Ok(answer)),
                Err(e) => {
                    let until = end + SUSPECT.as_nanos() as u64;
                    health.suspect_until.store(until, Ordering::Relaxed);
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
