//! From a topology to nodes that nobody has started yet: what each of them runs, and where.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::Signal;

use super::addresses::Addresses;
use super::{Cluster, Tier};
use crate::database::{self, APP, Admin, Databases, data_of};
use crate::doors::{self, Door};
use crate::error::Doing;
use crate::node::{Node, Plan, Role};
use crate::patroni::{self, Member, Patroni};
use crate::programs::Programs;
use crate::redis::Caches;
use crate::site::{Site, Sites, Spot};
use crate::spawn::{Spawner, Spec};
use crate::topology::{Doors, Engine, Failover, FileStore, RedisMode, Share, Topology};
use crate::{Result, files, nats, redis, state, web};

/// Under what the number of the network is noted among the ports.
const NETWORK: &str = "network";

/// Nodes that are alike.
struct Kind {
    kind: &'static str,
    nodes: u32,
    share: Share,
    /// The first one's port; 0 for free ones.
    first: u16,
    /// The port of each, where each has an address of its own.
    usual: u16,
}

/// What nodes are made of.
struct Means<'a> {
    programs: &'a Programs,
    addresses: &'a mut Addresses,
    sites: Sites,
    spawner: Arc<Spawner>,
}

impl Cluster {
    /// Decides where everything is; nothing runs yet.
    pub(super) fn plan_all(
        &mut self,
        programs: &Programs,
        addresses: &mut Addresses,
        cancelled: Arc<AtomicBool>,
    ) -> Result<()> {
        let spawner = Arc::new(Spawner::start(cancelled)?);
        let known = addresses.before.get(NETWORK).and_then(|number| u8::try_from(*number).ok());
        let sites = Sites::new(&self.topology, &self.dir, known)?;
        if let Some(number) = sites.network() {
            addresses.chosen.insert(NETWORK.into(), number.into());
        }
        let mut means = Means { programs, addresses, sites, spawner };
        let databases = self.plan_databases(&mut means)?;
        let store = self.plan_files(&mut means)?;
        let redis_url = self.plan_redis(&mut means)?;
        let bus_url = self.plan_nats(&mut means)?;
        let shared = self.dir.join("files");
        let store = store.map(|address| (address, self.secret.as_str()));
        let mut variables = files::variables(&self.topology, &shared, store);
        variables.append(&mut web::variables(&self.topology, bus_url, redis_url));
        let url = data_url(&databases, &self.secret);
        let told = web::Told { pando: &programs.pando, data_url: url.as_deref(), variables };
        self.plan_pando(&mut means, told, &shared)
    }

    fn add(&mut self, means: &Means<'_>, plan: Plan) -> Arc<Node> {
        let node = Arc::new(Node::new(plan, means.spawner.clone(), self.keeper.clone()));
        self.nodes.push(node.clone());
        node
    }

    fn plan_databases(&mut self, means: &mut Means<'_>) -> Result<Vec<Arc<Node>>> {
        let settings = self.topology.database.clone();
        let (Engine::Postgres, Some(bin)) = (settings.engine, &means.programs.postgres) else {
            return Ok(Vec::new());
        };
        let admin = Admin { bin: bin.clone(), secret: self.secret.clone() };
        let mut etcd = Vec::new();
        if let (Failover::Patroni, Some(program)) = (settings.failover, &means.programs.etcd) {
            etcd = self.plan_etcd(program, means)?;
        }
        let dynamic = patroni::settings(&settings);
        let (mut nodes, mut members) = (Vec::new(), Vec::new());
        for n in 1..=self.topology.databases() {
            let name = format!("db-{n}");
            let dir = self.node_dir(&name)?;
            database::give(&dir)?;
            database::check_version(&dir, &name, bin)?;
            let site = means.sites.find(&name, &settings.share())?;
            let address = means.addresses.find(&name, site.ip(), (settings.port, n), 5432)?;
            let plan = match (settings.failover, &means.programs.patroni) {
                (Failover::Patroni, Some(program)) => {
                    let rest = means.addresses.find(&format!("{name}-rest"), site.ip(), (0, 1), 8008)?;
                    let names = (self.topology.name.as_str(), name.as_str());
                    patroni::write(&dir, names, (address, rest), &etcd, &admin, &dynamic)?;
                    members.push(rest);
                    patroni::plan(program, (name, address, rest), &dir, site)
                }
                _ => plan_database(name, address, &dir, &admin, site),
            };
            nodes.push(self.add(means, plan));
        }
        self.tier = match settings.failover {
            Failover::Manual => Tier::Own(Databases { admin, settings, nodes: nodes.clone() }),
            Failover::Patroni => {
                let members = nodes.iter().cloned().zip(members).map(|(node, rest)| Member { node, rest });
                Tier::Patroni(Patroni { admin, members: members.collect(), settings: dynamic })
            }
        };
        Ok(nodes)
    }

