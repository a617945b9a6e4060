//! Jobs are taken from the database, in as many processes as like to. One look tells which queues have due jobs, so that
//! idle ones cost nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Name;
use base::limits::{JOB_LEASE_MS, JOBS_ASTRAY_MS, JOBS_LOOK_MS};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::table::{Held, Table};
use super::{Engine, Options, Outcome, Result, Taken};

const LEASE_MS: i64 = JOB_LEASE_MS as i64;

pub struct Embedded {
    table: Table,
    /// This process among all.
    holder: Name,
    queues: Vec<Name>,
    /// Of each queue.
    news: Vec<Notify>,
    wake: Arc<Notify>,
    poll: Duration,
}

impl Embedded {
    pub fn new(options: Options) -> Embedded {
        let Options { store, clock, queues, wake, poll, .. } = options;
        let news = queues.iter().map(|_| Notify::new()).collect();
        Embedded {
            table: Table::new(store, clock),
            holder: base::id::record().into(),
            queues,
            news,
            wake,
            poll,
        }
    }

    fn held(&self, ids: impl Iterator<Item = Name>) -> Held<'_> {
        Held { holder: &self.holder, ids: ids.collect() }
    }
}

#[async_trait]
impl Engine for Embedded {
    async fn take(&self, queue: &Name, most: usize) -> Result<Vec<Taken>> {
        self.table.take(queue, most, &self.holder, LEASE_MS).await
    }

    async fn news(&self, queue: &Name) {
        match self.queues.iter().position(|known| known == queue) {
            Some(at) => self.news[at].notified().await,
            None => std::future::pending().await,
        }
    }

    async fn renew(&self, held: &[Arc<Taken>]) -> Result<Vec<Name>> {
        self.table.renew(&self.held(held.iter().map(|job| job.id.clone())), LEASE_MS).await
    }

    async fn settle(&self, ended: &[(Arc<Taken>, Outcome)]) -> Result<usize> {
        let (done, others): (Vec<_>, Vec<_>) =
            ended.iter().partition(|(_, outcome)| *outcome == Outcome::Done);
        let mut lost = 0;
        if !done.is_empty() {
            let held = self.held(done.iter().map(|(job, _)| job.id.clone()));
            lost += done.len().saturating_sub(self.table.done(&held).await?);
        }
        for (job, outcome) in others {
            lost += usize::from(!self.table.leave(job, &self.holder, outcome).await?);
        }
        Ok(lost)
    }

    async fn serve(&self) {
        let mut astray = Instant::now();
        loop {
            match self.table.busy(&self.queues).await {
                Ok(busy) => {
                    for (queue, news) in self.queues.iter().zip(&self.news) {
                        if busy.contains(queue) {
                            news.notify_one();
                        }
                    }
                }
                Err(error) => tracing::warn!("cannot look for jobs: {error}"),
            }
            if astray <= Instant::now() {
                astray = Instant::now() + Duration::from_millis(JOBS_ASTRAY_MS);
                if let Err(error) = self.table.free_astray(&self.queues).await {
                    tracing::debug!("cannot look for jobs that went astray: {error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(JOBS_LOOK_MS)).await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.poll) => {}
            }
        }
    }

    fn lease(&self) -> Duration {
        Duration::from_millis(JOB_LEASE_MS)
    }
}
