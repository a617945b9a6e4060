//! Several PostgreSQL hosts with copies of one database as one engine: reads from replicas, writes to whichever host is
//! the primary by now.
//!
//! **What it promises.** A write that was acknowledged is seen by every read that begins later, in any process. Of a
//! write that is not acknowledged yet, one read may see it and a later one not.
//!
//! Every process asks every host every few milliseconds, on a connection for nothing else, what it is and how far it has
//! come ([`watch`]). A *sample* is a moment of the process's own clock, taken before the primary was asked, with the log
//! position that it answered: whatever was acknowledged before that moment lies before that position. Processes tell
//! each other nothing; all have the same *lease* D (`REPLICA_LEASE_MS`), and *outlasting* it means D and a margin for
//! clocks that run unevenly. A clock that stands still, as that of a virtual machine which is paused, is outside of this.
//!
//! **Reading from a replica** takes a *proof*: it has replayed the position of a sample that is not older than D, and the
//! latest answer of the primary says that it is *in* ([`ledger::Ledger::readable_until`]).
//! **Acknowledging** takes, after the commit's own answer at a moment r, either a sample not older than r whose position
//! every replica that is in has replayed ([`ledger::Ledger::everywhere`]), or outlasting D ([`write`]).
//!
//! Why no read misses a write, acknowledged by A before the read began at B, from replica R:
//! - *A saw R replay it.* R has it, and no life of R that begins later is believed on older evidence, see below.
//! - *A outlasted D.* B's proof is at most D old at the read, so its sample was taken after the commit.
//! - *A did not wait for R, as R was out.* A stops waiting only when it has outlasted D since it first saw R out. By then
//!   any B that may read at all has asked the primary since, and knows.
//! - *R was let in again, and A does not know.* A goes without R only by an answer of the primary to a question that was
//!   asked after the commit and still said out. So R was let in after the commit, and B uses only samples that it took
//!   since it first saw R in.
//! - *R crashed* and came back behind what it had shown. Its end breaks B's watching connection. B believes R again by
//!   samples that are later than the new connection only ([`ledger`]), and anything that A saw in R's earlier life is
//!   earlier than that. A connection that reads is used once the watching one, which is older, has answered after it was
//!   opened: then both are of one life ([`life`]).
//! - *The primary is read* where there is no proof. It has everything, as long as it is the primary: of the hosts that say
//!   so only the one on the highest timeline counts that any host ever showed, and no look at any host may be older than
//!   `REPLICA_LOOK_MS`, so that a process that slept looks first.
//! - *There is no primary, or B is cut off from it.* A commit is confirmed by k of n standbys
//!   (`synchronous_standby_names`) before it is acknowledged. B asks all hosts after the read has begun. If n - k + 1
//!   standbys answer, one of them has received the commit; B reads from one that has replayed whatever any of them has
//!   received ([`ledger::Ledger::elsewhere`]). If fewer answer, the read waits. Where k is 0 an acknowledged write can be
//!   lost with its host, and nothing can prove otherwise: then one standby is enough.
//! - *Promotion.* The new primary has a higher timeline, and the first to see it writes that into `_pando_meta` before
//!   anything is committed there ([`steward`]). A standby whose copy does not have the row does not follow it, and is not
//!   read. All samples and all that was known of who is in are dropped. What was acknowledged before is in the new
//!   history, as a confirmed commit is on a standby and the most advanced one is promoted.
//! - *The old primary returns* and can be written to. Its timeline is lower than one that was seen: it is neither written
//!   nor read. Only a process that reaches it, and neither the new primary nor any host that follows that, could still
//!   read from it; whoever promotes has to stop it, and its writes are never confirmed.
//!
//! **A commit happens once.** When its answer is lost, whether the connection broke or the host was replaced, the
//! process asks the next primary by a receipt (`engine::postgres::receipt`), which tells whether it happened and keeps it
//! from happening late. If it did not, it is sent again.

mod hosts;
mod ledger;
mod life;
mod read;
mod shared;
mod steward;
mod transaction;
mod watch;
mod write;

#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Name, limits};
use parking_lot::Mutex;
use query::{Batch, Claim, Row, Select, Visits};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::hosts::Hosts;
use self::read::{Came, Count, Hours, Ping, Rows, Version, View};
use self::transaction::ReplicatedTransaction;
use crate::engine::postgres::Address;
use crate::engine::shared::Shared;
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
        let refused = async {
            while !self.is_refused() {
                tokio::time::sleep(Duration::from_millis(limits::REPLICA_CHORES_MS)).await;
            }
        };
        let found = tokio::select! {
            found = self.hosts.writable(deadline) => found.is_ok(),
            () = refused => return Err(Error::Refused(self.problems())),
        };
        if found {
            return Ok(());
        }
        if self.hosts.read(&Version).await.is_err() {
            return Err(Error::Away(format!("no host leads, and none can be read: {}", self.problems())));
        }
        tracing::warn!("there is no primary: data can be read, and writes wait for one");
        Ok(())
    }

    /// Every host says that the address is wrong, which no later try will mend.
    fn is_refused(&self) -> bool {
        self.hosts.problems.lock().iter().all(|problem| matches!(problem, Some(Error::Refused(_))))
    }

    fn problems(&self) -> String {
        let problems = self.hosts.problems.lock();
        let said = self.hosts.addresses.iter().zip(&*problems).map(|(host, problem)| match problem {
            Some(problem) => format!("{}: {problem}", host.name),
            None => format!("{}: no primary", host.name),
        });
        said.collect::<Vec<_>>().join("; ")
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

    async fn visits(&self, visits: &Visits) -> Result<Vec<[i64; 3]>> {
        self.hosts.read(&Came(visits)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        self.hosts.touch(self.hosts.now());
        match self.waits {
            true => self.hosts.commit(batch).await,
            false => self.hosts.commit_unwaited(batch).await,
        }
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        self.hosts.touch(self.hosts.now());
        let rows = self.hosts.claim(claim).await?;
        if self.waits && !rows.is_empty() {
            self.hosts.spread(self.hosts.now()).await;
        }
        Ok(rows)
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

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
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

    fn gauges(&self) -> Vec<(&'static str, f64)> {
        let mut sums: Vec<(&'static str, f64)> = Vec::new();
        let lives = self.hosts.lives.iter().filter_map(|life| life.load_full());
        for (name, value) in lives.flat_map(|life| life.engine.gauges()) {
            match sums.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => sums.push((name, value)),
            }
        }
        sums
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
