//! Which node is asked next, and what is learnt from its answer.

pub mod options;

pub mod strategy;

pub mod health;

pub mod check;

pub mod budget;

pub mod sticky;

pub mod figures;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use base::limits::{FRONT_HASH_LOAD_PERCENT, FRONT_PANIC_PERCENT};
use hyper::StatusCode;
use hyper::http::request::Parts;
use smallvec::SmallVec;

use crate::context::Context;
use crate::upstream::{Node, Nodes, hash};
use health::{Change, Checks, Outcome};
use options::{By, Strategy};
use strategy::Candidate;

pub use options::Options;

/// How fast a latency is forgotten.
const LATENCY_HALF_S: f64 = 2.0;

pub struct Balance {
    pub options: Options,
    clock: Instant,
    turn: AtomicU64,
}

/// What a request says about where it belongs.
#[derive(Default)]
pub struct Wish {
    /// For consistent hashing.
    key: u64,
    /// By its cookie.
    pub sticky: Option<u64>,
}

pub enum Choice {
    Node(Arc<Node>),
    /// There are some, and all have as much to do as they may.
    Full,
    /// There is nobody left to ask.
    Nobody,
}

impl Default for Balance {
    fn default() -> Self {
        Balance::new(Options::default())
    }
}

impl Balance {
    pub fn new(options: Options) -> Self {
        Balance { options, clock: Instant::now(), turn: AtomicU64::new(0) }
    }

