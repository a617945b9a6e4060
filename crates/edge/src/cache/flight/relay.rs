//! A body that is read by several while it comes in.
//!
//! All of it is held, for those who come later and for keeping it, as long as that is within bounds. What grows beyond them
//! only passes: what everybody has read is let go, and its origin is read no faster than it is taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::limits::{
    EDGE_FLIGHT_BYTES_MAX, EDGE_FLIGHT_SLOW_MS, EDGE_FLIGHT_WINDOW_BYTES, EDGE_OBJECT_BYTES_MAX,
};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::body::{Body, Failure};

/// Memory that is taken by all bodies on their way.
#[derive(Default)]
pub struct Budget(AtomicU64);

#[cfg(test)]
impl Budget {
    pub fn taken(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct Relay {
    length: Option<u64>,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// Somebody has read, or gone.
    read: Notify,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// How many chunks were let go.
    gone: usize,
    bytes: usize,
    /// Readers by their numbers; a place is used again.
    readers: Vec<Option<Reader>>,
    /// Nobody may come any more, and it is not kept.
    passes: bool,
    end: End,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Well,
    Broken,
}

#[derive(Default)]
struct Reader {
    /// The next chunk's number, counted from the body's beginning.
    next: usize,
    waker: Option<Waker>,
    /// It held up the others.
    fallen: bool,
}

#[derive(PartialEq, Eq)]
pub enum Pushed {
    Kept,
    Passes,
}

impl Relay {
    pub fn new(length: Option<u64>, budget: Arc<Budget>) -> Self {
        Relay { length, budget, state: Mutex::default(), read: Notify::new() }
    }

    pub fn only_pass(&self) {
        self.state.lock().passes = true;
    }

    /// From its beginning. None when that is gone.
    pub fn read(self: &Arc<Self>) -> Option<Body> {
        let mut state = self.state.lock();
        if state.gone > 0 || state.end == End::Broken {
            return None;
        }
        let number = state.readers.iter().position(Option::is_none).unwrap_or(state.readers.len());
        if number == state.readers.len() {
            state.readers.push(None);
        }
        state.readers[number] = Some(Reader::default());
        drop(state);
        Some(Body::Boxed(Box::pin(Reading { place: Place { relay: self.clone(), number }, given: 0 })))
    }

    pub fn push(&self, chunk: Bytes) -> Pushed {
        let mut state = self.state.lock();
        let size = chunk.len();
        let all = self.budget.0.fetch_add(size as u64, Ordering::Relaxed) + size as u64;
        state.bytes += size;
        state.chunks.push_back(chunk);
        if state.bytes > EDGE_OBJECT_BYTES_MAX || all > EDGE_FLIGHT_BYTES_MAX {
            state.passes = true;
        }
        let pushed = if state.passes { Pushed::Passes } else { Pushed::Kept };
        if state.passes {
            self.let_go(&mut state);
        }
        wake(state);
        pushed
    }

    /// Waits until there is room for more of what only passes. False when nobody reads it.
    pub async fn room(&self) -> bool {
        let slow = tokio::time::sleep(Duration::from_millis(EDGE_FLIGHT_SLOW_MS));
        let mut slow = std::pin::pin!(slow);
        loop {
            let read = self.read.notified();
            {
                let mut state = self.state.lock();
                self.let_go(&mut state);
                if state.readers.iter().flatten().all(|reader| reader.fallen) {
                    return false;
                }
                if state.bytes <= EDGE_FLIGHT_WINDOW_BYTES {
                    return true;
                }
            }
            tokio::select! {
                () = read => {}
                () = &mut slow => {
                    self.drop_the_slow();
                    slow.as_mut().reset(tokio::time::Instant::now() + Duration::from_millis(EDGE_FLIGHT_SLOW_MS));
                }
            }
        }
    }

    /// Those who wait for more do not wait any longer for those who are far behind. One alone may be as slow as it likes.
    fn drop_the_slow(&self) {
        let mut state = self.state.lock();
        let end = state.gone + state.chunks.len();
        if !state.readers.iter().flatten().any(|reader| !reader.fallen && reader.next == end) {
            return;
        }
        for reader in state.readers.iter_mut().flatten() {
            reader.fallen |= reader.next < end;
        }
        self.let_go(&mut state);
        wake(state);
    }

    fn let_go(&self, state: &mut State) {
        let readers = state.readers.iter().flatten().filter(|reader| !reader.fallen);
        let needed = readers.map(|reader| reader.next).min().unwrap_or(usize::MAX);
        while state.gone < needed
            && let Some(chunk) = state.chunks.pop_front()
        {
            state.gone += 1;
            state.bytes -= chunk.len();
            self.budget.0.fetch_sub(chunk.len() as u64, Ordering::Relaxed);
        }
    }

    /// All of it in one piece, unless it only passes.
    pub fn whole(&self) -> Option<Bytes> {
        let state = self.state.lock();
        if state.passes || self.length.is_some_and(|length| length != state.bytes as u64) {
            return None;
        }
        let mut whole = BytesMut::with_capacity(state.bytes);
        state.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        Some(whole.freeze())
    }

    fn end(&self, end: End) {
        let mut state = self.state.lock();
        if state.end == End::Open {
            state.end = end;
        }
        wake(state);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.state.get_mut().bytes as u64, Ordering::Relaxed);
    }
}

fn wake(mut state: parking_lot::MutexGuard<'_, State>) {
    let wakers: Vec<Waker> =
        state.readers.iter_mut().flatten().filter_map(|reader| reader.waker.take()).collect();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

/// A body that ends without [`Ending::well`] broke off.
pub struct Ending(pub Arc<Relay>);

impl Ending {
    pub fn well(&self) {
        self.0.end(End::Well);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(End::Broken);
    }
}

/// One reader's place, free again when it is dropped.
struct Place {
    relay: Arc<Relay>,
    number: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.relay.state.lock().readers[self.number] = None;
        self.relay.read.notify_one();
    }
}

struct Reading {
    place: Place,
    given: u64,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let reading = self.get_mut();
        let relay = &reading.place.relay;
        let mut state = relay.state.lock();
        let state = &mut *state;
        let Some(reader) = &mut state.readers[reading.place.number] else { return Poll::Ready(None) };
        if reader.fallen {
            return Poll::Ready(Some(Err("too slow for the others who read the same".into())));
        }
        match state.chunks.get(reader.next - state.gone) {
            Some(chunk) => {
                reader.next += 1;
                reading.given += chunk.len() as u64;
                let chunk = chunk.clone();
                if state.passes {
                    relay.read.notify_one();
                }
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            None => match state.end {
                End::Open => {
                    reader.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                End::Well => Poll::Ready(None),
                End::Broken => Poll::Ready(Some(Err("the answer broke off".into()))),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.place.relay.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.given)),
            None => SizeHint::default(),
        }
    }
}
