//! The engine over a PostgreSQL server: a pool of connections, each with its prepared statements.

mod address;
mod arrival;
mod bootstrap;
mod codec;
mod commit;
mod connect;
mod console;
mod departure;
mod probe;
mod receipt;
mod schema;
mod shared;
mod stand;
mod standing;
mod transaction;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base::{Name, limits};
use deadpool_postgres::{Client, Hook, HookError, Pool};
use futures_util::{StreamExt, pin_mut};
use parking_lot::RwLock;
use query::{Batch, Claim, Column, Row, Select, Visits};

pub use self::address::Address;
use self::codec::{Param, Raw};
pub use self::commit::Rendered;
pub use self::connect::STATEMENT_MS;
use self::connect::{SILENCE, data_failure, is_ended, is_stale, pool_failure};
pub use self::probe::{Agreed, Probe, Quorum, Role, Sight};
pub use self::receipt::Receipt;
pub use self::transaction::PostgresTransaction;
use super::shared::Shared;
use super::transfer::{Arrival, Departure};
use super::{Console, Engine, Transaction, ViewColumn, decode};
use crate::error::{Error, Result};
use crate::sql::{Dialect, Renderer, Statement, Views, write};
use crate::unhurried::ToTheEnd;

pub struct Postgres(Arc<Inner>);

/// Asked for every new connection before it is used for the first time.
pub type Admit = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

struct Inner {
    pool: Pool,
    views: RwLock<Arc<Views>>,
    /// The schema version that `views` belongs to.
    version: AtomicU64,
}

impl Postgres {
    /// Connects, and makes Pando's own tables and functions where they are missing.
    pub async fn open(address: &Address) -> Result<Postgres> {
        let postgres = Postgres::over(connect::pool(address.config.clone(), None)?);
        postgres.bootstrap().await?;
        Ok(postgres)
    }

    /// One host of several, which may be a standby. Connects when it is first asked for something.
    pub fn member(address: &Address, admit: Admit) -> Result<Postgres> {
        let hook = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let admit = admit.clone();
            Box::pin(async move {
                client.batch_execute(connect::CONFIRMED).await.map_err(HookError::Backend)?;
                admit().await.map_err(|error| HookError::message(error.to_string()))
            })
        });
        Ok(Postgres::over(connect::pool(address.config.clone(), Some(hook))?))
    }

    pub async fn transaction(&self, limit: Duration) -> Result<PostgresTransaction> {
        PostgresTransaction::begin(self.0.clone(), limit).await
    }

    fn over(pool: Pool) -> Postgres {
        Postgres(Arc::new(Inner { pool, views: RwLock::default(), version: AtomicU64::new(0) }))
    }

    /// Makes Pando's own tables and functions where they are missing. Needs a host that can be written to.
    pub async fn bootstrap(&self) -> Result<()> {
        let mut client = self.0.client().await?;
        bootstrap::bootstrap(&mut client).await?;
        self.0.reload_views(&client).await
    }

    /// Gives out no connection any more. What is on its way goes on.
    pub fn end(&self) {
        self.0.pool.close();
    }

    /// Told that the schema has this version by now.
    pub async fn follow_schema(&self, version: u64) -> Result<()> {
        if self.0.version.swap(version, Ordering::AcqRel) != version {
            self.0.pool.manager().statement_caches.clear();
            self.0.reload_views(&self.0.client().await?).await?;
        }
        Ok(())
    }

    /// As [`Engine::commit`]. What fails as [`Error::Away`] may be tried again elsewhere.
    pub async fn commit_rendered(
        &self,
        rendered: Arc<Rendered>,
        receipt: Option<Receipt>,
    ) -> Result<Vec<usize>> {
        // A caller that goes away must not leave a connection half way through.
        let inner = self.0.clone();
        ToTheEnd::of(async move { inner.commit(&rendered, receipt.as_ref()).await }).await
    }
}

impl Inner {
    async fn client(&self) -> Result<Client> {
        self.pool.get().await.map_err(pool_failure)
    }

    fn views(&self) -> Arc<Views> {
        self.views.read().clone()
    }

    async fn reload_views(&self, client: &Client) -> Result<()> {
        let views = schema::views(client).await?;
        *self.views.write() = Arc::new(views);
        Ok(())
    }

