//! One client: its place in the registry, and the events that wait to be written to it. Costs no task and no timer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use base::limits::{REALTIME_QUEUE_BYTES_MAX, REALTIME_WRITE_BYTES_MAX};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::standing::Standing;

/// One event for one client.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: Arc<str>,
    pub data: Bytes,
}

pub struct Client {
    /// Short for the id, and never used twice.
    pub no: u64,
    pub id: Box<str>,
    pub(super) state: Mutex<State>,
    outbox: Mutex<Outbox>,
    /// Events that were given up.
    lost: AtomicU64,
    opened_ms: i64,
    /// When the last event was put in the queue.
    active_ms: AtomicI64,
    /// When the stream was ended; 0 for one that goes on.
    ended_ms: AtomicI64,
    /// Whether even what is on its way is given up.
    abandoned: AtomicBool,
    /// Of a stream that waits for room to write, and would not be woken by events.
    writer: AtomicWaker,
}

#[derive(Default)]
pub(super) struct State {
    pub standing: Option<Standing>,
    /// With the number of the newest news when they were subscribed to: a write that was answered before is none of
    /// theirs, even if its turn comes later.
    pub topics: FxHashMap<Arc<str>, u64>,
}

#[derive(Default)]
struct Outbox {
    messages: VecDeque<Message>,
    bytes: usize,
    waker: Option<Waker>,
    ended: bool,
}

impl Client {
    pub(super) fn new(no: u64, id: String, now_ms: i64) -> Self {
        Client {
            no,
            id: id.into(),
            state: Mutex::default(),
            outbox: Mutex::default(),
            lost: AtomicU64::new(0),
            opened_ms: now_ms,
            active_ms: AtomicI64::new(now_ms),
            ended_ms: AtomicI64::new(0),
            abandoned: AtomicBool::new(false),
            writer: AtomicWaker::new(),
        }
    }

    /// Queues an event. A client whose queue is full loses its connection instead: it connects again and reads
    /// what it missed, while one that skipped events would never know.
    pub(super) fn push(&self, topic: &Arc<str>, data: &Bytes, now_ms: i64) {
        self.active_ms.store(now_ms, Ordering::Relaxed);
        let waker = {
            let mut outbox = self.outbox.lock();
            if outbox.ended {
                return;
            }
            outbox.bytes += data.len() + topic.len();
            if outbox.bytes > REALTIME_QUEUE_BYTES_MAX && !outbox.messages.is_empty() {
                self.lost.fetch_add(1, Ordering::Relaxed);
                drop(outbox);
                return self.abandon(now_ms);
            }
            outbox.messages.push_back(Message { topic: topic.clone(), data: data.clone() });
            outbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the stream after what is queued.
    pub(super) fn end(&self, now_ms: i64) {
        let waker = {
            let mut outbox = self.outbox.lock();
            if outbox.ended {
                return;
            }
            outbox.ended = true;
            outbox.waker.take()
        };
        self.ended_ms.store(now_ms.max(1), Ordering::Relaxed);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Drops what is queued and the connection with it.
    pub(super) fn abandon(&self, now_ms: i64) {
        self.end(now_ms);
        let messages = std::mem::take(&mut self.outbox.lock().messages);
        self.lost.fetch_add(messages.len() as u64, Ordering::Relaxed);
        drop(messages);
        self.abandoned.store(true, Ordering::Release);
        self.writer.wake();
    }

    /// How many events it never got, those that still wait included.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed) + self.outbox.lock().messages.len() as u64
    }

    pub(super) fn poll_abandoned(&self, context: &mut Context<'_>) -> bool {
        self.writer.register(context.waker());
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn is_idle(&self, since_ms: i64) -> bool {
        self.active_ms.load(Ordering::Relaxed) < since_ms
    }

    pub(super) fn is_older(&self, than_ms: i64) -> bool {
        self.opened_ms < than_ms
    }

    /// Ended before that time, and still there.
    pub(super) fn lingers(&self, since_ms: i64) -> bool {
        let ended = self.ended_ms.load(Ordering::Relaxed);
        ended != 0 && ended < since_ms
    }

    /// The next events, as many as are written at once; `None` at the end.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Vec<Message>>> {
        let mut outbox = self.outbox.lock();
        if outbox.messages.is_empty() {
            if outbox.ended {
                return Poll::Ready(None);
            }
            match &mut outbox.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        let mut taken = Vec::with_capacity(1);
        let mut bytes = 0;
        while bytes < REALTIME_WRITE_BYTES_MAX
            && let Some(message) = outbox.messages.pop_front()
        {
            bytes += message.data.len() + message.topic.len();
            taken.push(message);
        }
        outbox.bytes = outbox.bytes.saturating_sub(bytes);
        if outbox.messages.is_empty() {
            // A queue that was long once must not keep its room for a client's whole life.
            outbox.messages = VecDeque::new();
        }
        Poll::Ready(Some(taken))
    }
}
