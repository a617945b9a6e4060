//! The fault matrix: a cluster under load, and its processes killed, frozen and cut off one after the other. The judge
//! rules over the whole history; each fault becomes a row that says what callers noticed of it.

mod faults;
mod rows;

use std::time::{Duration, Instant as Clock};

use anyhow::{Context, Result, bail};
use cluster::topology::Failover;
use cluster::{Cluster, Topology};

use super::history::{Event, History};
use super::judge::{Verdict, judge};
use super::load::{Load, Running};
use crate::Client;
use crate::server::{self, SUPERUSER};
use crate::topology::Rig;

pub use faults::{Fault, Step, Target};
pub use rows::{Row, table};

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
        Ok(())
    }

    /// Failed reads and all of them, but for those in the time that a fault takes to be noticed.
    pub fn outside_windows(&self) -> (usize, usize) {
        let window = READ_WINDOW.as_nanos() as u64;
        let is_outside = |event: &&Event| {
            let in_window = |row: &Row| (row.fault..row.fault + window).contains(&event.end);
            !event.action.is_write() && !self.rows.iter().any(in_window)
        };
        let reads: Vec<&Event> = self.history.events.iter().filter(is_outside).collect();
        (reads.iter().filter(|read| !read.is_done()).count(), reads.len())
    }
}

pub fn run(plan: &Plan) -> Result<Findings> {
    let cluster = Rig::of(&plan.topology, &plan.pando)?;
    let result = run_on(plan, &cluster);
    if result.is_err() {
        eprintln!("{}", logs(&cluster));
    }
    result
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
    let (email, password) = SUPERUSER;
    let program = crate::pando::program(&plan.pando, cluster.data_url())?;
    program.upsert_superuser(&cluster.dir().join("superuser"), email, password)?;
    let nodes: Vec<_> = cluster.web().iter().map(|node| node.address()).collect();
    let token = server::login(&Client::to(nodes[0]), "_superusers", email, password)?;
    Load { seed: plan.seed, ..Load::on(nodes) }.start(&token)
}

/// Waits until every node answers and every standby follows.
fn whole(cluster: &Cluster) -> Result<()> {
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
fn logs(cluster: &Cluster) -> String {
    let nodes = cluster.nodes().iter().map(|node| {
        let log = std::fs::read_to_string(node.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("== {}\n{}\n", node.name(), lines[lines.len().saturating_sub(6)..].join("\n"))
    });
    nodes.collect()
}
