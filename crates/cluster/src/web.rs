//! The nodes that run the `pando` program itself: those that answer requests, and those that run jobs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;

use crate::Result;
use crate::error::Doing;
use crate::node::{Plan, Role};
use crate::probe;
use crate::site::Spot;
use crate::spawn::Spec;
use crate::topology::{Engine, QueueEngine, Topology};

/// Of each message, where there are so many servers.
const QUEUE_COPIES: u32 = 3;

/// What all of these nodes are told.
pub(crate) struct Told<'a> {
    pub pando: &'a Path,
    pub data_url: Option<&'a str>,
    /// Configuration by environment.
    pub variables: BTreeMap<String, String>,
}

/// What tells a node where bus, cache and queue are.
pub(crate) fn variables(
    topology: &Topology,
    bus_url: Option<String>,
    redis_url: Option<String>,
) -> BTreeMap<String, String> {
    let is_nats = topology.queue.engine == QueueEngine::Nats;
    let queue = |value: String| is_nats.then_some(value);
    // As many copies as a majority needs, whatever one server of them does.
    let copies = topology.nats.nodes.min(QUEUE_COPIES);
    let named = [
        ("PANDO_QUEUE_ENGINE", queue("nats".into())),
        ("PANDO_QUEUE_URL", queue(bus_url.clone().unwrap_or_default())),
        ("PANDO_QUEUE_REPLICAS", queue(copies.to_string())),
        ("PANDO_BUS_URL", bus_url),
        ("PANDO_CACHE_REDIS_URL", redis_url),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A web node. With SQLite it is the one process that has everything; with PostgreSQL it keeps nothing.
pub(crate) fn plan(topology: &Topology, spot: Spot, told: &Told<'_>) -> Result<Plan> {
    let role = match topology.database.engine {
        Engine::Sqlite => "serve",
        Engine::Postgres => "web",
    };
    let mut spec = Spec::new(told.pando, &spot.dir)
        .args([role, "--http", &spot.address.to_string(), "--dir", "pb_data"])
        .args(topology.web.args.iter());
    if topology.workers.nodes > 0 {
        spec = spec.env("PANDO_JOBS_RUN", "false");
    }
    node(spec, Role::Web, spot, (told, &topology.web.env))
}

/// A node that runs jobs. It answers nothing but how it is.
pub(crate) fn plan_worker(topology: &Topology, spot: Spot, told: &Told<'_>) -> Result<Plan> {
    let spec = Spec::new(told.pando, &spot.dir)
        .args(["worker", "--dir", "pb_data"])
        .args(topology.workers.args.iter())
        .env("PANDO_OBSERVE_HTTP", spot.address.to_string());
    node(spec, Role::Worker, spot, (told, &topology.workers.env))
}

fn node(
    mut spec: Spec,
    role: Role,
    spot: Spot,
    (told, own): (&Told<'_>, &BTreeMap<String, String>),
) -> Result<Plan> {
    let data = spot.dir.join("pb_data");
    std::fs::create_dir_all(&data).doing(|| format!("cannot make {}", data.display()))?;
    spec = spec.env("PANDO_NODE_NAME", &spot.name).envs(&told.variables).envs(own);
    if let Some(url) = told.data_url {
        // Not as an argument, which everybody on the machine could read.
        spec = spec.env("PANDO_DATA", url);
    }
    let (address, wait) = (spot.address, Duration::from_millis(NODE_ASK_MS));
    Ok(Plan::new(spot, role, spec, move || probe::web(address, wait)))
}
