//! The embedded engine: one writer thread, a checkpoint thread and a pool of readers over one file.

mod arrival;
mod bootstrap;
mod checkpoint;
mod connection;
mod console;
mod departure;
mod describe;
mod lock;
mod readers;
mod rows;
mod schema;
mod snapshot;
mod stand;
mod transaction;
mod views;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use base::{Name, Timestamp, limits};
use crossbeam_channel::Sender;
use parking_lot::{Mutex, RwLock};
use query::{Batch, Claim, Row, Select, Visits};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::connection::Flush;
pub use self::lock::DirectoryLock;
use self::readers::Readers;
pub use self::snapshot::check as check_file;
use self::transaction::{Session, SqliteTransaction};
use self::writer::{Rendered, Task, Work, Writer, Written};
use super::transfer::{Arrival, Departure};
use super::{Console, Engine, Transaction, ViewColumn, decode};
use crate::error::{Error, Result};
use crate::sql::{Dialect, Renderer, Statement, Views};

/// What the writer, the checkpoint thread and the callers share.
#[derive(Default)]
struct Shared {
    views: RwLock<Arc<Views>>,
    /// Counts commits of other processes, as far as they are told apart.
    external: AtomicU64,
    /// Was anything committed since the last checkpoint?
    dirty: AtomicBool,
    /// Is the log so large that the writer should stop and empty it?
    restart: AtomicBool,
    /// Should the checkpoint thread refresh the statistics?
    optimize: AtomicBool,
}

impl Shared {
    fn reload_views(&self, connection: &Connection) {
        match schema::views(connection) {
            Ok(views) => *self.views.write() = Arc::new(views),
            Err(error) => tracing::warn!("the views could not be listed: {error}"),
        }
    }
}

pub struct Sqlite {
    path: PathBuf,
    shared: Arc<Shared>,
    readers: Readers,
    queue: Mutex<Option<Sender<Task>>>,
    places: Arc<Semaphore>,
    /// One transaction is open at a time.
    turn: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop_checkpoints: Mutex<Option<Sender<()>>>,
    lock: Mutex<Option<lock::DirectoryLock>>,
}

impl Sqlite {
    /// Opens `dir/file`, making both when they are missing. `exclusive` keeps other servers out of the directory
    /// (one file of a directory takes it for all). Blocks: call it where blocking is allowed.
    pub fn open(dir: &Path, file: &str, exclusive: bool, now: Timestamp) -> Result<Sqlite> {
        std::fs::create_dir_all(dir)
            .map_err(|error| Error::Unavailable(format!("{}: {error}", dir.display())))?;
        let lock = if exclusive { Some(lock::DirectoryLock::take(dir)?) } else { None };
        let path: PathBuf = dir.join(file);
        // The request log may lose its last second, and is written all the time.
        let flush = if bootstrap::is_log(file) { Flush::Checkpoint } else { Flush::Commit };
        let connection = connection::open_writer(&path, flush)?;
        bootstrap::bootstrap(&connection, file, now)?;
        let shared = Arc::new(Shared::default());
        // An earlier process may have left a log behind.
        shared.dirty.store(true, Ordering::Relaxed);
        shared.reload_views(&connection);
        let (queue, work) = crossbeam_channel::unbounded();
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let writer = Writer::new(connection, shared.clone(), file);
        let checkpoints =
            checkpoint::Checkpoints::new(connection::open_writer(&path, flush)?, shared.clone());
        let threads = vec![
            spawn("sqlite-writer", move || writer.run(&work))?,
            spawn("sqlite-checkpoint", move || checkpoints.run(&stopped))?,
        ];
        Ok(Sqlite {
            shared,
            readers: Readers::new(path.clone()),
            path,
            queue: Mutex::new(Some(queue)),
            places: Arc::new(Semaphore::new(limits::WRITE_QUEUE_MAX)),
            turn: Arc::new(Semaphore::new(1)),
            threads: Mutex::new(threads),
            stop_checkpoints: Mutex::new(Some(stop)),
            lock: Mutex::new(lock),
        })
    }

    fn send(&self, task: Task) -> Result<()> {
        let queue = self.queue.lock().clone().ok_or_else(closed)?;
        queue.send(task).map_err(|_| closed())
    }

    fn views(&self) -> Arc<Views> {
        self.shared.views.read().clone()
    }

    /// A view that another process made is not known yet, and is asked for an order that it has not: learn of it
    /// and try once more.
    async fn relearn(&self, error: Error) -> Result<()> {
        match &error {
            Error::Refused(text) if text.contains("_rowid_") => {}
            _ => return Err(error),
        }
        let views = self.readers.read(schema::views).await?;
        if views == *self.views() {
            return Err(error);
        }
        *self.shared.views.write() = Arc::new(views);
        Ok(())
    }

    /// Sends it to the writer, and waits until it is durable.
    async fn write(&self, render: impl FnOnce(&Views) -> Rendered) -> Result<Written> {
        let until = tokio::time::Instant::now() + Duration::from_millis(limits::STORE_WAIT_MS);
        let permit = place(&self.places, until, "too many writes are waiting").await?;
        let (reply, mut answer) = oneshot::channel();
        let claimed = Arc::new(AtomicBool::new(false));
        let batch = render(&self.views());
        self.send(Task::Commit(Work { batch, reply, claimed: claimed.clone(), permit }))?;
        if let Ok(answer) = tokio::time::timeout_at(until, &mut answer).await {
            return answer.map_err(|_| closed())?;
        }
        match claimed.swap(true, Ordering::AcqRel) {
            // It has begun, and its outcome is worth waiting for.
            true => answer.await.map_err(|_| closed())?,
            false => Err(Error::Unavailable("another transaction holds up the writes".into())),
        }
    }

