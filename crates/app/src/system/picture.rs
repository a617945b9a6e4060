//! The topology as it is now: elements, what they are, how they do, and who works with whom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backing::cache::tier::Server;
use base::limits::{
    NODE_SILENT_MS, PULSE_SILENT_MS, SYSTEM_PICTURE_MS, SYSTEM_PROBE_MS, SYSTEM_SLOW_SECONDS,
};
use futures_util::future::join_all;
use store::Member;

use super::bottleneck::{self, Bottleneck};
use super::present::{self, Present};
use super::probe::{Deed, Pulse, Seen};
use crate::jobs;
use crate::parts::Parts;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// The same as long as it is the same part, also after a restart.
    pub id: String,
    pub kind: &'static str,
    pub name: String,
    /// Empty for what is inside of a process.
    pub address: String,
    pub version: String,
    pub zone: String,
    pub region: String,
    pub state: State,
    /// Since when its state is as it is (ms), as far as this process knows.
    pub since: i64,
    /// The element that it is a part of.
    pub within: Option<String>,
    pub figures: BTreeMap<String, f64>,
    /// What there is to say to a state that is not good.
    pub why: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Up,
    Slow,
    /// Not heard of for longer than it should be.
    Silent,
    /// About to end, as it was told to.
    Leaving,
    Down,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Slow => "slow",
            State::Silent => "silent",
            State::Leaving => "leaving",
            State::Down => "down",
        }
    }
}

/// Who works with whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: String,
    pub to: String,
    /// `requests`, `queries`, `replication`, `cache`, `events`, `jobs` or `files`.
    pub kind: &'static str,
}

