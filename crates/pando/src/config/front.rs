//! The keys of front doors: balancers and edges.

mod balance;
mod entry;
mod guard;

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use edge::discovery::names::Names;
use serde::{Deserialize, Serialize};

use super::described::described;
use super::{Config, bindable};
use crate::cli;
pub use balance::Balance;
pub use entry::{Certificates, Entry};
pub use guard::{Guard, LogFormat};

described! {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Front {
        /// Where it listens without encryption; several separated by commas.
        pub http: String,
        /// The nodes behind it: `host:port`, separated by commas.
        pub nodes: String,
        /// Threads that serve; 0 for one for each processor.
        pub threads: usize,
        /// How long open requests are given at the end.
        pub drain_ms: u64,
        /// Names that lead to nodes, looked up again and again: `host:port`, separated by commas.
        pub dns: String,
        /// Where the control API answers, to which nodes announce themselves: `host:port`; empty for nowhere.
        pub control: String,
        /// What nodes, operators and other front doors must know to use it.
        pub secret: String,
        /// Whether nodes that announce themselves are asked. Where they are behind other front doors they are only listened to.
        pub announced_nodes: bool,
        /// How clients come in.
        #[serde(flatten)]
        pub entry: Entry,
        /// Who may ask for what.
        #[serde(flatten)]
        pub guard: Guard,
        /// Which node is asked, and how it is judged.
        #[serde(flatten)]
        pub balance: Balance,
    }
}

impl Default for Front {
    fn default() -> Self {
        Front {
            http: "127.0.0.1:8080".into(),
            nodes: String::new(),
            threads: 0,
            drain_ms: base::limits::DRAIN_MS,
            entry: Entry::default(),
            dns: String::new(),
            control: String::new(),
            secret: String::new(),
            announced_nodes: true,
            guard: Guard::default(),
            balance: Balance::default(),
        }
    }
}

impl Front {
    pub fn overlay(&mut self, given: &cli::Front) {
        if let Some(http) = &given.http {
            self.http = http.clone();
        }
        if let Some(nodes) = &given.to {
            self.nodes = nodes.clone();
        }
    }
}

impl Config {
    /// What a front door is told.
    pub fn front(&self) -> Result<edge::Options> {
        let nodes: Vec<String> = list(&self.front.nodes).map(str::to_owned).collect();
        let dns = Names::parse(&self.front.dns, "front.dns").map_err(anyhow::Error::msg)?;
        let peers = Names::parse(&self.edge.peers, "edge.peers").map_err(anyhow::Error::msg)?;
        let control = list(&self.front.control)
            .map(|address| resolve(address, 80))
            .collect::<Result<Vec<_>>>()?
            .concat();
        let secret = self.front.secret.clone();
        edge::control::check(&control, &secret).map_err(anyhow::Error::msg)?;
        if nodes.is_empty() && dns.is_empty() && control.is_empty() && self.bus.url.is_empty() {
            bail!(
                "nobody to ask: name the nodes behind it with --to HOST:PORT,…, or PANDO_FRONT_NODES, or \
                 front.nodes in pando.toml; or a name that leads to them with front.dns; or let them announce \
                 themselves, to front.control or over bus.url"
            );
        }
        let http =
            list(&self.front.http).map(|address| resolve(address, 80)).collect::<Result<Vec<_>>>()?.concat();
        let drain_ms = self.front.drain_ms;
        let mut options = edge::Options {
            http,
            threads: self.front.threads,
            drain_ms,
            nodes,
            dns,
            announced_nodes: self.front.announced_nodes,
            control,
            secret,
            peers,
            guard: self.front.guard.options(),
            balance: self.front.balance.options()?,
            nodes_ca: (!self.front.balance.nodes_ca.is_empty())
                .then(|| self.front.balance.nodes_ca.clone().into()),
            ..edge::Options::default()
        };
        self.front.entry.overlay(&mut options)?;
        Ok(options)
    }
}

pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn resolve(address: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let address = bindable(address, port);
    let found = address.to_socket_addrs().with_context(|| format!("{address} is no address to listen on"))?;
    Ok(found.collect())
}
