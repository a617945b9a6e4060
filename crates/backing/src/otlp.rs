//! Sending the log to a collector: OpenTelemetry's protocol over HTTP, as JSON. Entries wait in a bounded queue and are sent
//! in batches; what a collector that is away cannot take in time is dropped and counted, and nobody waits for it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{
    OTLP_BATCH_MAX, OTLP_FLUSH_MS, OTLP_LAST_MS, OTLP_PAUSE_MS, OTLP_PAUSE_MS_MAX, OTLP_QUEUE_MAX,
};
use metrics::counter;
use observe::LogEntry;
use parking_lot::Mutex;

use crate::fetch::{Body, Call, Fetch, Reach};

mod encode;

pub use encode::Resource;

/// Where logs go below a collector's address.
const PATH: &str = "/v1/logs";
/// Answers after which the same may be sent again, as the protocol says.
const AGAIN: [u16; 4] = [429, 502, 503, 504];

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `http://HOST:4318`.
    pub endpoint: String,
    pub headers: Vec<(String, String)>,
    pub resource: Resource,
}

#[derive(Clone)]
pub struct Otlp(Arc<Inner>);

struct Inner {
    url: String,
    options: Options,
    queue: Mutex<VecDeque<LogEntry>>,
}

/// What came of a call.
enum Sent {
    Taken,
    Again(String),
    Refused(String),
}

impl Otlp {
    pub fn new(options: Options) -> Self {
        let url = format!("{}{PATH}", options.endpoint.trim_end_matches('/'));
        Otlp(Arc::new(Inner { url, options, queue: Mutex::default() }))
    }

    /// Never waits.
    pub fn offer(&self, entries: Vec<LogEntry>) {
        let mut queue = self.0.queue.lock();
        let room = OTLP_QUEUE_MAX.saturating_sub(queue.len());
        let dropped = entries.len().saturating_sub(room);
        queue.extend(entries.into_iter().take(room));
        if dropped > 0 {
            counter!("pando_otlp_dropped_total", "reason" => "queue").increment(dropped as u64);
        }
    }

    fn take(&self) -> Vec<LogEntry> {
        let mut queue = self.0.queue.lock();
        let many = queue.len().min(OTLP_BATCH_MAX);
        queue.drain(..many).collect()
    }

    /// Sends until `stop` completes, and for a moment what is left then.
    pub async fn run(self, fetch: Fetch, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut pause = OTLP_FLUSH_MS;
        let mut kept: Vec<LogEntry> = Vec::new();
        // Of the outage that goes on, if one does.
        let mut outage: Option<u64> = None;
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
            pause = OTLP_FLUSH_MS;
            loop {
                if kept.is_empty() {
                    kept = self.take();
                }
                if kept.is_empty() {
                    break;
                }
                let sent = tokio::select! {
                    () = &mut stop => return self.last(&fetch, kept).await,
                    sent = self.send(&fetch, &kept) => sent,
                };
                if let Sent::Again(why) = sent {
                    pause = match outage {
                        Some(last) => (last * 2).min(OTLP_PAUSE_MS_MAX),
                        None => {
                            // One message of an outage: it becomes an entry itself.
                            tracing::warn!("the collector does not take the log, it is tried again: {why}");
                            OTLP_PAUSE_MS
                        }
                    };
                    outage = Some(pause);
                    break;
                }
                outage = None;
                self.count(sent, kept.len());
                kept.clear();
            }
        }
        self.last(&fetch, kept).await;
    }

    /// What is not taken now is lost.
    async fn last(&self, fetch: &Fetch, mut kept: Vec<LogEntry>) {
        let sending = async {
            loop {
                if kept.is_empty() {
                    kept = self.take();
                }
                if kept.is_empty() {
                    return;
                }
                let sent = self.send(fetch, &kept).await;
                self.count(sent, kept.len());
                kept.clear();
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(OTLP_LAST_MS), sending).await;
    }

    fn count(&self, sent: Sent, entries: usize) {
        match sent {
            Sent::Taken => counter!("pando_otlp_sent_total").increment(entries as u64),
            Sent::Again(why) | Sent::Refused(why) => {
                counter!("pando_otlp_dropped_total", "reason" => "refused").increment(entries as u64);
                tracing::debug!("the collector refused entries of the log: {why}");
            }
        }
    }

    async fn send(&self, fetch: &Fetch, entries: &[LogEntry]) -> Sent {
        let body = encode::logs(&self.0.options.resource, entries);
        let mut call = Call::get(&self.0.url, Reach::Configured).body(Body::Json(body));
        for (name, value) in &self.0.options.headers {
            call.headers.push((Cow::Owned(name.clone()), value.clone()));
        }
        match fetch.send(call).await {
            Ok(answer) if answer.is_success() => Sent::Taken,
            Ok(answer) if AGAIN.contains(&answer.status) => {
                Sent::Again(format!("it answered {}", answer.status))
            }
            Ok(answer) => Sent::Refused(format!("it answered {}", answer.status)),
            Err(error) => Sent::Again(error.to_string()),
        }
    }
}
