//! How each node of a directory is doing, also told from another process.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;

use crate::Result;
use crate::database::Admin;
use crate::error::Error;
use crate::node::Role;
use crate::process::{Stat, TICKS, family};
use crate::programs::Programs;
use crate::state::{self, Entry, State};
use crate::{doors, nats, probe, redis};

/// Between the two looks that processor use is told from.
const SAMPLE: Duration = Duration::from_millis(250);
/// Whether it is the primary, and the end of its log: received or written, and replayed.
const POSITION: &str = "select not pg_is_in_recovery(), case when pg_is_in_recovery() \
                        then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end - '0/0'::pg_lsn";

#[derive(Clone, Debug)]
pub struct Status {
    pub name: String,
    /// Whether somebody runs it right now.
    pub is_up: bool,
    pub nodes: Vec<NodeStatus>,
}

#[derive(Clone, Debug)]
pub struct NodeStatus {
    pub name: String,
    pub role: Role,
    pub address: SocketAddr,
    pub pid: Option<u32>,
    pub condition: Condition,
    /// Of one core.
    pub cpu_percent: f64,
    /// Resident; what several processes share is counted once.
    pub memory_bytes: u64,
    /// Starts after the first one.
    pub restarts: u32,
    pub uptime: Duration,
    /// Of a database that answers.
    pub database: Option<DatabaseStatus>,
    /// Of a Redis or a NATS server that answers: what it is among its like.
    pub standing: Option<Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Primary,
    Replica,
    /// Of a NATS cluster.
    Leader,
    Follower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseStatus {
    pub is_primary: bool,
    /// Bytes of log from the beginning that it has written, or replayed.
    pub position: u64,
    /// Bytes of log that the primary has written and this one has not replayed; unknown while no primary answers.
    pub lag_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Ready,
    /// It runs and does not answer yet, or no more.
    Starting,
    Frozen,
    Dead,
}

impl Status {
    /// The status of the cluster in a directory.
    pub fn read(dir: impl AsRef<Path>) -> Result<Status> {
        let dir = dir.as_ref();
        let state = state::load(dir)?;
        let state =
            state.ok_or_else(|| Error::Refused(format!("no topology was started in {}", dir.display())))?;
        Ok(look(&state, &state::secret(dir)?))
    }
}

pub(crate) fn look(state: &State, secret: &str) -> Status {
    let admin = Programs::find("").postgres.map(|bin| Admin { bin, secret: secret.to_owned() });
    let before: Vec<u64> = state.nodes.iter().map(|entry| ticks(&family(&entry.roots()))).collect();
    std::thread::sleep(SAMPLE);
    // All at once: one that is frozen takes as long as is waited for it.
    let mut nodes: Vec<NodeStatus> = std::thread::scope(|scope| {
        let admin = admin.as_ref();
        let looks: Vec<_> = state
            .nodes
            .iter()
            .zip(&before)
            .map(|(entry, before)| scope.spawn(move || node(entry, *before, admin)))
            .collect();
        looks.into_iter().filter_map(|look| look.join().ok()).collect()
    });
    let written = nodes.iter().filter_map(|node| node.database.filter(|database| database.is_primary));
    let written = written.map(|database| database.position).max();
    for database in nodes.iter_mut().filter_map(|node| node.database.as_mut()) {
        database.lag_bytes = written.map(|written| written.saturating_sub(database.position));
    }
    let is_up = state.owner.is_some_and(|owner| owner.is_alive());
    Status { name: state.topology.name.clone(), is_up, nodes }
}

fn ticks(members: &[Stat]) -> u64 {
    members.iter().map(|stat| stat.ticks).sum()
}

fn node(entry: &Entry, before: u64, admin: Option<&Admin>) -> NodeStatus {
    let members = family(&entry.roots());
    let root = members.first().copied();
    let (mut database, mut standing) = (None, None);
    let wait = Duration::from_millis(NODE_ASK_MS);
    let condition = match root {
        None => Condition::Dead,
        Some(root) if root.state == 'T' => Condition::Frozen,
        Some(_) => {
            let answers = match entry.role {
                Role::Database => {
                    database = admin.and_then(|admin| ask(admin, entry.address));
                    database.is_some()
                }
                Role::Edge | Role::Balancer => doors::is_ready(entry.monitor.unwrap_or(entry.address)),
                Role::Web | Role::Worker => probe::web(entry.address, wait),
                Role::Etcd | Role::Files => probe::get(entry.address, "/health", wait).is_some(),
                Role::Sentinel => redis::answers(entry.address),
                Role::Redis => {
                    let found = redis::look(entry.address);
                    standing = found.map(|found| match found.is_primary {
                        true => Standing::Primary,
                        false => Standing::Replica,
                    });
                    found.is_some()
                }
                Role::Nats => {
                    let monitor = entry.monitor.unwrap_or(entry.address);
                    let leader = nats::leader(monitor);
                    standing = leader.map(|leader| match leader == entry.name {
                        true => Standing::Leader,
                        false => Standing::Follower,
                    });
                    nats::nats_is_ready(entry.address, monitor)
                }
            };
            if answers { Condition::Ready } else { Condition::Starting }
        }
    };
    let used = ticks(&members).saturating_sub(before) as f64 / TICKS;
    NodeStatus {
        name: entry.name.clone(),
        role: entry.role,
        address: entry.address,
        pid: root.map(|root| root.pid),
        condition,
        cpu_percent: 100.0 * used / SAMPLE.as_secs_f64(),
        memory_bytes: members.iter().map(memory).sum(),
        restarts: entry.restarts,
        uptime: root.map(|root| since(root.start)).unwrap_or_default(),
        database,
        standing,
    }
}

/// Its part of what it shares with others, where the kernel tells; else all that it has.
fn memory(stat: &Stat) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", stat.pid)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(stat.resident_bytes, |kib| kib * 1024)
}