    async fn rows(&self, select: &Select) -> Result<Vec<Row>> {
        let statement = Renderer::new(Dialect::Sqlite, &self.views()).select(select);
        if let Some(rows) =
            self.readers.inline(&|connection| rows::select(connection, &statement, &select.columns))?
        {
            return Ok(rows);
        }
        let columns = select.columns.clone();
        self.readers.read(move |connection| rows::select(connection, &statement, &columns)).await
    }

    async fn number(&self, statement: Statement) -> Result<u64> {
        let number = self.readers.read(move |connection| connection::scalar(connection, &statement)).await?;
        Ok(u64::try_from(number).unwrap_or(0))
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|error| Error::Unavailable(format!("no thread for {name}: {error}")))
}

#[async_trait]
impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        match self.rows(select).await {
            Err(error) => {
                self.relearn(error).await?;
                self.rows(select).await
            }
            rows => rows,
        }
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let statement = Renderer::new(Dialect::Sqlite, &self.views()).count(select);
        self.number(statement).await
    }

    async fn count_by_hour(&self, select: &Select, column: &Name) -> Result<Vec<(String, u64)>> {
        let statement = Renderer::new(Dialect::Sqlite, &self.views()).count_by_hour(select, column);
        let columns = decode::hour_columns();
        let rows =
            self.readers.read(move |connection| rows::select(connection, &statement, &columns)).await?;
        Ok(decode::hours(&rows))
    }

    async fn visits(&self, visits: &Visits) -> Result<Vec<[i64; 3]>> {
        let statement = Renderer::new(Dialect::Sqlite, &self.views()).visits(visits);
        let columns = decode::visit_columns();
        let rows =
            self.readers.read(move |connection| rows::select(connection, &statement, &columns)).await?;
        Ok(decode::visits(&rows))
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        Ok(self.write(|views| Rendered::new(batch, views)).await?.missing)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        Ok(self.write(|views| Rendered::claim(claim, views)).await?.rows)
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn Transaction>> {
        let until = tokio::time::Instant::now() + Duration::from_millis(limits::STORE_WAIT_MS);
        let turn = place(&self.turn, until, "too many transactions are waiting").await?;
        let (ready, opened) = oneshot::channel();
        let (sender, steps) = crossbeam_channel::unbounded();
        self.send(Task::Open(Session { limit, ready, steps }))?;
        tokio::time::timeout_at(until, opened)
            .await
            .map_err(|_| Error::Unavailable("too many writes are waiting".into()))?
            .map_err(|_| closed())??;
        Ok(Arc::new(SqliteTransaction::new(sender, self.views(), turn)))
    }

    async fn schema_version(&self) -> Result<u64> {
        // SQLite counts every schema change of every process in the file itself.
        self.number(Statement { sql: "PRAGMA schema_version".into(), params: Vec::new() }).await
    }

    fn external_version(&self) -> u64 {
        self.shared.external.load(Ordering::Acquire)
    }

    fn shared(&self) -> Option<&dyn super::shared::Shared> {
        None
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        let query = query.to_owned();
        self.readers.read(move |connection| describe::describe(connection, &query)).await
    }

    async fn snapshot(&self, to: &Path) -> Result<()> {
        let (from, to) = (self.path.clone(), to.to_owned());
        let wanted = Arc::new(AtomicBool::new(true));
        let given_up = snapshot::GivenUp(wanted.clone());
        let copied = tokio::task::spawn_blocking(move || snapshot::copy(&from, &to, &wanted)).await;
        drop(given_up);
        copied.map_err(|error| Error::Internal(error.to_string()))?
    }

    async fn console(&self, sql: &str) -> Result<Console> {
        let (path, sql) = (self.path.clone(), sql.to_owned());
        let ran = tokio::task::spawn_blocking(move || console::run(&path, &sql)).await;
        let console = ran.map_err(|error| Error::Internal(error.to_string()))??;
        if console.wrote {
            let views = self.readers.read(schema::views).await?;
            *self.shared.views.write() = Arc::new(views);
            self.shared.dirty.store(true, Ordering::Relaxed);
        }
        Ok(console)
    }

    async fn depart(&self) -> Result<Box<dyn Departure>> {
        Ok(Box::new(departure::SqliteDeparture::new(self.path.clone())))
    }

    async fn arrive(&self) -> Result<Box<dyn Arrival>> {
        Ok(Box::new(arrival::SqliteArrival::open(&self.path).await?))
    }

    async fn ping(&self) -> Result<()> {
        if self.queue.lock().is_none() {
            return Err(closed());
        }
        self.number(Statement { sql: "SELECT 1".into(), params: Vec::new() }).await.map(drop)
    }

    async fn optimize(&self) -> Result<()> {
        self.shared.optimize.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn gauges(&self) -> Vec<(&'static str, f64)> {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len()) as f64;
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let waiting = limits::WRITE_QUEUE_MAX - self.places.available_permits();
        vec![
            ("pando_store_writes_waiting", waiting as f64),
            ("pando_store_database_bytes", bytes(&self.path)),
            ("pando_store_wal_bytes", bytes(Path::new(&log))),
        ]
    }

    async fn close(&self) {
        // Without senders the writer ends once the queue is empty.
        drop(self.queue.lock().take());
        drop(self.stop_checkpoints.lock().take());
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
        drop(self.lock.lock().take());
    }
}

async fn place(
    places: &Arc<Semaphore>,
    until: tokio::time::Instant,
    full: &str,
) -> Result<OwnedSemaphorePermit> {
    if let Ok(permit) = places.clone().try_acquire_owned() {
        return Ok(permit);
    }
    let waited = tokio::time::timeout_at(until, places.clone().acquire_owned()).await;
    waited.map_err(|_| Error::Unavailable(full.into()))?.map_err(|_| closed())
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}
