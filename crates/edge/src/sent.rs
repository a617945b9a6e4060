//! An answer's body on its way to its client, for whoever has to know how much of it was sent, and when.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::access_log::{AccessLog, Record};
use crate::body::{Body, Failure};
use crate::limits::Held;

/// What happens when the answer has been sent, or cannot be sent any further.
pub struct Sent {
    inner: Body,
    bytes: u64,
    ended: bool,
    record: Option<(AccessLog, Box<Record>)>,
    /// The client's place among its requests.
    _held: Held,
}

impl Sent {
    pub fn new(inner: Body, record: Option<(AccessLog, Box<Record>)>, held: Held) -> Self {
        let ended = inner.is_end_stream();
        Sent { inner, bytes: 0, ended, record, _held: held }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let sent = self.get_mut();
        let polled = Pin::new(&mut sent.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                sent.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // Where the length is known, nobody asks whether that was all.
                sent.ended = sent.inner.is_end_stream();
            }
            Poll::Ready(None) => sent.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some((log, mut record)) = self.record.take() {
            record.bytes = self.bytes;
            // What has no body by its nature is never asked for one.
            record.complete = self.ended || record.method == hyper::Method::HEAD;
            log.write(record);
        }
    }
}
