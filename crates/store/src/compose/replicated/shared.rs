//! What nodes share is kept on the primary, and only there is it asked for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::limits::PRIMARY_WAIT_MS;
use tokio::time::Instant;

use super::Replicated;
use super::life::Primary;
use crate::engine::shared::{Member, Shared, Take, Taken};
use crate::error::{Error, Result};

impl Replicated {
    async fn primary(&self) -> Result<Arc<Primary>> {
        self.hosts.writable(Instant::now() + Duration::from_millis(PRIMARY_WAIT_MS)).await
    }
}

/// For as long as the host is what it was.
async fn answer<T>(primary: &Primary, asked: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = asked => result,
        () = primary.life.until_over() => Err(Error::Uncertain("the primary was lost".into())),
    }
}

#[async_trait]
impl Shared for Replicated {
    async fn take(&self, take: &Take<'_>) -> Result<Taken> {
        let primary = self.primary().await?;
        answer(&primary, primary.life.engine.take(take)).await
    }

    async fn forget(&self, key: &str) -> Result<()> {
        let primary = self.primary().await?;
        answer(&primary, primary.life.engine.forget(key)).await
    }

    async fn sweep(&self) -> Result<()> {
        let primary = self.primary().await?;
        answer(&primary, primary.life.engine.sweep()).await
    }

    async fn beat(&self, member: &Member) -> Result<u64> {
        let primary = self.primary().await?;
        answer(&primary, primary.life.engine.beat(member)).await
    }

    async fn leave(&self, id: &str) -> Result<()> {
        let primary = self.primary().await?;
        answer(&primary, primary.life.engine.leave(id)).await
    }

    async fn members(&self) -> Result<Vec<Member>> {
        let primary = self.primary().await?;
        answer(&primary, primary.life.engine.members()).await
    }
}
