//! One request and its answer's head, over one connection, in the request's own task.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base::limits::{FRONT_INTERIM_MAX, FRONT_SMALL_BYTES_MAX, FRONT_WATCH_MS};
use bytes::{Buf, Bytes, BytesMut};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::connection::Connection;
use super::head::{self, Framing, Head, Malformed};
use super::node::Node;
use super::sending::{Sending, Stopped};
use crate::body::{Body, Failure};
use crate::forwarded::Introduction;

/// What is asked, and how long it may take.
pub struct Asked<'a> {
    pub head: &'a Parts,
    /// Who asked, unless the head says it.
    pub introduction: Option<Introduction<'a>>,
    /// The protocol that the connection is to change to.
    pub upgrade: Option<&'a hyper::header::HeaderValue>,
    /// Between the last byte of the request and the first of the answer.
    pub first_byte: Duration,
    pub deadline: Instant,
    /// Whether another node may be asked when this one goes down meanwhile.
    pub is_repeatable: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the connection ended: {0}")]
    Ended(io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("no answer in time")]
    Late,
    #[error("the node went down meanwhile")]
    Down,
    #[error("the client's body ended early: {0}")]
    Client(Failure),
}

/// What is seen whenever the timer fires.
struct Watch {
    was_up: bool,
    /// When bytes went to the node last, as far as that was looked at.
    moved: Instant,
    written: Option<u64>,
}

impl Watch {
    fn new(was_up: bool) -> Watch {
        Watch { was_up, moved: Instant::now(), written: None }
    }
}

pub struct Exchange {
    pub connection: Connection,
    /// Whether the node may have seen anything of the request.
    pub is_sent: bool,
    is_streamed: bool,
    sending: Option<Sending>,
    /// Whose body is short and not yet whole.
    head: Option<Head>,
    interim: usize,
}

impl Exchange {
    /// Puts the head, and a body that is there, into one piece. A body that streams is taken.
    pub fn new(mut connection: Connection, asked: &Asked<'_>, body: &mut Body) -> Exchange {
        connection.out.clear();
        let (framing, streams) = match &*body {
            Body::Empty => (None, false),
            Body::Full(bytes) if bytes.is_empty() => (None, false),
            Body::Full(bytes) => (Some(Framing::Length(bytes.len() as u64)), false),
            other if hyper::body::Body::is_end_stream(other) => (None, false),
            other => match hyper::body::Body::size_hint(other).exact() {
                Some(length) => (Some(Framing::Length(length)), true),
                None => (Some(Framing::Chunked), true),
            },
        };
        head::write(&mut connection.out, asked, framing);
        let streamed = match body {
            Body::Full(bytes) => {
                connection.out.extend_from_slice(bytes);
                None
            }
            other if streams => Some(std::mem::take(other)),
            _ => None,
        };
        let sending = Sending::new(streamed, framing.unwrap_or(Framing::Length(0)));
        Exchange {
            connection,
            is_sent: false,
            is_streamed: streams,
            sending: Some(sending),
            head: None,
            interim: 0,
        }
    }

    /// The answer's head, and its body if that is short.
    pub async fn head(&mut self, asked: &Asked<'_>, node: &Node) -> Result<Head, Broken> {
        let mut watch = Watch::new(node.is_up());
        self.wake(Instant::now(), asked);
        poll_fn(|context| {
            loop {
                if let Err(broken) = self.poll_sending(context) {
                    return Poll::Ready(Err(broken));
                }
                if let Poll::Ready(ready) = self.poll_head(&asked.head.method, context) {
                    return Poll::Ready(ready);
                }
                if self.connection.poll_timer(context).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                self.look(&mut watch, now, asked, node)?;
                self.wake(now, asked);
            }
        })
        .await
    }

