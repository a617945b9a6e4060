//! A body on its way to a client, gathered for the store as it passes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, Failure};

/// Hands the whole body over when its end has passed. One that is cut off, or that nobody reads to its end, is not handed over.
pub struct Collected {
    inner: Body,
    gathered: BytesMut,
    bytes_max: usize,
    /// None when it is too large, or handed over.
    keep: Option<Box<dyn FnOnce(Bytes) + Send>>,
}

impl Collected {
    /// `keep` may never be called.
    pub fn of(inner: Body, bytes_max: usize, keep: impl FnOnce(Bytes) + Send + 'static) -> Body {
        let mut collected =
            Collected { inner, gathered: BytesMut::new(), bytes_max, keep: Some(Box::new(keep)) };
        if collected.inner.is_end_stream() {
            collected.end();
            return Body::Empty;
        }
        Body::Boxed(Box::pin(collected))
    }

    fn end(&mut self) {
        if let Some(keep) = self.keep.take() {
            keep(std::mem::take(&mut self.gathered).freeze());
        }
    }
}

impl HttpBody for Collected {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(data), true) = (frame.data_ref(), this.keep.is_some()) {
                    if this.gathered.len() + data.len() > this.bytes_max {
                        this.keep = None;
                        this.gathered = BytesMut::new();
                    } else {
                        this.gathered.extend_from_slice(data);
                    }
                }
                // Whoever reads may stop here: it is known that nothing more comes.
                if this.inner.is_end_stream() {
                    this.end();
                }
            }
            Poll::Ready(Some(Err(_))) => this.keep = None,
            Poll::Ready(None) => this.end(),
            Poll::Pending => {}
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
