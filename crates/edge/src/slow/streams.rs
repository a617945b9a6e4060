//! The streams of one HTTP/2 connection, each of which its client can leave waiting.
//!
//! A client gives room for each answer by itself, so the bytes on the connection tell nothing of the one that it does not take. HTTP
//! asks for an answer's next piece when there is room for more: as long as it does not, the client is waited for. A stream that has
//! waited too long ends alone; the others go on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use base::limits::FRONT_PIECE_BYTES_MAX;
use bytes::Bytes;
use futures_util::future::{Either, select};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use metrics::Counter;
use parking_lot::Mutex;

use crate::body::{Body, Failure};

/// Runs the streams' tasks, as the executor of their connection.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    stall: Duration,
    late: Counter,
    /// Of the request that came last, until its task is started.
    next: Mutex<Option<Arc<Turns>>>,
    open: AtomicUsize,
}

/// Goes up when a piece is handed out and when the next one is asked for, so it is odd while the client is waited for.
#[derive(Default)]
pub struct Turns(AtomicU32);

impl Streams {
    pub fn new(stall: Duration, late: Counter) -> Self {
        Streams(Arc::new(Inner { stall, late, next: Mutex::default(), open: AtomicUsize::new(0) }))
    }

    /// To be called when a request comes. The connection starts its task before it looks at the next one.
    pub fn begin(&self) -> Arc<Turns> {
        let turns = Arc::<Turns>::default();
        *self.0.next.lock() = Some(turns.clone());
        turns
    }

    /// Completes when no stream was open for the time that a client may let an answer wait: what is left is the ends of answers
    /// that nobody takes.
    pub async fn left(&self) {
        if self.0.stall.is_zero() {
            return std::future::pending().await;
        }
        let mut were_open = true;
        loop {
            let open = self.0.open.load(Relaxed) > 0;
            if !open && !were_open {
                return;
            }
            were_open = open;
            tokio::time::sleep(self.0.stall).await;
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let inner = self.0.clone();
        let turns = inner.next.lock().take();
        inner.open.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            let open = Open(inner);
            match turns {
                Some(turns) if !open.0.stall.is_zero() => {
                    let late = std::pin::pin!(turns.late(open.0.stall));
                    // What is dropped here is reset.
                    if let Either::Right(_) = select(std::pin::pin!(task), late).await {
                        open.0.late.increment(1);
                    }
                }
                _ => drop(task.await),
            }
        });
    }
}

struct Open(Arc<Inner>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    /// Completes when the client was waited for during all of that time.
    async fn late(&self, stall: Duration) {
        // Looked at from time to time: setting a timer for each piece would cost more than the pieces.
        const LOOKS: u32 = 4;
        let (mut before, mut looks) = (0, 0);
        loop {
            tokio::time::sleep(stall / LOOKS).await;
            let now = self.0.load(Relaxed);
            looks = if now % 2 == 1 && now == before { looks + 1 } else { 0 };
            before = now;
            if looks == LOOKS {
                return;
            }
        }
    }

    pub fn of(self: Arc<Self>, body: Body) -> Body {
        match body.is_end_stream() {
            true => body,
            false => Body::Boxed(Box::pin(Taken { inner: body, rest: Bytes::new(), turns: self })),
        }
    }
}

/// A body in pieces, as what is handed out at once is out of sight.
struct Taken {
    inner: Body,
    rest: Bytes,
    turns: Arc<Turns>,
}

impl Taken {
    fn piece(&mut self) -> Frame<Bytes> {
        self.turns.0.fetch_add(1, Relaxed);
        Frame::data(self.rest.split_to(self.rest.len().min(FRONT_PIECE_BYTES_MAX)))
    }
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        if this.turns.0.load(Relaxed) % 2 == 1 {
            this.turns.0.fetch_add(1, Relaxed);
        }
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.piece())));
        }
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(data) => {
                    this.rest = data;
                    this.piece()
                }
                Err(frame) => frame,
            }))),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_in_pieces_is_the_same_body() {
        let whole: Bytes = (0..FRONT_PIECE_BYTES_MAX * 2 + 7).map(|at| at as u8).collect();
        let mut body = Arc::<Turns>::default().of(Body::Full(whole.clone()));
        assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            let left = whole.len() - pieces.iter().map(Bytes::len).sum::<usize>();
            assert_eq!(body.size_hint().exact(), Some(left as u64));
        }
        assert_eq!((pieces.len(), pieces.concat()), (3, whole.to_vec()));
        assert!(body.is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_is_waited_for_all_the_time_is_late() {
        let stall = Duration::from_secs(30);
        let turns = Arc::<Turns>::default();
        let is_late = || tokio::time::timeout(stall * 10, turns.late(stall));
        assert!(is_late().await.is_err(), "nothing was handed out");
        turns.0.fetch_add(1, Relaxed);
        let began = tokio::time::Instant::now();
        assert!(is_late().await.is_ok());
        assert!(began.elapsed() >= stall && began.elapsed() <= stall * 2);
        // Who takes a piece now and then is not.
        let takes = async {
            loop {
                tokio::time::sleep(stall / 2).await;
                turns.0.fetch_add(2, Relaxed);
            }
        };
        tokio::select! {
            () = takes => {}
            late = is_late() => assert!(late.is_err()),
        }
    }
}