    /// Returns where clients find them.
    fn plan_etcd(&mut self, program: &Path, means: &mut Means<'_>) -> Result<Vec<SocketAddr>> {
        let mut planned = Vec::new();
        for n in 1..=self.topology.database.etcd {
            let name = format!("etcd-{n}");
            let site = means.sites.find(&name, &Share::default())?;
            let client = means.addresses.find(&name, site.ip(), (0, 1), 2379)?;
            let peer = means.addresses.find(&format!("{name}-peer"), site.ip(), (0, 1), 2380)?;
            planned.push(((name, client, peer), site));
        }
        let (members, sites): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
        for (number, site) in sites.into_iter().enumerate() {
            let dir = self.node_dir(&members[number].0)?;
            if let Some(plan) = patroni::plan_etcd(program, number, &members, &dir, site) {
                self.add(means, plan);
            }
        }
        Ok(members.into_iter().map(|(_, client, _)| client).collect())
    }

    /// Returns where the local store is, if there is one.
    fn plan_files(&mut self, means: &mut Means<'_>) -> Result<Option<SocketAddr>> {
        let files = &self.topology.files;
        let (FileStore::S3, None, Some(weed)) = (files.store, &files.endpoint, &means.programs.weed) else {
            return Ok(None);
        };
        let dir = self.node_dir("s3")?;
        std::fs::create_dir_all(dir.join("data")).doing(|| format!("cannot make {}", dir.display()))?;
        let site = means.sites.find("s3", &Share::default())?;
        let address = means.addresses.find("s3", site.ip(), (0, 1), 8333)?;
        let mut inner = [0; files::PORTS];
        for (n, port) in inner.iter_mut().enumerate() {
            *port = means.addresses.port(&format!("s3-{n}"))?;
        }
        let plan = files::plan(weed, (address, inner), &dir, &self.secret, site);
        self.add(means, plan);
        Ok(Some(address))
    }

    /// Returns where clients find it.
    fn plan_redis(&mut self, means: &mut Means<'_>) -> Result<Option<String>> {
        let settings = self.topology.redis.clone();
        let (true, Some(program)) = (settings.mode != RedisMode::None, &means.programs.redis) else {
            return Ok(None);
        };
        let tier = Kind {
            kind: "redis",
            nodes: settings.nodes(),
            share: settings.share(),
            first: settings.port,
            usual: 6379,
        };
        let spots = self.spots(means, tier)?;
        let addresses = addresses_of(&spots);
        let mut servers = Vec::new();
        for (number, spot) in spots.into_iter().enumerate() {
            // Beside other nodes the usual distance of the two ports may lead to one that is taken.
            let bus = match (settings.mode, spot.site.ip()) {
                (RedisMode::Cluster, None) => Some(means.addresses.port(&format!("{}-bus", spot.name))?),
                _ => None,
            };
            let plan = redis::plan(program, &settings, (number, &addresses, bus), spot)?;
            servers.push(self.add(means, plan));
        }
        let first = if settings.port > 0 { settings.port.saturating_add(servers.len() as u16) } else { 0 };
        let tier = Kind {
            kind: "sentinel",
            nodes: settings.sentinels(),
            share: Share::default(),
            first,
            usual: 26379,
        };
        let spots = self.spots(means, tier)?;
        let watching = addresses_of(&spots);
        let mut sentinels = Vec::new();
        for spot in spots {
            let plan = redis::plan_sentinel(program, addresses[0], spot)?;
            sentinels.push(self.add(means, plan));
        }
        let url = redis::url(settings.mode, &addresses, &watching);
        self.caches = Some(Caches { settings, servers, sentinels });
        Ok(url)
    }

    /// Returns where clients find them.
    fn plan_nats(&mut self, means: &mut Means<'_>) -> Result<Option<String>> {
        let settings = self.topology.nats.clone();
        let Some(program) = &means.programs.nats else { return Ok(None) };
        let tier = Kind {
            kind: "nats",
            nodes: settings.nodes,
            share: settings.share(),
            first: settings.port,
            usual: 4222,
        };
        let spots = self.spots(means, tier)?;
        let mut servers = Vec::new();
        for Spot { name, address, site, .. } in &spots {
            let mut inner =
                |what, usual| means.addresses.find(&format!("{name}-{what}"), site.ip(), (0, 1), usual);
            let (monitor, route) = (inner("monitor", 8222)?, inner("route", 6222)?);
            servers.push(nats::Server { name: name.clone(), address: *address, monitor, route });
        }
        for (server, spot) in servers.iter().zip(spots) {
            let plan = nats::plan(program, server, &servers, spot)?;
            self.add(means, plan);
        }
        Ok(nats::url(&servers))
    }

