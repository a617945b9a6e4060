//! Sessions that hop over the nodes: each caller logs in somewhere, writes its own records at one node and reads them, and
//! the others', at the next. Nothing is kept but what the next read may see, so that a run may have millions of requests.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::history::Seen;
use super::judge::{Kind, Register};
use super::load::schema::{self, PEOPLE, RECORDS};
use super::load::{content, seen};
use crate::fuzz::Random;
use crate::{Client, Request, exposition};

const PASSWORD: &str = "a-sessions-password";
const KNOWN_WAIT: Duration = Duration::from_secs(30);
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// A session ends and another one begins after so many requests.
const SESSION_REQUESTS: usize = 5_000;
/// How many breaches are told of in words.
const EXAMPLES_MAX: usize = 20;

/// What to run.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// Who is asked.
    pub nodes: Vec<SocketAddr>,
    /// The web nodes, whose caches are looked at: the same, or those behind them.
    pub web: Vec<SocketAddr>,
    pub callers: usize,
    /// Records of each caller.
    pub records: usize,
    /// Requests of all callers.
    pub requests: usize,
    /// Of a hundred steps, so many are a write and a read of it elsewhere.
    pub writes_percent: usize,
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Findings {
    pub reads: usize,
    pub writes: usize,
    pub logins: usize,
    /// Reads of the caller's own record after a write that another one of those who are asked had acknowledged.
    pub own_across_nodes: usize,
    /// Of the reads of others' records: those of one that was written by somebody else.
    pub of_others: usize,
    pub failed: usize,
    pub stale_own: usize,
    pub stale: usize,
    pub phantoms: usize,
    pub examples: Vec<String>,
    pub elapsed: Duration,
    /// Hits and misses of each cache on all nodes together, during the run.
    pub caches: Vec<(String, f64, f64)>,
}

impl Sessions {
    pub fn on(nodes: Vec<SocketAddr>, requests: usize) -> Sessions {
        Sessions { web: nodes.clone(), nodes, callers: 8, records: 25, requests, writes_percent: 5, seed: 1 }
    }

    pub fn run(&self, superuser: &str) -> Result<Findings> {
        let clients: Vec<Client> = self.nodes.iter().map(|address| Client::to(*address)).collect();
        schema::prepare(&clients[0], superuser)?;
        schema::known(&clients, KNOWN_WAIT)?;
        let registers: Vec<Register> =
            (0..self.callers * self.records).map(|_| Register::default()).collect();
        let done = AtomicUsize::new(0);
        let all = Mutex::new(Findings::default());
        let web: Vec<Client> = self.web.iter().map(|address| Client::to(*address)).collect();
        let before = figures(&web, superuser)?;
        let began = Instant::now();
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..self.callers)
                .map(|number| {
                    let (registers, done, all) = (&registers, &done, &all);
                    scope.spawn(move || {
                        let mut caller = Caller::new(self, number, registers)?;
                        let result = caller.go(done);
                        all.lock().unwrap().add(caller.found);
                        result
                    })
                })
                .collect();
            let ended = running.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => bail!("a caller's thread panicked"),
            });
            ended.collect::<Result<Vec<()>>>()
        })?;
        let mut found = all.into_inner().unwrap();
        found.elapsed = began.elapsed();
        found.caches = figures(&web, superuser)?;
        for ((_, hits, misses), (_, hits_before, misses_before)) in found.caches.iter_mut().zip(before) {
            *hits -= hits_before;
            *misses -= misses_before;
        }
        Ok(found)
    }
}

impl Findings {
    pub fn is_clean(&self) -> bool {
        self.stale_own + self.stale + self.phantoms == 0
    }