impl Link {
    pub fn new(from: &str, to: &str, kind: &'static str) -> Self {
        Link { from: from.into(), to: to.into(), kind }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// When it was made (ms).
    pub at: i64,
    /// Who made it, and whose view of the database it has.
    pub by: String,
    pub elements: Vec<Element>,
    pub links: Vec<Link>,
    pub bottleneck: Option<Bottleneck>,
    /// What parts tell of their past.
    pub pulses: Vec<Pulse>,
    pub deeds: Vec<Deed>,
}

/// As it is now, or was a moment ago: who asks together gets the same.
pub async fn picture(parts: &Parts) -> Arc<Picture> {
    let mut seen = parts.system.seen.lock().await;
    if let Some((at, picture)) = &*seen
        && at.elapsed() < Duration::from_millis(SYSTEM_PICTURE_MS)
    {
        return picture.clone();
    }
    let picture = Arc::new(draw(parts).await);
    *seen = Some((Instant::now(), picture.clone()));
    picture
}

async fn draw(parts: &Parts) -> Picture {
    let wait = Duration::from_millis(SYSTEM_PROBE_MS);
    let system = &parts.system;
    let began = Instant::now();
    let ping = async {
        let answered = tokio::time::timeout(wait, parts.store.ping()).await;
        (answered, began.elapsed().as_secs_f64())
    };
    let probes = join_all(system.probes.iter().map(|probe| async move {
        tokio::time::timeout(wait, probe.look()).await.unwrap_or_else(|_| probe.silent())
    }));
    let servers = async {
        match &parts.keeping.shared {
            Some(shared) => Some(tokio::time::timeout(wait, shared.tier.servers()).await.unwrap_or_default()),
            None => None,
        }
    };
    let (ping, nodes, members, backlog, probed, servers) = tokio::join!(
        ping,
        tokio::time::timeout(wait, present::nodes(parts)),
        tokio::time::timeout(wait, crate::nodes::members(parts)),
        tokio::time::timeout(wait, jobs::backlog(parts)),
        probes,
        servers,
    );
    let nodes = match nodes {
        Ok(Ok(nodes)) => nodes,
        // The others are known to the database alone.
        _ => vec![present::own(parts)],
    };
    let members = match members {
        Ok(Ok(members)) => Some(members),
        _ => None,
    };
    let mut picture = Picture { at: parts.clock.now().0, by: id_of(&nodes[0]), ..Picture::default() };
    for node in &nodes {
        picture.elements.push(process(node, members.as_deref(), &system.own.key, picture.at));
    }
    let answered = match &ping.0 {
        Ok(Ok(())) => Ok(ping.1),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    let backlog = backlog.ok().and_then(Result::ok);
    let seen = Looked { parts, nodes: &nodes, answered, backlog };
    match parts.store.engine_name() {
        "sqlite" => seen.inside(&mut picture),
        _ => seen.around(&mut picture),
    }
    for seen in probed {
        let Seen { elements, links, leaving, pulses, deeds } = seen;
        merge(&mut picture, elements);
        picture.links.extend(links);
        picture.pulses.extend(pulses);
        picture.deeds.extend(deeds);
        let leaves =
            |element: &&mut Element| leaving.contains(&element.address) && element.state == State::Up;
        picture.elements.iter_mut().filter(leaves).for_each(|element| element.state = State::Leaving);
    }
    caches(parts, servers, &mut picture);
    connect_doors(&mut picture);
    let mut since = system.since.lock();
    since.retain(|id, _| picture.elements.iter().any(|element| element.id == *id));
    for element in &mut picture.elements {
        let first = if element.since > 0 { element.since } else { picture.at };
        let known = since.entry(element.id.clone()).or_insert((element.state, first));
        if known.0 != element.state {
            *known = (element.state, picture.at);
        }
        element.since = known.1;
    }
    drop(since);
    picture.bottleneck = bottleneck::of(&picture);
    picture
}

fn id_of(node: &Present) -> String {
    format!("{}:{}", node.role, node.key)
}

fn process(node: &Present, members: Option<&[Member]>, own: &str, now: i64) -> Element {
    let member = members.and_then(|members| members.iter().find(|member| member.id == node.life));
    let age = (now - node.at).max(0) as u64;
    let beats = member.is_some_and(|member| member.silent_ms < NODE_SILENT_MS / 2);
    let slow = ["http.p99", "process.lag"];
    let is_slow =
        slow.iter().any(|name| node.figures.get(*name).is_some_and(|at| *at >= SYSTEM_SLOW_SECONDS));
    let (state, why) = match () {
        () if node.key == own || beats => match is_slow {
            true => (State::Slow, "latency"),
            false => (State::Up, ""),
        },
        () if age < PULSE_SILENT_MS => (State::Silent, "no_beat"),
        () => (State::Down, "lost"),
    };
    let mut figures = node.figures.clone();
    if let Some(requests) = figures.get("http.requests").copied().filter(|requests| *requests > 0.0) {
        let errors = figures.get("http.errors").copied().unwrap_or(0.0);
        figures.insert("http.errorRate".into(), errors / requests);
    }
    if !matches!(state, State::Up | State::Slow) {
        // They were true once.
        figures.clear();
    }
    Element {
        id: id_of(node),
        kind: match node.role.as_str() {
            "web" => "web",
            "worker" => "worker",
            _ => "serve",
        },
        name: node.name.clone(),
        address: node.address.clone(),
        version: node.version.clone(),
        zone: node.zone.clone(),
        region: node.region.clone(),
        state,
        since: if state == State::Up { node.started } else { 0 },
        within: None,
        figures,
        why: why.into(),
    }
}

/// What was found out for one picture.
struct Looked<'a> {
    parts: &'a Parts,
    nodes: &'a [Present],
    /// How long the database took (s), or why it did not answer.
    answered: Result<f64, String>,
    backlog: Option<jobs::Backlog>,
}

impl Looked<'_> {
    fn own(&self) -> &Present {
        &self.nodes[0]
    }

    /// Figures of all processes that begin with this, and those of the same name but for percentiles added up.
    fn together(&self, prefix: &str) -> BTreeMap<String, f64> {
        let mut all: BTreeMap<String, f64> = BTreeMap::new();
        for (name, value) in self.nodes.iter().flat_map(|node| &node.figures) {
            if name.starts_with(prefix) {
                // Each process has connections of its own, up to a bound of its own; a size is of something that they share.
                let is_one = ["p50", "p99", "lag", "hits", "bytes", "bytesMax", "open", "connected"]
                    .iter()
                    .any(|end| name.ends_with(end));
                let entry = all.entry(name.clone()).or_default();
                *entry = if is_one { entry.max(*value) } else { *entry + value };
            }
        }
        all
    }

