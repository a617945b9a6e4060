//! Event streams take their connection over from the HTTP library, whose buffers cost more than a quiet client
//! needs. From there on a stream is a socket, a small task and what waits to be written.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use app::realtime::{Message, Stream};
use axum::body::Body;
use axum::http::{Response, Version, header};
use base::Timestamp;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A stream on its way from its handler to its connection, in the response's extensions.
#[derive(Clone)]
pub struct Handover(Arc<Mutex<Option<Stream>>>);

impl Handover {
    pub fn new(stream: Stream) -> Self {
        Handover(Arc::new(Mutex::new(Some(stream))))
    }

    fn take(self) -> Option<Stream> {
        self.0.lock().take()
    }
}

/// What ends the HTTP library's part in a connection that is handed over.
#[derive(Debug, thiserror::Error)]
#[error("the connection carries events now")]
pub struct HandedOver;

/// Where a connection's socket and its stream meet.
#[derive(Clone, Default)]
pub struct Line(Arc<Mutex<Option<Taken>>>);

struct Taken {
    head: Bytes,
    stream: Stream,
    chunked: bool,
    socket: Option<TcpStream>,
}

impl Line {
    /// The socket for the HTTP library, which leaves it here when it is through with it.
    pub fn socket(&self, socket: TcpStream) -> Socket {
        Socket { socket: Some(socket), line: self.clone() }
    }

    /// Keeps the stream that a response starts, if it does.
    pub fn take(&self, response: &mut Response<Body>, version: Version, now: Timestamp) -> bool {
        let handover = response.extensions_mut().remove::<Handover>();
        let Some(stream) = handover.and_then(Handover::take) else { return false };
        let chunked = version >= Version::HTTP_11;
        let head = head(response, chunked, now);
        *self.0.lock() = Some(Taken { head, stream, chunked, socket: None });
        true
    }

    /// The stream's own life, once the HTTP library is through.
    pub fn carried(&self) -> Option<impl Future<Output = ()> + use<>> {
        let taken = self.0.lock().take()?;
        let mut carried = Carried {
            socket: taken.socket?,
            pending: greeting(taken.head, &taken.stream, taken.chunked),
            stream: taken.stream,
            chunked: taken.chunked,
            over: false,
        };
        Some(poll_fn(move |context| carried.poll(context)))
    }
}

/// A socket that survives the HTTP library where a stream goes on with it.
pub struct Socket {
    socket: Option<TcpStream>,
    line: Line,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(taken) = &mut *self.line.0.lock() {
            taken.socket = self.socket.take();
        }
    }
}

impl Socket {
    fn inner(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner()?.poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(TcpStream::is_write_vectored)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner()?.poll_write_vectored(context, parts)
    }
}

struct Carried {
    socket: TcpStream,
    stream: Stream,
    pending: Bytes,
    chunked: bool,
    /// The last bytes are on their way.
    over: bool,
}

impl Carried {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.stream.poll_abandoned(context) || self.poll_left(context) {
            return Poll::Ready(());
        }
        loop {
            while self.pending.has_remaining() {
                match ready!(Pin::new(&mut self.socket).poll_write(context, &self.pending)) {
                    Ok(written) if written > 0 => self.pending.advance(written),
                    _ => return Poll::Ready(()),
                }
            }
            // What was written must not keep its memory.
            self.pending = Bytes::new();
            if self.over {
                return Poll::Ready(());
            }
            match ready!(self.stream.poll(context)) {
                Some(messages) => self.pending = chunk(frames(self.stream.id(), &messages), self.chunked),
                None => {
                    self.over = true;
                    self.pending = Bytes::from_static(if self.chunked { b"0\r\n\r\n" } else { b"" });
                }
            }
        }
    }

    /// Whether the client has gone. What it says on a stream is nobody's business.
    fn poll_left(&mut self, context: &mut Context<'_>) -> bool {
        let mut ignored = [0; 64];
        loop {
            let mut into = ReadBuf::new(&mut ignored);
            match Pin::new(&mut self.socket).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {}
                Poll::Ready(_) => return true,
                Poll::Pending => return false,
            }
        }
    }
}

fn head(response: &Response<Body>, chunked: bool, now: Timestamp) -> Bytes {
    let mut head = BytesMut::with_capacity(512);
    head.put_slice(if chunked { b"HTTP/1.1 200 OK\r\n" } else { b"HTTP/1.0 200 OK\r\n" });
    // The router knows a body that is empty, and not what follows it.
    for (name, value) in response.headers().iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.put_slice(part);
        }
    }
    if chunked {
        head.put_slice(b"transfer-encoding: chunked\r\n");
    }
    let date = now.civil().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for part in ["connection: close\r\ndate: ", &date, "\r\n\r\n"] {
        head.put_slice(part.as_bytes());
    }
    head.freeze()
}

/// The head and the first event, which tells the client its id.
fn greeting(head: Bytes, stream: &Stream, chunked: bool) -> Bytes {
    let data = format!("{{\"clientId\":\"{}\"}}", stream.id()).into();
    let first = frames(stream.id(), &[Message { topic: "PB_CONNECT".into(), data }]);
    [head, chunk(first, chunked)].concat().into()
}

fn chunk(frames: BytesMut, chunked: bool) -> Bytes {
    if !chunked {
        return frames.freeze();
    }
    let size = format!("{:x}\r\n", frames.len());
    let mut chunk = BytesMut::with_capacity(size.len() + frames.len() + 2);
    for part in [size.as_bytes(), &frames, b"\r\n"] {
        chunk.put_slice(part);
    }
    chunk.freeze()
}

/// The SDKs learn their client's id from the first event's id, and every event carries it.
fn frames(id: &str, messages: &[Message]) -> BytesMut {
    let size = |message: &Message| id.len() + message.topic.len() + message.data.len() + 20;
    let mut out = BytesMut::with_capacity(messages.iter().map(size).sum());
    for message in messages {
        for part in ["id:", id, "\nevent:"] {
            out.put_slice(part.as_bytes());
        }
        // A line break would end the line, and let a topic speak for the server.
        for part in message.topic.split(['\n', '\r']) {
            out.put_slice(part.as_bytes());
        }
        out.put_slice(b"\ndata:");
        out.put_slice(&message.data);
        out.put_slice(b"\n\n");
    }
    out
}
