//! A mixed load over HTTP: callers with a token each, every request to any node, and everything that came of it kept.
//! Half of the callers write, and read back; the others only read, most of all what has just been acknowledged to
//! somebody else.

mod caller;
mod jobs;
mod nodes;
mod people;
mod reads;
pub(super) mod schema;
mod settle;
mod streams;
mod writes;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context, Result};
use base::limits::{REPLICA_LEASE_MARGIN_MS, REPLICA_LEASE_MS, TIER_SILENT_MS};

use super::history::{Action, Event, History, Instant, Name, Outcome};
use super::judge::awaited;
use crate::{Client, fuzz::Random};
pub(super) use reads::{content, seen};

use caller::Caller;
use jobs::{Hooks, Mails, Messages};
use nodes::Fleet;
use streams::Subscribers;

/// As long as somebody may still read by an older proof.
const LEASE_NS: Instant = (REPLICA_LEASE_MS + REPLICA_LEASE_MARGIN_MS) * 1_000_000;
/// What a shared cache that does not answer adds to the time in which a write is committed and not acknowledged: until
/// its connection is given up, and all nodes are told that this one leaves the cache.
const LIFT_NS: Instant = TIER_SILENT_MS * 1_000_000 + LEASE_NS;
/// What was acknowledged lately, for readers.
const BOARD_MAX: usize = 64;
/// How often it is looked whether jobs and events have come.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const KNOWN_WAIT: Duration = Duration::from_secs(30);

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct Load {
    pub nodes: Vec<SocketAddr>,
    pub writers: usize,
    pub readers: usize,
    /// What each caller rests between two requests.
    pub pace: Duration,
    /// How long a read may take before the next node is asked.
    pub read_wait: Duration,
    /// How long a write may take before nobody knows.
    pub write_wait: Duration,
    pub seed: u64,
    /// Subscribers of each node. Where nodes do not tell each other of writes there can be none.
    pub subscribers: usize,
    /// Where all nodes write their mails to, if mails are looked for.
    pub outbox: Option<PathBuf>,
    /// Whether there is a webhook, and what it tells is looked for. Private addresses must be allowed.
    pub hooks: bool,
    /// Whether messages are published in the application's queue, and consumed.
    pub queue: bool,
    /// Whether nodes share a cache.
    pub shares: bool,
    /// How long jobs and events are waited for after the load.
    pub late: Duration,
}

impl Load {
    pub fn on(nodes: Vec<SocketAddr>) -> Load {
        Load {
            nodes,
            writers: 6,
            readers: 6,
            pace: Duration::from_millis(5),
            read_wait: Duration::from_secs(3),
            write_wait: Duration::from_secs(15),
            seed: 1,
            subscribers: 0,
            outbox: None,
            hooks: false,
            queue: false,
            shares: false,
            late: Duration::from_secs(90),
        }
    }

    /// Makes the collections and the callers' accounts, and starts.
    pub fn start(self, superuser: &str) -> Result<Running> {
        let clients: Vec<Client> = self.nodes.iter().map(|address| Client::to(*address)).collect();
        schema::prepare(&clients[0], superuser)?;
        schema::known(&clients, KNOWN_WAIT)?;
        let shared = Arc::new(Shared::new(Fleet::new(self.nodes.clone()), &self));
        let mut callers: Vec<Caller> =
            (0..self.writers + self.readers).map(|number| Caller::new(number, &self, &shared)).collect();
        for caller in &mut callers {
            caller.enter().with_context(|| format!("caller {}", caller.number))?;
        }
        let mails = self.outbox.clone().map(|dir| Mails::watch(dir, shared.clone()));
        let hooks = self.hooks.then(|| Hooks::receive(self.nodes[0], shared.clone())).transpose()?;
        if let Some(hooks) = &hooks {
            schema::hook(&clients[0], superuser, hooks.url())?;
        }
        if self.queue {
            schema::queue(&clients[0], superuser)?;
        }
        let messages = self.queue.then(|| Messages::consume(superuser, shared.clone()));
        let subscribers = Subscribers::start(&self, &shared, &callers[0].token)?;
        let threads = callers.into_iter().map(|caller| {
            let (writes, pace) = (caller.number < self.writers, self.pace);
            std::thread::spawn(move || if writes { caller.write_on(pace) } else { caller.read_on(pace) })
        });
        let threads = threads.collect();
        Ok(Running { load: self, shared, threads, mails, hooks, messages, subscribers })
    }
}

/// What a reader may look for.
#[derive(Clone, Debug)]
pub enum Target {
    Record { shelf: Name, record: Name },
    Entries { set: Name },
    Ledger { set: Name },
    Claim { name: Name },
    Counter { counter: Name },
    Accounts,
}

