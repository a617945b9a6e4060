//! The body of a node's answer. It has the connection until it is read to its end, and then gives it back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use base::limits::FRONT_NODE_STALL_MS;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::connection::Connection;
use super::framing::{Decoder, Step};
use super::node::{Busy, Node};
use super::pool::Pool;
use super::sending::Sending;
use crate::body::Failure;

pub struct Answer {
    /// None once it is given back, or broken.
    connection: Option<Connection>,
    decoder: Decoder,
    /// The request, if the node answers before it has all of it.
    sending: Option<Sending>,
    /// Whether the connection may be used again.
    keep: bool,
    node: Arc<Node>,
    pool: Arc<Pool>,
    _busy: Busy,
}

impl Answer {
    pub fn new(
        mut connection: Connection,
        decoder: Decoder,
        sending: Option<Sending>,
        keep: bool,
        busy: Busy,
        pool: Arc<Pool>,
    ) -> Answer {
        connection.wake_at(Instant::now() + Duration::from_millis(FRONT_NODE_STALL_MS));
        let node = busy.node().clone();
        Answer { connection: Some(connection), decoder, sending, keep, node, pool, _busy: busy }
    }

    fn finish(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // A node that does not even want to read the request has the rest of it in its way.
        if self.keep && self.sending.is_none() && connection.buffer.is_empty() {
            self.pool.put(&self.node, connection);
        }
    }

    /// A body of known length that stands still for long will not come any more. What has no length may be a stream of
    /// events, which is quiet for as long as nothing happens.
    fn poll_stalled(connection: &mut Connection, decoder: &Decoder, context: &mut Context<'_>) -> Poll<()> {
        if decoder.left().is_none() {
            return Poll::Pending;
        }
        connection.poll_timer(context)
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let answer = self.get_mut();
        loop {
            let Some(connection) = &mut answer.connection else { return Poll::Ready(None) };
            if let Some(sending) = &mut answer.sending {
                match sending.poll(connection, context) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => answer.sending = None,
                    // What it has answered counts; it has had enough of the request.
                    Poll::Ready(Err(_)) => {
                        answer.sending = None;
                        answer.keep = false;
                    }
                }
            }
            match answer.decoder.step(&mut connection.buffer) {
                Ok(Step::Data(data)) => {
                    if answer.decoder.is_at_end() {
                        answer.finish();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Step::Trailers(trailers)) => {
                    answer.finish();
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Step::End) => {
                    answer.finish();
                    return Poll::Ready(None);
                }
                Ok(Step::More) => {}
                Err(error) => {
                    answer.connection = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            match connection.poll_fill(context, true) {
                Poll::Pending => {
                    ready!(Answer::poll_stalled(connection, &answer.decoder, context));
                    answer.connection = None;
                    return Poll::Ready(Some(Err("the node's answer stands still".into())));
                }
                Poll::Ready(Ok(0)) => {
                    answer.keep = false;
                    let is_whole = answer.decoder.closed();
                    answer.connection = None;
                    if is_whole {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Err("the node's answer ended early".into())));
                }
                Poll::Ready(Ok(_)) => {
                    if answer.decoder.left().is_some() {
                        connection.wake_at(Instant::now() + Duration::from_millis(FRONT_NODE_STALL_MS));
                    }
                }
                Poll::Ready(Err(error)) => {
                    answer.connection = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none() && self.decoder.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
