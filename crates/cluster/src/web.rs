//! The nodes that answer requests: the `pando` program itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;
use rustix::process::Signal;

use crate::Result;
use crate::error::Doing;
use crate::node::{Plan, Role};
use crate::probe;
use crate::site::Site;
use crate::spawn::Spec;
use crate::topology::{Engine, Topology};

/// A web node. With SQLite it is the one process that has everything; with PostgreSQL it keeps nothing.
pub(crate) fn plan(
    topology: &Topology,
    (name, address, dir): (String, SocketAddr, &Path),
    (pando, data_url): (&Path, Option<&str>),
    files: &BTreeMap<String, String>,
    site: Site,
) -> Result<Plan> {
    let data = dir.join("pb_data");
    std::fs::create_dir_all(&data).doing(|| format!("cannot make {}", data.display()))?;
    let role = match topology.database.engine {
        Engine::Sqlite => "serve",
        Engine::Postgres => "web",
    };
    let mut spec = Spec::new(pando, dir)
        .args([role, "--http", &address.to_string(), "--dir", "pb_data"])
        .args(topology.web.args.iter())
        .env("PANDO_NODE_NAME", &name);
    for (name, value) in files.iter().chain(&topology.web.env) {
        spec = spec.env(name, value);
    }
    if let Some(url) = data_url {
        // Not as an argument, which everybody on the machine could read.
        spec = spec.env("PANDO_DATA", url);
    }
    let (place, ground) = site.take();
    spec.place = place;
    let wait = Duration::from_millis(NODE_ASK_MS);
    Ok(Plan {
        name,
        role: Role::Web,
        address,
        dir: dir.to_path_buf(),
        spec,
        ready: Box::new(move || probe::web(address, wait)),
        stop: Signal::TERM,
        data: None,
        ground,
    })
}
