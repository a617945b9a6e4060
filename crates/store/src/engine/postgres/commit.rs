//! Batches. Everything from BEGIN to COMMIT is sent before the first answer is read, so a batch costs one round
//! trip; what fails makes the server skip the rest, and COMMIT then rolls back.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::Client;
use query::{Batch, Ddl, Op};
use tokio_postgres::Statement as Prepared;
use tokio_postgres::types::ToSql;

use super::codec::Param;
use super::connect::{data_failure, failure, is_ended, is_stale, may_retry};
use super::receipt::{Receipt, is_withdrawn};
use super::{bootstrap, schema};
use crate::error::{Error, Result};
use crate::sql::{Dialect, Statement, Views, write};

/// How often a batch is tried when others are in its way.
const ATTEMPTS_MAX: u32 = 5;
/// How many inserts one statement may hold.
const INSERTS_TOGETHER: [usize; 6] = [64, 32, 16, 8, 4, 2];

/// A rendered batch: its statements in order.
pub struct Rendered {
    guards: Vec<Bound>,
    ddl: Vec<Ddl>,
    ops: Vec<Written>,
    jobs: Vec<Bound>,
}

/// An operation, or several inserts in one.
struct Written {
    bound: Bound,
    /// The operation's place in the batch, if it is worth telling that its record was not there.
    counts: Option<usize>,
}

pub struct Bound {
    sql: String,
    params: Vec<Param>,
}

impl Bound {
    pub fn of(sql: String, values: impl Iterator<Item = base::Value>) -> Self {
        Bound { sql, params: values.map(Param).collect() }
    }

    fn new(statement: Statement) -> Self {
        Bound { sql: statement.sql, params: statement.params.into_iter().map(Param).collect() }
    }

    fn refs(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
    }
}

/// Why an attempt ended: the driver's error may allow another one.
pub enum Failed {
    Driver(tokio_postgres::Error),
    Final(Error),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Failed::Driver(error)
    }
}

impl Rendered {
    pub fn new(batch: Batch, views: &Views) -> Self {
        let dialect = Dialect::Postgres;
        let guards = batch.guards.iter().enumerate();
        Rendered {
            guards: guards
                .map(|(index, guard)| Bound::new(write::guard(dialect, views, guard, index, &batch.ops)))
                .collect(),
            ops: written(&batch.ops, views),
            jobs: batch.jobs.iter().map(|job| Bound::new(write::job(dialect, job))).collect(),
            ddl: batch.ddl,
        }
    }

    pub fn changes_schema(&self) -> bool {
        !self.ddl.is_empty()
    }