    /// Runs a query. A connection that turned out dead is replaced once, a statement that was prepared for an
    /// older schema is prepared again.
    async fn rows(&self, statement: Statement, columns: &[Column]) -> Result<Vec<Row>> {
        let sql = statement.sql;
        let params: Vec<Param> = statement.params.into_iter().map(Param).collect();
        let mut again = true;
        loop {
            let client = self.client().await?;
            bound_cache(&client);
            let result = tokio::time::timeout(SILENCE, read(&client, &sql, &params, columns)).await;
            let error = match result {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) => error,
                Err(_) => {
                    // Whatever it is doing, nobody waits for it.
                    drop(deadpool_postgres::Object::take(client));
                    return Err(Error::Away("PostgreSQL does not answer".into()));
                }
            };
            let ended = is_ended(&error);
            if again && (ended || client.is_closed() || is_stale(&error)) {
                again = false;
                // What one connection has prepared for an older schema, all have.
                self.pool.manager().statement_caches.clear();
                if ended {
                    // The server went away or is about to: the idle connections are as dead as this one.
                    drop(deadpool_postgres::Object::take(client));
                    self.pool.retain(|_, _| false);
                }
                continue;
            }
            return Err(data_failure(error));
        }
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        let statement = Renderer::new(Dialect::Postgres, &self.views()).select(select);
        self.rows(statement, &select.columns).await
    }

    async fn number(&self, statement: Statement) -> Result<u64> {
        let columns = [Column::new("number", query::ColumnType::Number)];
        let rows = self.rows(statement, &columns).await?;
        Ok(rows.first().map_or(0, |row| row.get(0).as_number() as u64))
    }

    async fn commit(&self, rendered: &Rendered, receipt: Option<&Receipt>) -> Result<Vec<usize>> {
        let mut client = self.client().await?;
        let result = match tokio::time::timeout(SILENCE, rendered.commit(&mut client, receipt)).await {
            Ok(result) => result,
            Err(_) => {
                drop(deadpool_postgres::Object::take(client));
                return Err(Error::Uncertain("PostgreSQL does not answer".into()));
            }
        };
        if rendered.changes_schema() && result.is_ok() {
            self.pool.manager().statement_caches.clear();
            self.reload_views(&client).await?;
        }
        result
    }
}

async fn read(
    client: &Client,
    sql: &str,
    params: &[Param],
    columns: &[Column],
) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
    let prepared = client.prepare_cached(sql).await?;
    let stream = client.query_raw(&prepared, params).await?;
    pin_mut!(stream);
    let mut out = Vec::new();
    while let Some(row) = stream.next().await {
        let row = row?;
        let mut values = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            values.push(row.try_get::<_, Raw<'_>>(index)?.value(column.ty));
        }
        out.push(Row::from(values));
    }
    Ok(out)
}

/// The pool's cache has no bound of its own.
fn bound_cache(client: &Client) {
    if client.statement_cache.size() > limits::STATEMENTS_MAX {
        client.statement_cache.clear();
    }
}

#[async_trait]
impl Engine for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        match self.0.select(select).await {
            // A view that another process made is asked for an order that it has not.
            Err(Error::Outdated(text)) if text.contains("_pando_seq") => {
                self.0.reload_views(&self.0.client().await?).await?;
                self.0.select(select).await
            }
            result => result,
        }
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let statement = Renderer::new(Dialect::Postgres, &self.0.views()).count(select);
        self.0.number(statement).await
    }

    async fn count_by_hour(&self, select: &Select, column: &Name) -> Result<Vec<(String, u64)>> {
        let statement = Renderer::new(Dialect::Postgres, &self.0.views()).count_by_hour(select, column);
        Ok(decode::hours(&self.0.rows(statement, &decode::hour_columns()).await?))
    }

    async fn visits(&self, visits: &Visits) -> Result<Vec<[i64; 3]>> {
        let statement = Renderer::new(Dialect::Postgres, &self.0.views()).visits(visits);
        Ok(decode::visits(&self.0.rows(statement, &decode::visit_columns()).await?))
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        self.commit_rendered(Arc::new(self.render(batch)), None).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        let statement = write::claim(Dialect::Postgres, &self.0.views(), claim);
        self.0.rows(statement, &claim.columns).await
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn Transaction>> {
        Ok(Arc::new(self.transaction(limit).await?))
    }

    async fn schema_version(&self) -> Result<u64> {
        let sql = "SELECT \"value\"::float8 FROM \"_pando_meta\" WHERE \"id\"='schema_version'";
        let version = self.0.number(Statement { sql: sql.into(), params: Vec::new() }).await?;
        self.follow_schema(version).await?;
        Ok(version)
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        schema::describe(&*self.0.client().await?, query).await
    }

    async fn console(&self, sql: &str) -> Result<Console> {
        let console = console::run(self.0.client().await?, sql).await?;
        if console.wrote {
            self.0.pool.manager().statement_caches.clear();
            self.0.reload_views(&self.0.client().await?).await?;
        }
        Ok(console)
    }

    async fn ping(&self) -> Result<()> {
        self.0.number(Statement { sql: "SELECT 1::float8".into(), params: Vec::new() }).await.map(drop)
    }

    async fn depart(&self) -> Result<Box<dyn Departure>> {
        Ok(Box::new(departure::PostgresDeparture::new(self.0.clone())))
    }

    async fn arrive(&self) -> Result<Box<dyn Arrival>> {
        Ok(Box::new(arrival::PostgresArrival::open(&self.0).await?))
    }

    fn gauges(&self) -> Vec<(&'static str, f64)> {
        let status = self.0.pool.status();
        vec![
            ("pando_store_connections", status.size as f64),
            ("pando_store_connections_idle", status.available as f64),
            ("pando_store_connections_waiting", status.waiting as f64),
            ("pando_store_connections_max", status.max_size as f64),
        ]
    }

    async fn close(&self) {
        self.end();
    }
}
