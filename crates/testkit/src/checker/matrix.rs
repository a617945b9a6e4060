//! The fault matrix: a cluster under load, and its processes killed, frozen and cut off one after the other. The judge
//! rules over the whole history; each fault becomes a row that says what callers noticed of it.

mod faults;
mod rows;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context, Result, bail};
use cluster::topology::{Failover, QueueEngine, RedisMode};
use cluster::{Cluster, Role, Topology};

use super::history::{Event, History};
use super::judge::{Verdict, judge};
use super::load::{Load, Running};
use super::sessions::{self, Sessions};
use crate::Client;
use crate::server::{self, SUPERUSER};
use crate::topology::Rig;

pub use faults::{Fault, Step, Target};
pub use rows::{Row, table};

/// The variable that names the directory of mails.
const OUTBOX: &str = "PANDO_MAIL_OUTBOX";
/// On each web node.
const SUBSCRIBERS: usize = 2;
/// How long a phase may take until its requests are answered.
const PHASE_MAX: Duration = Duration::from_secs(90);

/// From a fault on, reads may fail for so long. It is noticed by silence, and silence takes a while.
pub const READ_WINDOW: Duration = Duration::from_secs(4);
/// Below 2,000 reads one in a thousand is no number.
const READ_FAILURES_MAX: usize = 2;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub topology: Topology,
    /// The program of the web nodes.
    pub pando: String,
    pub steps: Vec<Step>,
    /// Answered reads and acknowledged writes of each phase, at least.
    pub reads: usize,
    pub writes: usize,
    /// How long each fault lasts, at least.
    pub lasts: Duration,
    /// How long a dead primary is looked at until somebody promotes a standby. With Patroni nobody does.
    pub operator: Duration,
    pub seed: u64,
}

/// What came of it.
pub struct Findings {
    pub rows: Vec<Row>,
    pub verdict: Verdict,
    pub history: History,
}

/// Whether nodes can have networks of their own here.
pub fn may_cut() -> bool {
    rustix::process::getuid().is_root()
}

/// Three web nodes and a primary with so many standbys, of which one must have each write.
pub fn topology(replicas: u32, patroni: bool, network: bool) -> Topology {
    let mut topology = Topology { name: "faults".into(), ..Topology::default() };
    (topology.web.nodes, topology.web.port) = (3, 0);
    topology.database.engine = cluster::topology::Engine::Postgres;
    (topology.database.replicas, topology.database.synchronous) = (replicas, replicas.min(1));
    if patroni {
        topology.database.failover = Failover::Patroni;
    }
    topology.network.namespaces = network;
    topology
}

/// The same with a cache that all share, a bus and workers: of each one that may die, and more of those that decide.
pub fn backed(mut topology: Topology, redis: RedisMode, nats: u32, workers: u32) -> Topology {
    (topology.redis.mode, topology.nats.nodes, topology.workers.nodes) = (redis, nats, workers);
    // Without workers it is the bus alone.
    if nats > 0 && workers > 0 {
        topology.queue.engine = QueueEngine::Nats;
    }
    topology
}

impl Findings {
    /// Fails when anything acknowledged was lost, or reads failed while there was a database to read from.
    pub fn check(&self) -> Result<()> {
        if !self.verdict.is_clean() {
            bail!("{}", self.verdict);
        }
        let (failed, reads) = self.outside_windows();
        if failed > (reads / 1000).max(READ_FAILURES_MAX) {
            bail!("{failed} of {reads} reads failed outside of {READ_WINDOW:?} after a fault");
        }
        for row in self.rows.iter().filter(|row| row.step.target.is_beside()) {
            let (failed, done) = (row.read_failures(), row.reads_done());
            if failed > (done / 1000).max(READ_FAILURES_MAX) {
                bail!("{}: {failed} reads failed beside {done}, which need nothing of it", row.step);
            }
        }
        Ok(())
    }

    /// Failed reads and all of them, but for those in the time that a fault takes to be noticed.
    pub fn outside_windows(&self) -> (usize, usize) {
        let window = READ_WINDOW.as_nanos() as u64;
        let is_outside = |event: &&Event| {
            let until = |row: &Row| if row.is_alone { row.end } else { row.fault + window };
            let in_window = |row: &Row| (row.fault..until(row)).contains(&event.end);
            !event.action.is_write() && !self.rows.iter().any(in_window)
        };
        let reads: Vec<&Event> = self.history.events.iter().filter(is_outside).collect();
        (reads.iter().filter(|read| !read.is_done()).count(), reads.len())
    }
}

