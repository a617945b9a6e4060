//! Patroni's configuration of one member, and what all members hold to. JSON, which is YAML too.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::database::{ADMIN, Admin, DEFAULTS, data_of, owned};
use crate::topology::Database;

pub(super) const FILE: &str = "patroni.yml";
/// How long a primary's lease is, how often it is renewed, and how long Patroni tries to reach etcd or PostgreSQL. The
/// lease is longer than one look and two tries together, so that no primary loses it while all is well.
const LEASE_S: u64 = 10;
const LOOK_S: u64 = 1;
const RETRY_S: u64 = 3;

/// What all members hold to, whatever they were started with at first.
pub(crate) fn settings(database: &Database) -> Value {
    let mut parameters = Map::new();
    for (name, value) in DEFAULTS {
        parameters.insert((*name).to_owned(), Value::from(*value));
    }
    parameters.insert("fsync".into(), Value::from(if database.fsync { "on" } else { "off" }));
    parameters.insert("wal_log_hints".into(), "on".into());
    for (name, value) in &database.settings {
        parameters.insert(name.clone(), Value::from(value.to_string()));
    }
    json!({
        "ttl": LEASE_S,
        "loop_wait": LOOK_S,
        "retry_timeout": RETRY_S,
        // Only a standby that has every acknowledged write may become the primary.
        "synchronous_mode": database.synchronous > 0,
        "synchronous_node_count": database.synchronous.max(1),
        "postgresql": {"use_pg_rewind": true, "use_slots": true, "parameters": parameters},
    })
}

/// Writes the configuration of one member.
pub(crate) fn write(
    dir: &Path,
    (scope, name): (&str, &str),
    (address, rest): (SocketAddr, SocketAddr),
    etcd: &[SocketAddr],
    admin: &Admin,
    settings: &Value,
) -> Result<()> {
    let hosts: Vec<String> = etcd.iter().map(ToString::to_string).collect();
    let login = json!({"username": ADMIN, "password": admin.secret});
    let hba = ["host all all all scram-sha-256", "host replication all all scram-sha-256"];
    let config = json!({
        "scope": scope,
        "name": name,
        "restapi": {"listen": rest.to_string(), "connect_address": rest.to_string()},
        "etcd3": {"hosts": hosts},
        "bootstrap": {
            "dcs": settings,
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "scram-sha-256"}, "data-checksums"],
        },
        "postgresql": {
            "listen": address.to_string(),
            "connect_address": address.to_string(),
            "data_dir": data_of(dir),
            "bin_dir": admin.bin,
            "pgpass": dir.join("pgpass"),
            "authentication": {"superuser": login, "replication": login, "rewind": login},
            "parameters": {"unix_socket_directories": "", "cluster_name": name},
            "pg_hba": hba,
            // A copy begins with a checkpoint, which would otherwise be spread over minutes.
            "basebackup": [{"checkpoint": "fast"}],
        },
        "watchdog": {"mode": "off"},
    });
    owned(&dir.join(FILE), &config.to_string())
}
