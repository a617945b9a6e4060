//! One server behind the front door, and what is known of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use metrics::Gauge;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::Tls;
use crate::balance::figures::Figures;
use crate::balance::health::Health;

/// What configuration, DNS or the node itself says of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// As messages and metrics name it.
    pub name: String,
    /// `host:port`, with `https://` before it if the connection is to be encrypted.
    pub address: String,
    pub zone: String,
    /// Its share beside the others' weights.
    pub weight: u32,
    /// It takes no new requests from now on.
    pub leaving: bool,
}

impl Described {
    /// As a list of addresses has it: the address is the name, and all weigh the same.
    pub fn at(address: &str) -> Described {
        let name =
            address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/').to_owned();
        Described { name, address: address.to_owned(), zone: String::new(), weight: 1, leaving: false }
    }
}

/// Its figures are its own, so that they outlive changes of the list.
pub struct Node {
    /// As messages and metrics name it.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Whether connections to it are encrypted, and how.
    pub secure: bool,
    pub(super) tls: Option<Tls>,
    /// What a sticky cookie says, and consistent hashing goes by: the same in every front door.
    pub hash: u64,
    zone: RwLock<String>,
    weight: AtomicU32,
    leaving: AtomicBool,
    drained: AtomicBool,
    gone: AtomicBool,
    /// Requests that it has not answered to the end.
    busy: AtomicUsize,
    /// Connections to it, of all threads.
    open: AtomicUsize,
    idle: AtomicUsize,
    /// Whoever waits until a node has room, among all nodes.
    room: Arc<Room>,
    /// Requests that it has answered.
    pub(crate) answered: AtomicU64,
    /// Moving average of its latency with the time of the last change, in nanoseconds.
    pub(crate) latency: AtomicU64,
    pub(crate) latency_at: AtomicU64,
    pub(crate) health: Mutex<Health>,
    /// What `health` came to, to be read without its lock.
    pub(crate) up: AtomicBool,
    pub(crate) dead: AtomicBool,
    /// Nobody has heard of it yet.
    pub(crate) new: AtomicBool,
    /// Since when it is up, in milliseconds of the balance's clock; what slow start goes by.
    pub(crate) up_since: AtomicU64,
    /// Whether it failed lately, so that the next success has to be told to `health`.
    pub(crate) suspect: AtomicBool,
    /// When it is to be checked next, in milliseconds of the balance's clock.
    pub(crate) check_at: AtomicU64,
    pub(crate) figures: Figures,
}

/// Where requests wait until a node has room for them.
#[derive(Default)]
pub struct Room {
    waiting: AtomicUsize,
    pub freed: Notify,
}

pub struct Waiting<'a>(&'a Room);

impl Room {
    /// A place in the queue until what is returned is dropped; None if all are taken.
    pub fn wait(&self, most: usize) -> Option<Waiting<'_>> {
        let waiting = Waiting(self);
        (self.waiting.fetch_add(1, Relaxed) < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl Node {
    pub(super) fn new(described: &Described, health: Health, tls: Option<&Tls>, room: Arc<Room>) -> Self {
        let (secure, address) = split(&described.address);
        let up = health.is_up();
        let node = Node {
            name: described.name.clone(),
            address: address.to_owned(),
            secure,
            tls: tls.filter(|_| secure).cloned(),
            hash: hash(address.as_bytes()),
            zone: RwLock::default(),
            weight: AtomicU32::new(1),
            leaving: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            room,
            answered: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            latency_at: AtomicU64::new(0),
            health: Mutex::new(health),
            up: AtomicBool::new(up),
            dead: AtomicBool::new(false),
            new: AtomicBool::new(!up),
            check_at: AtomicU64::new(0),
            figures: Figures::new(&described.name),
            up_since: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
        };
        node.describe(described);
        node
    }

    pub(super) fn is(&self, described: &Described) -> bool {
        (self.secure, self.address.as_str()) == split(&described.address) && self.name == described.name
    }

    pub(super) fn describe(&self, described: &Described) {
        self.weight.store(described.weight.max(1), Relaxed);
        self.leaving.store(described.leaving, Relaxed);
        let mut zone = self.zone.write();
        if *zone != described.zone {
            zone.clone_from(&described.zone);
        }
    }

    pub(super) fn leave(&self) {
        self.gone.store(true, Relaxed);
    }

    /// No longer in the list: connections to it are not kept.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    pub fn zone(&self) -> String {
        self.zone.read().clone()
    }

    pub fn is_in(&self, zone: &str) -> bool {
        *self.zone.read() == zone
    }

    /// It said so itself, or an operator did.
    pub fn is_draining(&self) -> bool {
        self.leaving.load(Relaxed) || self.drained.load(Relaxed)
    }

    /// An operator's word, which the node's own announcements do not change.
    pub fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Relaxed);
    }

    /// By what it answers and by checks; a node that nobody has heard of yet is not.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// By checks that it does not answer at all.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    pub fn busy(&self) -> usize {
        self.busy.load(Relaxed)
    }

    /// Connections to it that are open, and those of them that wait for a request.
    pub fn connections(&self) -> (usize, usize) {
        (self.open.load(Relaxed), self.idle.load(Relaxed))
    }

    fn counts(&self, which: Which) -> (&AtomicUsize, &Gauge) {
        match which {
            Which::Open => (&self.open, &self.figures.open),
            Which::Idle => (&self.idle, &self.figures.idle),
        }
    }

    /// A request is under way until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        Busy(self.clone())
    }
}

#[derive(Clone, Copy)]
pub(super) enum Which {
    Open,
    Idle,
}

/// One connection to a node, counted until this is dropped.
pub(super) struct Counted {
    node: Arc<Node>,
    which: Which,
}

impl Counted {
    pub fn new(node: &Arc<Node>, which: Which) -> Counted {
        let (count, gauge) = node.counts(which);
        count.fetch_add(1, Relaxed);
        gauge.increment(1.0);
        Counted { node: node.clone(), which }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let (count, gauge) = self.node.counts(self.which);
        count.fetch_sub(1, Relaxed);
        gauge.decrement(1.0);
    }
}

pub struct Busy(Arc<Node>);

impl Busy {
    pub fn node(&self) -> &Arc<Node> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
        if self.0.room.waiting.load(Relaxed) > 0 {
            self.0.room.freed.notify_one();
        }
    }
}

fn split(address: &str) -> (bool, &str) {
    let (secure, address) = match address.split_once("://") {
        Some((scheme, rest)) => (scheme.eq_ignore_ascii_case("https"), rest),
        None => (false, address),
    };
    (secure, address.trim_end_matches('/'))
}

/// FNV-1a with a final mix: the same in every process and version, as cookies and several front doors rely on it.
pub fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    mix(hash)
}

/// Spreads every bit over all (the finaliser of splitmix64).
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
