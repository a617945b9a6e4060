//! A whole topology for one test, in a temporary directory, gone when dropped.

use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cluster::{Cluster, Programs, Topology};
use tempfile::TempDir;

use crate::http::Client;

pub struct Rig {
    cluster: Option<Cluster>,
    programs: Programs,
    // Last, so that the directory goes after the processes.
    dir: TempDir,
}

impl Rig {
    /// Starts a topology with `built`, which is the test's `env!("CARGO_BIN_EXE_pando")`; `PANDO_BIN` overrides it.
    pub fn start(topology: &str, built: &str) -> Result<Rig> {
        Rig::of(&Topology::parse(topology)?, built)
    }

    pub fn of(topology: &Topology, built: &str) -> Result<Rig> {
        let dir = directory()?;
        let pando = std::env::var_os("PANDO_BIN").map_or_else(|| built.into(), PathBuf::from);
        let programs = programs(topology, pando)?;
        let cluster = Cluster::start(topology, dir.path().join("cluster"), &programs)?;
        Ok(Rig { cluster: Some(cluster), programs, dir })
    }

    /// A client of one web node.
    pub fn client(&self, name: &str) -> Result<Client> {
        Ok(Client::new(self.node(name)?.address().port()))
    }

    pub fn place(&self) -> PathBuf {
        self.dir.path().join("cluster")
    }

    /// Stops everything in order and starts it again on the same data.
    pub fn again(&mut self) -> Result<()> {
        let topology = self.topology().clone();
        if let Some(cluster) = self.cluster.take() {
            cluster.stop()?;
        }
        self.cluster = Some(Cluster::start(&topology, self.place(), &self.programs)?);
        Ok(())
    }
}

impl Deref for Rig {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster.as_ref().expect("the cluster runs")
    }
}

/// What is installed. NATS is brought along, as tests have it: systems' own are too old.
fn programs(topology: &Topology, pando: PathBuf) -> Result<Programs> {
    let mut programs = Programs::find(pando);
    if topology.nats.nodes > 0 {
        programs.nats = Some(crate::nats::program()?);
    }
    Ok(programs)
}

/// A temporary directory that PostgreSQL's user may pass through.
pub fn directory() -> Result<TempDir> {
    let dir = TempDir::with_prefix("pando-cluster-")?;
    open(dir.path())?;
    Ok(dir)
}

fn open(path: &Path) -> Result<()> {
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711))?)
}
