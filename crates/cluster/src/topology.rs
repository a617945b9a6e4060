//! A topology: how many of what, and where. Plain data, the same for launching one, planning one and drawing one.

mod check;
mod read;
mod tiers;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use tiers::{Doors, Nats, Queue, QueueEngine, Redis, RedisMode, Workers};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topology {
    /// What it is called: lower-case letters, digits and hyphens.
    pub name: String,
    /// They keep answers, and stand in front of the balancers, or of the web nodes where there are none.
    pub edges: Doors,
    /// They spread requests over the web nodes.
    pub balancers: Doors,
    pub web: Web,
    pub database: Database,
    pub redis: Redis,
    pub nats: Nats,
    pub queue: Queue,
    pub workers: Workers,
    pub files: Files,
    pub network: Network,
}

/// The nodes that answer requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    pub nodes: u32,
    /// The first one's port; the others' count up. 0 for free ones.
    pub port: u16,
    /// Cores of each node, also parts of one; without a number, as many as there are.
    pub cpu: Option<f64>,
    /// The cores that they may run on, as in `0`, `0-1` or `0,2`.
    pub cpus: Option<String>,
    /// Further arguments of each node.
    pub args: Vec<String>,
    /// Environment variables of each node.
    pub env: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    pub engine: Engine,
    /// Standbys beside the primary.
    pub replicas: u32,
    /// Standbys that must have a write before it counts as committed.
    pub synchronous: u32,
    pub failover: Failover,
    /// Nodes of the store that elects the primary, under Patroni.
    pub etcd: u32,
    /// The first primary's port; the standbys' count up. 0 for free ones.
    pub port: u16,
    /// Cores of each node, also parts of one; without a number, as many as there are.
    pub cpu: Option<f64>,
    /// The cores that they may run on, as in `0`, `0-1` or `0,2`.
    pub cpus: Option<String>,
    /// Off, a crash of the machine loses writes. For measurements only.
    pub fsync: bool,
    /// Further settings of PostgreSQL.
    pub settings: BTreeMap<String, Setting>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    #[default]
    Sqlite,
    Postgres,
}

/// Who makes a standby the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failover {
    /// A person, or a test.
    #[default]
    Manual,
    /// Patroni, by itself, as soon as the primary's lease ends.
    Patroni,
}

/// A value of a PostgreSQL setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Setting::Switch(on) => f.write_str(if *on { "on" } else { "off" }),
            Setting::Whole(number) => number.fmt(f),
            Setting::Number(number) => number.fmt(f),
            Setting::Text(text) => f.write_str(text),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    pub store: FileStore,
    /// An S3 endpoint that is there already; without one, `s3` starts SeaweedFS.
    pub endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileStore {
    /// One directory that all web nodes share.
    #[default]
    Directory,
    S3,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Each node in a network namespace of its own, which can be cut off.
    pub namespaces: bool,
    /// What a packet between two nodes takes, one way.
    pub latency_ms: f64,
    /// By how much it varies, either way.
    pub jitter_ms: f64,
    /// How many packets get lost.
    pub loss_percent: f64,
}

/// What a node may take of the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    pub cpu: Option<f64>,
    pub cpus: Option<String>,
}

/// All tiers say by the same two keys what their nodes may take.
macro_rules! shared {
    ($($tier:ty),*) => {
        $(impl $tier {
            pub fn share(&self) -> Share {
                Share { cpu: self.cpu, cpus: self.cpus.clone() }
            }
        })*
    };
}

shared!(Doors, Web, Database, Redis, Nats, Workers);

impl Default for Web {
    fn default() -> Self {
        Web { nodes: 1, port: 8090, cpu: None, cpus: None, args: Vec::new(), env: BTreeMap::new() }
    }
}

impl Default for Database {
    fn default() -> Self {
        Database {
            engine: Engine::default(),
            replicas: 0,
            synchronous: 0,
            failover: Failover::default(),
            etcd: 1,
            port: 0,
            cpu: None,
            cpus: None,
            fsync: true,
            settings: BTreeMap::new(),
        }
    }
}

impl Topology {
    /// Without processor limits.
    pub fn unlimited(mut self) -> Topology {
        for doors in [&mut self.edges, &mut self.balancers] {
            (doors.cpu, doors.cpus) = (None, None);
        }
        (self.web.cpu, self.web.cpus) = (None, None);
        (self.database.cpu, self.database.cpus) = (None, None);
        (self.redis.cpu, self.redis.cpus) = (None, None);
        (self.nats.cpu, self.nats.cpus) = (None, None);
        (self.workers.cpu, self.workers.cpus) = (None, None);
        self
    }

    /// How many databases there are, with the primary.
    pub fn databases(&self) -> u32 {
        match self.database.engine {
            Engine::Sqlite => 0,
            Engine::Postgres => 1 + self.database.replicas,
        }
    }

    /// What each kind of node may take.
    fn shares(&self) -> [(&'static str, Share); 7] {
        [
            ("edges", self.edges.share()),
            ("balancers", self.balancers.share()),
            ("web", self.web.share()),
            ("database", self.database.share()),
            ("redis", self.redis.share()),
            ("nats", self.nats.share()),
            ("workers", self.workers.share()),
        ]
    }

    pub fn is_limited(&self) -> bool {
        self.shares().iter().any(|(_, share)| *share != Share::default())
    }
}