    fn queue(&self) -> BTreeMap<String, f64> {
        let mut figures = self.together("jobs.");
        // Counted by one process for all.
        for name in ["jobs.due", "jobs.oldest", "jobs.dead"] {
            figures.remove(name);
        }
        if let Some(backlog) = &self.backlog {
            let due: u64 = backlog.queues.iter().map(|depth| depth.due).sum();
            figures.insert("jobs.due".into(), due as f64);
            figures.insert("jobs.oldest".into(), backlog.oldest_ms() as f64 / 1e3);
            figures.insert("jobs.dead".into(), backlog.dead as f64);
        }
        figures
    }

    fn database(&self, id: &str, kind: &'static str, name: &str) -> Element {
        let mut element = Element { id: id.into(), kind, name: name.into(), ..Element::default() };
        match &self.answered {
            Ok(seconds) => {
                element.figures.insert("ping".into(), *seconds);
                if *seconds >= SYSTEM_SLOW_SECONDS / 2.0 {
                    (element.state, element.why) = (State::Slow, "latency".into());
                }
            }
            Err(why) => (element.state, element.why) = (State::Down, why.clone()),
        }
        element
    }

    /// One process with its parts.
    fn inside(&self, picture: &mut Picture) {
        let own = id_of(self.own());
        let part = |kind: &'static str, name: &str, figures: BTreeMap<String, f64>| Element {
            id: format!("{kind}:{name}"),
            kind,
            name: name.into(),
            within: Some(own.clone()),
            figures,
            ..Element::default()
        };
        let mut database = self.database("database:sqlite", "primary", "sqlite");
        database.within = Some(own.clone());
        database.figures.extend(self.together("store."));
        let files = self.parts.system.around.files.clone();
        let parts = [
            (database, "queries"),
            (part("cache", "memory", self.together("cache.")), "cache"),
            (part("queue", "embedded", self.queue()), "jobs"),
            (part("bus", "embedded", self.together("realtime.")), "events"),
            (Element { address: files, ..part("files", "files", BTreeMap::new()) }, "files"),
        ];
        for (element, kind) in parts {
            picture.links.push(Link::new(&own, &element.id, kind));
            picture.elements.push(element);
        }
    }

    /// Processes around a database server.
    fn around(&self, picture: &mut Picture) {
        let system = &self.parts.system;
        let processes: Vec<String> = picture.elements.iter().map(|element| element.id.clone()).collect();
        let (mut primary, replicas) = self.hosts();
        primary.figures.extend(self.together("store."));
        let queue = Element {
            id: "queue:jobs".into(),
            kind: "queue",
            name: if system.around.broker { "nats" } else { "embedded" }.into(),
            address: if system.around.broker { system.around.bus.clone() } else { String::new() },
            within: (!system.around.broker).then(|| primary.id.clone()),
            figures: self.queue(),
            ..Element::default()
        };
        let files = Element {
            id: "files:files".into(),
            kind: "files",
            name: "files".into(),
            address: system.around.files.clone(),
            ..Element::default()
        };
        for process in &processes {
            let link = |to: &str, kind| Link::new(process, to, kind);
            picture.links.push(link(&primary.id, "queries"));
            picture.links.extend(replicas.iter().map(|replica| link(&replica.id, "queries")));
            picture.links.push(link(&queue.id, "jobs"));
            picture.links.push(link(&files.id, "files"));
        }
        picture
            .links
            .extend(replicas.iter().map(|replica| Link::new(&primary.id, &replica.id, "replication")));
        picture.elements.push(primary);
        picture.elements.extend(replicas);
        picture.elements.extend([queue, files]);
        if !system.around.bus.is_empty() {
            let server = self.parts.bus.server();
            let connected = server.as_ref().is_some_and(|server| server.connected);
            let mut figures = self.together("bus.");
            figures.extend(self.together("realtime."));
            let bus = Element {
                id: "bus:nats".into(),
                kind: "bus",
                name: "nats".into(),
                address: system.around.bus.clone(),
                version: server.map(|server| server.version).unwrap_or_default(),
                state: if connected { State::Up } else { State::Down },
                why: if connected { "" } else { "no_connection" }.into(),
                figures,
                ..Element::default()
            };
            picture.links.extend(processes.iter().map(|process| Link::new(process, &bus.id, "events")));
            picture.elements.push(bus);
        }
    }

    /// The primary and the replicas, as this process knows them by its own reads and writes.
    fn hosts(&self) -> (Element, Vec<Element>) {
        let hosts = &self.parts.system.around.hosts;
        let text = self.parts.system.read();
        let told =
            |metric| observe::pulse::labelled(&text, metric, "host").into_iter().collect::<BTreeMap<_, _>>();
        let (primaries, ins) = (told("pando_database_primary"), told("pando_replica_in"));
        let (lags, fenced) = (told("pando_replica_lag_seconds"), told("pando_database_fenced"));
        let leader = primaries.iter().find(|(_, is)| **is == 1.0).map(|(host, _)| host.clone());
        let leader = leader.or_else(|| hosts.first().cloned()).unwrap_or_default();
        let mut primary = self.database(&format!("database:{leader}"), "primary", &leader);
        primary.address = leader.clone();
        let names = primaries.keys().chain(if primaries.is_empty() { hosts.iter() } else { [].iter() });
        let replicas = names.filter(|host| **host != leader).map(|host| {
            let mut replica = Element {
                id: format!("database:{host}"),
                kind: "replica",
                name: host.clone(),
                address: host.clone(),
                ..Element::default()
            };
            if let Some(lag) = lags.get(host) {
                replica.figures.insert("replica.lag".into(), *lag);
            }
            (replica.state, replica.why) = match (fenced.get(host), ins.get(host)) {
                (Some(1.0), _) => (State::Down, "fenced".into()),
                (_, Some(1.0)) => (State::Up, String::new()),
                // It is not read from: gone, or too far behind.
                _ => (State::Silent, "out".into()),
            };
            replica
        });
        let replicas = replicas.collect();
        (primary, replicas)
    }
}

