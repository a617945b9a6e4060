//! `pando balance` and `pando edge`: the front door, which keeps no data and works on nobody's.

use std::sync::Arc;

use anyhow::{Context, Result};
use edge::announce::Purges;
use edge::announce::heard::Heard;
use edge::balance::{Balance, check};
use edge::control::deeds::Deeds;
use edge::control::passing::{Passes, Peers};
use edge::control::{self, Control};
use edge::discovery::Discovery;
use edge::shield::{Seal, Shields};
use edge::upstream::{Nodes, Tls};
use edge::{Front, Listeners, Options};
use observe::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch as signals;

use super::{node, watch};
use crate::config::Config;
use crate::doors::Doors;
use crate::pulse::Pulse;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Balance,
    /// With a cache.
    Edge,
}

impl Kind {
    fn role(self) -> &'static str {
        match self {
            Kind::Balance => "balance",
            Kind::Edge => "edge",
        }
    }
}

pub async fn run(config: Config, kind: Kind) -> Result<()> {
    #[cfg(unix)]
    node::raise_open_files();
    let options = config.front()?;
    let listeners = Listeners::open(options.handover.as_deref()).await?;
    let metrics = watch::metrics(&config);
    let cache = match kind {
        Kind::Balance => None,
        Kind::Edge => {
            #[cfg(unix)]
            outlive_files_that_are_full();
            let storage = edge::cache::storage::Storage::open(&config.edge_storage()?)?;
            Some(Arc::new(edge::cache::Cache::new(storage, config.edge.caching.cache()?)))
        }
    };
    let purges: Arc<dyn Purges> = match &cache {
        Some(cache) => cache.clone(),
        None => Arc::new(()),
    };
    let tls = options.nodes_ca.as_deref().map(|path| Tls::new(Some(path))).transpose()?;
    let nodes = Nodes::new(tls.clone(), options.balance.active.is_some());
    let heard = Arc::new(Heard::new(purges));
    let discovery = Arc::new(Discovery::new(options.nodes.clone(), nodes.clone(), heard.clone()));
    discovery.inherit(listeners.nodes());
    if !options.announced_nodes {
        discovery.only_hear();
    }
    let mut gate = edge::admit::Gate::new(&options.guard)?;
    let kept = cache.clone();
    let mut shields = None;
    if kind == Kind::Edge {
        let own = [options.http.as_slice(), options.https.as_slice()].concat();
        let addresses = config.edge_shields(&own)?;
        let seal = (!options.secret.is_empty()).then(|| Seal::new(&options.secret));
        gate = gate.among_edges(heard.own(), seal.clone());
        shields = seal
            .filter(|_| !addresses.is_empty())
            .map(|seal| Arc::new(Shields::new(&addresses, tls, seal, heard.clone())));
    }
    let balance = Balance::new(options.balance.clone());
    let mut front = Front::new(gate, nodes, balance, cache);
    if kind == Kind::Edge {
        front = front.among_edges(heard.clone(), shields.clone());
    }
    let front = Arc::new(front);
    if let Some(shields) = shields {
        tokio::spawn(shields.watch());
    }
    tokio::spawn(check::run(front.clone()));
    let (stop, stopped) = signals::channel(false);
    let signalled = stop.clone();
    tokio::spawn(async move {
        node::signal().await;
        tracing::info!("stopping");
        signalled.send_replace(true);
    });
    if let Some(log) = front.gate.access_log.clone() {
        tokio::spawn(node::each_hangup(move || log.reopen()));
    }
    let log = front.gate.access_log.clone();
    let looks = discovery.clone();
    let dns = options.dns.clone();
    tokio::spawn(async move { looks.run(dns, std::future::pending()).await });
    let parts = Parts { config: &config, kind, front: front.clone(), discovery, heard, metrics };
    parts.control(&options, &listeners, &stopped).await?;
    let bound = |urls: &[String]| {
        for url in urls {
            println!("Pando {} answers at {url}", env!("CARGO_PKG_VERSION"));
        }
    };
    edge::serve(&options, listeners, front, bound, &stop).await?;
    if let Some(log) = log {
        tokio::task::spawn_blocking(move || log.flush()).await?;
    }
    if let Some(cache) = kept {
        // What lies on disk is listed for the successor.
        tokio::task::spawn_blocking(move || cache.storage.close()).await?;
    }
    Ok(())
}

/// What the control API is made of.
struct Parts<'a> {
    config: &'a Config,
    kind: Kind,
    front: Arc<Front>,
    discovery: Arc<Discovery>,
    heard: Arc<Heard>,
    metrics: Option<Metrics>,
}

impl Parts<'_> {
    /// Begins to answer on the control addresses, to the end of the process: that it is about to end is among what they
    /// are there to tell. Once a successor serves, they are its own.
    async fn control(
        self,
        options: &Options,
        listeners: &Listeners,
        stopping: &signals::Receiver<bool>,
    ) -> Result<()> {
        let authorization = control::bearer(&options.secret).map_err(anyhow::Error::msg)?;
        let doors = match self.config.bus.url.is_empty() {
            true => None,
            false => Some(Doors::open(self.config, self.heard.own()).await?),
        };
        if let Some(doors) = doors.clone() {
            let (discovery, heard) = (self.discovery.clone(), self.heard.clone());
            tokio::spawn(async move {
                if let Err(error) = doors.run(discovery, heard).await {
                    tracing::error!("nodes that announce themselves on the bus are not heard: {error}");
                }
            });
        }
        let asked = doors.clone();
        let passes: Arc<dyn Passes> = match (options.peers.is_empty(), doors) {
            (false, _) => Arc::new(Peers::new(options.peers.clone(), authorization.clone())),
            (true, Some(doors)) => doors,
            (true, None) => Arc::new(()),
        };
        if let Some(metrics) = self.metrics.clone() {
            tokio::spawn(metrics.run());
        }
        let pulse = Pulse::begin(self.config, self.metrics.clone());
        let metrics = self.metrics;
        let control = Arc::new(Control {
            authorization,
            discovery: self.discovery,
            front: self.front,
            heard: self.heard,
            passes,
            deeds: Deeds::default(),
            figures: Box::new(move || {
                let metrics = metrics.clone();
                Box::pin(async move { Some(metrics?.render().await) })
            }),
            pulse: Box::new(move || pulse.tell()),
            stopping: stopping.clone(),
            name: self.config.node_name(),
            role: self.kind.role(),
            version: env!("CARGO_PKG_VERSION"),
            zone: self.config.node.zone.clone(),
            region: self.config.node.region.clone(),
        });
        if let Some(asked) = asked {
            let control = control.clone();
            tokio::spawn(async move {
                if let Err(error) = asked.answer_status(control).await {
                    tracing::error!("nobody on the bus is told of this front door: {error}");
                }
            });
        }
        for address in &options.control {
            let listener = listeners.listen(*address).context("front.control")?;
            tracing::info!("control: http://{}", listener.local_addr()?);
            let served = control::serve(TcpListener::from_std(listener)?, control.clone());
            let handed_on = listeners.handed_on();
            tokio::spawn(async move {
                tokio::select! {
                    _ = served => {}
                    () = handed_on => {}
                }
            });
        }
        Ok(())
    }
}

/// A file that may not grow any further is an error of the write, as a full disk is, and not the end of the process.
#[cfg(unix)]
fn outlive_files_that_are_full() {
    let number = rustix::process::Signal::XFSZ.as_raw();
    // What is installed by this stays.
    if let Err(error) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(number)) {
        tracing::debug!(%error, "the signal of files that are full ends this process");
    }
}
