//! One connection to a node: bytes out, bytes in, driven by the request that has it.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use base::limits::{FRONT_READ_BYTES, FRONT_READ_BYTES_MAX};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::client::TlsStream;

use super::node::Counted;

pub enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

pub struct Connection {
    pub stream: Stream,
    /// Read and not yet understood.
    pub buffer: BytesMut,
    /// Written by whoever sends; kept for the next one.
    pub out: Vec<u8>,
    /// Rests on a moment that is behind the last one asked for, as moving it forward costs next to nothing.
    timer: Pin<Box<Sleep>>,
    /// Since when nobody has it.
    pub idle_since: Instant,
    /// Counted among its node's connections, and among those that nobody has.
    pub(super) open: Option<Counted>,
    pub(super) idle: Option<Counted>,
}

impl Connection {
    pub fn new(stream: Stream) -> Connection {
        Connection {
            stream,
            buffer: BytesMut::with_capacity(FRONT_READ_BYTES),
            out: Vec::new(),
            timer: Box::pin(tokio::time::sleep(Duration::from_secs(1))),
            idle_since: Instant::now(),
            open: None,
            idle: None,
        }
    }

    /// Whether the node has neither closed it nor sent what nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let stream = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Secure(stream) => stream.get_ref().0,
        };
        // A byte that is taken away here does no harm, as the connection is dropped then.
        let read = stream.try_read(&mut [0; 1]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Wakes the task at that moment, or soon after.
    pub fn wake_at(&mut self, moment: Instant) {
        self.timer.as_mut().reset(moment.into());
    }

    pub fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(context)
    }

    /// Reads once, up to `most` bytes; 0 is the connection's end.
    pub fn poll_fill(&mut self, context: &mut Context<'_>, is_long: bool) -> Poll<io::Result<usize>> {
        let spare = self.buffer.capacity() - self.buffer.len();
        if spare < FRONT_READ_BYTES / 2 {
            self.buffer.reserve(if is_long { FRONT_READ_BYTES_MAX } else { FRONT_READ_BYTES });
        }
        let read = self.stream.read_buf(&mut self.buffer);
        pin!(read).poll(context)
    }

    /// Writes what is in `out` from `at` on.
    pub fn poll_flush(&mut self, at: &mut usize, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while *at < self.out.len() {
            let rest = self.out.get(*at..).unwrap_or_default();
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *at += written;
        }
        match &mut self.stream {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