    fn add(&mut self, other: Findings) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.logins += other.logins;
        self.own_across_nodes += other.own_across_nodes;
        self.of_others += other.of_others;
        self.failed += other.failed;
        self.stale_own += other.stale_own;
        self.stale += other.stale;
        self.phantoms += other.phantoms;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
    }

    fn breach(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        match kind {
            Kind::StaleOwn => self.stale_own += 1,
            Kind::Stale => self.stale += 1,
            _ => self.phantoms += 1,
        }
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{kind:?}: {}", what()));
        }
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let requests = self.reads + self.writes + self.logins;
        let seconds = self.elapsed.as_secs_f64();
        writeln!(
            f,
            "{requests} requests in {seconds:.1} s, {:.0} a second: {} reads, {} writes, {} logins, {} failed",
            requests as f64 / seconds.max(0.001),
            self.reads,
            self.writes,
            self.logins,
            self.failed
        )?;
        writeln!(
            f,
            "{} reads of an own write that another node had acknowledged, {} reads of others' records",
            self.own_across_nodes, self.of_others
        )?;
        for (cache, hits, misses) in &self.caches {
            let share = 100.0 * hits / (hits + misses).max(1.0);
            writeln!(f, "cache {cache}: {hits:.0} hits, {misses:.0} misses, {share:.1} %")?;
        }
        write!(
            f,
            "{} stale reads of own writes, {} of others', {} of what nobody wrote",
            self.stale_own, self.stale, self.phantoms
        )?;
        self.examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}

/// Hits and misses of every cache, all nodes together, in the order of the caches' names.
pub fn figures(nodes: &[Client], superuser: &str) -> Result<Vec<(String, f64, f64)>> {
    let mut caches = std::collections::BTreeMap::<String, (f64, f64)>::new();
    for node in nodes {
        let answer = node.send(&Request::get("/metrics").token(superuser))?;
        if answer.status != 200 {
            bail!("/metrics answered {}: {}", answer.status, answer.text());
        }
        let families = exposition::parse(&answer.text())?;
        for (family, is_hit) in [("pando_cache_hits_total", true), ("pando_cache_misses_total", false)] {
            for ((_, labels), value) in families.get(family).into_iter().flat_map(|family| &family.series) {
                let name = labels.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ");
                let counts = caches.entry(name).or_default();
                *if is_hit { &mut counts.0 } else { &mut counts.1 } += value;
            }
        }
    }
    Ok(caches.into_iter().map(|(name, (hits, misses))| (name, hits, misses)).collect())
}

struct Caller<'r> {
    plan: &'r Sessions,
    number: usize,
    registers: &'r [Register],
    clients: Vec<Client>,
    /// The node that is asked next.
    node: usize,
    random: Random,
    token: String,
    /// The version of each own record, and the node that acknowledged it. After a write that nobody knows the outcome of
    /// there is none, and the record is only read.
    own: Vec<Option<(u32, usize)>>,
    found: Findings,
}

