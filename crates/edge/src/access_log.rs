//! A line for each request, written when its answer has been sent to its end.
//!
//! Requests put what is to be written into a bounded queue and never wait: what does not fit is counted and dropped. One
//! thread writes. See [`line`](mod@line) for what a line says.

mod line;

mod kept;
mod writer;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::{Duration, Instant, SystemTime};

use base::limits::{FRONT_LOG_LAST_MS, FRONT_LOG_QUEUE_MAX};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri, Version};
use metrics::Counter;
use parking_lot::Mutex;

use self::kept::Kept;
use crate::body::Body;
use crate::upstream::Node;

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    #[default]
    Json,
    /// The Combined Log Format, as many programs read it.
    Combined,
}

/// Where to and how.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `-` for standard output.
    pub path: PathBuf,
    pub format: Format,
}

/// What a line is made of.
pub struct Record {
    pub time: SystemTime,
    pub began: Instant,
    pub client: Option<IpAddr>,
    pub method: Method,
    pub secure: bool,
    pub host: Option<HeaderValue>,
    pub target: Uri,
    pub version: Version,
    pub agent: Option<HeaderValue>,
    pub referer: Option<HeaderValue>,
    pub id: Option<HeaderValue>,
    pub node: Option<Arc<Node>>,
    pub attempts: u32,
    pub cache: Option<&'static str>,
    pub status: StatusCode,
    pub bytes: u64,
    /// Whether the client got all of it.
    pub complete: bool,
    pub took: Duration,
}

impl Record {
    /// What the request says of itself. Nothing of it is copied.
    pub fn of(request: &Request<Body>, began: Instant) -> Box<Record> {
        let headers: &HeaderMap = request.headers();
        Box::new(Record {
            time: SystemTime::now(),
            began,
            client: None,
            method: request.method().clone(),
            secure: false,
            host: headers.get(header::HOST).cloned(),
            target: request.uri().clone(),
            version: request.version(),
            agent: headers.get(header::USER_AGENT).cloned(),
            referer: headers.get(header::REFERER).cloned(),
            id: None,
            node: None,
            attempts: 0,
            cache: None,
            status: StatusCode::OK,
            bytes: 0,
            complete: false,
            took: Duration::ZERO,
        })
    }
}

enum Message {
    Line(Box<Record>),
    /// Says when all before it is written.
    Flush(SyncSender<()>),
}

#[derive(Clone)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    dropped: Counter,
    kept: Arc<Mutex<Kept>>,
}

impl AccessLog {
    /// Opens the file, or says why it cannot be opened.
    pub fn open(target: &Target) -> std::io::Result<AccessLog> {
        let (queue, lines) = mpsc::sync_channel(FRONT_LOG_QUEUE_MAX);
        let reopen = Arc::new(AtomicBool::new(false));
        let kept = Arc::<Mutex<Kept>>::default();
        let writer = writer::Writer::open(target, reopen.clone(), kept.clone())?;
        std::thread::Builder::new().name("access-log".into()).spawn(move || writer.run(&lines))?;
        let dropped = metrics::counter!("pando_front_access_log_dropped_total", "reason" => "queue");
        Ok(AccessLog { queue, reopen, dropped, kept })
    }

    pub fn write(&self, mut record: Box<Record>) {
        record.took = record.began.elapsed();
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Line(record))
        {
            self.dropped.increment(1);
        }
    }

    /// The lines about a request that are still in memory, the oldest first. JSON objects, whatever the file's format.
    pub fn find(&self, request: &str) -> Vec<Box<str>> {
        self.kept.lock().find(request)
    }

    /// From the next line on, the file is the one that has its name then.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Waits a while until all is written that is known of. Blocks.
    pub fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        let _ = self.queue.try_send(Message::Flush(done));
        let _ = wait.recv_timeout(Duration::from_millis(FRONT_LOG_LAST_MS));
    }
}
