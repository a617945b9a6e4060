//! What a topology must keep to beyond its form.

use base::limits::{CLUSTER_NODES_MAX, TOPOLOGY_NAME_CHARS_MAX};

use super::{Engine, Failover, FileStore, QueueEngine, RedisMode, Share, Topology};
use crate::error::Error;

impl Topology {
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Topology(message));
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > TOPOLOGY_NAME_CHARS_MAX || !self.name.chars().all(fits) {
            return refuse(format!(
                "name is needed: at most {TOPOLOGY_NAME_CHARS_MAX} lower-case letters, digits and hyphens, not {:?}",
                self.name
            ));
        }
        let (web, database, redis) = (&self.web, &self.database, &self.redis);
        if web.nodes == 0 && database.engine == Engine::Sqlite {
            return refuse("web.nodes must be 1 or more: without them there is nothing to run".into());
        }
        if web.nodes == 0 && (self.edges.nodes > 0 || self.balancers.nodes > 0) {
            return refuse("edges and balancers need web.nodes = 1 or more: there is nobody to ask".into());
        }
        if self.edges.shields > 0 && self.edges.shields >= self.edges.nodes {
            return refuse("edges.shields must be less than edges.nodes: the others ask them".into());
        }
        if self.balancers.shields > 0 {
            return refuse("balancers.shields: only edges can be shields, as they keep answers".into());
        }
        let counts = [
            self.edges.nodes,
            self.balancers.nodes,
            web.nodes,
            database.replicas,
            database.etcd,
            redis.nodes(),
            redis.sentinels(),
            self.nats.nodes,
            self.workers.nodes,
        ];
        let nodes: u64 = counts.into_iter().map(u64::from).sum();
        if nodes > CLUSTER_NODES_MAX {
            return refuse(format!("{nodes} nodes are more than {CLUSTER_NODES_MAX}"));
        }
        for (what, first, count) in [
            ("edges.port", self.edges.port, self.edges.nodes),
            ("balancers.port", self.balancers.port, self.balancers.nodes),
            ("web.port", web.port, web.nodes),
            ("database.port", database.port, database.replicas + 1),
            ("redis.port", redis.port, redis.nodes() + redis.sentinels()),
            ("nats.port", self.nats.port, self.nats.nodes),
        ] {
            if u32::from(first) + count > u32::from(u16::MAX) + 1 {
                return refuse(format!("{what} is {first}: there are no {count} ports from there"));
            }
        }
        for (of, share) in self.shares() {
            check_share(of, &share)?;
        }
        match database.engine {
            Engine::Sqlite => self.check_sqlite()?,
            Engine::Postgres => self.check_postgres()?,
        }
        self.check_backing()?;
        if self.files.endpoint.is_some() && self.files.store != FileStore::S3 {
            return refuse("files.endpoint goes with files.store = \"s3\"".into());
        }
        if let Some(endpoint) = &self.files.endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return refuse(format!("files.endpoint begins with http:// or https://, unlike {endpoint:?}"));
        }
        self.check_network()
    }

    fn check_sqlite(&self) -> Result<(), Error> {
        let database = &self.database;
        let refuse = |message: &str| Err(Error::Topology(message.into()));
        if self.web.nodes > 1 {
            return refuse(
                "several web nodes need database.engine = \"postgres\": SQLite lives in one process",
            );
        }
        if database.replicas > 0 || database.synchronous > 0 || database.failover != Failover::Manual {
            return refuse(
                "replicas, synchronous and failover need database.engine = \"postgres\": SQLite has one copy",
            );
        }
        if !database.settings.is_empty() || database.share() != Share::default() {
            return refuse(
                "database.settings, cpu and cpus are PostgreSQL's: SQLite is part of the web node",
            );
        }
        Ok(())
    }

    fn check_postgres(&self) -> Result<(), Error> {
        let database = &self.database;
        let refuse = |message: String| Err(Error::Topology(message));
        if database.synchronous > database.replicas {
            return refuse(format!(
                "database.synchronous is {}, and there are {} replicas: every write would wait for ever",
                database.synchronous, database.replicas
            ));
        }
        if database.failover == Failover::Patroni && database.replicas == 0 {
            return refuse("failover = \"patroni\" needs a replica to promote: set database.replicas".into());
        }
        if database.etcd.is_multiple_of(2) {
            return refuse(format!(
                "database.etcd is {}: an odd number is needed, as a majority decides",
                database.etcd
            ));
        }
        for (name, value) in &database.settings {
            let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if name.is_empty() || !name.chars().all(named) || value.to_string().contains(['\n', '\0']) {
                return refuse(format!("database.settings: {name:?} is not a setting"));
            }
            if OWN.contains(&name.as_str()) {
                return refuse(format!(
                    "database.settings: {name} follows from the topology and cannot be set"
                ));
            }
        }
        Ok(())
    }

    fn check_backing(&self) -> Result<(), Error> {
        let (redis, nats, workers) = (&self.redis, &self.nats, &self.workers);
        let refuse = |message: String| Err(Error::Topology(message));
        let has_redis = redis.mode != RedisMode::None;
        if self.database.engine == Engine::Sqlite && (has_redis || nats.nodes > 0 || workers.nodes > 0) {
            return refuse(
                "redis, nats and workers need database.engine = \"postgres\": with SQLite one process has everything"
                    .into(),
            );
        }
        if has_redis && nats.nodes == 0 {
            return refuse(
                "redis needs nats.nodes = 1 or more: nodes share a cache only while they agree on it, over the bus".into(),
            );
        }
        if redis.replicas.is_some() && matches!(redis.mode, RedisMode::None | RedisMode::Single) {
            return refuse("redis.replicas goes with mode = \"sentinel\" or \"cluster\"".into());
        }
        if redis.mode == RedisMode::Sentinel && redis.copies() == 0 {
            return refuse("mode = \"sentinel\" needs a replica to promote: set redis.replicas".into());
        }
        if redis.memory_mb < REDIS_MEMORY_MB_MIN {
            return refuse(format!("redis.memory_mb is {}: {REDIS_MEMORY_MB_MIN} or more", redis.memory_mb));
        }
        if nats.nodes > 0 && nats.nodes.is_multiple_of(2) {
            return refuse(format!(
                "nats.nodes is {}: an odd number is needed, as a majority decides",
                nats.nodes
            ));
        }
        if self.queue.engine == QueueEngine::Nats && nats.nodes == 0 {
            return refuse("queue.engine = \"nats\" needs nats.nodes = 1 or more".into());
        }
        Ok(())
    }

    fn check_network(&self) -> Result<(), Error> {
        let network = &self.network;
        let refuse = |message: String| Err(Error::Topology(message));
        for (what, value, most) in [
            ("latency_ms", network.latency_ms, 10_000.0),
            ("jitter_ms", network.jitter_ms, 10_000.0),
            ("loss_percent", network.loss_percent, 100.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return refuse(format!("network.{what} is {value}: it lies between 0 and {most}"));
            }
            if value > 0.0 && !network.namespaces {
                return refuse(format!("network.{what} needs network.namespaces = true"));
            }
        }
        if network.jitter_ms > network.latency_ms {
            return refuse(
                "network.jitter_ms is more than latency_ms: no packet arrives before it is sent".into(),
            );
        }
        Ok(())
    }
}

/// Less is taken by the server itself.
const REDIS_MEMORY_MB_MIN: u32 = 4;

/// Settings that the topology itself decides.
const OWN: &[&str] = &[
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "hba_file",
    "ident_file",
    "data_directory",
    "config_file",
    "fsync",
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "cluster_name",
];

fn check_share(of: &str, share: &Share) -> Result<(), Error> {
    if let Some(cpu) = share.cpu
        && !(0.01..=1024.0).contains(&cpu)
    {
        return Err(Error::Topology(format!("{of}.cpu is {cpu}: cores, 0.01 or more")));
    }
    if let Some(cpus) = &share.cpus {
        let number = |text: &str| text.parse::<u16>().is_ok();
        let range = |part: &str| part.split_once('-').map_or(number(part), |(a, b)| number(a) && number(b));
        if !cpus.split(',').all(range) {
            return Err(Error::Topology(format!(
                "{of}.cpus is {cpus:?}: cores as in \"0\", \"0-1\" or \"0,2\""
            )));
        }
    }
    Ok(())
}
