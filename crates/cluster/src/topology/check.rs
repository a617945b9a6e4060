//! What a topology must keep to beyond its form.

use base::limits::{CLUSTER_NODES_MAX, TOPOLOGY_NAME_CHARS_MAX};

use super::{Engine, Failover, FileStore, Share, Topology};
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
        let (web, database) = (&self.web, &self.database);
        if web.nodes == 0 && database.engine == Engine::Sqlite {
            return refuse("web.nodes must be 1 or more: without them there is nothing to run".into());
        }
        let nodes = u64::from(web.nodes) + u64::from(database.replicas) + u64::from(database.etcd);
        if nodes > CLUSTER_NODES_MAX {
            return refuse(format!("{nodes} nodes are more than {CLUSTER_NODES_MAX}"));
        }
        for (what, first, count) in
            [("web.port", web.port, web.nodes), ("database.port", database.port, database.replicas + 1)]
        {
            if u32::from(first) + count > u32::from(u16::MAX) + 1 {
                return refuse(format!("{what} is {first}: there are no {count} ports from there"));
            }
        }
        check_share("web", &web.share())?;
        check_share("database", &database.share())?;
        match database.engine {
            Engine::Sqlite => self.check_sqlite()?,
            Engine::Postgres => self.check_postgres()?,
        }
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