    /// Commits, trying again when other transactions were in the way.
    pub async fn commit(&self, client: &mut Client, receipt: Option<&Receipt>) -> Result<Vec<usize>> {
        let mut stale = false;
        for attempt in 1.. {
            let result = match self.changes_schema() {
                true => self.with_schema(client, receipt).await,
                false => self.pipelined(client, receipt).await,
            };
            match result {
                Ok(missing) => return Ok(missing),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Driver(error)) if may_retry(&error) && attempt < ATTEMPTS_MAX => {
                    tokio::time::sleep(std::time::Duration::from_millis(u64::from(attempt * attempt) * 3))
                        .await;
                }
                Err(Failed::Driver(error)) if is_stale(&error) && !stale => {
                    stale = true;
                    client.statement_cache.clear();
                }
                Err(Failed::Driver(error)) if is_withdrawn(&error) => {
                    return Err(Error::Away("the receipt was withdrawn".into()));
                }
                // Whether it was sent, and arrived, cannot be told.
                Err(Failed::Driver(error)) if is_ended(&error) => {
                    return Err(Error::Uncertain(failure(error).to_string()));
                }
                Err(Failed::Driver(error)) => return Err(data_failure(error)),
            }
        }
        Err(Error::Internal("a batch ran out of attempts".into()))
    }

    async fn pipelined(&self, client: &Client, receipt: Option<&Receipt>) -> Result<Vec<usize>, Failed> {
        let own = self.guards.iter().chain(self.ops.iter().map(|op| &op.bound)).chain(&self.jobs);
        let mut all: Vec<&Bound> = own.collect();
        super::bound_cache(client);
        let extra;
        match (&all[..], receipt) {
            ([], _) => return Ok(Vec::new()),
            ([only], Some(receipt)) => {
                let receipt = receipt.bound(only.params.len() + 1);
                let sql = format!("WITH receipt AS ({}) {}", receipt.sql, only.sql);
                let params: Vec<_> = only.refs().into_iter().chain(receipt.refs()).collect();
                let changed = client.execute(&client.prepare_cached(&sql).await?, &params).await?;
                return Ok(missing(self.ops.iter().map(|op| (op, changed))));
            }
            (_, Some(receipt)) => {
                extra = receipt.bound(1);
                all.push(&extra);
            }
            _ => {}
        }
        let mut prepared: Vec<Prepared> = Vec::with_capacity(all.len());
        for bound in &all {
            prepared.push(client.prepare_cached(&bound.sql).await?);
        }
        let params: Vec<Vec<&(dyn ToSql + Sync)>> = all.iter().map(|bound| bound.refs()).collect();
        let changed = match (&prepared[..], &params[..]) {
            // A statement is a transaction by itself.
            ([only], [params]) => vec![client.execute(only, params).await?],
            _ => self.transaction(client, &prepared, &params).await?,
        };
        let ops = &changed[self.guards.len()..self.guards.len() + self.ops.len()];
        Ok(missing(self.ops.iter().zip(ops.iter().copied())))
    }

    async fn transaction(
        &self,
        client: &Client,
        prepared: &[Prepared],
        params: &[Vec<&(dyn ToSql + Sync)>],
    ) -> Result<Vec<u64>, Failed> {
        // Guards must hold until the commit. What they found present is locked; that what they found absent stays
        // absent is only seen by the serializable level.
        let begin = if self.guards.is_empty() { "BEGIN" } else { "BEGIN ISOLATION LEVEL SERIALIZABLE" };
        let mut begin = Sent::new(client.batch_execute(begin));
        begin.send().await;
        let mut running = Vec::with_capacity(prepared.len());
        for (statement, params) in prepared.iter().zip(params) {
            let mut sent = Sent::new(client.execute(statement, params));
            sent.send().await;
            running.push(sent);
        }
        let mut commit = Sent::new(client.batch_execute("COMMIT"));
        commit.send().await;
        // Every answer is read, so that the connection is clean whatever happened.
        let begun = begin.answer().await;
        let mut changed = Vec::with_capacity(running.len());
        let mut failed = None;
        for sent in running {
            match sent.answer().await {
                Ok(count) => changed.push(count),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let committed = commit.answer().await;
        begun?;
        match failed {
            Some(error) => Err(error.into()),
            None => {
                committed?;
                Ok(changed)
            }
        }
    }

    /// As a step of an open transaction, in which the savepoint `step` marks what stands: what fails is undone to it.
    pub async fn step(&self, client: &Client) -> Result<Vec<usize>, Failed> {
        let result = self.statements(client).await;
        let sql = if result.is_ok() { "RELEASE step; SAVEPOINT step" } else { "ROLLBACK TO step" };
        client.batch_execute(sql).await?;
        result
    }

    async fn statements(&self, client: &Client) -> Result<Vec<usize>, Failed> {
        super::bound_cache(client);
        for guard in &self.guards {
            client.execute(&client.prepare_cached(&guard.sql).await?, &guard.refs()).await?;
        }
        if self.changes_schema() {
            client.execute("SELECT pg_advisory_xact_lock($1)", &[&bootstrap::SCHEMA_LOCK]).await?;
            schema::apply(client, &self.ddl).await.map_err(Failed::Final)?;
            client.batch_execute(schema::BUMP_VERSION).await?;
            client.statement_cache.clear();
        }
        let mut changed = Vec::with_capacity(self.ops.len());
        for op in &self.ops {
            let prepared = client.prepare_cached(&op.bound.sql).await?;
            changed.push((op, client.execute(&prepared, &op.bound.refs()).await?));
        }
        for job in &self.jobs {
            client.execute(&client.prepare_cached(&job.sql).await?, &job.refs()).await?;
        }
        Ok(missing(changed.into_iter()))
    }

    /// Schema changes look things up between statements, so they go step by step, one process at a time.
    async fn with_schema(
        &self,
        client: &mut Client,
        receipt: Option<&Receipt>,
    ) -> Result<Vec<usize>, Failed> {
        let transaction = client.transaction().await?;
        if let Some(receipt) = receipt.map(|receipt| receipt.bound(1)) {
            transaction.execute(&receipt.sql, &receipt.refs()).await?;
        }
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&bootstrap::SCHEMA_LOCK]).await?;
        for guard in &self.guards {
            transaction.execute(&guard.sql, &guard.refs()).await?;
        }
        schema::apply(transaction.client(), &self.ddl).await.map_err(Failed::Final)?;
        let mut changed = Vec::with_capacity(self.ops.len());
        for op in &self.ops {
            changed.push((op, transaction.execute(&op.bound.sql, &op.bound.refs()).await?));
        }
        for job in &self.jobs {
            transaction.execute(&job.sql, &job.refs()).await?;
        }
        transaction.batch_execute(schema::BUMP_VERSION).await?;
        transaction.commit().await?;
        Ok(missing(changed.into_iter()))
    }
}

fn missing<'w>(ops: impl Iterator<Item = (&'w Written, u64)>) -> Vec<usize> {
    ops.filter(|(_, changed)| *changed == 0).filter_map(|(op, _)| op.counts).collect()
}

/// The operations' statements. Inserts of the same columns in a row share statements, of a few sizes only, so that they
/// are prepared once.
fn written(ops: &[Op], views: &Views) -> Vec<Written> {
    let dialect = Dialect::Postgres;
    let mut out = Vec::with_capacity(ops.len());
    let mut at = 0;
    while let Some(op) = ops.get(at) {
        let together = INSERTS_TOGETHER.into_iter().find_map(|rows| {
            let inserts = ops.get(at..at + rows)?;
            write::inserts(dialect, views, inserts).map(|statement| (rows, statement))
        });
        let (rows, statement) = together.unwrap_or_else(|| (1, write::op(dialect, views, op)));
        let counts = (rows == 1 && write::counts(op)).then_some(at);
        out.push(Written { bound: Bound::new(statement), counts });
        at += rows;
    }
    out
}

/// A request that goes out at its first poll, long before its answer is awaited.
struct Sent<'f, T> {
    future: Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + Send + 'f>>,
    early: Option<Result<T, tokio_postgres::Error>>,
}

impl<'f, T> Sent<'f, T> {
    fn new(future: impl Future<Output = Result<T, tokio_postgres::Error>> + Send + 'f) -> Self {
        Sent { future: Box::pin(future), early: None }
    }

    async fn send(&mut self) {
        let future = &mut self.future;
        let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(result) = first {
            self.early = Some(result);
        }
    }

    async fn answer(self) -> Result<T, tokio_postgres::Error> {
        match self.early {
            Some(result) => result,
            None => self.future.await,
        }
    }
}