/// The servers of the cache that processes share.
fn caches(parts: &Parts, servers: Option<Vec<Server>>, picture: &mut Picture) {
    let Some(servers) = servers else { return };
    let is_open = parts.keeping.shared.as_ref().is_some_and(|shared| shared.tier.is_open());
    let is_process = |element: &&Element| matches!(element.kind, "serve" | "web" | "worker");
    let processes: Vec<String> =
        picture.elements.iter().filter(is_process).map(|element| element.id.clone()).collect();
    let mut elements: Vec<Element> = Vec::new();
    for server in servers {
        elements.push(Element {
            id: format!("cache:{}", server.address),
            kind: "cache",
            name: server.name.into(),
            address: server.address,
            version: server.version,
            figures: server.figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Element::default()
        });
    }
    if elements.is_empty() {
        let address = parts.system.around.cache.clone();
        let down = Element { state: State::Down, why: "no_answer".into(), ..Element::default() };
        elements.push(Element {
            id: format!("cache:{address}"),
            kind: "cache",
            name: "redis".into(),
            address,
            ..down
        });
    }
    for element in &mut elements {
        if !is_open && element.state == State::Up {
            // It answers, but processes do not agree to use it.
            (element.state, element.why) = (State::Silent, "out".into());
        }
        picture.links.extend(processes.iter().map(|process| Link::new(process, &element.id, "cache")));
    }
    picture.elements.extend(elements);
}

/// Somebody else may know more of an element that is there already.
fn merge(picture: &mut Picture, elements: Vec<Element>) {
    for element in elements {
        match picture.elements.iter_mut().find(|known| known.id == element.id) {
            Some(known) => {
                known.figures.extend(element.figures);
                if element.state != State::Up && known.state == State::Up {
                    (known.state, known.why) = (element.state, element.why);
                }
                if known.version.is_empty() {
                    known.version = element.version;
                }
            }
            None => picture.elements.push(element),
        }
    }
}

/// Front doors know the nodes behind them by their addresses; here they become links to elements.
fn connect_doors(picture: &mut Picture) {
    let ids: BTreeMap<String, String> = picture
        .elements
        .iter()
        .filter(|element| !element.address.is_empty())
        .map(|element| (element.address.clone(), element.id.clone()))
        .collect();
    for link in picture.links.iter_mut().filter(|link| link.kind == "requests") {
        if let Some(id) = link.to.strip_prefix("address:").and_then(|address| ids.get(address)) {
            link.to = id.clone();
        }
    }
    let known: std::collections::BTreeSet<&str> =
        picture.elements.iter().map(|element| element.id.as_str()).collect();
    picture.links.retain(|link| known.contains(link.from.as_str()) && known.contains(link.to.as_str()));
}
