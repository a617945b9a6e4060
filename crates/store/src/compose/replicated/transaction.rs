//! A transaction on the primary. It ends like any other commit: when all will see it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use query::{Batch, Claim, Row, Select};
use tokio::time::Instant;

use super::hosts::Hosts;
use super::life::Primary;
use super::write::UNCONFIRMED;
use crate::engine::postgres::PostgresTransaction;
use crate::engine::{self, Engine, ViewColumn};
use crate::error::{Error, Result};

pub struct ReplicatedTransaction {
    inner: PostgresTransaction,
    hosts: Arc<Hosts>,
    primary: Arc<Primary>,
}

impl ReplicatedTransaction {
    pub async fn begin(hosts: Arc<Hosts>, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + Duration::from_millis(base::limits::PRIMARY_WAIT_MS);
        loop {
            let primary = hosts.writable(deadline).await?;
            let begun = tokio::select! {
                begun = primary.life.engine.transaction(limit) => begun,
                () = primary.life.until_quiet() => Err(Error::Away("the primary stopped answering".into())),
            };
            match begun {
                Ok(inner) => return Ok(ReplicatedTransaction { inner, hosts, primary }),
                Err(Error::Away(text)) => {
                    if !hosts.news(deadline).await {
                        return Err(Error::Away(text));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A step does not outlive its host: what was done is undone there, and may be done again on another.
    async fn step<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = step => done.map_err(|error| match error {
                Error::Away(text) => Error::Aborted(text),
                other => other,
            }),
            () = self.primary.life.until_over() => Err(Error::Aborted("the primary was lost".into())),
        }
    }
}

#[async_trait]
impl Engine for ReplicatedTransaction {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        self.step(self.inner.select(select)).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.step(self.inner.count(select)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        self.step(self.inner.commit(batch)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        self.step(self.inner.claim(claim)).await
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn engine::Transaction>> {
        self.inner.begin(limit).await
    }

    async fn schema_version(&self) -> Result<u64> {
        self.step(self.inner.schema_version()).await
    }

    fn shared(&self) -> Option<&dyn engine::shared::Shared> {
        None
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.step(self.inner.describe_view(query)).await
    }

    async fn ping(&self) -> Result<()> {
        self.step(self.inner.ping()).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl engine::Transaction for ReplicatedTransaction {
    async fn finish(&self, commit: bool) -> Result<()> {
        if !commit {
            return self.step(self.inner.finish(false)).await;
        }
        let mut receipt = self.hosts.receipts.take();
        let began = Instant::now();
        let finished = tokio::select! {
            finished = self.inner.finish_with(true, Some(&receipt)) => finished,
            () = self.primary.life.until_over() => Err(Error::Uncertain("the primary was lost".into())),
        };
        match finished {
            Ok(()) if began.elapsed() < UNCONFIRMED => {
                receipt.advance();
                self.hosts.receipts.give_back(receipt);
            }
            Ok(()) | Err(Error::Uncertain(_)) => {
                let deadline = Instant::now() + Duration::from_millis(base::limits::PRIMARY_WAIT_MS);
                if !self.hosts.settle(&receipt, deadline).await? {
                    return Err(Error::Aborted("the primary was lost".into()));
                }
            }
            // The connection was gone before the commit was asked for.
            Err(Error::Away(text)) => return Err(Error::Aborted(text)),
            Err(error) => return Err(error),
        }
        self.hosts.spread(self.hosts.now()).await;
        Ok(())
    }
}
