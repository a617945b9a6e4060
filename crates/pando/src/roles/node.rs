//! What `pando serve` and `pando web` have in common: the API, with jobs and crons beside it, until it is told to stop.

use std::time::Duration;

use anyhow::{Context, Result};
use edge::announce::Purge;
use observe::{Host, Metrics, RequestLog};
use tokio::sync::watch::{self as signals};
use web::Watch;

use super::membership::Membership;
use super::{attend, follow, greet, watch, work};
use crate::assemble::{self, Purpose};
use crate::config::Config;

pub async fn run(config: &Config, purpose: Purpose, log: RequestLog) -> Result<()> {
    #[cfg(unix)]
    raise_open_files();
    let metrics = watch::metrics(config);
    let mut bound = Bound::default();
    // A restored backup is opened as at any other start, but the address is kept: who comes meanwhile waits.
    while once(config, purpose, metrics.clone(), &log, &mut bound).await? == Ended::Restart {
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
    log: &RequestLog,
    bound: &mut Bound,
) -> Result<Ended> {
    let assembled = assemble::open(config, purpose).await?;
    let listener = bound.api.listen(&config.listen_address()).await?;
    let address = listener.local_addr().context("cannot tell the address")?;

    let (stop, stopped) = signals::channel(false);
    follow::by_settings(log, &assembled.parts);
    let log = log.clone();
    let membership = Membership::begin(&assembled, log.clone());
    let log_task = tokio::spawn(log.clone().run(assembled.log_sink(), ended(stopped.clone())));
    let (last_entries, no_more_entries) = signals::channel(false);
    let sending = assembled.send_logs(ended(no_more_entries));
    let work = work::begin(config, &assembled, purpose, &stopped).await?;
    let sweep_task = tokio::spawn(app::nodes::sweep(assembled.parts.store.clone(), ended(stopped.clone())));

    let events = app::realtime::dispatch::run(assembled.parts.clone(), ended(stopped.clone()));
    let realtime_task = tokio::spawn(events);

    let messages = app::realtime::messages::run(assembled.parts.clone(), ended(stopped.clone()));
    let messages_task = tokio::spawn(messages);
    let warm_task = tokio::spawn(app::caching::warm::run(assembled.parts.clone(), ended(stopped.clone())));

    let active_task =
        tokio::spawn(app::insights::active::run(assembled.parts.clone(), ended(stopped.clone())));
    let attend = attend::run(
        config.dir.clone(),
        assembled.parts.clone(),
        assembled.log_store.clone(),
        ended(stopped.clone()),
    );
    let attend_task = tokio::spawn(attend);

    if let Some(metrics) = &metrics {
        metrics.set_sampler(assembled.sampler());
        assembled.parts.system.observe(metrics.clone());
    }
    let host = Host::of(config.dir.clone());
    let eyes_task = tokio::spawn(app::system::run(assembled.parts.clone(), host, ended(stopped.clone())));
    let watch = Watch { health: assembled.health(), metrics };
    let health = watch.health.clone();
    let role = if purpose == Purpose::Web { "web" } else { "serve" };
    let watch_task = bound.watch.watch(config, &watch, role).await?;
    greet::greet(config, &assembled, address).await?;
    let invite_task = tokio::spawn(greet::invite(config.clone(), assembled.parts.clone(), address));
    let telling = assembled
        .announcer
        .as_ref()
        .map(|announcer| announcer.begin(&assembled.parts, Some(address)))
        .transpose()?;
    if purpose == Purpose::Serve {
        // While it was away, others may have written to what is its alone otherwise.
        assembled.parts.outside.anything(false);
    }
    let site = web::Site {
        public: public(config)?,
        dashboard: config.dashboard.then(web::Dashboard::default),
        behind: config.behind()?,
    };
    let state = web::State::new(assembled.parts.clone(), log, site, watch);
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
            if let Some(telling) = &telling {
                telling.leave().await;
            }
            tokio::time::sleep(Duration::from_millis(config.drain_ms)).await;
            bound.api.release();
        }
    };
    web::server::serve(listener, state, router, stopping).await?;

    tracing::info!("stopping");
    let _ = stop.send(true);
    let _ = invite_task.await;
    let _ = realtime_task.await;
    let _ = messages_task.await;
    let _ = attend_task.await;
    let _ = warm_task.await;
    let _ = active_task.await;
    let _ = sweep_task.await;
    let _ = eyes_task.await;
    work.ended().await;
    let _ = log_task.await;
    let _ = last_entries.send(true);
    if let Some(sending) = sending {
        let _ = sending.await;
    }
    assembled.drain_logs().await;
    membership.end(&assembled).await;
    assembled.close().await;
    if let Some(telling) = telling {
        if ended_by == Ended::Restart {
            // What was restored is other than what was told of.
            telling.purge(Purge::anything());
        }
        telling.end().await;
    }
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
pub(super) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
}

pub(super) async fn ended(mut stopped: signals::Receiver<bool>) {
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

/// Does it at each SIGHUP, by which programs that rotate logs say that files have new names.
pub(super) async fn each_hangup(work: impl Fn() + Send) {
    #[cfg(unix)]
    if let Ok(mut hangups) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        while hangups.recv().await.is_some() {
            work();
        }
    }
    #[cfg(not(unix))]
    let _ = work;
}