    /// Everything that runs `pando` itself. Each has to be told where others are, so all places are found first.
    fn plan_pando(&mut self, means: &mut Means<'_>, mut told: web::Told<'_>, shared: &Path) -> Result<()> {
        let topology = self.topology.clone();
        let Topology { workers, web, .. } = &topology;
        let kind = |kind, nodes, share, first| Kind { kind, nodes, share, first, usual: 8090 };
        let worker_spots = self.spots(means, kind("worker", workers.nodes, workers.share(), 0))?;
        let web_spots = self.spots(means, kind("web", web.nodes, web.share(), web.port))?;
        let balancers = self.find_doors(means, "balancer", &topology.balancers)?;
        let edges = self.find_doors(means, "edge", &topology.edges)?;
        let secret = state::front_secret(&self.dir)?;
        let controls = [controls_of(&balancers), controls_of(&edges)].concat();
        told.variables.append(&mut doors::variables(&controls, &secret));
        if told.variables.contains_key("PANDO_FILES_SHARED") {
            let mut all = worker_spots.iter().chain(&web_spots);
            all.try_for_each(|spot| files::mount(shared, &spot.dir))?;
        }
        let at_web = addresses_of(&web_spots);
        for spot in worker_spots {
            let plan = web::plan_worker(&topology, spot, &told)?;
            self.add(means, plan);
        }
        for spot in web_spots {
            let plan = web::plan(&topology, spot, &told)?;
            self.add(means, plan);
        }
        let before: Vec<IpAddr> = edges.iter().map(|door| door.spot.address.ip()).collect();
        let at_balancers: Vec<SocketAddr> = balancers.iter().map(|door| door.spot.address).collect();
        let is_apart = !balancers.is_empty();
        let shields: Vec<SocketAddr> =
            edges.iter().rev().take(topology.edges.shields as usize).map(|door| door.spot.address).collect();
        let ask_web = doors::Told {
            pando: told.pando,
            role: Role::Balancer,
            doors: &topology.balancers,
            behind: &at_web,
            is_apart: false,
            peers: &[],
            shields: &[],
            before: &before,
            secret: &secret,
        };
        let keep = doors::Told {
            role: Role::Edge,
            doors: &topology.edges,
            behind: if is_apart { &at_balancers } else { &at_web },
            is_apart,
            peers: &controls_of(&edges),
            shields: &shields,
            before: &[],
            ..ask_web
        };
        for (told, found) in [(ask_web, balancers), (keep, edges)] {
            for door in found {
                self.add(means, doors::plan(&told, door));
            }
        }
        Ok(())
    }

    fn find_doors(&self, means: &mut Means<'_>, kind: &'static str, doors: &Doors) -> Result<Vec<Door>> {
        let kind = Kind { kind, nodes: doors.nodes, share: doors.share(), first: doors.port, usual: 8080 };
        let found = self.spots(means, kind)?.into_iter().zip(1..).map(|(spot, n)| {
            let name = format!("{}-control", spot.name);
            let control = means.addresses.find(&name, spot.site.ip(), (0, 1), 8081)?;
            let name = format!("{}-https", spot.name);
            let find = |_| means.addresses.find(&name, spot.site.ip(), (doors.https_port, n), 8443);
            let https = doors.certificates.first().map(find).transpose()?;
            Ok(Door { spot, control, https })
        });
        found.collect()
    }

    /// A place for each node of a tier.
    fn spots(&self, means: &mut Means<'_>, tier: Kind) -> Result<Vec<Spot>> {
        (1..=tier.nodes)
            .map(|n| {
                let name = format!("{}-{n}", tier.kind);
                let dir = self.node_dir(&name)?;
                let site = means.sites.find(&name, &tier.share)?;
                let address = means.addresses.find(&name, site.ip(), (tier.first, n), tier.usual)?;
                Ok(Spot { name, dir, address, site })
            })
            .collect()
    }

    fn node_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir).doing(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}

fn controls_of(doors: &[Door]) -> Vec<SocketAddr> {
    doors.iter().map(|door| door.control).collect()
}

fn addresses_of(spots: &[Spot]) -> Vec<SocketAddr> {
    spots.iter().map(|spot| spot.address).collect()
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
        monitor: None,
        https: None,
        dir: dir.to_path_buf(),
        // Immediate: its children would otherwise go on without it.
        spec: Spec { orphaned: "QUIT", place, ..spec },
        ready: Box::new(move || admin.is_true(address, "select true")),
        // Connections are ended, and everything is written.
        stop: Signal::INT,
        data: Some(data),
        renews: false,
        ground,
    }
}

pub(super) fn data_url(databases: &[Arc<Node>], secret: &str) -> Option<String> {
    let hosts: Vec<String> = databases.iter().map(|node| node.address().to_string()).collect();
    (!hosts.is_empty()).then(|| format!("postgres://{APP}:{secret}@{}/{APP}", hosts.join(",")))
}