impl<'r> Caller<'r> {
    fn new(plan: &'r Sessions, number: usize, registers: &'r [Register]) -> Result<Caller<'r>> {
        let client = |address: &SocketAddr| Client::to(*address).with_timeout(ANSWER_WAIT);
        let mut caller = Caller {
            plan,
            number,
            registers,
            clients: plan.nodes.iter().map(client).collect(),
            node: number % plan.nodes.len(),
            random: Random(plan.seed.wrapping_mul(1_000_003).wrapping_add(number as u64)),
            token: String::new(),
            own: vec![Some((0, 0)); plan.records],
            found: Findings::default(),
        };
        let body = json!({"id": caller.account(), "email": caller.email(), "password": PASSWORD,
            "passwordConfirm": PASSWORD});
        let answer =
            caller.clients[caller.node].send(&Request::json("POST", &schema::path(PEOPLE), &body))?;
        if answer.status != 200 {
            bail!("signing up was answered with {}: {}", answer.status, answer.text());
        }
        caller.log_in()?;
        for index in 0..plan.records {
            caller.write(index);
        }
        Ok(caller)
    }

    fn go(&mut self, done: &AtomicUsize) -> Result<()> {
        let mut mine = 0;
        while done.load(Ordering::Relaxed) < self.plan.requests {
            let before = mine;
            if self.random.below(100) < self.plan.writes_percent {
                let index = self.random.below(self.plan.records);
                self.write(index);
                self.read(self.number * self.plan.records + index);
                mine += 2;
            } else {
                // Half of the reads are of a few records that everybody wants.
                let some = if self.random.below(2) == 0 { self.registers.len() } else { self.plan.callers };
                let at = self.random.below(some) * (self.registers.len() / some);
                self.read(at);
                mine += 1;
            }
            done.fetch_add(mine - before, Ordering::Relaxed);
            if before / SESSION_REQUESTS != mine / SESSION_REQUESTS {
                self.log_in()?;
            }
        }
        Ok(())
    }

    fn account(&self) -> String {
        format!("session{:08}", self.number)
    }

    fn email(&self) -> String {
        format!("{}@example.com", self.account())
    }

    fn hop(&mut self) -> usize {
        self.node = (self.node + 1 + self.random.below(self.clients.len().saturating_sub(1).max(1)))
            % self.clients.len();
        self.node
    }

    fn log_in(&mut self) -> Result<()> {
        let body = json!({"identity": self.email(), "password": PASSWORD});
        let path = format!("/api/collections/{PEOPLE}/auth-with-password");
        let node = self.hop();
        let answer = self.clients[node].send(&Request::json("POST", &path, &body))?;
        self.token =
            answer.at("/token").with_context(|| format!("a login was answered with {}", answer.status))?;
        self.found.logins += 1;
        Ok(())
    }

    fn write(&mut self, index: usize) {
        let Some((version, _)) = self.own[index] else { return };
        let (at, version) = (self.number * self.plan.records + index, version + 1);
        let record = id(at);
        let body = json!({"id": record, "owner": self.account(), "shelf": "sessions", "version": version,
            "content": content(&record, version)});
        let request = match version {
            1 => Request::json("POST", &schema::path(RECORDS), &body),
            _ => Request::json("PATCH", &schema::one(RECORDS, &record), &body),
        };
        let node = self.hop();
        self.registers[at].send(version);
        let answer = self.clients[node].send(&request.token(&self.token));
        self.own[index] = match answer {
            Ok(answer) if answer.status == 200 => {
                self.registers[at].acknowledge(version);
                Some((version, node))
            }
            Ok(answer) if (400..500).contains(&answer.status) => {
                // It is there and its writer's, as far as anybody was told.
                let what = || format!("node {node} refused a write of {record} with {}", answer.status);
                self.found.breach(Kind::StaleOwn, what);
                None
            }
            _ => {
                self.found.failed += 1;
                None
            }
        };
        self.found.writes += 1;
    }

    fn read(&mut self, at: usize) {
        let record = id(at);
        let is_own = at / self.plan.records == self.number;
        let node = self.hop();
        let request = Request::get(&schema::one(RECORDS, &record)).token(&self.token);
        let bound = self.registers[at].bound();
        let shown = match self.clients[node].send(&request) {
            Ok(answer) if answer.status == 200 => seen(&answer.json()).1,
            Ok(answer) if answer.status == 404 => Seen::Absent,
            // A session that is not known where it comes to sees less than it was told as well.
            Ok(answer) if (400..500).contains(&answer.status) => {
                let what = || format!("node {node} refused a read of {record} with {}", answer.status);
                return self.found.breach(Kind::StaleOwn, what);
            }
            _ => return self.found.failed += 1,
        };
        self.found.reads += 1;
        if is_own {
            let wrote = self.own[at % self.plan.records];
            self.found.own_across_nodes += usize::from(wrote.is_some_and(|(_, by)| by != node));
        } else {
            self.found.of_others += 1;
        }
        if let Some(kind) = self.registers[at].judge(bound, &shown, is_own) {
            let number = self.number;
            self.found.breach(kind, || {
                format!("caller {number} saw {shown:?} of {record} on node {node}, and {bound} had been acknowledged")
            });
        }
    }
}

fn id(at: usize) -> String {
    format!("s{at:014}")
}