    /// The clock of everything that nodes remember.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    pub fn wish(&self, head: &Parts, context: &Context) -> Wish {
        let key = match &self.options.strategy {
            Strategy::Hash(By::Url) => head.uri.path_and_query().map(|url| hash(url.as_str().as_bytes())),
            Strategy::Hash(By::Header(name)) => head.headers.get(name).map(|value| hash(value.as_bytes())),
            Strategy::Hash(By::Client) => Some(hash(context.client.to_string().as_bytes())),
            _ => None,
        };
        let sticky = self.options.sticky.as_ref().and_then(|name| sticky::asked(&head.headers, name));
        Wish { key: key.unwrap_or_default(), sticky }
    }

    pub fn choose(&self, nodes: &Nodes, wish: &Wish, tried: &[Arc<Node>]) -> Choice {
        let nodes = nodes.load();
        let zone = self.options.zone.as_str();
        let (mut all, mut up, mut near) = (0, 0, 0);
        for node in nodes.iter().filter(|node| !node.is_draining()) {
            all += u32::from(!node.new.load(Relaxed));
            if node.is_up() {
                up += 1;
                near += u32::from(!zone.is_empty() && node.is_in(zone));
            }
        }
        // With too few in health it is more likely that the checks are wrong, or that the few would be the next to fall.
        let is_panic = up == 0 || up * 100 < all * FRONT_PANIC_PERCENT;
        let may = |node: &Node| {
            !node.is_draining()
                && (node.is_up() || is_panic && !node.is_dead() && (up == 0 || !node.new.load(Relaxed)))
                && !tried.iter().any(|tried| std::ptr::eq(Arc::as_ptr(tried), node))
        };
        let is_full = |node: &Node| node.busy() >= self.options.node_requests_max;
        if let Some(sticky) = wish.sticky
            && let Some(node) = nodes.iter().find(|node| node.hash == sticky && may(node) && !is_full(node))
        {
            return Choice::Node(node.clone());
        }
        let mut only_near = near > 0 && !is_panic && tried.is_empty();
        // Preferred is not insisted on: nobody waits for a near one while another one has room.
        only_near &= nodes.iter().any(|node| node.is_in(zone) && may(node) && !is_full(node));
        let now = self.now();
        let mut found_full = false;
        let mut candidates: SmallVec<[(&Arc<Node>, Candidate); 8]> = SmallVec::new();
        for node in nodes.iter().filter(|node| may(node) && (!only_near || node.is_in(zone))) {
            match is_full(node) {
                true => found_full = true,
                false => candidates.push((node, self.candidate(node, now))),
            }
        }
        let plain: SmallVec<[Candidate; 8]> = candidates.iter().map(|(_, candidate)| *candidate).collect();
        let chosen = match (&self.options.strategy, plain.len()) {
            (_, 0) if found_full => return Choice::Full,
            (_, 0) => return Choice::Nobody,
            (_, 1) => 0,
            (Strategy::RoundRobin, _) => strategy::round_robin(self.turn.fetch_add(1, Relaxed), &plain),
            (Strategy::LeastConnections, _) => strategy::least(self.turn.fetch_add(1, Relaxed), &plain),
            (Strategy::TwoChoices, _) => strategy::two(rand::random(), &plain),
            (Strategy::Hash(_), _) => strategy::hashed(wish.key, &plain, FRONT_HASH_LOAD_PERCENT),
        };
        candidates.get(chosen).map_or(Choice::Nobody, |(node, _)| Choice::Node(Arc::clone(node)))
    }

    fn candidate(&self, node: &Node, now: Duration) -> Candidate {
        let mut weight = f64::from(node.weight());
        let up_for = now.saturating_sub(Duration::from_millis(node.up_since.load(Relaxed)));
        // Which keys are whose does not change while a node starts slowly.
        if up_for < self.options.slow_start && !matches!(self.options.strategy, Strategy::Hash(_)) {
            weight *= (up_for.as_secs_f64() / self.options.slow_start.as_secs_f64()).max(0.1);
        }
        let latency = node.latency.load(Relaxed) as f64;
        let at = Duration::from_nanos(node.latency_at.load(Relaxed));
        // Who was slow and is asked no more, is tried again some time.
        let halved = now.saturating_sub(at).as_secs_f64() / LATENCY_HALF_S;
        let latency = if halved > 1.0 { latency / halved } else { latency };
        Candidate { weight, busy: node.busy(), latency, hash: node.hash }
    }

    /// A node answered, with whatever status.
    pub fn answered(&self, nodes: &Nodes, node: &Node, after: Duration, status: StatusCode) {
        node.answered.fetch_add(1, Relaxed);
        node.figures.answered(status, after);
        let now = self.now();
        let before = node.latency.load(Relaxed) as f64;
        let rtt = after.as_nanos() as f64;
        // Peaks count at once, improvements after a while.
        let latency = if rtt >= before {
            rtt
        } else {
            let since = now.saturating_sub(Duration::from_nanos(node.latency_at.load(Relaxed)));
            let kept = (-since.as_secs_f64() / LATENCY_HALF_S).exp2();
            before * kept + rtt * (1.0 - kept)
        };
        node.latency.store(latency as u64, Relaxed);
        node.latency_at.store(now.as_nanos() as u64, Relaxed);
        let is_gateways = matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        );
        if is_gateways {
            self.note_failure(nodes, node);
        } else if node.suspect.load(Relaxed) {
            node.suspect.store(false, Relaxed);
            node.health.lock().succeeded();
        }
    }

    /// A node could not be reached, or broke off before its answer's head.
    pub fn failed(&self, nodes: &Nodes, node: &Node) {
        node.figures.failed();
        self.note_failure(nodes, node);
    }

    fn note_failure(&self, nodes: &Nodes, node: &Node) {
        node.suspect.store(true, Relaxed);
        let list = nodes.load();
        let others = list.iter().filter(|other| other.is_up() && !std::ptr::eq(Arc::as_ptr(other), node));
        // Never so many at once that what is left could not bear it.
        if others.count() as u32 * 100 < list.len() as u32 * FRONT_PANIC_PERCENT {
            return;
        }
        let change = node.health.lock().failed(node.answered.load(Relaxed), self.now());
        self.apply(node, change);
    }

    pub fn checked(&self, node: &Node, outcome: Outcome, checks: Checks) {
        let mut health = node.health.lock();
        let change = health.checked(outcome, checks, self.now());
        node.dead.store(health.is_dead(), Relaxed);
        node.new.store(false, Relaxed);
        drop(health);
        self.apply(node, change);
    }

    /// Time passes for a node that nobody checks.
    pub fn tick(&self, node: &Node) {
        let change = node.health.lock().tick(self.now());
        self.apply(node, change);
    }

    fn apply(&self, node: &Node, change: Change) {
        match change {
            Change::None => return,
            Change::Up => {
                node.up_since.store(self.now().as_millis() as u64, Relaxed);
                tracing::info!(node = %node.name, "a node is up");
            }
            Change::Down => tracing::warn!(node = %node.name, "a node is down"),
            Change::Ejected(time) => {
                node.figures.ejected();
                tracing::warn!(node = %node.name, "a node fails and is not asked for {} ms", time.as_millis());
            }
        }
        node.up.store(change == Change::Up, Relaxed);
    }

    /// For whoever watches.
    pub fn count(&self, nodes: &[Arc<Node>]) {
        let count = |is: fn(&Node) -> bool| nodes.iter().filter(|node| is(node)).count() as f64;
        let up = count(|node| node.is_up() && !node.is_draining());
        let draining = count(Node::is_draining);
        metrics::gauge!("pando_front_nodes", "state" => "up").set(up);
        metrics::gauge!("pando_front_nodes", "state" => "draining").set(draining);
        metrics::gauge!("pando_front_nodes", "state" => "down").set(nodes.len() as f64 - up - draining);
    }
}
