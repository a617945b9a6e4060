//! The bus between nodes: one NATS server, or a cluster of them, with JetStream for the durable queue.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use base::limits::NODE_ASK_MS;

use crate::Result;
use crate::error::write;
use crate::node::{Plan, Role};
use crate::probe;
use crate::site::Spot;
use crate::spawn::Spec;

const CONFIG: &str = "nats.conf";

/// One server, and where it is found.
#[derive(Clone, Debug)]
pub struct Server {
    pub name: String,
    /// By clients.
    pub address: SocketAddr,
    /// By those who ask how it is.
    pub monitor: SocketAddr,
    /// By the other servers.
    pub route: SocketAddr,
}

/// The configuration of one of these servers. What it has confirmed is on disk.
pub fn nats_config(server: &Server, all: &[Server], store: &Path) -> String {
    let mut text = format!(
        "server_name: {}\nlisten: \"{}\"\nhttp: \"{}\"\n\
         jetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
        server.name,
        server.address,
        server.monitor,
        store.display()
    );
    if all.len() > 1 {
        let routes: Vec<String> = all.iter().map(|other| format!("\"nats://{}\"", other.route)).collect();
        text += &format!(
            "cluster {{ name: pando, listen: \"{}\", routes: [{}] }}\n",
            server.route,
            routes.join(", ")
        );
    }
    text
}

pub(crate) fn plan(program: &Path, server: &Server, all: &[Server], spot: Spot) -> Result<Plan> {
    // What one server alone has kept, a cluster does not read.
    let store = spot.dir.join(if all.len() > 1 { "jetstream-cluster" } else { "jetstream" });
    write(&spot.dir.join(CONFIG), nats_config(server, all, &store))?;
    let (address, monitor) = (server.address, server.monitor);
    let spec = Spec::new(program, &spot.dir).args(["-c", CONFIG]);
    let plan = Plan::new(spot, Role::Nats, spec, move || nats_is_ready(address, monitor));
    Ok(Plan { monitor: Some(monitor), ..plan })
}

/// Whether it takes clients, and JetStream knows all that a majority of the servers does.
pub fn nats_is_ready(address: SocketAddr, monitor: SocketAddr) -> bool {
    let wait = Duration::from_millis(NODE_ASK_MS);
    TcpStream::connect_timeout(&address, wait).is_ok()
        && probe::get(monitor, "/healthz", wait).is_some_and(|(status, _)| status == 200)
}

/// The name of the server that leads the cluster, as this one knows it.
pub(crate) fn leader(monitor: SocketAddr) -> Option<String> {
    let (_, body) = probe::get(monitor, "/jsz", Duration::from_millis(NODE_ASK_MS))?;
    let told: serde_json::Value = serde_json::from_str(&body).ok()?;
    Some(told.pointer("/meta_cluster/leader")?.as_str()?.to_owned())
}

pub(crate) fn url(servers: &[Server]) -> Option<String> {
    let all: Vec<String> = servers.iter().map(|server| format!("nats://{}", server.address)).collect();
    (!all.is_empty()).then(|| all.join(","))
}
