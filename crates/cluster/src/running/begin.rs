//! From a topology to a running cluster.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::addresses::Addresses;
use super::{Cluster, Tier, cleanup};
use crate::Result;
use crate::error::{Doing, Error};
use crate::node::Role;
use crate::programs::Programs;
use crate::spawn::postgres_user;
use crate::state::{self, Keeper, State};
use crate::topology::Topology;

impl Cluster {
    /// Starts everything in order and returns when all of it answers. `dir` is made, or taken up with the data of an
    /// earlier run; what an earlier run left running is ended first.
    pub fn start(topology: &Topology, dir: impl AsRef<Path>, programs: &Programs) -> Result<Cluster> {
        Cluster::start_unless(topology, dir, programs, &Arc::default())
    }

    /// The same, given up as soon as `cancelled` is set.
    pub fn start_unless(
        topology: &Topology,
        dir: impl AsRef<Path>,
        programs: &Programs,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<Cluster> {
        topology.check()?;
        programs.check(topology)?;
        let dir = make_dir(dir.as_ref())?;
        let lock = state::lock(&dir)?.ok_or_else(|| cleanup::is_up(&dir))?;
        let before = state::load(&dir)?;
        if let Some(before) = &before {
            same_topology(&dir, &before.topology, topology)?;
            cleanup::clean(before);
        }
        let before = before.map(|state| state.ports).unwrap_or_default();
        let secret = state::secret(&dir)?;
        let mut cluster = Cluster {
            topology: topology.clone(),
            secret,
            nodes: Vec::new(),
            tier: Tier::None,
            caches: None,
            primary: Mutex::new("db-1".into()),
            keeper: Arc::new(Keeper::new(
                &dir,
                State {
                    topology: topology.clone(),
                    owner: crate::process::Identity::own(),
                    nodes: Vec::new(),
                    ports: before.clone(),
                },
            )?),
            dir,
            _lock: lock,
        };
        let mut addresses = Addresses::known(before);
        cluster.plan_all(programs, &mut addresses, cancelled.clone())?;
        // All at once, so that nobody who looks meanwhile takes a part for the whole.
        let entries = cluster.nodes.iter().map(|node| node.entry()).collect();
        cluster.keeper.change(|state| (state.nodes, state.ports) = (entries, addresses.chosen))?;
        cluster.start_all()?;
        Ok(cluster)
    }

    fn start_all(&mut self) -> Result<()> {
        // What stands alone comes up while the databases are made.
        let [files, etcd, nats] = [Role::Files, Role::Etcd, Role::Nats].map(|role| self.of(role));
        files.iter().chain(&etcd).chain(&nats).try_for_each(|node| node.start())?;
        if let Some(caches) = &self.caches {
            caches.start()?;
        }
        etcd.iter().try_for_each(|node| node.wait_ready())?;
        match &self.tier {
            Tier::None => {}
            Tier::Own(databases) => self.primary = Mutex::new(databases.start()?),
            Tier::Patroni(patroni) => patroni.start()?,
        }
        if let Some(caches) = &self.caches {
            caches.wait_ready()?;
        }
        files.iter().chain(&nats).try_for_each(|node| node.wait_ready())?;
        // The first one makes the tables; the others find them.
        let web = [self.web(), self.workers()].concat();
        let (first, others) = web.split_at(1.min(web.len()));
        for some in [first, others] {
            for node in some {
                node.start()?;
            }
            for node in some {
                node.wait_ready()?;
            }
        }
        // A balancer that an edge asks is there before it.
        [Role::Balancer, Role::Edge].into_iter().try_for_each(|role| {
            let doors = self.of(role);
            doors.iter().try_for_each(|node| node.start())?;
            doors.iter().try_for_each(|node| node.wait_ready())
        })
    }
}

/// The directory, absolute, with everything above it open to PostgreSQL's user.
fn make_dir(dir: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).doing(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize().doing(|| format!("cannot find {}", dir.display()))?;
    let metadata = |path: &Path| path.metadata().doing(|| format!("cannot look at {}", path.display()));
    // PostgreSQL passes through it to its own directory; nobody lists it.
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711))
        .doing(|| format!("cannot open {} to PostgreSQL", dir.display()))?;
    if rustix::process::getuid().is_root()
        && let Some((uid, _)) = postgres_user()
    {
        for above in dir.ancestors() {
            let found = metadata(above)?;
            let open = found.mode() & 0o001 != 0 || (found.uid() == uid && found.mode() & 0o100 != 0);
            if !open {
                return Err(Error::Refused(format!(
                    "{} is closed to the user postgres, whose data shall lie below it: chmod o+x {0}, or name another \
                     directory",
                    above.display()
                )));
            }
        }
    }
    Ok(dir)
}

/// A directory holds one topology. Its numbers may change from run to run, what it is may not.
fn same_topology(dir: &Path, before: &Topology, now: &Topology) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::Refused(format!("{} holds {what}: name another --dir, or remove it", dir.display())))
    };
    if before.name != now.name {
        return refuse(format!("the topology {:?}, not {:?}", before.name, now.name));
    }
    if before.database.engine != now.database.engine || before.database.failover != now.database.failover {
        return refuse(
            format!(
                "{:?} with {:?} and failover {:?}, not with {:?} and {:?}",
                now.name,
                before.database.engine,
                before.database.failover,
                now.database.engine,
                now.database.failover
            )
            .to_lowercase(),
        );
    }
    Ok(())
}
