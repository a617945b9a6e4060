//! An open transaction on a connection of its own. What two of them do at once comes out as if one had gone before
//! the other; where that cannot be, one of them is undone and told so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Client, Object};
use parking_lot::RwLock;
use query::{Batch, Claim, Column, ColumnType, Row, Select};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::codec::Param;
use super::commit::{Failed, Rendered};
use super::connect::{STATEMENT_MS, data_failure, failure, is_ended, is_stale, may_retry};
use super::receipt::{Receipt, is_withdrawn};
use super::{Inner, bound_cache, read, schema};
use crate::engine::shared::Shared;
use crate::engine::{self, Engine, ViewColumn};
use crate::error::{Error, Result};
use crate::sql::{Dialect, Renderer, Statement, Views, write};

pub struct PostgresTransaction {
    inner: Arc<Inner>,
    deadline: Instant,
    open: Mutex<Open>,
    views: RwLock<Arc<Views>>,
}

struct Open {
    /// `None` once the transaction has ended.
    client: Option<Client>,
    /// Why it has ended, if not by its holder.
    ended: Option<Error>,
    schema: bool,
}

impl Open {
    fn end(&mut self, error: Error, leave: impl FnOnce(Client)) -> Error {
        if let Some(client) = self.client.take() {
            leave(client);
        }
        self.ended.insert(error).again()
    }

    fn closed(&self) -> Error {
        match &self.ended {
            Some(error) => error.again(),
            None => Error::Internal("the transaction has ended".into()),
        }
    }
}

/// A connection on which a transaction may have begun. Whoever gave up waiting for it, or was told of an error, must
/// not leave it open: the next commits on that connection would be part of it, acknowledged and never committed.
struct Begun(Option<Client>);

impl Begun {
    fn abandon(mut self) {
        if let Some(client) = self.0.take() {
            abandon(client);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            undo(client);
        }
    }
}

/// Leaves the server to notice that nobody is there any more.
fn abandon(client: Client) {
    drop(Object::take(client));
}

impl PostgresTransaction {
    pub(super) async fn begin(inner: Arc<Inner>, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + limit;
        let ms = limit.as_millis().clamp(1, i32::MAX as u128);
        // A holder that goes silent, and a statement that does not end, are the server's to stop.
        let sql = format!(
            "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL statement_timeout={ms}; \
             SET LOCAL lock_timeout={ms}; SET LOCAL idle_in_transaction_session_timeout={ms}; \
             SAVEPOINT step"
        );
        let mut again = true;
        loop {
            let mut begun = Begun(Some(inner.client().await?));
            let Some(client) = &begun.0 else { return Err(Error::Internal("no connection".into())) };
            let answer = tokio::time::timeout_at(deadline, client.batch_execute(&sql)).await;
            let is_closed = client.is_closed();
            match answer {
                Ok(Ok(())) => {
                    let views = RwLock::new(inner.views());
                    let open = Mutex::new(Open { client: begun.0.take(), ended: None, schema: false });
                    return Ok(PostgresTransaction { inner, deadline, open, views });
                }
                Ok(Err(error)) if again && (is_ended(&error) || is_closed) => {
                    again = false;
                    begun.abandon();
                    inner.pool.retain(|_, _| false);
                }
                Ok(Err(error)) => return Err(failure(error)),
                Err(_) => {
                    begun.abandon();
                    return Err(Error::Away("PostgreSQL does not answer".into()));
                }
            }
        }
    }

    fn views(&self) -> Arc<Views> {
        self.views.read().clone()
    }

    /// What is left of the transaction's time ends a step too; then there is nothing more to do with the connection.
    async fn within<T>(
        &self,
        open: &mut Open,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Failed>,
    ) -> Result<T> {
        let Some(client) = &mut open.client else {
            return Err(open.closed());
        };
        let result = tokio::time::timeout_at(self.deadline, work(client)).await;
        let error = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Failed::Final(error))) => return Err(error),
            Ok(Err(Failed::Driver(error))) => Some(error),
            Err(_) => None,
        };
        let Some(error) = error else {
            return Err(open.end(Error::Expired, abandon));
        };
        if may_retry(&error) || is_stale(&error) {
            return Err(open.end(Error::Aborted(error.to_string()), undo));
        }
        if is_ended(&error) || client.is_closed() {
            let late = Instant::now() >= self.deadline;
            return Err(open.end(if late { Error::Expired } else { failure(error) }, abandon));
        }
        if error.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED) {
            return Err(open.end(Error::Expired, undo));
        }
        Err(data_failure(error))
    }

    async fn rows(&self, statement: Statement, columns: &[Column]) -> Result<Vec<Row>> {
        let params: Vec<Param> = statement.params.into_iter().map(Param).collect();
        let mut open = self.open.lock().await;
        self.within(&mut open, async |client| {
            bound_cache(client);
            let result = read(client, &statement.sql, &params, columns).await;
            if result.is_err() {
                // A query that is refused must not end the transaction.
                client.batch_execute("ROLLBACK TO step").await?;
            }
            Ok(result?)
        })
        .await
    }

    async fn number(&self, statement: Statement) -> Result<u64> {
        let rows = self.rows(statement, &[Column::new("number", ColumnType::Number)]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0).as_number() as u64))
    }
}

