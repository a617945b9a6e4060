//! What all handles and tasks of one replicated database share. Reads look at atomics only; the ledger is locked for
//! each answer of a host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use base::limits;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::ledger::{Ledger, Moment, Terms};
use super::life::{Life, Primary};
use super::write::Receipts;
use crate::engine::postgres::{Address, Sight};
use crate::error::Error;

pub struct Hosts {
    pub addresses: Vec<Address>,
    began: Instant,
    pub terms: Terms,
    pub ledger: Mutex<Ledger>,
    pub lives: Vec<ArcSwapOption<Life>>,
    pub primary: ArcSwapOption<Primary>,
    /// Sent with every answer; see [`Ledger::everywhere`].
    pub everywhere: watch::Sender<Moment>,
    /// One for each host: to ask it at once.
    pub wakes: Vec<Arc<Notify>>,
    /// Something is to be written down or prepared.
    pub chores: Notify,
    /// When somebody last asked for data.
    active: AtomicU64,
    /// Commits that wait for replicas.
    pub waiting: AtomicUsize,
    /// Whether this process has made what Pando needs in a database.
    pub bootstrapped: AtomicBool,
    pub receipts: Receipts,
    /// Why a host cannot be reached, as far as it is known.
    pub problems: Mutex<Vec<Option<Error>>>,
    pub counts: Counts,
}

/// For metrics, one for each host.
pub struct Counts {
    pub reads: Vec<AtomicU64>,
    /// Reads that had to be asked of another host.
    pub repeated: Vec<AtomicU64>,
}

fn micros(ms: u64) -> Moment {
    ms * 1000
}

pub fn terms() -> Terms {
    Terms {
        lease: micros(limits::REPLICA_LEASE_MS),
        margin: micros(limits::REPLICA_LEASE_MARGIN_MS),
        lag_max: micros(limits::REPLICA_LAG_MS_MAX),
        join: micros(limits::REPLICA_JOIN_MS),
        join_max: micros(limits::REPLICA_JOIN_MS_MAX),
        forgiven: micros(limits::REPLICA_FORGIVEN_MS),
        look: micros(limits::REPLICA_LOOK_MS),
    }
}

impl Hosts {
    pub fn new(addresses: &[Address]) -> Hosts {
        let terms = terms();
        let count = addresses.len();
        let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Hosts {
            addresses: addresses.to_vec(),
            began: Instant::now(),
            terms,
            ledger: Mutex::new(Ledger::new(terms, addresses.iter().map(|host| host.name.clone()), 1)),
            lives: (0..count).map(|_| ArcSwapOption::empty()).collect(),
            primary: ArcSwapOption::empty(),
            everywhere: watch::channel(0).0,
            wakes: (0..count).map(|_| Arc::default()).collect(),
            chores: Notify::new(),
            active: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            bootstrapped: AtomicBool::new(false),
            receipts: Receipts::new(),
            problems: Mutex::new((0..count).map(|_| None).collect()),
            counts: Counts { reads: zeros(), repeated: zeros() },
        }
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    pub fn now(&self) -> Moment {
        since(self.began)
    }

    /// Data is asked for: from now on positions are asked for often.
    pub fn touch(&self, now: Moment) {
        // All requests share the word: it is written once in a while.
        let active = self.active.load(Ordering::Relaxed);
        if now > active + micros(limits::REPLICA_POLL_MS) {
            self.active.store(now, Ordering::Relaxed);
            if now > active + micros(limits::REPLICA_ACTIVE_MS) {
                self.wake_all();
            }
        }
    }

    pub fn wake_all(&self) {
        self.wakes.iter().for_each(|wake| wake.notify_one());
    }

    /// How long to wait between two questions to a host.
    pub fn pace(&self, now: Moment) -> Duration {
        let ms = if self.waiting.load(Ordering::Relaxed) > 0 {
            limits::REPLICA_POLL_WRITING_MS
        } else if now < self.active.load(Ordering::Relaxed) + micros(limits::REPLICA_ACTIVE_MS) {
            limits::REPLICA_POLL_MS
        } else {
            limits::REPLICA_POLL_IDLE_MS
        };
        Duration::from_millis(ms)
    }

    pub fn connected(&self, life: &Arc<Life>) {
        let mut ledger = self.ledger.lock();
        let now = self.now();
        ledger.connected(life.host, now);
        self.lives[life.host].store(Some(life.clone()));
        self.publish(&ledger, now);
    }

    pub fn heard(&self, life: &Arc<Life>, sent: Moment, sight: Sight) {
        let mut ledger = self.ledger.lock();
        let now = self.now();
        ledger.heard(life.host, sent, now, sight);
        life.answered(sent);
        self.publish(&ledger, now);
    }

    pub fn silent(&self, host: usize) {
        let mut ledger = self.ledger.lock();
        let now = self.now();
        ledger.silent(host, now);
        if let Some(life) = &*self.lives[host].load() {
            life.quiet();
        }
        self.publish(&ledger, now);
    }

    pub fn lost(&self, life: &Life) {
        self.lives[life.host].store(None);
        life.end();
        self.silent(life.host);
    }

    /// Makes what follows from the ledger known to those who read and write.
    fn publish(&self, ledger: &Ledger, now: Moment) {
        for (host, life) in self.lives.iter().enumerate() {
            if let Some(life) = &*life.load() {
                life.readable_until.store(ledger.readable_until(host).unwrap_or(0), Ordering::Release);
            }
        }
        let found =
            ledger.primary().and_then(|(host, timeline)| Some((self.lives[host].load_full()?, timeline)));
        let before = self.primary.load();
        match (&*before, found) {
            (Some(before), Some((life, timeline)))
                if Arc::ptr_eq(&before.life, &life) && before.timeline == timeline =>
            {
                before.until.store(ledger.primary_until(), Ordering::Release);
            }
            (_, Some((life, timeline))) => {
                tracing::info!(timeline, "{} is the primary", self.addresses[life.host].name);
                self.end_leaders_but(&life);
                life.led.store(timeline, Ordering::Release);
                let until = AtomicU64::new(ledger.primary_until());
                let (preparing, ready) = (AtomicBool::new(false), AtomicBool::new(false));
                self.primary.store(Some(Arc::new(Primary { life, timeline, until, preparing, ready })));
                self.chores.notify_one();
            }
            (Some(before), None) => {
                tracing::warn!("{} does not answer as the primary", self.addresses[before.life.host].name);
                self.primary.store(None);
            }
            (None, None) => {}
        }
        self.everywhere.send_replace(ledger.everywhere(now));
    }
}

impl Hosts {
    /// Nobody waits any longer for those that led before: what they still answer is of a timeline that has ended.
    fn end_leaders_but(&self, leader: &Arc<Life>) {
        for life in self.lives.iter().filter_map(ArcSwapOption::load_full) {
            if !Arc::ptr_eq(&life, leader) && life.led.load(Ordering::Acquire) > 0 {
                life.end();
            }
        }
    }
}

pub fn since(began: Instant) -> Moment {
    // Moments begin at 1: 0 is before all of them.
    began.elapsed().as_micros() as Moment + 1
}
