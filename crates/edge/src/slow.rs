//! Clients that are slow, by nature or on purpose: each wait for one has an end.
//!
//! - a request's head, from its first byte on ([`Watch`]), and the wait for the next one (hyper's own timer),
//! - a request's body: no gap longer than the grace, and a least rate over all the time that was waited ([`Upload`]),
//! - an answer that its client does not take ([`Watch`], and [`Streams`] for each one of HTTP/2).
//!
//! Only waiting for a client counts: while a node is slow to take a body, nobody asks for more of it.

mod streams;
mod upload;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base::limits;
use metrics::Counter;
use tokio::time::{Instant, Sleep};

pub use streams::Streams;
pub use upload::{Broken, Upload};

/// How long clients are waited for. Zero is for ever.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    pub body_grace: Duration,
    /// Bytes a second; 0 for any.
    pub body_rate: u64,
    pub stall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            head: Duration::from_millis(limits::FRONT_HEAD_MS),
            idle: Duration::from_millis(limits::FRONT_CLIENT_IDLE_MS),
            body_grace: Duration::from_millis(limits::FRONT_BODY_GRACE_MS),
            body_rate: limits::FRONT_BODY_RATE_BYTES,
            stall: Duration::from_millis(limits::FRONT_CLIENT_STALL_MS),
        }
    }
}

/// What was counted of slow clients, by what they were slow at.
#[derive(Clone)]
pub struct Counts {
    head: Counter,
    reading: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        let of = |kind: &'static str| metrics::counter!("pando_front_slow_total", "kind" => kind);
        Counts { head: of("head"), reading: of("reading") }
    }
}

impl Counts {
    /// The streams of a connection, whose answers have to be taken.
    pub fn streams(&self, timing: Timing) -> Streams {
        Streams::new(timing.stall, self.reading.clone())
    }
}

/// What HTTP tells the bytes below it: when a request is being answered.
#[derive(Default)]
pub struct Pace {
    /// Goes up when a request begins and when its answer's head is there, so it is odd in between.
    turns: AtomicU32,
    open: AtomicU32,
    /// Heads do not follow one another any more.
    released: AtomicBool,
}

impl Pace {
    pub fn ask(self: &Arc<Self>) -> Asked {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Asked(self.clone())
    }

    /// The connection is not, or no longer, a row of requests: HTTP/2, or what an upgrade made of it.
    pub fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    /// Completes when nothing was asked for at least so long. For HTTP/2, where the end of a connection is announced.
    pub async fn idle(&self, timing: Timing) {
        if timing.idle.is_zero() {
            return std::future::pending().await;
        }
        loop {
            let before = self.turns.load(Ordering::Relaxed);
            tokio::time::sleep(timing.idle).await;
            if self.open.load(Ordering::Relaxed) == 0 && self.turns.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

pub struct Asked(Arc<Pace>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.turns.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sees the outcome of each read and write of a connection. Has a timer only while somebody may be late.
pub struct Watch {
    pub pace: Arc<Pace>,
    timing: Timing,
    counts: Counts,
    turns: u32,
    /// Something came since the last request.
    begun: bool,
    /// Since when the rest of a head is waited for.
    head_since: Option<Instant>,
    /// Kept from head to head, as nearly every one waits for a moment: it runs out early, and is set anew then.
    head: Option<Pin<Box<Sleep>>>,
    write: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub fn new(timing: Timing, counts: Counts) -> Self {
        let pace = Arc::default();
        Watch { pace, timing, counts, turns: 0, begun: false, head_since: None, head: None, write: None }
    }

    pub fn read(&mut self, polled: Poll<io::Result<()>>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turns = self.pace.turns.load(Ordering::Relaxed);
        if turns != self.turns {
            self.turns = turns;
            self.begun = false;
            self.head_since = None;
        }
        if polled.is_ready() {
            self.begun = true;
            return polled;
        }
        let answering = turns % 2 == 1;
        if !self.begun || answering || self.pace.released.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if self.timing.head.is_zero() {
            return Poll::Pending;
        }
        let deadline = *self.head_since.get_or_insert_with(Instant::now) + self.timing.head;
        let timer = self.head.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= deadline {
                self.counts.head.increment(1);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    pub fn write<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write = None;
            return polled;
        }
        if is_late(&mut self.write, self.timing.stall, context) {
            self.counts.reading.increment(1);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

/// Starts the timer unless it runs. Says whether it has run out.
fn is_late(timer: &mut Option<Pin<Box<Sleep>>>, after: Duration, context: &mut Context<'_>) -> bool {
    if after.is_zero() {
        return false;
    }
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + after)));
    timer.as_mut().poll(context).is_ready()
}
