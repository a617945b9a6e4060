//! `pando worker`: does the jobs of web nodes, and what is due by schedules. It answers nothing but how it is doing.

use anyhow::{Result, bail};
use observe::{Host, RequestLog};
use tokio::sync::watch as signals;
use web::Watch;

use super::membership::Membership;
use super::node::{ended, signal};
use super::{follow, watch, work};
use crate::assemble::{self, Purpose};
use crate::config::Config;

/// Where it tells how it is doing, unless the configuration says where.
const ADDRESS: &str = "127.0.0.1:9090";

pub async fn run(mut config: Config, log: RequestLog) -> Result<()> {
    if config.data.url.is_empty() {
        bail!(
            "a worker does the jobs of web nodes, and works on the PostgreSQL that they share: name it with \
             --data postgres://USER:PASSWORD@HOST/DATABASE, or PANDO_DATA, or data.url in pando.toml. On SQLite \
             `pando serve` does all of this itself"
        );
    }
    if config.observe.http.is_empty() {
        config.observe.http = ADDRESS.into();
    }
    #[cfg(unix)]
    super::node::raise_open_files();
    let metrics = watch::metrics(&config);
    let assembled = assemble::open(&config, Purpose::Worker).await?;
    let (stop, stopped) = signals::channel(false);
    follow::by_settings(&log, &assembled.parts);
    let membership = Membership::begin(&assembled, log.clone());
    let log_task = tokio::spawn(log.run(assembled.log_sink(), ended(stopped.clone())));
    let (last_entries, no_more_entries) = signals::channel(false);
    let sending = assembled.send_logs(ended(no_more_entries));
    let sweep = tokio::spawn(app::nodes::sweep(assembled.parts.store.clone(), ended(stopped.clone())));
    if let Some(metrics) = &metrics {
        metrics.set_sampler(assembled.sampler());
        assembled.parts.system.observe(metrics.clone());
    }
    let host = Host::of(config.dir.clone());
    let eyes = tokio::spawn(app::system::run(assembled.parts.clone(), host, ended(stopped.clone())));
    let watch = Watch { health: assembled.health(), metrics };
    let health = watch.health.clone();
    let mut bound = watch::Kept::default();
    let watching = bound.watch(&config, &watch, "worker").await?;
    let work = work::begin(&config, &assembled, Purpose::Worker, &stopped).await?;
    let telling =
        assembled.announcer.as_ref().map(|announcer| announcer.begin(&assembled.parts, None)).transpose()?;
    println!("Pando {} works on {}", env!("CARGO_PKG_VERSION"), assembled.place);

    signal().await;
    tracing::info!("stopping");
    health.stop();
    let _ = stop.send(true);
    work.ended().await;
    let _ = sweep.await;
    let _ = eyes.await;
    let _ = log_task.await;
    let _ = last_entries.send(true);
    if let Some(sending) = sending {
        let _ = sending.await;
    }
    membership.end(&assembled).await;
    assembled.close().await;
    if let Some(telling) = telling {
        telling.end().await;
    }
    drop(watching);
    Ok(())
}