/// Gives the connection back once the transaction is undone; one that does not answer is closed.
fn undo(client: Client) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        abandon(client);
        return;
    };
    runtime.spawn(async move {
        let wait = Duration::from_millis(base::limits::POSTGRES_CONNECT_MS);
        let done = tokio::time::timeout(wait, client.batch_execute("ROLLBACK")).await;
        if !matches!(done, Ok(Ok(()))) {
            abandon(client);
        }
    });
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if let Some(client) = self.open.get_mut().client.take() {
            undo(client);
        }
    }
}

#[async_trait]
impl Engine for PostgresTransaction {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        let statement = Renderer::new(Dialect::Postgres, &self.views()).select(select);
        self.rows(statement, &select.columns).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let statement = Renderer::new(Dialect::Postgres, &self.views()).count(select);
        self.number(statement).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        let rendered = Rendered::new(batch, &self.views());
        let mut open = self.open.lock().await;
        let missing = self.within(&mut open, async |client| rendered.step(client).await).await?;
        if rendered.changes_schema() {
            open.schema = true;
            let views = self
                .within(&mut open, async |client| schema::views(client).await.map_err(Failed::Final))
                .await?;
            *self.views.write() = Arc::new(views);
        }
        Ok(missing)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        let statement = write::claim(Dialect::Postgres, &self.views(), claim);
        let params: Vec<Param> = statement.params.into_iter().map(Param).collect();
        let mut open = self.open.lock().await;
        self.within(&mut open, async |client| {
            bound_cache(client);
            let taken = read(client, &statement.sql, &params, &claim.columns).await;
            let sql = if taken.is_ok() { "RELEASE step; SAVEPOINT step" } else { "ROLLBACK TO step" };
            client.batch_execute(sql).await?;
            Ok(taken?)
        })
        .await
    }

    async fn begin(&self, _limit: Duration) -> Result<Arc<dyn engine::Transaction>> {
        Err(engine::nested())
    }

    async fn schema_version(&self) -> Result<u64> {
        let sql = "SELECT \"value\"::float8 FROM \"_pando_meta\" WHERE \"id\"='schema_version'";
        self.number(Statement { sql: sql.into(), params: Vec::new() }).await
    }

    fn shared(&self) -> Option<&dyn Shared> {
        None
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        let mut open = self.open.lock().await;
        self.within(&mut open, async |client| schema::describe(client, query).await.map_err(Failed::Final))
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.number(Statement { sql: "SELECT 1::float8".into(), params: Vec::new() }).await.map(drop)
    }

    async fn close(&self) {
        let _ = engine::Transaction::finish(self, false).await;
    }
}

#[async_trait]
impl engine::Transaction for PostgresTransaction {
    async fn finish(&self, commit: bool) -> Result<()> {
        self.finish_with(commit, None).await
    }
}

impl PostgresTransaction {
    pub async fn finish_with(&self, commit: bool, receipt: Option<&Receipt>) -> Result<()> {
        let mut open = self.open.lock().await;
        let sql = match (commit, receipt) {
            (false, _) => "ROLLBACK".to_owned(),
            // A statement's limit that ends a wait for standbys makes the commit look confirmed: the limit of steps,
            // which may be short, is not the commit's.
            (true, receipt) => {
                let receipt = receipt.map(Receipt::inline).unwrap_or_default();
                format!("SET LOCAL statement_timeout={STATEMENT_MS};{receipt}COMMIT")
            }
        };
        if open.client.is_some() && Instant::now() >= self.deadline {
            return Err(open.end(Error::Expired, undo));
        }
        // A commit that was sent is waited for beyond the deadline: its outcome must be known.
        let mut begun = Begun(open.client.take());
        let Some(client) = &begun.0 else {
            return Err(open.closed());
        };
        match tokio::time::timeout(super::SILENCE, client.batch_execute(&sql)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if may_retry(&error) || is_withdrawn(&error) => {
                return Err(Error::Aborted(error.to_string()));
            }
            Ok(Err(error)) if is_ended(&error) || client.is_closed() => {
                begun.abandon();
                return Err(Error::Uncertain(failure(error).to_string()));
            }
            Ok(Err(error)) => return Err(failure(error)),
            Err(_) => {
                begun.abandon();
                return Err(Error::Uncertain("PostgreSQL does not answer".into()));
            }
        }
        let client = begun.0.take();
        if commit
            && open.schema
            && let Some(client) = client
        {
            self.inner.pool.manager().statement_caches.clear();
            self.inner.reload_views(&client).await?;
        }
        Ok(())
    }
}
