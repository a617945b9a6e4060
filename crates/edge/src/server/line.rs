//! One client's connection, below TLS and HTTP: who is let in, what is counted while it is open, and every byte of it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::front::Front;
use crate::limits;
use crate::slow::{Pace, Watch};

/// What a connection occupies until it is closed, also after an upgrade took it from HTTP.
pub struct Held {
    /// Its place among all connections.
    _slot: OwnedSemaphorePermit,
    /// Whoever waits for the last connection to end waits for this.
    _open: mpsc::Sender<()>,
}

impl Held {
    pub fn new(slot: OwnedSemaphorePermit, open: mpsc::Sender<()>) -> Held {
        metrics::gauge!("pando_front_connections").increment(1);
        Held { _slot: slot, _open: open }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        metrics::gauge!("pando_front_connections").decrement(1);
    }
}

/// An accepted connection. Whatever speaks with the client speaks through it.
pub struct Line {
    stream: TcpStream,
    watch: Watch,
    _held: Held,
    /// Its client's place among its own.
    _client: limits::Held,
}

impl Line {
    /// None when this client is not let in: the connection is closed without a word.
    pub fn admit(stream: TcpStream, peer: SocketAddr, front: &Front, held: Held) -> Option<Line> {
        let _client = front.gate.connect(peer.ip())?;
        let _ = stream.set_nodelay(true);
        Some(Line { stream, watch: front.gate.watch(), _held: held, _client })
    }

    /// Where HTTP tells of requests.
    pub fn pace(&self) -> Arc<Pace> {
        self.watch.pace.clone()
    }

    /// Looks at what comes first and leaves it there.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buffer).await
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch.read(polled, context)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch.write(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch.write(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
