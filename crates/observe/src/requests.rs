//! The request log: entries are queued without waiting and written together by a task of its own. Under a load that
//! the disk cannot follow, entries are dropped and counted rather than requests slowed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use base::Timestamp;
use base::limits::{LOG_BATCH_MAX, LOG_FLUSH_MS, LOG_QUEUE_BYTES_MAX, LOG_QUEUE_MAX};
use parking_lot::Mutex;
use tokio::sync::Notify;

mod answered;
mod line;
pub mod lines;

pub use answered::{Answered, shortened};
pub use lines::Lines;

#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub at: Timestamp,
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub level: i64,
    pub message: String,
    /// A JSON object.
    pub data: String,
}

/// Writes a batch somewhere; what it cannot write is lost, which it reports itself. An empty batch comes when there was
/// nothing to write for a while.
pub type Sink = Box<dyn Fn(Lines) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

#[derive(Clone, Default)]
pub struct RequestLog(Arc<Inner>);

struct Inner {
    enabled: AtomicBool,
    /// From which level on messages are entries as well.
    message_level: AtomicI64,
    dropped: AtomicU64,
    queue: Mutex<Lines>,
    full: Notify,
}

impl Default for Inner {
    fn default() -> Self {
        Inner {
            enabled: AtomicBool::default(),
            message_level: AtomicI64::new(i64::MAX),
            dropped: AtomicU64::default(),
            queue: Mutex::default(),
            full: Notify::new(),
        }
    }
}

impl RequestLog {
    /// Without it no message becomes an entry.
    pub fn set_message_level(&self, level: i64) {
        self.0.message_level.store(level, Ordering::Relaxed);
    }

    pub fn keeps_message(&self, level: i64) -> bool {
        self.enabled() && level >= self.0.message_level.load(Ordering::Relaxed)
    }

    pub fn set_enabled(&self, enabled: bool) {
        self.0.enabled.store(enabled, Ordering::Relaxed);
    }

    pub fn enabled(&self) -> bool {
        self.0.enabled.load(Ordering::Relaxed)
    }

    pub fn add(&self, entry: &LogEntry) {
        self.queue(|lines| lines.push(entry));
    }

    pub fn add_answered(&self, answered: &Answered<'_>) {
        self.queue(|lines| lines.push_answered(answered));
    }

    fn queue(&self, push: impl FnOnce(&mut Lines)) {
        let mut queue = self.0.queue.lock();
        if queue.len() >= LOG_QUEUE_MAX || queue.text().len() >= LOG_QUEUE_BYTES_MAX {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("pando_request_log_dropped_total").increment(1);
            return;
        }
        push(&mut queue);
        if queue.len() == LOG_BATCH_MAX {
            self.0.full.notify_one();
        }
    }

    /// What is queued.
    pub(crate) fn take(&self) -> Lines {
        let mut queue = self.0.queue.lock();
        let next = queue.successor();
        std::mem::replace(&mut *queue, next)
    }

    /// Writes what is queued, at the latest after [`LOG_FLUSH_MS`], until `stop` completes; then the rest.
    pub async fn run(self, sink: Sink, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let stopping = tokio::select! {
                () = &mut stop => true,
                () = self.0.full.notified() => false,
                () = tokio::time::sleep(Duration::from_millis(LOG_FLUSH_MS)) => false,
            };
            sink(self.take()).await;
            let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(dropped, "request log entries were dropped");
            }
            if stopping {
                return;
            }
        }
    }
}
