//! The one thread that writes. Batches that arrive together share a transaction and its sync to disk; each has
//! a savepoint of its own, so that one which fails takes no other with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base::limits;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use query::{Batch, Claim, Column, Ddl, Row};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::connection::{execute, failure, scalar};
use super::transaction::{End, STEP_OPCODES, Session, Step};
use super::{Shared, rows, schema};
use crate::error::{Error, Result};
use crate::sql::{Dialect, Statement, Views, write};

/// How often an idle writer looks for other processes' commits and tidies the log.
const IDLE_TICK: Duration = Duration::from_millis(250);
/// An idle writer empties the log after this long.
const IDLE_TRUNCATE: Duration = Duration::from_secs(1);
/// How long emptying the log may wait for readers that still need it.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(50);

/// What the writer does, one after the other.
pub enum Task {
    Commit(Work),
    Open(Session),
}

/// A batch, rendered.
pub struct Rendered {
    pub guards: Vec<Statement>,
    pub ddl: Vec<Ddl>,
    /// With each operation, whether a record that is gone must be told.
    pub ops: Vec<(Statement, bool)>,
    pub jobs: Vec<Statement>,
    pub claim: Option<(Statement, Vec<Column>)>,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// Indexes of updates and deletes whose record was gone.
    pub missing: Vec<usize>,
    /// What was taken.
    pub rows: Vec<Row>,
}

impl Rendered {
    pub fn new(batch: Batch, views: &Views) -> Self {
        let dialect = Dialect::Sqlite;
        let guards = batch.guards.iter().enumerate();
        Rendered {
            guards: guards
                .map(|(index, guard)| write::guard(dialect, views, guard, index, &batch.ops))
                .collect(),
            ops: batch.ops.iter().map(|op| (write::op(dialect, views, op), write::counts(op))).collect(),
            jobs: batch.jobs.iter().map(|job| write::job(dialect, job)).collect(),
            ddl: batch.ddl,
            claim: None,
        }
    }

    pub fn claim(claim: &Claim, views: &Views) -> Self {
        let statement = write::claim(Dialect::Sqlite, views, claim);
        Rendered { claim: Some((statement, claim.columns.clone())), ..Rendered::new(Batch::default(), views) }
    }
}

/// A batch and who waits for it.
pub struct Work {
    pub batch: Rendered,
    pub reply: oneshot::Sender<Result<Written>>,
    /// Set by the writer when it begins, or by the caller who does not wait any longer: whoever is first.
    pub claimed: Arc<AtomicBool>,
    /// The place in the queue, given back with the answer.
    pub permit: OwnedSemaphorePermit,
}

pub struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    data_version: i64,
    /// When the log last grew; `None` when it is empty.
    dirty_since: Option<Instant>,
    /// Batches that shared a transaction.
    group_size: metrics::Histogram,
}

impl Writer {
    pub fn new(connection: Connection, shared: Arc<Shared>, file: &str) -> Self {
        let database = file.split_once('.').map_or(file, |(stem, _)| stem).to_owned();
        let group_size = metrics::histogram!("pando_store_commit_group_size", "database" => database);
        let dirty_since = Some(Instant::now());
        let mut writer = Writer { connection, shared, data_version: 0, dirty_since, group_size };
        writer.data_version = writer.read_data_version();
        writer
    }

