//! From a topology to a running cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use super::{Cluster, Tier, cleanup};
use crate::database::{self, APP, Admin, Databases, data_of};
use crate::error::{Doing, Error};
use crate::node::{Node, Plan, Role};
use crate::patroni::{self, Member, Patroni};
use crate::programs::Programs;
use crate::site::{Site, Sites};
use crate::spawn::{Spawner, Spec, postgres_user};
use crate::state::{self, Keeper, State};
use crate::topology::{Engine, Failover, FileStore, Share, Topology};
use crate::{Result, files, ports, web};

/// Under what the number of the network is noted among the ports.
const NETWORK: &str = "network";

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
        let mut addresses = Addresses { before, ..Addresses::default() };
        cluster.plan_all(programs, &mut addresses, cancelled.clone())?;
        // All at once, so that nobody who looks meanwhile takes a part for the whole.
        let entries = cluster.nodes.iter().map(|node| node.entry()).collect();
        cluster.keeper.change(|state| (state.nodes, state.ports) = (entries, addresses.chosen))?;
        cluster.start_all()?;
        Ok(cluster)
    }

    /// Decides where everything is; nothing runs yet.
    fn plan_all(
        &mut self,
        programs: &Programs,
        addresses: &mut Addresses,
        cancelled: Arc<AtomicBool>,
    ) -> Result<()> {
        let spawner = Arc::new(Spawner::start(cancelled)?);
        let topology = self.topology.clone();
        let known = addresses.before.get(NETWORK).and_then(|number| u8::try_from(*number).ok());
        let sites = Sites::new(&topology, &self.dir, known)?;
        if let Some(number) = sites.network() {
            addresses.chosen.insert(NETWORK.into(), number.into());
        }
        let add = |cluster: &mut Cluster, plan: Plan| -> Arc<Node> {
            let node = Arc::new(Node::new(plan, spawner.clone(), cluster.keeper.clone()));
            cluster.nodes.push(node.clone());
            node
        };
        let mut databases = Vec::new();
        if let (Engine::Postgres, Some(bin)) = (topology.database.engine, &programs.postgres) {
            let admin = Admin { bin: bin.clone(), secret: self.secret.clone() };
            let mut etcd = Vec::new();
            if let (Failover::Patroni, Some(program)) = (topology.database.failover, &programs.etcd) {
                etcd = self.plan_etcd(program, &sites, addresses, &add)?;
            }
            let settings = patroni::settings(&topology.database);
            let mut members = Vec::new();
            for n in 1..=topology.databases() {
                let name = format!("db-{n}");
                let dir = self.node_dir(&name)?;
                database::give(&dir)?;
                database::check_version(&dir, &name, bin)?;
                let site = sites.find(&name, &topology.database.share())?;
                let address = addresses.find(&name, site.ip(), (topology.database.port, n), 5432)?;
                let plan = match (topology.database.failover, &programs.patroni) {
                    (Failover::Patroni, Some(program)) => {
                        let rest = addresses.find(&format!("{name}-rest"), site.ip(), (0, 1), 8008)?;
                        let names = (topology.name.as_str(), name.as_str());
                        patroni::write(&dir, names, (address, rest), &etcd, &admin, &settings)?;
                        members.push(rest);
                        patroni::plan(program, (name, address, rest), &dir, site)
                    }
                    _ => plan_database(name, address, &dir, &admin, site),
                };
                databases.push(add(self, plan));
            }
            let nodes = databases.clone();
            self.tier = match topology.database.failover {
                Failover::Manual => {
                    Tier::Own(Databases { admin, settings: topology.database.clone(), nodes })
                }
                Failover::Patroni => {
                    let members = nodes.into_iter().zip(members).map(|(node, rest)| Member { node, rest });
                    Tier::Patroni(Patroni { admin, members: members.collect(), settings })
                }
            };
        }
        let mut store = None;
        if let (FileStore::S3, None, Some(weed)) =
            (topology.files.store, &topology.files.endpoint, &programs.weed)
        {
            let dir = self.node_dir("s3")?;
            std::fs::create_dir_all(dir.join("data")).doing(|| format!("cannot make {}", dir.display()))?;
            let site = sites.find("s3", &Share::default())?;
            let address = addresses.find("s3", site.ip(), (0, 1), 8333)?;
            let mut inner = [0; files::PORTS];
            for (n, port) in inner.iter_mut().enumerate() {
                *port = addresses.port(&format!("s3-{n}"))?;
            }
            store = Some((address, self.secret.clone()));
            let plan = files::plan(weed, (address, inner), &dir, &self.secret, site);
            add(self, plan);
        }
        let url = data_url(&databases, &self.secret);
        let shared = self.dir.join("files");
        let store = store.as_ref().map(|(address, secret)| (*address, secret.as_str()));
        let variables = files::variables(&topology, &shared, store);
        for n in 1..=topology.web.nodes {
            let name = format!("web-{n}");
            let dir = self.node_dir(&name)?;
            let site = sites.find(&name, &topology.web.share())?;
            let address = addresses.find(&name, site.ip(), (topology.web.port, n), 8090)?;
            let pando = (programs.pando.as_path(), url.as_deref());
            let plan = web::plan(&topology, (name, address, &dir), pando, &variables, site)?;
            if variables.contains_key("PANDO_FILES_SHARED") {
                files::mount(&shared, &dir)?;
            }
            add(self, plan);
        }
        Ok(())
    }

    /// Returns where clients find them.
    fn plan_etcd(
        &mut self,
        program: &Path,
        sites: &Sites,
        addresses: &mut Addresses,
        add: &impl Fn(&mut Cluster, Plan) -> Arc<Node>,
    ) -> Result<Vec<SocketAddr>> {
        let mut planned = Vec::new();
        for n in 1..=self.topology.database.etcd {
            let name = format!("etcd-{n}");
            let site = sites.find(&name, &Share::default())?;
            let client = addresses.find(&name, site.ip(), (0, 1), 2379)?;
            let peer = addresses.find(&format!("{name}-peer"), site.ip(), (0, 1), 2380)?;
            planned.push(((name, client, peer), site));
        }
        let (members, sites): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
        for (number, site) in sites.into_iter().enumerate() {
            let dir = self.node_dir(&members[number].0)?;
            if let Some(plan) = patroni::plan_etcd(program, number, &members, &dir, site) {
                add(self, plan);
            }
        }
        Ok(members.into_iter().map(|(_, client, _)| client).collect())
    }

    fn start_all(&mut self) -> Result<()> {
        for node in self.of(Role::Files).into_iter().chain(self.of(Role::Etcd)) {
            node.start()?;
        }
        for node in self.of(Role::Files).into_iter().chain(self.of(Role::Etcd)) {
            node.wait_ready()?;
        }
        match &self.tier {
            Tier::None => {}
            Tier::Own(databases) => self.primary = Mutex::new(databases.start()?),
            Tier::Patroni(patroni) => patroni.start()?,
        }
        // The first one makes the tables; the others find them.
        let web = self.web();
        let (first, others) = web.split_at(1.min(web.len()));
        for some in [first, others] {
            for node in some {
                node.start()?;
            }
            for node in some {
                node.wait_ready()?;
            }
        }
        Ok(())
    }

    fn node_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir).doing(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}

