//! A request's body on its way to a node: what it may have, and how slowly it may come.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Timing;
use crate::admit::Refusal;
use crate::body::{Body, Failure};

/// Whether the client is to blame for a request that could not be sent to its end: then it is no node's fault.
#[derive(Default)]
pub struct Broken(AtomicU8);

const REASONS: [Refusal; 3] = [Refusal::LargeBody, Refusal::SlowBody, Refusal::BrokenBody];

impl Broken {
    fn set(&self, refusal: Refusal) {
        let number = REASONS.iter().position(|reason| *reason == refusal).map_or(0, |at| at + 1);
        self.0.store(u8::try_from(number).unwrap_or_default(), Ordering::Relaxed);
    }

    pub fn get(&self) -> Option<Refusal> {
        let number = usize::from(self.0.load(Ordering::Relaxed));
        REASONS.get(number.checked_sub(1)?).copied()
    }
}

pub struct Upload {
    inner: Body,
    broken: Arc<Broken>,
    timing: Timing,
    /// What it may still have.
    left: u64,
    had: u64,
    /// How long it was waited for in all.
    waited: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub fn new(inner: Body, broken: Arc<Broken>, timing: Timing, bytes_max: u64) -> Self {
        let left = if bytes_max == 0 { u64::MAX } else { bytes_max };
        Upload { inner, broken, timing, left, had: 0, waited: Duration::ZERO, since: None, timer: None }
    }

    /// How much longer may be waited for the next byte.
    fn patience(&self) -> Duration {
        let grace = self.timing.body_grace;
        let Some(earned) = self.had.saturating_mul(1_000).checked_div(self.timing.body_rate) else {
            return grace;
        };
        // Whoever sent much at first may not rest on it.
        (grace + Duration::from_millis(earned)).saturating_sub(self.waited).min(grace)
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.timing.body_grace.is_zero() {
            return Poll::Pending;
        }
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let until = now + self.patience();
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
        }
        self.fail(Refusal::SlowBody, "the client sends its body too slowly")
    }

    fn fail(&mut self, refusal: Refusal, why: &'static str) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.broken.set(refusal);
        Poll::Ready(Some(Err(why.into())))
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let upload = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut upload.inner).poll_frame(context) else {
            return upload.wait(context);
        };
        if let Some(since) = upload.since.take() {
            upload.waited += since.elapsed();
        }
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                upload.had += length;
                match upload.left.checked_sub(length) {
                    Some(left) => upload.left = left,
                    None => return upload.fail(Refusal::LargeBody, "the client's body is too large"),
                }
            }
            Some(Err(_)) => upload.broken.set(Refusal::BrokenBody),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(rate: u64) -> Upload {
        let timing = Timing { body_grace: Duration::from_secs(10), body_rate: rate, ..Timing::default() };
        Upload::new(Body::Empty, Arc::default(), timing, 0)
    }

    #[test]
    fn patience_is_earned_and_never_saved() {
        for (rate, had, waited, expected) in [
            (100, 0, 0, 10),
            (100, 0, 4, 6),
            (100, 0, 11, 0),
            (100, 500, 11, 4),
            (100, 1_000_000, 11, 10),
            (0, 0, 1_000, 10),
        ] {
            let mut upload = upload(rate);
            upload.had = had;
            upload.waited = Duration::from_secs(waited);
            assert_eq!(upload.patience(), Duration::from_secs(expected), "{rate} {had} {waited}");
        }
    }
}
