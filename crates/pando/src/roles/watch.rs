//! What every role shows of itself: health and figures, on an address of their own when the configuration names one.

use anyhow::{Context, Result};
use observe::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use web::Watch;

use crate::config::Config;

/// Begins to keep figures, unless the configuration wants none.
pub fn metrics(config: &Config) -> Option<Metrics> {
    if !config.observe.metrics {
        return None;
    }
    let installed = observe::metrics::install();
    installed.inspect_err(|error| tracing::warn!("no figures are kept: {error}")).ok()
}

/// A listener that outlives what answers on it.
#[derive(Default)]
pub struct Kept(Option<std::net::TcpListener>);

impl Kept {
    pub async fn listen(&mut self, address: &str) -> Result<TcpListener> {
        let listener = match &self.0 {
            Some(kept) => kept.try_clone().and_then(TcpListener::from_std),
            None => TcpListener::bind(address).await.and_then(|listener| {
                let listener = listener.into_std()?;
                self.0 = Some(listener.try_clone()?);
                TcpListener::from_std(listener)
            }),
        };
        listener.with_context(|| format!("cannot listen on {address}"))
    }

    /// Gives the address up once nobody answers there any more. Who comes then is refused at once, instead of waiting
    /// for nothing.
    pub fn release(&mut self) {
        self.0 = None;
    }

    /// Answers health and figures until what is returned is dropped: that a process is about to end is what they are
    /// there to tell.
    pub async fn watch(&mut self, config: &Config, watch: &Watch, role: &'static str) -> Result<Tasks> {
        let engine = if config.data.url.is_empty() { "sqlite" } else { "postgres" };
        metrics::gauge!(
            "pando_build_info",
            "version" => env!("CARGO_PKG_VERSION"), "role" => role, "engine" => engine,
            "node" => config.node_name(), "zone" => config.node.zone.clone(),
            "region" => config.node.region.clone()
        )
        .set(1.0);
        let mut tasks = Vec::new();
        if let Some(address) = config.watch_address() {
            let listener = self.listen(&address).await?;
            let address = listener.local_addr().context("cannot tell the address")?;
            tracing::info!("health and metrics: http://{address}/metrics");
            tasks.push(tokio::spawn(web::watch::serve(listener, watch.clone())));
        }
        if let Some(metrics) = watch.metrics.clone() {
            tasks.push(tokio::spawn(metrics.run()));
        }
        Ok(Tasks(tasks))
    }
}

/// Tasks that end when this is dropped.
pub struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
