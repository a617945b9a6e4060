//! The one thread that writes. Batches that arrive together share a transaction and its sync to disk; each has
//! a savepoint of its own, so that one which fails takes no other with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base::limits;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use query::Ddl;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::connection::{execute, failure, scalar};
use super::{Shared, schema};
use crate::error::{Error, Result};
use crate::sql::Statement;

/// How often an idle writer looks for other processes' commits and tidies the log.
const IDLE_TICK: Duration = Duration::from_millis(250);
/// An idle writer empties the log after this long.
const IDLE_TRUNCATE: Duration = Duration::from_secs(1);
/// How long emptying the log may wait for readers that still need it.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(50);

/// A rendered batch and who waits for it.
pub struct Work {
    pub guards: Vec<Statement>,
    pub ddl: Vec<Ddl>,
    /// With each operation, whether a record that is gone must be told.
    pub ops: Vec<(Statement, bool)>,
    pub jobs: Vec<Statement>,
    pub reply: oneshot::Sender<Result<Vec<usize>>>,
    /// The place in the queue, given back with the answer.
    pub permit: OwnedSemaphorePermit,
}

pub struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    data_version: i64,
    /// When the log last grew; `None` when it is empty.
    dirty_since: Option<Instant>,
}

impl Writer {
    pub fn new(connection: Connection, shared: Arc<Shared>) -> Self {
        let mut writer = Writer { connection, shared, data_version: 0, dirty_since: Some(Instant::now()) };
        writer.data_version = writer.read_data_version();
        writer
    }

    /// Works until the senders are gone.
    pub fn run(mut self, queue: &Receiver<Work>) {
        let mut group = Vec::new();
        loop {
            match queue.recv_timeout(IDLE_TICK) {
                Ok(work) => group.push(work),
                Err(RecvTimeoutError::Timeout) => {
                    self.idle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while group.len() < limits::COMMIT_GROUP_MAX {
                match queue.try_recv() {
                    Ok(work) => group.push(work),
                    Err(_) => break,
                }
            }
            self.group(&mut group);
            if self.shared.restart.swap(false, Ordering::Relaxed) {
                self.checkpoint("RESTART");
            }
        }
        self.checkpoint("TRUNCATE");
    }

    fn idle(&mut self) {
        self.notice_others();
        if self.dirty_since.is_some_and(|since| since.elapsed() > IDLE_TRUNCATE) {
            self.checkpoint("TRUNCATE");
        }
    }

    /// Copies the log into the database, so that it is written from its start again. Under load the file keeps
    /// its size, because overwriting costs less than growing; when idle it is emptied. When readers are in the
    /// way, another time will do.
    fn checkpoint(&mut self, mode: &str) {
        let _ = self.connection.busy_timeout(CHECKPOINT_WAIT);
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let busy = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap_or(1);
        let _ = self.connection.busy_timeout(Duration::from_millis(limits::STORE_WAIT_MS));
        let emptied = busy == 0 && mode == "TRUNCATE";
        self.dirty_since = (!emptied).then(Instant::now);
    }

    /// This connection makes every commit of this process, so a new data version is another process's.
    fn notice_others(&mut self) {
        let version = self.read_data_version();
        if version != self.data_version {
            self.data_version = version;
            self.shared.reload_views(&self.connection);
            self.shared.external.fetch_add(1, Ordering::Release);
        }
    }

    fn read_data_version(&self) -> i64 {
        let read = || self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0));
        read().unwrap_or(self.data_version)
    }

    fn command(&self, sql: &str) -> Result<()> {
        let run = || self.connection.prepare_cached(sql)?.raw_execute().map(drop);
        run().map_err(|error| failure(&self.connection, error))
    }

    /// Commits a group and answers everyone in it.
    fn group(&mut self, group: &mut Vec<Work>) {
        if let Err(error) = self.command("BEGIN IMMEDIATE") {
            return refuse(group.drain(..), &error);
        }
        self.notice_others();
        let alone = group.len() == 1;
        let mut results = Vec::with_capacity(group.len());
        let mut schema = false;
        for work in group.iter() {
            let result = self.isolated(work, alone);
            // A full disk or a failing one ends the whole transaction.
            if self.connection.is_autocommit() {
                let error =
                    result.err().unwrap_or_else(|| Error::Internal("the transaction ended early".into()));
                return refuse(group.drain(..), &error);
            }
            schema |= result.is_ok() && !work.ddl.is_empty();
            results.push(result);
        }
        let any = results.iter().any(Result::is_ok);
        if let Err(error) = self.command(if any { "COMMIT" } else { "ROLLBACK" }) {
            if !self.connection.is_autocommit() {
                let _ = self.command("ROLLBACK");
            }
            return refuse(group.drain(..), &error);
        }
        if any {
            self.dirty_since = Some(Instant::now());
            self.shared.dirty.store(true, Ordering::Relaxed);
        }
        if schema {
            self.shared.reload_views(&self.connection);
        }
        for (work, result) in group.drain(..).zip(results) {
            let _ = work.reply.send(result);
            drop(work.permit);
        }
    }

    /// Runs one batch so that its failure, or even its panic, undoes it alone.
    fn isolated(&self, work: &Work, alone: bool) -> Result<Vec<usize>> {
        // One statement is atomic by itself.
        let single =
            work.ops.len() == 1 && work.guards.is_empty() && work.ddl.is_empty() && work.jobs.is_empty();
        let savepoint = !alone && !single;
        if savepoint {
            self.command("SAVEPOINT batch")?;
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.batch(work)))
            .unwrap_or_else(|_| Err(Error::Internal("the writer panicked on a batch".into())));
        if savepoint && !self.connection.is_autocommit() {
            if result.is_err() {
                self.command("ROLLBACK TO batch")?;
            }
            self.command("RELEASE batch")?;
        }
        result
    }

    fn batch(&self, work: &Work) -> Result<Vec<usize>> {
        let fail = |error| failure(&self.connection, error);
        for (index, guard) in work.guards.iter().enumerate() {
            if scalar(&self.connection, guard).map_err(fail)? == 0 {
                return Err(Error::Guard(index));
            }
        }
        for change in &work.ddl {
            schema::apply(&self.connection, change)?;
        }
        let mut missing = Vec::new();
        for (index, (op, counts)) in work.ops.iter().enumerate() {
            let changed = execute(&self.connection, op).map_err(fail)?;
            if *counts && changed == 0 {
                missing.push(index);
            }
        }
        for job in &work.jobs {
            execute(&self.connection, job).map_err(fail)?;
        }
        Ok(missing)
    }
}

fn refuse(group: impl Iterator<Item = Work>, error: &Error) {
    for work in group {
        let _ = work.reply.send(Err(error.again()));
        drop(work.permit);
    }
}
