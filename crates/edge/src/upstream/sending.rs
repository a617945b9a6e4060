//! A request on its way to a node. It goes on while the answer is read already: a node may answer early.

use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::HeaderMap;
use hyper::body::Body as _;

use super::connection::Connection;
use super::head::Framing;
use crate::body::{Body, Failure};

pub struct Sending {
    /// So much of the connection's `out` is written.
    at: usize,
    /// What was written before that.
    flushed: u64,
    /// What is still to come after `out`.
    body: Option<Body>,
    framing: Framing,
    /// Bytes that the head has promised and that are not yet taken from the body.
    left: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    #[error("the node stopped reading: {0}")]
    Node(#[from] io::Error),
    #[error("the client's body ended early: {0}")]
    Client(Failure),
}

impl Sending {
    /// The connection's `out` holds the head, and the body too if `body` is None.
    pub fn new(body: Option<Body>, framing: Framing) -> Sending {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Sending { at: 0, flushed: 0, body, framing, left }
    }

    pub fn has_written(&self) -> bool {
        self.at > 0
    }

    /// How far it is, to see whether it moves; None while it waits for the client.
    pub fn written(&self, connection: &Connection) -> Option<u64> {
        (self.at < connection.out.len()).then_some(self.flushed + self.at as u64)
    }

    /// The client's body, if nothing was taken from it.
    pub fn into_body(self) -> Option<Body> {
        self.body
    }

    /// Writes as much as node and client allow. Ready when all is sent.
    pub fn poll(
        &mut self,
        connection: &mut Connection,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            ready!(connection.poll_flush(&mut self.at, context))?;
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
            let frame = ready!(Pin::new(body).poll_frame(context));
            connection.out.clear();
            self.flushed += self.at as u64;
            self.at = 0;
            match frame {
                Some(Err(error)) => return Poll::Ready(Err(Stopped::Client(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => self.data(&data, &mut connection.out)?,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.end(&trailers, &mut connection.out)?;
                        }
                    }
                },
                None => self.end(&HeaderMap::new(), &mut connection.out)?,
            }
        }
    }

    fn data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Stopped> {
        if let Framing::Length(_) = self.framing {
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return Err(Stopped::Client("it is longer than it said".into()));
            };
            self.left = left;
            out.extend_from_slice(data);
            return Ok(());
        }
        let mut size = String::with_capacity(18);
        // A String takes whatever is written.
        let _ = write!(size, "{:x}\r\n", data.len());
        out.extend_from_slice(size.as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn end(&mut self, trailers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Stopped> {
        self.body = None;
        if let Framing::Length(_) = self.framing {
            return match self.left {
                0 => Ok(()),
                _ => Err(Stopped::Client("it is shorter than it said".into())),
            };
        }
        out.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}
