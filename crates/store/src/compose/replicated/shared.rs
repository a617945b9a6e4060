//! What nodes share is kept on the primary, and only there is it asked for. Where an answer is lost it is asked for
//! again: a count may then be one too high, which keeps what it is for.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use base::limits::PRIMARY_WAIT_MS;
use tokio::time::Instant;

use super::Replicated;
use super::life::Primary;
use crate::engine::shared::{Member, Shared, Take, Taken};
use crate::error::{Error, Result};

/// For as long as the host is what it was.
async fn answer<T>(primary: &Primary, asked: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = asked => result,
        () = primary.life.until_over() => Err(Error::Away("the primary was lost".into())),
    }
}

macro_rules! on_primary {
    ($self:ident.$call:ident($($argument:expr)?)) => {{
        let deadline = Instant::now() + Duration::from_millis(PRIMARY_WAIT_MS);
        loop {
            let primary = $self.hosts.writable(deadline).await?;
            match answer(&primary, primary.life.engine.$call($($argument)?)).await {
                Err(Error::Away(_)) if $self.hosts.news(deadline).await => {}
                result => return result,
            }
        }
    }};
}

#[async_trait]
impl Shared for Replicated {
    async fn take(&self, take: &Take<'_>) -> Result<Taken> {
        on_primary!(self.take(take))
    }

    async fn forget(&self, key: &str) -> Result<()> {
        on_primary!(self.forget(key))
    }

    async fn sweep(&self) -> Result<()> {
        on_primary!(self.sweep())
    }

    async fn beat(&self, member: &Member) -> Result<u64> {
        on_primary!(self.beat(member))
    }

    async fn leave(&self, id: &str) -> Result<()> {
        on_primary!(self.leave(id))
    }

    async fn members(&self) -> Result<Vec<Member>> {
        on_primary!(self.members())
    }
}
