//! One thread of the front door: accepts, serves, and ends without leaving a request unanswered.

use std::io;
use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::Phase;
use super::connection::{self, Door};
use super::https::Https;
use super::line::{Held, Line};
use crate::front::{Front, Origin};
use crate::upstream::Pool;

/// What all threads share.
#[derive(Clone)]
pub struct Shared {
    pub front: Arc<Front>,
    pub phase: watch::Receiver<Phase>,
    /// A place for each connection.
    pub slots: Arc<Semaphore>,
    pub https: Https,
    /// A successor accepts on the same sockets.
    pub relieved: Arc<AtomicBool>,
}

/// Where clients come in.
pub struct Entrance {
    pub listener: Listener,
    /// None for clients without encryption.
    pub tls: Option<TlsAcceptor>,
}

impl Entrance {
    pub fn try_clone(&self) -> io::Result<Entrance> {
        Ok(Entrance { listener: self.listener.try_clone()?, tls: self.tls.clone() })
    }
}

/// Serves until the phase is [`Phase::Ending`] or, once nothing is accepted any more, until the last connection ended.
pub async fn run(entrances: Vec<Entrance>, shared: Shared) -> io::Result<()> {
    let origin = Origin { front: shared.front.clone(), pool: Arc::new(Pool::default()) };
    let mut phase = shared.phase.clone();
    let draining = AtomicBool::new(false);
    let door = Arc::new(Door { origin, phase: shared.phase.clone(), draining, https: shared.https.clone() });
    let (open, mut all_ended) = mpsc::channel::<()>(1);
    let mut accepting = tokio::task::JoinSet::new();
    for Entrance { listener, tls } in entrances {
        let listener = TcpListener::from_std(listener)?;
        let accept = Accept { door: door.clone(), tls, shared: shared.clone(), open: open.clone() };
        accepting.spawn(accept.run(listener));
    }
    drop(open);
    while accepting.join_next().await.is_some() {}
    // Nobody sends: it ends when the last connection has dropped its end.
    let cut = async {
        let _ = phase.wait_for(|phase| *phase == Phase::Ending).await;
        tokio::time::sleep(Duration::from_millis(limits::FRONT_LAST_MS)).await;
    };
    tokio::select! {
        _ = all_ended.recv() => {}
        () = cut => tracing::warn!("open requests were cut off at the end of the time to drain"),
    }
    Ok(())
}

struct Accept {
    door: Arc<Door>,
    tls: Option<TlsAcceptor>,
    shared: Shared,
    open: mpsc::Sender<()>,
}

impl Accept {
    async fn run(self, listener: TcpListener) {
        let mut phase = self.door.phase.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => break,
            };
            match accepted {
                Some(Ok((stream, peer, held))) => self.serve(stream, peer, held),
                // Out of descriptors, or a peer that left while it waited: neither is a reason to end.
                Some(Err(error)) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS)).await;
                }
                None => break,
            }
        }
        self.door.draining.store(true, Ordering::Relaxed);
        if !self.shared.relieved.load(Ordering::Relaxed) {
            self.last(listener);
        }
    }

    /// A place first, so that who finds none waits where it costs nothing.
    async fn next(&self, listener: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr, Held)>> {
        let slot = self.shared.slots.clone().acquire_owned().await.ok()?;
        let accepted = listener.accept().await;
        Some(accepted.map(|(stream, peer)| (stream, peer, Held::new(slot, self.open.clone()))))
    }

    /// Who was already connected is still served.
    fn last(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        // As many as can have waited: who comes faster than that would keep it from ending.
        for _ in 0..limits::FRONT_BACKLOG_MAX {
            let Ok(slot) = self.shared.slots.clone().try_acquire_owned() else { break };
            let Ok((stream, peer)) = listener.accept() else { break };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.serve(stream, peer, Held::new(slot, self.open.clone()));
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, held: Held) {
        let Some(line) = Line::admit(stream, peer, &self.door.origin.front, held) else { return };
        let door = self.door.clone();
        match self.tls.clone() {
            Some(tls) => drop(tokio::spawn(connection::serve_secure(line, peer, door, tls))),
            None => drop(tokio::spawn(connection::serve(line, peer, door))),
        }
    }
}