    /// Works until the senders are gone.
    pub fn run(mut self, queue: &Receiver<Task>) {
        let mut group = Vec::new();
        loop {
            let mut session = None;
            match queue.recv_timeout(IDLE_TICK) {
                Ok(Task::Commit(work)) => group.push(work),
                Ok(Task::Open(opened)) => session = Some(opened),
                Err(RecvTimeoutError::Timeout) => {
                    self.idle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while session.is_none() && group.len() < limits::COMMIT_GROUP_MAX {
                match queue.try_recv() {
                    Ok(Task::Commit(work)) => group.push(work),
                    Ok(Task::Open(opened)) => session = Some(opened),
                    Err(_) => break,
                }
            }
            // Those whose caller gave up waiting are not begun.
            group.retain(|work| !work.claimed.swap(true, Ordering::AcqRel));
            if !group.is_empty() {
                self.group_size.record(group.len() as f64);
                self.group(&mut group);
            }
            if let Some(session) = session {
                self.session(session);
            }
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
            let result = self.isolated(&work.batch, alone);
            // A full disk or a failing one ends the whole transaction.
            if self.connection.is_autocommit() {
                let error =
                    result.err().unwrap_or_else(|| Error::Internal("the transaction ended early".into()));
                return refuse(group.drain(..), &error);
            }
            schema |= result.is_ok() && !work.batch.ddl.is_empty();
            results.push(result);
        }
        let any = results.iter().any(Result::is_ok);
        if let Err(error) = self.finish(any, schema) {
            return refuse(group.drain(..), &error);
        }
        for (work, result) in group.drain(..).zip(results) {
            let _ = work.reply.send(result);
            drop(work.permit);
        }
    }

    /// Ends the open transaction.
    fn finish(&mut self, commit: bool, schema: bool) -> Result<()> {
        if let Err(error) = self.command(if commit { "COMMIT" } else { "ROLLBACK" }) {
            if !self.connection.is_autocommit() {
                let _ = self.command("ROLLBACK");
            }
            return Err(error);
        }
        if commit {
            self.dirty_since = Some(Instant::now());
            self.shared.dirty.store(true, Ordering::Relaxed);
            if schema {
                self.shared.reload_views(&self.connection);
            }
        }
        Ok(())
    }

    /// Lets a transaction do its steps until it ends, its holder goes away, or its time is up.
    fn session(&mut self, session: Session) {
        if session.ready.is_closed() {
            return;
        }
        if let Err(error) = self.command("BEGIN IMMEDIATE") {
            let _ = session.ready.send(Err(error));
            return;
        }
        self.notice_others();
        let deadline = Instant::now() + session.limit;
        // A single statement must not outlast the transaction's time either.
        let watched = self.connection.progress_handler(STEP_OPCODES, Some(move || Instant::now() > deadline));
        let ended = match watched.map_err(|error| failure(&self.connection, error)) {
            Ok(()) => {
                let _ = session.ready.send(Ok(()));
                self.steps(&session.steps, deadline)
            }
            Err(error) => {
                let _ = session.ready.send(Err(error));
                None
            }
        };
        let _ = self.connection.progress_handler(0, None::<fn() -> bool>);
        let Some(End { commit, schema, reply }) = ended else {
            if !self.connection.is_autocommit() {
                let _ = self.command("ROLLBACK");
            }
            return;
        };
        let result = match self.connection.is_autocommit() {
            true => Err(Error::Expired),
            false => self.finish(commit, schema),
        };
        let _ = reply.send(result);
    }

    fn steps(&self, steps: &Receiver<Step>, deadline: Instant) -> Option<End> {
        let mut schema = false;
        loop {
            let step = steps.recv_deadline(deadline).ok()?;
            match step {
                Step::Read(read) => {
                    if catch_unwind(AssertUnwindSafe(|| read(&self.connection))).is_err() {
                        tracing::error!("a query panicked");
                    }
                }
                Step::Write(batch, reply) => {
                    let result = self.isolated(&batch, false);
                    let changed = result.is_ok() && !batch.ddl.is_empty();
                    schema |= changed;
                    let views = changed.then(|| schema::views(&self.connection).ok()).flatten();
                    let _ = reply.send(result.map(|written| (written.missing, views)));
                }
                Step::Finish(commit, reply) => return Some(End { commit, schema, reply }),
            }
            // An interrupted write, or a disk that is full, ends the whole transaction.
            if self.connection.is_autocommit() || Instant::now() > deadline {
                return None;
            }
        }
    }

    /// Runs one batch so that its failure, or even its panic, undoes it alone.
    fn isolated(&self, work: &Rendered, alone: bool) -> Result<Written> {
        // One statement is atomic by itself.
        let single = work.ops.len() + usize::from(work.claim.is_some()) == 1
            && work.guards.is_empty()
            && work.ddl.is_empty()
            && work.jobs.is_empty();
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

    fn batch(&self, work: &Rendered) -> Result<Written> {
        let fail = |error| failure(&self.connection, error);
        for (index, guard) in work.guards.iter().enumerate() {
            if scalar(&self.connection, guard).map_err(fail)? == 0 {
                return Err(Error::Guard(index));
            }
        }
        for change in &work.ddl {
            schema::apply(&self.connection, change)?;
        }
        let mut written = Written::default();
        for (index, (op, counts)) in work.ops.iter().enumerate() {
            let changed = execute(&self.connection, op).map_err(fail)?;
            if *counts && changed == 0 {
                written.missing.push(index);
            }
        }
        for job in &work.jobs {
            execute(&self.connection, job).map_err(fail)?;
        }
        if let Some((claim, columns)) = &work.claim {
            written.rows = rows::select(&self.connection, claim, columns).map_err(fail)?;
        }
        Ok(written)
    }
}

fn refuse(group: impl Iterator<Item = Work>, error: &Error) {
    for work in group {
        let _ = work.reply.send(Err(error.again()));
        drop(work.permit);
    }
}
