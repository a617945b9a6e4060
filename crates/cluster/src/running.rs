//! A running cluster: started in order, broken and mended on demand, stopped in order.

mod addresses;
mod begin;
mod cleanup;
mod control;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Result;
use crate::database::{APP, Databases};
use crate::error::Error;
use crate::node::{Node, Role};
use crate::patroni::Patroni;
use crate::redis::Caches;
use crate::state::{Keeper, Lock};
use crate::status::{self, Status};
use crate::topology::Topology;

pub use cleanup::down;
pub use control::{Control, Request, ask};

/// All processes of a topology. Those that still run end when it is dropped, at once and without order: `stop` is the
/// orderly end.
pub struct Cluster {
    topology: Topology,
    dir: PathBuf,
    secret: String,
    /// In the order of their start.
    nodes: Vec<Arc<Node>>,
    tier: Tier,
    caches: Option<Caches>,
    /// The primary's name, as far as this process has decided it. Patroni decides for itself.
    primary: Mutex<String>,
    keeper: Arc<Keeper>,
    // Last: the directory is free for others when everything in it has ended.
    _lock: Lock,
}

/// Who looks after the databases.
enum Tier {
    None,
    Own(Databases),
    Patroni(Patroni),
}

impl Cluster {
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All nodes: databases first, then web nodes, then what stands before them.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub fn node(&self, name: &str) -> Result<Arc<Node>> {
        let found = self.nodes.iter().find(|node| node.name() == name).cloned();
        found.ok_or_else(|| Error::NoNode {
            name: name.into(),
            known: self.nodes.iter().map(|node| node.name().to_owned()).collect(),
        })
    }

    /// The web nodes, in the order of their numbers.
    pub fn web(&self) -> Vec<Arc<Node>> {
        self.of(Role::Web)
    }

    /// Where clients are meant to connect: the outermost tier.
    pub fn entrances(&self) -> Vec<Arc<Node>> {
        let tiers = [Role::Edge, Role::Balancer, Role::Web].map(|role| self.of(role));
        tiers.into_iter().find(|nodes| !nodes.is_empty()).unwrap_or_default()
    }

    /// The nodes that run jobs.
    pub fn workers(&self) -> Vec<Arc<Node>> {
        self.of(Role::Worker)
    }

    /// Ends a node and starts it again; a front door without a break.
    pub fn restart(&self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        match node.role() {
            Role::Edge | Role::Balancer if node.is_alive() => node.renew(),
            _ => node.restart(),
        }
    }

    /// The name of Redis's primary; of a Redis Cluster that of any.
    pub fn redis_primary(&self) -> Result<String> {
        let caches =
            self.caches.as_ref().ok_or_else(|| Error::Refused("the topology has no Redis".into()))?;
        match caches.primary() {
            Some(node) => Ok(node.name().to_owned()),
            None => Err(Error::Refused("no Redis says that it is the primary".into())),
        }
    }

    /// Whether all of Redis answers, follows whom it should and is watched by whom it should.
    pub fn is_redis_whole(&self) -> bool {
        self.caches.as_ref().is_none_or(Caches::is_whole)
    }

    /// The nodes of one kind, in the order of their numbers.
    pub fn of(&self, role: Role) -> Vec<Arc<Node>> {
        self.nodes.iter().filter(|node| node.role() == role).cloned().collect()
    }

    /// One address with all databases in it; none on SQLite.
    pub fn data_url(&self) -> Option<String> {
        plan::data_url(&self.of(Role::Database), &self.secret)
    }

    /// What `psql` takes to be the administrator of one database.
    pub fn admin_url(&self, name: &str) -> Result<String> {
        let address = self.node(name)?.address();
        Ok(format!("postgres://postgres:{}@{address}/{APP}", self.secret))
    }

    /// Runs SQL in the application's database on one node, as its administrator; rows unaligned, columns parted by `|`.
    pub fn sql(&self, name: &str, sql: &str) -> Result<String> {
        let admin = match &self.tier {
            Tier::None => return Err(no_database()),
            Tier::Own(databases) => &databases.admin,
            Tier::Patroni(patroni) => &patroni.admin,
        };
        admin.sql(self.node(name)?.address(), APP, sql)
    }

    /// The primary's name.
    pub fn primary(&self) -> Result<String> {
        match &self.tier {
            Tier::None => Err(no_database()),
            Tier::Own(_) => Ok(self.decided().clone()),
            Tier::Patroni(patroni) => match patroni.primary() {
                Some(member) => Ok(member.node.name().to_owned()),
                None => Err(Error::Refused("no member says that it is the primary".into())),
            },
        }
    }

    /// Makes a standby the primary and lets the others follow it: `db-2`, or `any` for the most advanced one. The old
    /// primary is left as it is, dead, frozen or alive; it can acknowledge no more writes if any were synchronous. Under
    /// Patroni a primary that is alive hands over in order, and of a dead one Patroni has decided already.
    pub fn promote(&self, target: &str) -> Result<String> {
        match &self.tier {
            Tier::None => Err(no_database()),
            Tier::Patroni(patroni) => patroni.promote(target),
            Tier::Own(databases) => {
                let mut primary = self.decided();
                let promoted = databases.promote(target, &primary)?;
                // Started again as it is, it would be a second primary.
                self.node(&primary)?.unwanted();
                primary.clone_from(&promoted);
                Ok(promoted)
            }
        }
    }

    /// An old primary, in whatever state, follows the new one.
    pub fn rejoin(&self, name: &str) -> Result<()> {
        match &self.tier {
            Tier::None => Err(no_database()),
            Tier::Own(databases) => databases.rejoin(name, &self.decided()),
            Tier::Patroni(patroni) => patroni.rejoin(name),
        }
    }

    pub fn status(&self) -> Status {
        status::look(&self.keeper.get(), &self.secret)
    }

    /// Notices what has died and, if `supervised`, starts it again after a growing pause. To be called again and again;
    /// returns what happened.
    pub fn tend(&self, supervised: bool) -> Vec<String> {
        self.nodes.iter().filter_map(|node| node.tend(supervised)).collect()
    }

    /// Ends everything in order: front doors, then web nodes and workers, then standbys, then the primary, then what they stood on.
    pub fn stop(self) -> Result<()> {
        let primary = self.primary().unwrap_or_default();
        let rank = |node: &Node| match node.role() {
            Role::Edge => 0,
            Role::Balancer => 1,
            Role::Web | Role::Worker => 2,
            Role::Database if node.name() != primary => 3,
            Role::Database => 4,
            Role::Etcd | Role::Files | Role::Redis | Role::Sentinel | Role::Nats => 5,
        };
        let mut outcome = Ok(());
        for rank_now in 0..=5 {
            let same: Vec<&Arc<Node>> = self.nodes.iter().filter(|node| rank(node) == rank_now).collect();
            let ends: Vec<Result<()>> = std::thread::scope(|scope| {
                let threads: Vec<_> = same.iter().map(|node| scope.spawn(|| node.stop())).collect();
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
            });
            outcome = ends.into_iter().fold(outcome, Result::and);
        }
        self.keeper.change(|state| state.owner = None)?;
        outcome
    }

    fn decided(&self) -> MutexGuard<'_, String> {
        self.primary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_database() -> Error {
    Error::Refused("the topology has no database of its own".into())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.iter().rev() {
            let _ = node.end();
        }
        let _ = self.keeper.change(|state| state.owner = None);
    }
}