/// What all callers share.
pub struct Shared {
    fleet: Arc<Fleet>,
    stop: AtomicBool,
    board: Mutex<VecDeque<Target>>,
    /// Names are given out slowly, so that several callers ask for each.
    claims: AtomicUsize,
    reads: AtomicUsize,
    writes: AtomicUsize,
    people: Mutex<Vec<people::Person>>,
    has_outbox: bool,
    has_hooks: bool,
    has_queue: bool,
}

impl Shared {
    fn new(fleet: Arc<Fleet>, load: &Load) -> Shared {
        Shared {
            fleet,
            stop: AtomicBool::new(false),
            board: Mutex::default(),
            claims: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            people: Mutex::default(),
            has_outbox: load.outbox.is_some(),
            has_hooks: load.hooks,
            has_queue: load.queue,
        }
    }

    fn show(&self, target: Target) {
        let mut board = lock(&self.board);
        board.push_back(target);
        if board.len() > BOARD_MAX {
            board.pop_front();
        }
    }

    /// Half of the time the newest.
    fn target(&self, random: &mut Random) -> Target {
        let board = lock(&self.board);
        let at = match random.below(2) {
            0 => board.len().checked_sub(1),
            _ => Some(random.below(board.len())),
        };
        at.and_then(|at| board.get(at)).cloned().unwrap_or(Target::Accounts)
    }

    fn count(&self, event: &Event) {
        let of = if event.action.is_write() { &self.writes } else { &self.reads };
        of.fetch_add(usize::from(event.outcome == Outcome::Done), Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A load that goes on.
pub struct Running {
    load: Load,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Caller>>,
    mails: Option<Mails>,
    hooks: Option<Hooks>,
    messages: Option<Messages>,
    subscribers: Subscribers,
}

impl Running {
    pub fn now(&self) -> Instant {
        self.shared.fleet.now()
    }

    /// Answered reads and acknowledged writes so far.
    pub fn counts(&self) -> (usize, usize) {
        (self.shared.reads.load(Ordering::Relaxed), self.shared.writes.load(Ordering::Relaxed))
    }

    /// Waits until so many more reads were answered and writes acknowledged. False after `wait`.
    pub fn more(&self, reads: usize, writes: usize, wait: Duration) -> bool {
        let (reads_before, writes_before) = self.counts();
        let until = Clock::now() + wait;
        while Clock::now() < until {
            let (reads_now, writes_now) = self.counts();
            if reads_now >= reads_before + reads && writes_now >= writes_before + writes {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Ends all callers once their last requests are answered.
    pub fn stop(self) -> Stopped {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.threads.into_iter().map(|thread| thread.join().expect("a caller runs to its end"));
        let mut callers: Vec<Caller> = ended.collect();
        let events = callers.iter_mut().flat_map(|caller| std::mem::take(&mut caller.events)).collect();
        let balances = (0..schema::ACCOUNTS_COUNT).map(|n| (schema::account(n).into(), schema::BALANCE));
        let lease = LEASE_NS + if self.load.shares { LIFT_NS } else { 0 };
        let history = History { balances: balances.collect(), events, lease, ..History::default() };
        let reader = callers.swap_remove(0);
        Stopped {
            load: self.load,
            reader,
            history,
            mails: self.mails,
            hooks: self.hooks,
            messages: self.messages,
            subscribers: self.subscribers,
        }
    }
}

/// A load that has ended, and what is known of it.
pub struct Stopped {
    load: Load,
    reader: Caller,
    history: History,
    mails: Option<Mails>,
    hooks: Option<Hooks>,
    messages: Option<Messages>,
    subscribers: Subscribers,
}

impl Stopped {
    /// Waits for what comes after the answers, reads everything once more, from every node, and hands out the whole
    /// history.
    pub fn settle(mut self) -> Result<History> {
        let until = Clock::now() + self.load.late;
        loop {
            self.history.effects = self.mails.iter().flat_map(Mails::seen).collect();
            self.history.effects.extend(self.hooks.iter().flat_map(Hooks::seen));
            self.history.effects.extend(self.messages.iter().flat_map(Messages::seen));
            self.history.streams = self.subscribers.streams();
            if awaited(&self.history) == 0 || Clock::now() > until {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.history.settled = Some(self.reader.now());
        for node in 0..self.load.nodes.len() {
            settle::read_all(&mut self.reader, node, &self.history)?;
        }
        settle::log_in(&mut self.reader)?;
        self.history.events.append(&mut self.reader.events);
        self.history.events.sort_by_key(|event| event.start);
        Ok(self.history)
    }
}

/// The event of a request that was sent.
fn event(caller: usize, sent: &nodes::Sent, action: Action) -> Event {
    Event {
        caller,
        node: sent.node,
        asked: sent.asked,
        start: sent.start,
        end: sent.end,
        retries: sent.retries,
        action,
        outcome: sent.outcome(),
    }
}
