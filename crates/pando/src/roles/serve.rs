//! `pando serve`: every role in one process.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use app::{Parts, auth};
use base::limits::FOREIGN_CHANGES_MS;
use observe::RequestLog;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::assemble::{self, Assembled, Purpose};
use crate::config::Config;

pub async fn run(config: Config) -> Result<()> {
    #[cfg(unix)]
    raise_open_files();
    let mut listener = None;
    // A restored backup is opened as at any other start, but the address is kept: who comes meanwhile waits.
    while once(&config, &mut listener).await? == Ended::Restart {
        tracing::info!("starting anew");
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Ended {
    Stop,
    Restart,
}

async fn once(config: &Config, bound: &mut Option<std::net::TcpListener>) -> Result<Ended> {
    let assembled = assemble::open(config, Purpose::Serve).await?;
    let address = config.listen_address();
    let listener = match bound {
        Some(bound) => bound.try_clone().and_then(TcpListener::from_std),
        None => TcpListener::bind(&address).await.and_then(|listener| {
            let listener = listener.into_std()?;
            *bound = Some(listener.try_clone()?);
            TcpListener::from_std(listener)
        }),
    };
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().context("cannot tell the address")?;

    let (stop, stopped) = watch::channel(false);
    let log = RequestLog::default();
    log.set_enabled(assembled.parts.settings.load().logs.max_days > 0);
    let log_task = tokio::spawn(log.clone().run(assembled.log_sink(), ended(stopped.clone())));
    let follow_task = tokio::spawn(follow(assembled.parts.clone(), log.clone(), ended(stopped.clone())));
    let jobs = app::jobs::run_all(assembled.parts.clone(), assembled.jobs.clone(), ended(stopped.clone()));
    let jobs_task = tokio::spawn(jobs);
    let crons_task = tokio::spawn(app::crons::keep(assembled.parts.clone(), ended(stopped.clone())));

    let events = app::realtime::dispatch::run(assembled.parts.clone(), ended(stopped.clone()));
    let realtime_task = tokio::spawn(events);

    let attend = super::attend::run(
        config.dir.clone(),
        assembled.parts.clone(),
        assembled.log_store.clone(),
        ended(stopped.clone()),
    );
    let attend_task = tokio::spawn(attend);

    greet(config, &assembled, address).await?;
    let state = web::State::new(assembled.parts.clone(), log, public(config)?);
    let router = web::router(state.clone());
    let restart = assembled.parts.backups.restart.clone();
    let mut ended_by = Ended::Stop;
    let stopping = async {
        tokio::select! {
            () = signal() => {}
            () = restart.notified() => ended_by = Ended::Restart,
        }
    };
    web::server::serve(listener, state, router, stopping).await?;

    tracing::info!("stopping");
    let _ = stop.send(true);
    let _ = realtime_task.await;
    let _ = follow_task.await;
    let _ = attend_task.await;
    let _ = crons_task.await;
    let _ = jobs_task.await;
    let _ = log_task.await;
    assembled.drain_logs().await;
    assembled.close().await;
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

async fn greet(config: &Config, assembled: &Assembled, address: std::net::SocketAddr) -> Result<()> {
    println!("Pando {} serves {}", env!("CARGO_PKG_VERSION"), assembled.place);
    println!("  API: http://{address}/api/");
    if !auth::superuser::any(&assembled.parts).await? {
        let program = std::env::args().next().unwrap_or_else(|| "pando".into());
        let data = match config.data.url.is_empty() {
            true => String::new(),
            false => " --data URL".into(),
        };
        println!("  There is no superuser yet. Make the first one, in another terminal, with:");
        println!("    {program} superuser create EMAIL PASSWORD --dir {}{data}", config.dir.display());
    }
    Ok(())
}

/// Looks for what other processes changed in the same database.
async fn follow(parts: Arc<Parts>, log: RequestLog, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    // What was read at the start, rather than what is there by now: a change in between must not be missed.
    let mut seen = (parts.catalog.schema().version, 0);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(FOREIGN_CHANGES_MS)) => {}
        }
        let version = match foreign_version(&parts).await {
            Ok(version) => version,
            Err(error) => {
                tracing::warn!(%error, "cannot look for changes by other processes");
                continue;
            }
        };
        if version == seen {
            continue;
        }
        // Caches go first: what is read from here on is the new state.
        parts.stamps.expire_all();
        match app::setup::refresh(&parts).await {
            Ok(()) => {
                resync(&parts, seen, version).await;
                seen = version;
            }
            Err(error) => tracing::warn!(%error, "cannot read changes by other processes"),
        }
        log.set_enabled(parts.settings.load().logs.max_days > 0);
    }
}

/// Realtime clients missed what another process wrote; a change of the schema alone may have changed who they are.
async fn resync(parts: &Parts, seen: (u64, u64), now: (u64, u64)) {
    if seen.1 != now.1 {
        return parts.realtime.resync();
    }
    if let Err(error) = app::realtime::standing::recheck(parts).await {
        tracing::warn!(%error, "cannot look realtime callers up");
    }
}

/// Moves whenever another process changed the schema, or wrote to a database that is otherwise ours alone.
async fn foreign_version(parts: &Parts) -> store::Result<(u64, u64)> {
    Ok((parts.store.schema_version().await?, parts.store.external_version()))
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // A dropped sender means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Completes on Ctrl-C or SIGTERM.
async fn signal() {
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
