//! Reading. Most queries take microseconds, less than handing them to another thread and back: they run where
//! they are, for a millisecond at most. One that needs longer starts again on a thread of its own, so
//! that a long scan never holds up an async thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base::limits;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Semaphore, oneshot};

use super::connection::{failure, open_reader};
use crate::error::{Error, Result};

/// SQLite's instructions between two looks at the clock; a page of rows takes fewer.
const STEP_OPCODES: i32 = 1000;
/// How long a query may hold an async thread.
const INLINE_MAX: Duration = Duration::from_millis(1);
/// Connections for queries on async threads.
const INLINE_CONNECTIONS_MAX: usize = 8;
/// Queries that wait for a reader thread.
const WAITING_MAX: usize = 1024;

/// A reading connection and what stops its query.
struct Reader {
    connection: Connection,
    limit: Arc<Mutex<Limit>>,
}

/// When the query that runs must end early.
enum Limit {
    /// On an async thread; since when, known from the first look at the clock on.
    Inline(Option<Instant>),
    /// On a reader thread, as long as somebody waits for the answer.
    Abandoned(Arc<AtomicBool>),
}

impl Limit {
    fn reached(&mut self) -> bool {
        match self {
            Limit::Inline(Some(since)) => since.elapsed() > INLINE_MAX,
            Limit::Inline(since) => {
                *since = Some(Instant::now());
                false
            }
            Limit::Abandoned(abandoned) => abandoned.load(Ordering::Relaxed),
        }
    }
}

type Task = Box<dyn FnOnce(&Connection) + Send>;

struct Job {
    task: Task,
    abandoned: Arc<AtomicBool>,
}

pub struct Readers {
    path: PathBuf,
    inline: Vec<Mutex<Option<Reader>>>,
    jobs: Sender<Job>,
    taker: Receiver<Job>,
    threads: AtomicUsize,
    threads_max: usize,
    idle: Arc<AtomicUsize>,
    places: Semaphore,
}

impl Readers {
    pub fn new(path: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let inline = cores.clamp(1, INLINE_CONNECTIONS_MAX);
        let (jobs, taker) = crossbeam_channel::unbounded();
        Readers {
            path,
            inline: (0..inline).map(|_| Mutex::new(None)).collect(),
            jobs,
            taker,
            threads: AtomicUsize::new(0),
            threads_max: limits::SQLITE_READERS_MAX - inline,
            idle: Arc::new(AtomicUsize::new(0)),
            places: Semaphore::new(WAITING_MAX),
        }
    }

    /// Runs `read` on some connection: here when one is free and the query is short, else on a reader thread.
    /// It may run twice, so it must only read.
    pub async fn read<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        if let Some(result) = self.inline(&read)? {
            return Ok(result);
        }
        self.elsewhere(read).await
    }

    /// `None` when no connection is free or the time was used up.
    pub fn inline<T>(&self, read: &impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>> {
        for slot in &self.inline {
            let Some(mut slot) = slot.try_lock() else { continue };
            let reader = match &mut *slot {
                Some(reader) => reader,
                empty => empty.insert(Reader::open(&self.path)?),
            };
            *reader.limit.lock() = Limit::Inline(None);
            return match read(&reader.connection) {
                Ok(value) => Ok(Some(value)),
                Err(rusqlite::Error::SqliteFailure(code, _))
                    if code.code == ErrorCode::OperationInterrupted =>
                {
                    Ok(None)
                }
                Err(error) => Err(failure(&reader.connection, error)),
            };
        }
        Ok(None)
    }

    async fn elsewhere<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let wait = Duration::from_millis(limits::STORE_WAIT_MS);
        let _place = tokio::time::timeout(wait, self.places.acquire())
            .await
            .map_err(|_| Error::Unavailable("every reader is busy".into()))?
            .map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let abandoned = Abandoned(Arc::new(AtomicBool::new(false)));
        let task: Task = Box::new(move |connection| {
            if !reply.is_closed() {
                let _ = reply.send(read(connection).map_err(|error| failure(connection, error)));
            }
        });
        self.grow()?;
        self.jobs.send(Job { task, abandoned: abandoned.0.clone() }).map_err(|_| closed())?;
        answer.await.map_err(|_| Error::Internal("a reader gave up".into()))?
    }

    /// One more thread, when none is idle and there may be more.
    fn grow(&self) -> Result<()> {
        if self.idle.load(Ordering::Acquire) > self.taker.len()
            || self
                .threads
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                    (count < self.threads_max).then_some(count + 1)
                })
                .is_err()
        {
            return Ok(());
        }
        let reader = Reader::open(&self.path);
        let spawned = reader.and_then(|reader| {
            let (jobs, idle) = (self.taker.clone(), self.idle.clone());
            std::thread::Builder::new()
                .name("sqlite-reader".into())
                .spawn(move || serve(&reader, &jobs, &idle))
                .map(drop)
                .map_err(|error| Error::Unavailable(error.to_string()))
        });
        match spawned {
            Err(error) if self.threads.fetch_sub(1, Ordering::AcqRel) == 1 => Err(error),
            _ => Ok(()),
        }
    }
}

/// Tells the reader, when dropped, that the answer is not wanted.
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn serve(reader: &Reader, jobs: &Receiver<Job>, idle: &AtomicUsize) {
    loop {
        idle.fetch_add(1, Ordering::AcqRel);
        let job = jobs.recv();
        idle.fetch_sub(1, Ordering::AcqRel);
        let Ok(job) = job else { return };
        *reader.limit.lock() = Limit::Abandoned(job.abandoned);
        let task = std::panic::AssertUnwindSafe(|| (job.task)(&reader.connection));
        if std::panic::catch_unwind(task).is_err() {
            tracing::error!("a query panicked");
        }
    }
}

impl Reader {
    fn open(path: &std::path::Path) -> Result<Reader> {
        let mut connection = open_reader(path)?;
        let limit = Arc::new(Mutex::new(Limit::Inline(None)));
        let watched = limit.clone();
        connection
            .progress_handler(STEP_OPCODES, Some(move || watched.lock().reached()))
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Reader { connection, limit })
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}
