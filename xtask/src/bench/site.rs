//! Web nodes on PostgreSQL with what they share beside it: a bus, and a cache of all nodes together.

use std::collections::BTreeMap;

use anyhow::Result;
use cluster::Topology;
use cluster::topology::{Database, Engine, Web};
use tempfile::TempDir;
use testkit::nats::Nats;
use testkit::redis::Redis;

use super::machine;

/// What nodes have between them and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caches {
    Off,
    /// Each node's own, told of writes by the bus.
    First,
    /// That, and one that all nodes share.
    Both,
}

impl Caches {
    pub const ALL: [Caches; 3] = [Caches::Off, Caches::First, Caches::Both];

    pub fn name(self) -> &'static str {
        match self {
            Caches::Off => "none",
            Caches::First => "in each node",
            Caches::Both => "in each node, and Redis",
        }
    }
}

pub struct Backing {
    nats: Option<Nats>,
    redis: Option<Redis>,
    // Last, so that the directory goes after the processes.
    _dir: TempDir,
}

impl Backing {
    pub fn start(caches: Caches) -> Result<Backing> {
        let dir = TempDir::with_prefix("pando-backing-")?;
        let nats = (caches != Caches::Off).then(|| Nats::start(&dir.path().join("nats"))).transpose()?;
        let redis = (caches == Caches::Both)
            .then(|| Redis::with(&dir.path().join("redis"), &["--maxmemory", "256mb"]))
            .transpose()?;
        Ok(Backing { nats, redis, _dir: dir })
    }

    /// So many web nodes that use it.
    pub fn topology(&self, name: &str, nodes: u32) -> Topology {
        let mut env = BTreeMap::new();
        if let Some(nats) = &self.nats {
            env.insert("PANDO_BUS_URL".into(), nats.url());
        }
        if let Some(redis) = &self.redis {
            env.insert("PANDO_CACHE_REDIS_URL".into(), redis.url());
        }
        Topology {
            name: name.into(),
            web: Web { nodes, port: 0, env, ..Web::default() },
            database: Database { engine: Engine::Postgres, ..Database::default() },
            ..Topology::default()
        }
    }

    /// Processor time of NATS and of Redis until now, in milliseconds.
    pub fn cpu_ms(&self) -> [f64; 2] {
        [
            self.nats.as_ref().map(|nats| nats.daemon.pid()),
            self.redis.as_ref().map(|redis| redis.daemon.pid()),
        ]
        .map(|pid| pid.map_or(0.0, machine::cpu_ms))
    }
}
