//! The sockets that a front door listens on: its predecessor's, the service manager's, or its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use base::limits;
use parking_lot::Mutex;
use tokio::net::TcpSocket;
use tokio::sync::watch;

use crate::handover::{Estate, Post, Predecessor};

/// Whoever listens on behalf of the front door asks here, so that all its sockets are handed on together.
#[derive(Default)]
pub struct Listeners {
    /// Where a predecessor is found, and a successor finds this process.
    path: Option<PathBuf>,
    /// Taken over, and not yet asked for.
    inherited: Mutex<Vec<TcpListener>>,
    /// A copy of each that is in use.
    in_use: Mutex<Vec<TcpListener>>,
    predecessor: Mutex<Option<Predecessor>>,
    /// Whom the predecessor asks.
    nodes: Vec<String>,
    handed_on: watch::Sender<bool>,
}

impl Listeners {
    /// Takes over the sockets of the process that is reached at `path`, if there is one, and those of the service manager.
    pub async fn open(path: Option<&Path>) -> io::Result<Listeners> {
        let mut listeners = Listeners { path: path.map(Path::to_owned), ..Listeners::default() };
        let mut inherited = activated();
        if let Some(path) = listeners.path.clone() {
            let found = tokio::task::spawn_blocking(move || Predecessor::find(&path)).await;
            if let Some(Estate { predecessor, listeners: theirs, nodes }) =
                found.map_err(io::Error::other)??
            {
                tracing::info!("taking over {} listening sockets and {} nodes", theirs.len(), nodes.len());
                *listeners.predecessor.lock() = Some(predecessor);
                listeners.nodes = nodes;
                inherited.extend(theirs);
            }
        }
        *listeners.inherited.lock() = inherited;
        Ok(listeners)
    }

    /// The socket that listens at that address: one that was taken over, or a new one. It does not block.
    pub fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let mut inherited = self.inherited.lock();
        let there =
            inherited.iter().position(|listener| listener.local_addr().is_ok_and(|theirs| theirs == address));
        let listener = match there {
            Some(there) => inherited.swap_remove(there),
            None => bind(address)?,
        };
        listener.set_nonblocking(true)?;
        let mut in_use = self.in_use.lock();
        if in_use.len() >= limits::FRONT_LISTENERS_MAX {
            return Err(io::Error::other(format!(
                "a front door listens on {} addresses at most",
                limits::FRONT_LISTENERS_MAX
            )));
        }
        in_use.push(listener.try_clone()?);
        Ok(listener)
    }

    /// The addresses of the nodes that the process before this one asks.
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Whether another process serves until this one does.
    pub fn succeeds(&self) -> bool {
        self.predecessor.lock().is_some()
    }

    /// Completes when a successor accepts on these sockets: nobody else does from then on.
    pub fn handed_on(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut handed_on = self.handed_on.subscribe();
        async move {
            if handed_on.wait_for(|done| *done).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Tells the predecessor that its place is taken, and waits for a successor of this process in turn, which is told what
    /// `nodes` says then. Completes when one serves: never, where there is none. What is dropped before it completes leaves no socket open.
    pub async fn relieved(self, nodes: impl Fn() -> Vec<String>) -> io::Result<()> {
        let in_use = self.in_use.into_inner();
        let Some(path) = self.path else {
            drop(in_use);
            return std::future::pending().await;
        };
        drop(self.inherited);
        if let Some(predecessor) = self.predecessor.into_inner() {
            let relieved = tokio::task::spawn_blocking(|| predecessor.relieve()).await;
            if let Err(error) = relieved.map_err(io::Error::other)? {
                tracing::warn!(%error, "the process before this one does not say that it stops");
            }
        }
        Post::take(&path)?.relieved(in_use, nodes).await?;
        self.handed_on.send_replace(true);
        Ok(())
    }
}

/// An address may be taken again at once after a process on it ended, however many of its connections are remembered.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(limits::FRONT_BACKLOG_MAX)?.into_std()
    };
    bound().map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"))
    })
}

/// What a service manager such as systemd opened for this process (`LISTEN_FDS`).
fn activated() -> Vec<TcpListener> {
    let mut given = listenfd::ListenFd::from_env();
    let numbers = 0..given.len();
    numbers.filter_map(|number| given.take_tcp_listener(number).ok().flatten()).collect()
}