    /// Whether there is still a point in waiting.
    fn look(
        &mut self,
        watch: &mut Watch,
        now: Instant,
        asked: &Asked<'_>,
        node: &Node,
    ) -> Result<(), Broken> {
        if asked.is_repeatable && watch.was_up && !node.is_up() {
            return Err(Broken::Down);
        }
        let Some(sending) = &self.sending else {
            return match now >= watch.moved + asked.first_byte || (!self.is_streamed && now >= asked.deadline)
            {
                true => Err(Broken::Late),
                false => Ok(()),
            };
        };
        // While the client's body is what is waited for, the time is the client's.
        let written = sending.written(&self.connection);
        if written.is_none() || written != watch.written {
            watch.moved = now;
            watch.written = written;
        }
        if now >= watch.moved + asked.first_byte { Err(Broken::Late) } else { Ok(()) }
    }

    /// Looks at the clock and at the node's health now and then: one timer for all that may come.
    fn wake(&mut self, now: Instant, asked: &Asked<'_>) {
        let soon = now + Duration::from_millis(FRONT_WATCH_MS).min(asked.first_byte);
        self.connection.wake_at(if asked.deadline > now { soon.min(asked.deadline) } else { soon });
    }

    /// What of the request is left, for whoever reads the answer's body.
    pub fn into_rest(self) -> (Connection, Option<Sending>) {
        (self.connection, self.sending)
    }

    /// Whether nothing of an answer has come.
    pub fn is_untouched(&self) -> bool {
        self.connection.buffer.is_empty() && self.head.is_none() && self.interim == 0
    }

    /// Gives the client's body back, if the node has seen nothing of the request.
    pub fn give_back(self, body: &mut Body) {
        if !self.is_sent
            && let Some(taken) = self.sending.and_then(Sending::into_body)
        {
            *body = taken;
        }
    }

    fn poll_sending(&mut self, context: &mut Context<'_>) -> Result<(), Broken> {
        let Some(sending) = &mut self.sending else { return Ok(()) };
        let polled = sending.poll(&mut self.connection, context);
        self.is_sent |= sending.has_written();
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.sending = None;
                Ok(())
            }
            Poll::Ready(Err(Stopped::Client(error))) => Err(Broken::Client(error)),
            // It may have said why before it stopped reading.
            Poll::Ready(Err(Stopped::Node(error))) if !self.is_sent => Err(Broken::Ended(error)),
            Poll::Ready(Err(Stopped::Node(_))) => Ok(()),
        }
    }

    fn poll_head(&mut self, asked: &Method, context: &mut Context<'_>) -> Poll<Result<Head, Broken>> {
        loop {
            if let Some(mut head) = self.head.take() {
                if has_all(&mut head, &mut self.connection.buffer) {
                    return Poll::Ready(Ok(head));
                }
                self.head = Some(head);
            } else if !self.connection.buffer.is_empty() {
                match head::read(&mut self.connection.buffer, asked, FRONT_SMALL_BYTES_MAX) {
                    Err(malformed) => return Poll::Ready(Err(malformed.into())),
                    Ok(None) => {}
                    Ok(Some(head)) if is_interim(head.status) => {
                        self.interim += 1;
                        if self.interim > FRONT_INTERIM_MAX {
                            return Poll::Ready(Err(Malformed::Head.into()));
                        }
                        continue;
                    }
                    Ok(Some(head)) => {
                        self.head = Some(head);
                        continue;
                    }
                }
            }
            match self.connection.poll_fill(context, false) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the answer");
                    return Poll::Ready(Err(Broken::Ended(error)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Ended(error))),
            }
        }
    }
}

/// Puts a short body to its head. False if more bytes are to come first.
fn has_all(head: &mut Head, buffer: &mut BytesMut) -> bool {
    let Framing::Length(length) = head.framing else { return true };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if head.body.is_some() || length > FRONT_SMALL_BYTES_MAX {
        return true;
    }
    let Some(body) = buffer.get(..length) else { return false };
    head.body = Some(Bytes::copy_from_slice(body));
    buffer.advance(length);
    true
}

/// Only these are followed by the answer.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
