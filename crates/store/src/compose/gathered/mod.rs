//! Small requests that meet share a statement. Reads of one record by its id, and commits of nothing but one insert, go
//! out at once while few of their kind are under way; further ones wait, and go out together as soon as one of those
//! has its answer. A statement costs the database and this process far more than a row does, and a commit more than
//! both: a busy node asks a fraction of the statements, and a quiet one waits for nothing.
//!
//! Nobody can tell the difference: a read is never answered from a statement that was sent before it was asked for, and
//! when inserts fail together each is tried alone.

mod inserts;
mod lanes;
mod reads;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Name;
use query::{Batch, Claim, Row, Select, Visits};

use self::inserts::Inserts;
use self::reads::Reads;
use crate::engine::shared::Shared;
use crate::engine::transfer::{Arrival, Departure};
use crate::engine::{Console, Engine, Transaction, ViewColumn};
use crate::error::Result;

pub struct Gathered {
    inner: Arc<dyn Engine>,
    reads: Arc<Reads>,
    inserts: Arc<Inserts>,
}

impl Gathered {
    pub fn over(inner: Arc<dyn Engine>) -> Gathered {
        let (reads, inserts) = (Arc::new(Reads::new(inner.clone())), Arc::new(Inserts::new(inner.clone())));
        Gathered { inner, reads, inserts }
    }
}

#[async_trait]
impl Engine for Gathered {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        match reads::point(select) {
            Some((table, id)) => self.reads.select(select, table, id).await,
            None => self.inner.select(select).await,
        }
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.inner.count(select).await
    }

    async fn count_by_hour(&self, select: &Select, column: &Name) -> Result<Vec<(String, u64)>> {
        self.inner.count_by_hour(select, column).await
    }

    async fn visits(&self, visits: &Visits) -> Result<Vec<[i64; 3]>> {
        self.inner.visits(visits).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        match inserts::only(batch) {
            Ok(insert) => self.inserts.commit(insert).await,
            Err(batch) => self.inner.commit(*batch).await,
        }
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        self.inner.claim(claim).await
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn Transaction>> {
        self.inner.begin(limit).await
    }

    async fn schema_version(&self) -> Result<u64> {
        self.inner.schema_version().await
    }

    fn external_version(&self) -> u64 {
        self.inner.external_version()
    }

    fn shared(&self) -> Option<&dyn Shared> {
        self.inner.shared()
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.inner.describe_view(query).await
    }

    async fn console(&self, sql: &str) -> Result<Console> {
        self.inner.console(sql).await
    }

    async fn snapshot(&self, to: &Path) -> Result<()> {
        self.inner.snapshot(to).await
    }

    async fn depart(&self) -> Result<Box<dyn Departure>> {
        self.inner.depart().await
    }

    async fn arrive(&self) -> Result<Box<dyn Arrival>> {
        self.inner.arrive().await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn optimize(&self) -> Result<()> {
        self.inner.optimize().await
    }

    fn gauges(&self) -> Vec<(&'static str, f64)> {
        self.inner.gauges()
    }

    fn unwaited(&self) -> Option<Arc<dyn Engine>> {
        self.inner.unwaited()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