fn ask(admin: &Admin, address: SocketAddr) -> Option<DatabaseStatus> {
    let row = admin.sql(address, "postgres", POSITION).ok()?;
    let (is_primary, position) = row.split_once('|')?;
    Some(DatabaseStatus { is_primary: is_primary == "t", position: position.parse().ok()?, lag_bytes: None })
}

/// How long ago this moment of `/proc` was.
fn since(start: u64) -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let now: f64 = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default();
    Duration::from_secs_f64((now - start as f64 / TICKS).max(0.0))
}

impl NodeStatus {
    fn role_name(&self) -> &'static str {
        match (self.role, self.database) {
            (Role::Redis, _) if self.standing == Some(Standing::Primary) => "redis primary",
            (Role::Redis, _) if self.standing == Some(Standing::Replica) => "redis replica",
            (Role::Nats, _) if self.standing == Some(Standing::Leader) => "nats leader",
            (Role::Redis, _) => "redis",
            (Role::Sentinel, _) => "sentinel",
            (Role::Nats, _) => "nats",
            (Role::Worker, _) => "worker",
            (Role::Database, Some(DatabaseStatus { is_primary: true, .. })) => "primary",
            (Role::Database, Some(_)) => "replica",
            (Role::Database, None) => "database",
            (Role::Edge, _) => "edge",
            (Role::Balancer, _) => "balancer",
            (Role::Web, _) => "web",
            (Role::Etcd, _) => "etcd",
            (Role::Files, _) => "files",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Condition::Ready => "ready",
            Condition::Starting => "starting",
            Condition::Frozen => "frozen",
            Condition::Dead => "dead",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            ["name", "role", "pid", "address", "state", "cpu %", "memory", "lag", "restarts", "uptime"];
        let mut rows = vec![head.map(str::to_owned)];
        for node in &self.nodes {
            let lag = node.database.filter(|database| !database.is_primary).map(|database| {
                match database.lag_bytes {
                    Some(bytes) => size(bytes),
                    None => "?".into(),
                }
            });
            rows.push([
                node.name.clone(),
                node.role_name().into(),
                node.pid.map(|pid| pid.to_string()).unwrap_or_default(),
                node.address.to_string(),
                node.condition.to_string(),
                format!("{:.0}", node.cpu_percent),
                size(node.memory_bytes),
                lag.unwrap_or_default(),
                node.restarts.to_string(),
                age(node.uptime),
            ]);
        }
        let widths: Vec<usize> = (0..head.len())
            .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default())
            .collect();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
