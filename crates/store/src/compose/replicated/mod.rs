//! Several PostgreSQL hosts with copies of one database as one engine.

mod hosts;
mod ledger;
mod life;
mod read;
mod steward;
mod transaction;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Name, limits};
use parking_lot::Mutex;
use query::{Batch, Row, Select};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::hosts::Hosts;
use self::read::{Count, Hours, Ping, Rows, Version, View};
use self::transaction::ReplicatedTransaction;
use crate::engine::postgres::Address;
use crate::engine::transfer::{Arrival, Departure};
use crate::engine::{self, Console, Engine, ViewColumn};
use crate::error::{Error, Result};

/// More hosts than a set has bits are no topology.
const HOSTS_MAX: usize = 64;

#[derive(Clone)]
pub struct Replicated {
    hosts: Arc<Hosts>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    /// Whether commits wait until every later read sees them.
    waits: bool,
}

impl Replicated {
    /// Looks for the hosts, and prepares the database if there is a primary. Without one it is enough that a replica
    /// can be read: the primary is looked for as long as the engine is there.
    pub async fn open(addresses: &[Address]) -> Result<Replicated> {
        if addresses.len() > HOSTS_MAX {
            return Err(Error::Refused(format!("more than {HOSTS_MAX} database hosts")));
        }
        let hosts = Arc::new(Hosts::new(addresses));
        let mut tasks = JoinSet::new();
        for host in 0..addresses.len() {
            tasks.spawn(watch::host(hosts.clone(), host));
        }
        tasks.spawn(steward::serve(hosts.clone()));
        let replicated = Replicated { hosts, tasks: Arc::new(Mutex::new(tasks)), waits: true };
        match replicated.ready().await {
            Ok(()) => Ok(replicated),
            Err(error) => {
                replicated.close().await;
                Err(error)
            }
        }
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_millis(limits::HOSTS_OPEN_MS);
        let Err(error) = self.hosts.writable(deadline).await else { return Ok(()) };
        // Not even a replica: that is worse.
        if self.hosts.read(&Version).await.is_err() {
            let names: Vec<&str> = self.hosts.addresses.iter().map(|host| &*host.name).collect();
            return Err(Error::Away(format!("{error}, and none can be read, of {}", names.join(", "))));
        }
        tracing::warn!("there is no primary: data can be read, and writes wait for one");
        Ok(())
    }
}

#[async_trait]
impl Engine for Replicated {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        self.hosts.touch(self.hosts.now());
        self.hosts.read(&Rows(select)).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.hosts.touch(self.hosts.now());
        self.hosts.read(&Count(select)).await
    }

    async fn count_by_hour(&self, select: &Select, column: &Name) -> Result<Vec<(String, u64)>> {
        self.hosts.read(&Hours(select, column)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        self.hosts.touch(self.hosts.now());
        match self.waits {
            true => self.hosts.commit(batch).await,
            false => self.hosts.commit_unwaited(batch).await,
        }
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn engine::Transaction>> {
        self.hosts.touch(self.hosts.now());
        Ok(Arc::new(ReplicatedTransaction::begin(self.hosts.clone(), limit).await?))
    }

    async fn schema_version(&self) -> Result<u64> {
        let asked = self.hosts.read(&Version).await?;
        // One host may show what others do not have yet: whoever reads by this version must find it everywhere.
        self.hosts.spread(self.hosts.now()).await;
        Ok(asked)
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.hosts.read(&View(query)).await
    }

    async fn console(&self, sql: &str) -> Result<Console> {
        self.hosts.console(sql).await
    }

    async fn depart(&self) -> Result<Box<dyn Departure>> {
        let deadline = Instant::now() + Duration::from_millis(limits::STORE_WAIT_MS);
        self.hosts.writable(deadline).await?.life.engine.depart().await
    }

    async fn arrive(&self) -> Result<Box<dyn Arrival>> {
        let deadline = Instant::now() + Duration::from_millis(limits::STORE_WAIT_MS);
        self.hosts.writable(deadline).await?.life.engine.arrive().await
    }

    async fn ping(&self) -> Result<()> {
        self.hosts.read(&Ping).await
    }

    fn unwaited(&self) -> Option<Arc<dyn Engine>> {
        Some(Arc::new(Replicated { waits: false, ..self.clone() }))
    }

    async fn close(&self) {
        self.tasks.lock().abort_all();
        for host in 0..self.hosts.addresses.len() {
            if let Some(life) = self.hosts.lives[host].load_full() {
                self.hosts.lost(&life);
            }
        }
    }
}
