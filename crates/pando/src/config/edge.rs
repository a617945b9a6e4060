//! The keys of what an edge keeps.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Result, bail};
use base::limits::{
    EDGE_DISK_BYTES, EDGE_DISK_BYTES_MIN, EDGE_MEMORY_BYTES, EDGE_OBJECT_BYTES_MAX, EDGE_SHIELDS_MAX,
};
use serde::{Deserialize, Serialize};

use super::Config;
use super::caching::Caching;
use super::described::described;
use super::front::list;

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Edge {
        /// All that kept answers may take of the memory.
        pub memory_bytes: u64,
        /// Where answers are kept that were asked for more than once; empty to keep them in memory only.
        pub disk_dir: PathBuf,
        /// What they may take of the disk.
        pub disk_bytes: u64,
        /// The control addresses of the other edges, which are told of purges: `http://host:port`, separated by commas. A name
        /// may lead to several.
        pub peers: String,
        /// The edges that are asked in place of the nodes: `host:port`, separated by commas, `https://` before it for
        /// encryption.
        pub shield: String,
        /// By what rules answers are kept and used.
        #[serde(flatten)]
        pub caching: Caching,
    }
}

impl Default for Edge {
    fn default() -> Self {
        Edge {
            memory_bytes: EDGE_MEMORY_BYTES,
            disk_dir: PathBuf::new(),
            disk_bytes: EDGE_DISK_BYTES,
            peers: String::new(),
            shield: String::new(),
            caching: Caching::default(),
        }
    }
}

impl Config {
    /// Whom an edge asks in place of the nodes. `own` is where it listens itself.
    pub fn edge_shields(&self, own: &[SocketAddr]) -> Result<Vec<String>> {
        let shields: Vec<String> = list(&self.edge.shield).map(str::to_owned).collect();
        if shields.is_empty() {
            return Ok(shields);
        }
        if self.front.secret.is_empty() {
            bail!(
                "edge.shield needs front.secret, or PANDO_FRONT_SECRET, the same as the shield's: by it a shield knows its \
                 edges"
            );
        }
        if shields.len() > EDGE_SHIELDS_MAX {
            bail!("edge.shield names {} shields, and {EDGE_SHIELDS_MAX} are the most", shields.len());
        }
        for shield in &shields {
            let plain = shield.strip_prefix("https://").or_else(|| shield.strip_prefix("http://"));
            let plain = plain.unwrap_or(shield).trim_end_matches('/');
            let port = plain.rsplit_once(':').and_then(|(host, port)| {
                let port = port.parse::<u16>().ok()?;
                (!host.is_empty() && !host.contains(['/', ' '])).then_some(port)
            });
            if port.is_none_or(|port| port == 0) {
                bail!("edge.shield is a list of HOST:PORT, separated by commas: not {shield:?}");
            }
            if shield.starts_with("https://") && self.front.balance.nodes_ca.is_empty() {
                bail!(
                    "edge.shield: {shield} needs front.nodes_ca, the file with the authorities that vouch for it"
                );
            }
            // A name may lead nowhere for now.
            let leads: Vec<SocketAddr> = plain.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            if leads.iter().any(|shield| own.iter().any(|own| is_one(*own, *shield))) {
                bail!(
                    "edge.shield: {shield} is where this edge answers itself; name the edge that it is to ask"
                );
            }
        }
        Ok(shields)
    }

    /// Where an edge keeps answers.
    pub fn edge_storage(&self) -> Result<edge::cache::storage::Options> {
        let Edge { memory_bytes, disk_dir, disk_bytes, .. } = self.edge.clone();
        if memory_bytes < EDGE_OBJECT_BYTES_MAX as u64 / 4 {
            bail!("edge.memory_bytes must be {} at least", EDGE_OBJECT_BYTES_MAX / 4);
        }
        if disk_bytes < EDGE_DISK_BYTES_MIN {
            bail!("edge.disk_bytes must be {EDGE_DISK_BYTES_MIN} at least");
        }
        let disk_dir = (!disk_dir.as_os_str().is_empty()).then_some(disk_dir);
        let purgeable = !self.front.control.is_empty() || !self.bus.url.is_empty();
        Ok(edge::cache::storage::Options { memory_bytes, disk_dir, disk_bytes, purgeable })
    }
}

/// Whether who listens at the one address is reached at the other.
fn is_one(listens: SocketAddr, asked: SocketAddr) -> bool {
    let is_anywhere =
        listens.ip().is_unspecified() && (asked.ip().is_loopback() || asked.ip().is_unspecified());
    listens.port() == asked.port() && (listens.ip() == asked.ip() || is_anywhere)
}