fn plan_database(name: String, address: SocketAddr, dir: &Path, admin: &Admin, site: Site) -> Plan {
    let (place, ground) = site.take();
    let admin = admin.clone();
    let data = data_of(dir);
    let spec = Spec::new(admin.bin.join("postgres"), "/")
        .args(["-D".into(), data.clone().into_os_string()])
        .args(["-c".into(), database::config_argument(dir)])
        .unprivileged();
    Plan {
        name,
        role: Role::Database,
        address,
        dir: dir.to_path_buf(),
        // Immediate: its children would otherwise go on without it.
        spec: Spec { orphaned: "QUIT", place, ..spec },
        ready: Box::new(move || admin.is_true(address, "select true")),
        // Connections are ended, and everything is written.
        stop: Signal::INT,
        data: Some(data),
        ground,
    }
}

pub(super) fn data_url(databases: &[Arc<Node>], secret: &str) -> Option<String> {
    let hosts: Vec<String> = databases.iter().map(|node| node.address().to_string()).collect();
    (!hosts.is_empty()).then(|| format!("postgres://{APP}:{secret}@{}/{APP}", hosts.join(",")))
}

/// Addresses for nodes: those of the last run where they are free, so that what was noted of them stays right.
#[derive(Default)]
struct Addresses {
    before: BTreeMap<String, u16>,
    chosen: BTreeMap<String, u16>,
    taken: Vec<u16>,
}

impl Addresses {
    /// `first` is the port of the first of its kind, and this is number `n`. Where each node has an address of its own,
    /// every port of it is free.
    fn find(
        &mut self,
        name: &str,
        own: Option<IpAddr>,
        (first, n): (u16, u32),
        usual: u16,
    ) -> Result<SocketAddr> {
        if let Some(ip) = own {
            return Ok(SocketAddr::new(ip, if first > 0 { first } else { usual }));
        }
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        if first > 0 {
            let port = u16::try_from(u32::from(first) + n - 1).unwrap_or(first);
            if self.taken.contains(&port) || !ports::is_free(ip, port) {
                return Err(Error::Refused(format!(
                    "port {port}, which {name} needs, is taken: end what listens there, or set another port (0 for any)"
                )));
            }
            self.taken.push(port);
            return Ok(SocketAddr::new(ip, port));
        }
        Ok(SocketAddr::new(ip, self.port(name)?))
    }

    /// The port that this had in the last run, if it is free.
    fn port(&mut self, name: &str) -> Result<u16> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let known = self.before.get(name).copied();
        let port = match known.filter(|port| !self.taken.contains(port) && ports::is_free(ip, *port)) {
            Some(port) => port,
            None => self.free()?,
        };
        self.taken.push(port);
        self.chosen.insert(name.to_owned(), port);
        Ok(port)
    }

    fn free(&mut self) -> Result<u16> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port =
            ports::free(ip, &self.taken).ok_or_else(|| Error::Refused("there is no free port".into()))?;
        self.taken.push(port);
        Ok(port)
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
