//! What `pando serve` and `pando web` have in common: the API, with jobs and crons beside it, until it is told to stop.

use std::time::Duration;

use anyhow::{Context, Result};
use observe::{Metrics, RequestLog};
use tokio::sync::watch::{self as signals};
use web::Watch;

use super::{attend, follow, greet, watch};
use crate::assemble::{self, Purpose};
use crate::config::Config;

pub async fn run(config: &Config, purpose: Purpose) -> Result<()> {
    #[cfg(unix)]
    raise_open_files();
    let metrics = watch::metrics(config);
    let mut bound = Bound::default();
    // A restored backup is opened as at any other start, but the address is kept: who comes meanwhile waits.
    while once(config, purpose, metrics.clone(), &mut bound).await? == Ended::Restart {
        tracing::info!("starting anew");
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Ended {
    Stop,
    Restart,
}

/// Addresses that are kept while what answers there is made anew.
#[derive(Default)]
struct Bound {
    api: watch::Kept,
    watch: watch::Kept,
}

async fn once(
    config: &Config,
    purpose: Purpose,
    metrics: Option<Metrics>,
    bound: &mut Bound,
) -> Result<Ended> {
    let assembled = assemble::open(config, purpose).await?;
    let listener = bound.api.listen(&config.listen_address()).await?;
    let address = listener.local_addr().context("cannot tell the address")?;

    let (stop, stopped) = signals::channel(false);
    let log = RequestLog::default();
    log.set_enabled(assembled.parts.settings.load().logs.max_days > 0);
    let log_task = tokio::spawn(log.clone().run(assembled.log_sink(), ended(stopped.clone())));
    let follow_task =
        tokio::spawn(follow::follow(assembled.parts.clone(), log.clone(), ended(stopped.clone())));
    let jobs = app::jobs::run_all(assembled.parts.clone(), assembled.jobs.clone(), ended(stopped.clone()));
    let jobs_task = tokio::spawn(jobs);
    let sweep_task = tokio::spawn(app::nodes::sweep(assembled.parts.store.clone(), ended(stopped.clone())));
    let crons_task = tokio::spawn(app::crons::keep(assembled.parts.clone(), ended(stopped.clone())));

    let events = app::realtime::dispatch::run(assembled.parts.clone(), ended(stopped.clone()));
    let realtime_task = tokio::spawn(events);

    let attend = attend::run(
        config.dir.clone(),
        assembled.parts.clone(),
        assembled.log_store.clone(),
        ended(stopped.clone()),
    );
    let attend_task = tokio::spawn(attend);

    if let Some(metrics) = &metrics {
        metrics.set_sampler(assembled.sampler());
    }
    let watch = Watch { health: assembled.health(), metrics };
    let health = watch.health.clone();
    let role = if purpose == Purpose::Web { "web" } else { "serve" };
    let watch_task = bound.watch.watch(config, &watch, role).await?;
    greet::greet(config, &assembled, address).await?;
    let state = web::State::new(assembled.parts.clone(), log, public(config)?, watch);
    let router = web::router(state.clone());
    let restart = assembled.parts.backups.restart.clone();
    let mut ended_by = Ended::Stop;
    let stopping = async {
        tokio::select! {
            () = signal() => {}
            () = restart.notified() => ended_by = Ended::Restart,
        }
        health.stop();
        if ended_by == Ended::Stop {
            tokio::time::sleep(Duration::from_millis(config.drain_ms)).await;
            bound.api.release();
        }
    };
    web::server::serve(listener, state, router, stopping).await?;

    tracing::info!("stopping");
    let _ = stop.send(true);
    let _ = realtime_task.await;
    let _ = follow_task.await;
    let _ = attend_task.await;
    let _ = sweep_task.await;
    let _ = crons_task.await;
    let _ = jobs_task.await;
    let _ = log_task.await;
    assembled.drain_logs().await;
    assembled.close().await;
    drop(watch_task);
    Ok(ended_by)
}

/// The static files: those that are configured must be there.
fn public(config: &Config) -> Result<Option<web::Public>> {
    let dir = config.public();
    if config.public_dir.as_os_str().is_empty() && !dir.is_dir() {
        return Ok(None);
    }
    let public = web::Public::open(&dir, config.index_fallback);
    public.map(Some).with_context(|| format!("cannot serve the static files of {}", dir.display()))
}

/// Every connection is an open file, and the usual limit is for programs that have few.
#[cfg(unix)]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
}

async fn ended(mut stopped: signals::Receiver<bool>) {
    // A dropped sender means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Completes on Ctrl-C or SIGTERM.
pub(super) async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