pub fn run(plan: &Plan) -> Result<Findings> {
    let mails = crate::topology::directory()?;
    let mut topology = plan.topology.clone();
    // All nodes write their mails to one place, where they are looked for.
    for env in [&mut topology.web.env, &mut topology.workers.env] {
        env.insert(OUTBOX.into(), mails.path().display().to_string());
        // Where webhooks are received is no public address.
        env.insert("PANDO_OUTBOUND_ALLOW_PRIVATE".into(), "true".into());
    }
    let cluster = Rig::of(&topology, &plan.pando)?;
    let result = run_on(plan, &cluster);
    if !result.as_ref().is_ok_and(|findings| findings.check().is_ok()) {
        eprintln!("{}", logs(&cluster));
    }
    if let Some(dir) = std::env::var_os("PANDO_FAULTS_LOGS") {
        for node in cluster.nodes() {
            std::fs::copy(node.log(), std::path::Path::new(&dir).join(format!("{}.log", node.name())))?;
        }
    }
    result
}

/// Sessions that hop over the web nodes of a quiet cluster, or over its balancers, which hop over the web nodes.
pub fn sessions(topology: &Topology, pando: &str, requests: usize) -> Result<sessions::Findings> {
    let cluster = Rig::of(topology, pando)?;
    whole(&cluster)?;
    let (web, token) = ready(&cluster, pando)?;
    let balancers: Vec<_> = cluster.of(Role::Balancer).iter().map(|node| node.address()).collect();
    let asked = if balancers.is_empty() { web.clone() } else { balancers };
    Sessions { web, ..Sessions::on(asked, requests) }.run(&token)
}

fn outbox(cluster: &Cluster) -> Option<PathBuf> {
    cluster.topology().web.env.get(OUTBOX).map(PathBuf::from)
}

fn run_on(plan: &Plan, cluster: &Cluster) -> Result<Findings> {
    let running = start(plan, cluster)?;
    let mut rows = Vec::new();
    for step in &plan.steps {
        let row = faults::run(plan, cluster, &running, *step);
        let row = row.with_context(|| format!("{step}"))?;
        eprintln!("{step}: {:.1} s", (row.end - row.start) as f64 / 1e9);
        rows.push(row);
    }
    whole(cluster)?;
    let history = running.stop().settle()?;
    let verdict = judge(&history);
    for row in &mut rows {
        row.fill(&history);
    }
    Ok(Findings { rows, verdict, history })
}

fn start(plan: &Plan, cluster: &Cluster) -> Result<Running> {
    let (nodes, token) = ready(cluster, &plan.pando)?;
    // Only a bus tells nodes of each other's writes.
    let subscribers = if cluster.topology().nats.nodes > 0 { SUBSCRIBERS } else { 0 };
    let load = Load {
        seed: plan.seed,
        outbox: outbox(cluster),
        hooks: true,
        queue: true,
        subscribers,
        shares: cluster.topology().redis.mode != RedisMode::None,
        ..Load::on(nodes)
    };
    load.start(&token)
}

/// The web nodes and a superuser's token.
pub(crate) fn ready(cluster: &Cluster, pando: &str) -> Result<(Vec<SocketAddr>, String)> {
    let (email, password) = SUPERUSER;
    let program = crate::pando::program(pando, cluster.data_url())?;
    program.upsert_superuser(&cluster.dir().join("superuser"), email, password)?;
    let nodes: Vec<_> = cluster.web().iter().map(|node| node.address()).collect();
    let token = server::login(&Client::to(nodes[0]), "_superusers", email, password)?;
    Ok((nodes, token))
}

/// Waits until every node answers and every standby follows.
pub(crate) fn whole(cluster: &Cluster) -> Result<()> {
    let until = Clock::now() + PHASE_MAX;
    loop {
        let missing = missing(cluster);
        let Some(missing) = missing else { return Ok(()) };
        if Clock::now() > until {
            bail!("the cluster does not become whole again: {missing}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn missing(cluster: &Cluster) -> Option<String> {
    if let Some(node) = cluster.nodes().iter().find(|node| !node.is_ready()) {
        return Some(format!("{} does not answer", node.name()));
    }
    if !cluster.is_redis_whole() {
        return Some("Redis is not whole".into());
    }
    if cluster.topology().databases() < 2 {
        return None;
    }
    let streaming = cluster.primary().and_then(|primary| {
        cluster.sql(&primary, "select count(*) from pg_stat_replication where state = 'streaming'")
    });
    match streaming {
        Ok(count) if count.trim() == cluster.topology().database.replicas.to_string() => None,
        Ok(count) => Some(format!("{} standbys follow", count.trim())),
        Err(error) => Some(error.to_string()),
    }
}

/// The end of every node's log.
pub(crate) fn logs(cluster: &Cluster) -> String {
    let nodes = cluster.nodes().iter().map(|node| {
        let log = std::fs::read_to_string(node.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("== {}\n{}\n", node.name(), lines[lines.len().saturating_sub(6)..].join("\n"))
    });
    nodes.collect()
}
