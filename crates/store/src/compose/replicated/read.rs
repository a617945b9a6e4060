//! Reads: from a replica that is proven to have everything that was acknowledged, else from the primary, else from the
//! replica that has come furthest. What one host cannot answer is asked of another.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::{Name, limits};
use query::{Row, Select, Visits};
use tokio::time::{Instant, timeout_at};

use super::hosts::Hosts;
use super::ledger::Moment;
use super::life::Life;
use crate::engine::postgres::Postgres;
use crate::engine::{Engine, ViewColumn};
use crate::error::{Error, Result};

/// What can be asked of any host.
pub trait Question: Sync {
    type Reply: Send;
    fn ask(&self, host: &Postgres) -> impl Future<Output = Result<Self::Reply>> + Send;
}

pub struct Rows<'a>(pub &'a Select);

impl Question for Rows<'_> {
    type Reply = Vec<Row>;
    async fn ask(&self, host: &Postgres) -> Result<Vec<Row>> {
        host.select(self.0).await
    }
}

pub struct Count<'a>(pub &'a Select);

impl Question for Count<'_> {
    type Reply = u64;
    async fn ask(&self, host: &Postgres) -> Result<u64> {
        host.count(self.0).await
    }
}

pub struct Hours<'a>(pub &'a Select, pub &'a Name);

impl Question for Hours<'_> {
    type Reply = Vec<(String, u64)>;
    async fn ask(&self, host: &Postgres) -> Result<Self::Reply> {
        host.count_by_hour(self.0, self.1).await
    }
}

pub struct Came<'a>(pub &'a Visits);

impl Question for Came<'_> {
    type Reply = Vec<[i64; 3]>;
    async fn ask(&self, host: &Postgres) -> Result<Self::Reply> {
        host.visits(self.0).await
    }
}

pub struct View<'a>(pub &'a str);

impl Question for View<'_> {
    type Reply = Vec<ViewColumn>;
    async fn ask(&self, host: &Postgres) -> Result<Self::Reply> {
        host.describe_view(self.0).await
    }
}

pub struct Version;

impl Question for Version {
    type Reply = u64;
    async fn ask(&self, host: &Postgres) -> Result<u64> {
        host.schema_version().await
    }
}

pub struct Ping;

impl Question for Ping {
    type Reply = ();
    async fn ask(&self, host: &Postgres) -> Result<()> {
        host.ping().await
    }
}

/// Hosts by their index, as bits.
type Set = u64;

enum Target {
    Replica(Arc<Life>),
    Primary(Arc<Life>),
}

impl Hosts {
    pub async fn read<Q: Question>(&self, question: &Q) -> Result<Q::Reply> {
        let asked = self.now();
        let mut deadline = None;
        let mut avoided: Set = 0;
        let mut last = None;
        loop {
            let Some(target) = self.target(asked, avoided) else {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + READ_WAIT);
                if !self.news(deadline).await {
                    return Err(last.unwrap_or_else(|| Error::Away("no host can be read".into())));
                }
                avoided = 0;
                continue;
            };
            let (life, replica) = match &target {
                Target::Replica(life) => (life, true),
                Target::Primary(life) => (life, false),
            };
            let error = match asking(question, life).await {
                Ok(reply) => {
                    self.counts.reads[life.host].fetch_add(1, Ordering::Relaxed);
                    return Ok(reply);
                }
                // The query's own fault, which it would be everywhere.
                Err(error @ Error::Slow(_)) => return Err(error),
                Err(error) => error,
            };
            let gone = matches!(error, Error::Away(_));
            if !gone && !replica {
                return Err(error);
            }
            self.counts.repeated[life.host].fetch_add(1, Ordering::Relaxed);
            avoided |= 1 << life.host;
            if !gone {
                // A conflict with what is replayed, or with a schema that it does not have yet: the primary knows.
                // Without one, this is the answer.
                avoided |= self.others_than_primary();
                if self.target(asked, avoided).is_none() {
                    return Err(error);
                }
            }
            last = Some(error);
        }
    }

    fn target(&self, asked: Moment, avoided: Set) -> Option<Target> {
        let now = self.now();
        let mut best: Option<(usize, Arc<Life>)> = None;
        // The clock decides between hosts that have the same to do.
        let first = now as usize % self.lives.len();
        for host in (first..self.lives.len()).chain(0..first) {
            let life = &self.lives[host];
            if avoided >> host & 1 == 1 {
                continue;
            }
            let life = life.load();
            let Some(life) = &*life else { continue };
            if life.readable_until.load(Ordering::Acquire) > now {
                let running = life.running.load(Ordering::Relaxed);
                if best.as_ref().is_none_or(|(least, _)| running < *least) {
                    best = Some((running, life.clone()));
                }
            }
        }
        if let Some((_, life)) = best {
            return Some(Target::Replica(life));
        }
        let primary = self.primary.load();
        if let Some(primary) = &*primary {
            let usable = primary.until.load(Ordering::Acquire) > now && !primary.life.is_over();
            return (usable && avoided >> primary.life.host & 1 == 0)
                .then(|| Target::Primary(primary.life.clone()));
        }
        let host = self.ledger.lock().elsewhere(asked).filter(|host| avoided >> host & 1 == 0)?;
        self.lives[host].load_full().map(Target::Replica)
    }

    fn others_than_primary(&self) -> Set {
        let primary = self.primary.load().as_ref().map_or(0, |primary| 1 << primary.life.host);
        !primary
    }

    /// Waits until a host was heard of. `false` when it is too late.
    pub async fn news(&self, deadline: Instant) -> bool {
        let mut news = self.everywhere.subscribe();
        self.wake_all();
        let pause = (Instant::now() + Duration::from_millis(limits::REPLICA_POLL_MS)).min(deadline);
        let _ = timeout_at(deadline, news.changed()).await;
        // What failed a moment ago is not asked in a loop.
        tokio::time::sleep_until(pause).await;
        Instant::now() < deadline
    }
}

const READ_WAIT: Duration = Duration::from_millis(limits::PRIMARY_WAIT_MS);

async fn asking<Q: Question>(question: &Q, life: &Arc<Life>) -> Result<Q::Reply> {
    let _running = life.run();
    tokio::select! {
        reply = question.ask(&life.engine) => reply,
        () = life.until_quiet() => Err(Error::Away("the host stopped answering".into())),
    }
}
