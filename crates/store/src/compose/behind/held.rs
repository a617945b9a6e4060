//! A transaction, while which nothing is noted: it sees all that was acknowledged, and all that is acknowledged later comes
//! after it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use query::{Batch, Claim, Row, Select};

use super::Mark;
use crate::engine::shared::Shared;
use crate::engine::{Engine, Transaction, ViewColumn};
use crate::error::Result;

pub struct Held {
    pub transaction: Arc<dyn Transaction>,
    pub _mark: Mark,
}

#[async_trait]
impl Engine for Held {
    fn name(&self) -> &'static str {
        self.transaction.name()
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        self.transaction.select(select).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.transaction.count(select).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        self.transaction.commit(batch).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        self.transaction.claim(claim).await
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn Transaction>> {
        self.transaction.begin(limit).await
    }

    async fn schema_version(&self) -> Result<u64> {
        self.transaction.schema_version().await
    }

    fn shared(&self) -> Option<&dyn Shared> {
        self.transaction.shared()
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.transaction.describe_view(query).await
    }

    async fn ping(&self) -> Result<()> {
        self.transaction.ping().await
    }

    async fn close(&self) {
        self.transaction.close().await;
    }
}

#[async_trait]
impl Transaction for Held {
    async fn finish(&self, commit: bool) -> Result<()> {
        self.transaction.finish(commit).await
    }
}
