//! Connections in, answers out: one thread for each processor, each with a runtime and connections to nodes of its own, so
//! that nothing is handed from one to another.

mod listeners;

mod worker;

mod connection;

mod https;

mod line;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::limits;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::acme::{self, Challenges};
use crate::front::Front;
use crate::options::Options;
use crate::tls::{self, Certificates};
use https::Https;
pub use listeners::Listeners;
use worker::{Entrance, Shared};

/// How far a front door is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// It accepts nobody, and each connection's next answer is its last.
    Draining,
    /// Whoever is idle is closed, and what is under way is cut off soon.
    Ending,
}

/// Serves until `stop` is true or a successor took over, which makes it true, then lets open requests finish for a while. Tells
/// the URLs when it answers there. Whoever else listens for this front door has asked `listeners` before.
pub async fn serve(
    options: &Options,
    listeners: Listeners,
    front: Arc<Front>,
    bound: impl FnOnce(&[String]),
    stop: &watch::Sender<bool>,
) -> io::Result<()> {
    let certificates = certificates(options)?;
    let mut entrances = Vec::new();
    let mut urls = Vec::new();
    let tls = match &certificates {
        Some(certificates) => {
            Some(tls::config(&options.tls, certificates.clone()).map_err(io::Error::other)?)
        }
        None => None,
    };
    let plain = options.http.iter().map(|address| (address, None));
    let secure = options.https.iter().map(|address| (address, tls.clone().map(TlsAcceptor::from)));
    for (address, tls) in plain.chain(secure) {
        let listener = listeners.listen(*address)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        urls.push(format!("{scheme}://{}", listener.local_addr()?));
        entrances.push(Entrance { listener, tls });
    }
    if listeners.succeeds() {
        // Until then the process before this one answers.
        front.first_node().await;
    }
    let mut background = JoinSet::new();
    let hangup = signal(SignalKind::hangup())?;
    match certificates {
        Some(certificates) => background.spawn(certificates.watch(hangup)),
        None => background.spawn(ignore(hangup)),
    };
    let (turn, phase) = watch::channel(Phase::Serving);
    let challenges = options.acme.as_ref().map(|acme| Challenges::in_dir(&acme.dir));
    let port = options.https.first().map(SocketAddr::port).filter(|_| options.https_redirect);
    let shared = Shared {
        front,
        phase,
        slots: Arc::new(Semaphore::new(limits::FRONT_CONNECTIONS_MAX)),
        https: Https::new(challenges, port),
        relieved: Arc::default(),
    };
    let relieved = shared.relieved.clone();
    let front = shared.front.clone();
    let nodes = move || front.nodes.load().iter().map(|node| node.address.clone()).collect();
    let ends = start(options.threads, entrances, &shared)?;
    bound(&urls);
    if let Some(acme) = options.acme.clone() {
        background.spawn(acme::run(acme));
    }
    tokio::select! {
        served = listeners.relieved(nodes) => {
            if let Err(error) = served {
                tracing::error!(%error, "no successor can take over from this process");
                let _ = stop.subscribe().wait_for(|stop| *stop).await;
            } else {
                tracing::info!("a successor serves");
                relieved.store(true, Ordering::Relaxed);
                stop.send_replace(true);
            }
        }
        _ = wait_for(stop.subscribe()) => {}
    }
    let drained = drain(turn, Duration::from_millis(options.drain_ms));
    let all = async {
        for end in ends {
            end.await.map_err(|_| io::Error::other("a thread of the front door panicked"))??;
        }
        Ok(())
    };
    tokio::select! {
        ended = all => ended,
        () = drained => Ok(()),
    }
}

/// None when nobody is encrypted.
fn certificates(options: &Options) -> io::Result<Option<Arc<Certificates>>> {
    if options.https.is_empty() {
        return Ok(None);
    }
    let later = options.acme.iter().map(acme::Options::pair).collect();
    let certificates = Certificates::load(options.tls.clone(), later).map_err(io::Error::other)?;
    if certificates.is_empty() {
        tracing::warn!("there is no certificate yet: encrypted connections are refused");
    }
    Ok(Some(Arc::new(certificates)))
}

/// One thread for each processor, or as many as are wanted. What is returned completes when they end.
fn start(
    threads: usize,
    entrances: Vec<Entrance>,
    shared: &Shared,
) -> io::Result<Vec<oneshot::Receiver<io::Result<()>>>> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let mut ends = Vec::new();
    for number in 0..threads {
        let own = entrances.iter().map(Entrance::try_clone).collect::<io::Result<Vec<_>>>()?;
        let shared = shared.clone();
        let (ended, end) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("front-{number}")).spawn(move || {
            let done = runtime.block_on(worker::run(own, shared));
            let _ = ended.send(done);
        })?;
        ends.push(end);
    }
    Ok(ends)
}

/// Without certificates there is nothing to read again. Not to listen would end the process.
async fn ignore(mut hangup: Signal) {
    while hangup.recv().await.is_some() {}
}

/// Completes when it is true.
async fn wait_for(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Goes through the phases of the end; never completes, as the threads end before that.
async fn drain(turn: watch::Sender<Phase>, drain: Duration) {
    let _ = turn.send(Phase::Draining);
    tokio::time::sleep(drain).await;
    let _ = turn.send(Phase::Ending);
    std::future::pending().await
}
