//! What stands around web nodes: front doors before them; beside the database a cache that all of them share, a bus between
//! them, and those that do the work that nobody waits for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Front doors of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Doors {
    pub nodes: u32,
    /// How many of the edges, the last ones, stand near the nodes and are asked by the others.
    pub shields: u32,
    /// The first one's port; the others' count up. 0 for free ones.
    pub port: u16,
    /// Cores of each node, also parts of one; without a number, as many as there are.
    pub cpu: Option<f64>,
    /// The cores that they may run on, as in `0`, `0-1` or `0,2`.
    pub cpus: Option<String>,
    /// Certificates and their keys, as `CERT:KEY` with whole paths. With any, each node answers HTTPS as well.
    pub certificates: Vec<String>,
    /// The first one's port for HTTPS; the others' count up. 0 for free ones.
    pub https_port: u16,
    /// Further arguments of each node.
    pub args: Vec<String>,
    /// Environment variables of each node.
    pub env: BTreeMap<String, String>,
}

/// The second cache tier: Redis, or a server that speaks like it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    pub mode: RedisMode,
    /// Copies beside the primary under Sentinel (2 unless set), or beside each primary of a Redis Cluster (none).
    pub replicas: Option<u32>,
    /// What each may hold. Beyond that it forgets what was asked for least.
    pub memory_mb: u32,
    /// The first one's port; the others' count up, Sentinels come after them. 0 for free ones.
    pub port: u16,
    /// Cores of each node, also parts of one; without a number, as many as there are.
    pub cpu: Option<f64>,
    /// The cores that they may run on, as in `0`, `0-1` or `0,2`.
    pub cpus: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisMode {
    #[default]
    None,
    /// One server.
    Single,
    /// A primary with replicas, and three Sentinels that make one of those the primary when it is gone.
    Sentinel,
    /// Three primaries, each with a third of the keys.
    Cluster,
}

/// The bus between the nodes, and the durable queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// None, one, or a cluster of three or five.
    pub nodes: u32,
    /// The first one's port; the others' count up. 0 for free ones.
    pub port: u16,
    /// Cores of each node, also parts of one; without a number, as many as there are.
    pub cpu: Option<f64>,
    /// The cores that they may run on, as in `0`, `0-1` or `0,2`.
    pub cpus: Option<String>,
}

/// The nodes that run jobs. Where there are any, web nodes run none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    pub nodes: u32,
    /// Cores of each node, also parts of one; without a number, as many as there are.
    pub cpu: Option<f64>,
    /// The cores that they may run on, as in `0`, `0-1` or `0,2`.
    pub cpus: Option<String>,
    /// Further arguments of each node.
    pub args: Vec<String>,
    /// Environment variables of each node.
    pub env: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    pub engine: QueueEngine,
}

/// What hands jobs to those who run them. They are kept in the database until they are done, with either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueEngine {
    /// They look into the database.
    #[default]
    Embedded,
    /// NATS JetStream.
    Nats,
}

/// Those that decide by majority who is the primary.
const SENTINELS: u32 = 3;
/// Fewer cannot agree on which of them is gone.
const CLUSTER_PRIMARIES: u32 = 3;
const SENTINEL_REPLICAS: u32 = 2;

impl Redis {
    /// Copies of each primary.
    pub fn copies(&self) -> u32 {
        let usual = if self.mode == RedisMode::Sentinel { SENTINEL_REPLICAS } else { 0 };
        self.replicas.unwrap_or(usual)
    }

    /// How many servers there are, without Sentinels.
    pub fn nodes(&self) -> u32 {
        match self.mode {
            RedisMode::None => 0,
            RedisMode::Single => 1,
            RedisMode::Sentinel => 1 + self.copies(),
            RedisMode::Cluster => CLUSTER_PRIMARIES.saturating_mul(1 + self.copies()),
        }
    }

    pub fn sentinels(&self) -> u32 {
        if self.mode == RedisMode::Sentinel { SENTINELS } else { 0 }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Redis { mode: RedisMode::None, replicas: None, memory_mb: 64, port: 0, cpu: None, cpus: None }
    }
}
