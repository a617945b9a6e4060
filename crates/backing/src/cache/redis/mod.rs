//! Records that processes share, in Redis or Valkey: one server, one behind Sentinel, or Cluster.
//!
//! **The promise.** When [`Tier::lift`] has returned, no process finds any more what the records were before the commit,
//! and nobody can fill them with that. Whoever waits with stamps, announcement and answer until then keeps the promise
//! that an acknowledged write is seen by every later read, whatever becomes of the servers.
//!
//! **A record's key** holds its row, or that there is none, or a lease, or the entries of those who write it. A lease is
//! what a miss leaves behind: only its holder can fill, and only while it stands there. A writer's entry takes the place
//! of whatever was there, so what was read before is never kept. After the commit `lift` takes the entry away; if it
//! finds that the entry did not last until then (evicted, flushed, expired), it deletes what is there, row or
//! lease. So the promise needs no entry. What the entry is for are writers that die between commit and `lift`, and
//! commits of which nobody knows whether they happened: until it ends by itself ([`TIER_HIDDEN_MS`], longer than a database
//! works on what it was sent) the record is read from the database, and after that anew. Several writers of one record
//! have an entry each, and one that is left hides it.
//!
//! **A space** is all keys of one generation on one set of servers. Each member says on the bus which space it works by,
//! and a space is read only while all say the same. A member that cannot lift leaves the space: it says so, waits
//! until all know (or do not trust what they know any more), only then lets its writers be answered, and
//! never enters that space again. It comes back with a new generation, which the others see and follow. So a server that
//! is slow, gone, frozen or cut off costs latency and a cold cache, and never an old row. The generation is a random word
//! under one key; where it is lost, there is a new one.
//!
//! **Another server in the place of the first** (a restart, a failover) has other scripts, or none: see [`link`]. It is
//! another space, as its identity is part of the space's name, even if it still holds copies of the old one's keys.
//!
//! **Cluster**: the identity is that of all primaries together. What is not airtight there: slots that are given to another
//! primary by force, without their keys, and given back later with the keys of then. The lifetime of rows bounds that.
//! The same holds for a server that is made a replica and a primary again within a second and by hand, without
//! a connection being closed.

mod address;
mod link;
mod meters;
mod space;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::Name;
use base::limits::{
    TIER_BUSY_MS, TIER_BUSY_STEP_MS, TIER_CALL_MS, TIER_FAILURES_MAX, TIER_HIDDEN_MS, TIER_LEASE_MS,
    TIER_LIFT_CALLS, TIER_TOGETHER_MAX,
};
use bytes::Bytes;
use fred::types::Value;
use futures_util::future::join_all;
use parking_lot::Mutex;
use query::Row;
use rustc_hash::FxHashMap;

use self::link::{Failure, Script};
use self::space::{Space, Spaces, Standing};
use super::codec;
use super::tier::{Key, Lease, Look, Server, Tier};
use crate::Bus;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the address of Redis cannot be used: {0}")]
    Url(String),
    #[error("Redis {0} is too old: version 7 or Valkey is needed")]
    Old(String),
    #[error("the servers of Redis are changing places")]
    Unsettled,
    #[error("Redis does not answer")]
    Silent,
    #[error("Redis: {0}")]
    Refused(String),
}

impl From<fred::error::Error> for Error {
    fn from(error: fred::error::Error) -> Self {
        match error.kind() {
            fred::error::ErrorKind::Timeout | fred::error::ErrorKind::IO => Error::Silent,
            _ => Error::Refused(error.details().into()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub url: String,
    /// What all keys begin with: each database has its own.
    pub prefix: String,
    /// How long one command may take.
    pub call: Duration,
}

impl Options {
    pub fn new(url: impl Into<String>) -> Self {
        Options { url: url.into(), prefix: "pando".into(), call: Duration::from_millis(TIER_CALL_MS) }
    }
}

/// How the processes that share the cache tell each other which space they work by.
#[async_trait]
pub trait Members: Send + Sync {
    /// When it returns, every member knows that this one says so, or does not trust any more what it knows of it.
    async fn declare(&self, text: &str);

    /// Whether all members, this one too, say so. Cheap.
    fn all_declare(&self, text: &str) -> bool;
}

#[async_trait]
impl Members for Bus {
    async fn declare(&self, text: &str) {
        Bus::declare(self, text).await;
    }

    fn all_declare(&self, text: &str) -> bool {
        Bus::all_declare(self, text)
    }
}

pub struct Redis {
    spaces: Arc<Spaces>,
    /// Commands that failed in a row.
    failures: Arc<AtomicU32>,
    own: String,
    counted: AtomicU32,
    writing: Mutex<Writing>,
}

/// What was hidden and not lifted yet, and since when.
#[derive(Default)]
struct Writing {
    entries: FxHashMap<(Name, Name), Vec<(String, Instant)>>,
    swept: Option<Instant>,
}

impl Redis {
    /// Fails only for an address that is none. The servers need not be there; a task of the runtime looks after them until
    /// what is returned is dropped.
    pub fn open(options: &Options, members: Arc<dyn Members>) -> Result<Redis, Error> {
        let failures = Arc::new(AtomicU32::new(0));
        let spaces = Spaces::open(options, members, failures.clone())?;
        Ok(Redis {
            spaces,
            failures,
            own: base::id::record()[..8].into(),
            counted: AtomicU32::new(0),
            writing: Mutex::default(),
        })
    }

    /// Unique among all processes that may meet: what an entry or a lease is known by.
    fn token(&self) -> String {
        format!("{}{:08x}", self.own, self.counted.fetch_add(1, Ordering::Relaxed))
    }

    fn space(&self) -> Option<Arc<Space>> {
        if self.failures.load(Ordering::Relaxed) >= TIER_FAILURES_MAX {
            return None;
        }
        self.spaces.current()
    }

    /// Notes what came of a command that nobody's promise depends on.
    fn note(&self, space: &Arc<Space>, failure: Option<Failure>) {
        match failure {
            None => self.failures.store(0, Ordering::Relaxed),
            Some(Failure::Full) => {}
            Some(Failure::Changed) => self.spaces.leave(space, "the server is another one, or a replica now"),
            Some(Failure::Silent) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn look_once(&self, space: &Arc<Space>, key: &Key<'_>) -> Look {
        let token = self.token();
        let arguments = vec![
            "look".into(),
            form(key).into(),
            token.as_str().into(),
            Value::Integer(TIER_LEASE_MS as i64),
        ];
        let place = space.key(key.table, key.id);
        let limit = self.spaces.link.call_max();
        let answer = self.spaces.link.run(&space.servers, Script::Read, &place, arguments, limit).await;
        self.note(space, answer.as_ref().err().copied());
        let held = match answer.map(Value::into_bytes) {
            Ok(Some(held)) => held,
            _ => return Look::Away,
        };
        match (held.first(), held.len()) {
            (Some(b'-'), 1) => Look::Load(Lease(format!("{} {token}", space.name).into())),
            (Some(b'N'), 1) => Look::Absent,
            (Some(b'L'), 1) => Look::Busy,
            (Some(b'H'), 1) => Look::Hidden,
            (Some(b'V'), _) => match held.get(FORM_END..).and_then(codec::decode) {
                Some(row) => Look::Found(Arc::new(row)),
                // Another release's.
                None => Look::Hidden,
            },
            _ => Look::Away,
        }
    }

    async fn look_for(&self, space: &Arc<Space>, key: &Key<'_>) -> Look {
        let until = Instant::now() + Duration::from_millis(TIER_BUSY_MS);
        let mut step = Duration::from_millis(TIER_BUSY_STEP_MS);
        loop {
            let look = self.look_once(space, key).await;
            if !matches!(look, Look::Busy) || Instant::now() + step > until || !self.is_open() {
                meters::looked(&look);
                return look;
            }
            meters::waited();
            tokio::time::sleep(step).await;
            step *= 2;
        }
    }

    /// Takes the entry away, or what is there instead of it.
    async fn lift_one(&self, space: &Space, record: &(Name, Name), token: &str) -> Result<(), Failure> {
        let arguments = vec!["lift".into(), token.into()];
        let place = space.key(&record.0, &record.1);
        let limit = self.spaces.link.call_max() * TIER_LIFT_CALLS;
        let lifted = self.spaces.link.run(&space.servers, Script::Write, &place, arguments, limit).await;
        meters::lifted(match lifted {
            Ok(Value::Integer(1)) => "whole",
            Ok(_) => "lost",
            Err(_) => "failed",
        });
        lifted.map(drop)
    }

    fn started(&self, records: &[(Name, Name)]) -> Vec<String> {
        let now = Instant::now();
        let mut writing = self.writing.lock();
        writing.sweep(now);
        let mut tokens = Vec::with_capacity(records.len());
        for record in records {
            let token = self.token();
            writing.entries.entry(record.clone()).or_default().push((token.clone(), now));
            tokens.push(token);
        }
        tokens
    }

    /// Which of several writers of one record in this process is which does not matter.
    fn ended(&self, records: &[(Name, Name)]) -> Vec<String> {
        let mut writing = self.writing.lock();
        let mut tokens = Vec::with_capacity(records.len());
        for record in records {
            let entries = writing.entries.get_mut(record);
            let last = entries.and_then(Vec::pop).map(|(token, _)| token);
            if writing.entries.get(record).is_some_and(Vec::is_empty) {
                writing.entries.remove(record);
            }
            tokens.push(last.unwrap_or_else(|| self.token()));
        }
        tokens
    }
}

impl Writing {
    /// Commits that failed leave their entries here too.
    fn sweep(&mut self, now: Instant) {
        let life = Duration::from_millis(TIER_HIDDEN_MS);
        if self.swept.is_some_and(|swept| now.duration_since(swept) < life / 4) {
            return;
        }
        self.swept = Some(now);
        self.entries.retain(|_, entries| {
            entries.retain(|(_, since)| now.duration_since(*since) < life);
            !entries.is_empty()
        });
    }
}

/// Where a row begins behind its form.
const FORM_END: usize = 17;

fn form(key: &Key<'_>) -> String {
    format!("{:016x}", key.form)
}

#[async_trait]
impl Tier for Redis {
    fn is_open(&self) -> bool {
        self.space().is_some_and(|space| self.spaces.is_common(&space))
    }

    async fn servers(&self) -> Vec<Server> {
        match self.spaces.link.tell_all().await {
            Ok(servers) => servers,
            Err(error) => {
                tracing::debug!("Redis cannot be asked how it does: {error}");
                Vec::new()
            }
        }
    }

    async fn look(&self, keys: &[Key<'_>]) -> Vec<Look> {
        match self.space().filter(|space| self.spaces.is_common(space)) {
            Some(space) => {
                let mut looks = Vec::with_capacity(keys.len());
                for keys in keys.chunks(TIER_TOGETHER_MAX) {
                    looks.extend(join_all(keys.iter().map(|key| self.look_for(&space, key))).await);
                }
                looks
            }
            None => keys.iter().map(|_| Look::Away).inspect(meters::looked).collect(),
        }
    }

    async fn fill(&self, key: Key<'_>, lease: Lease, row: Option<&Row>, lifetime: Duration) {
        let Some(space) = self.space() else { return };
        // A lease of a space that was left is void.
        let Some(token) = lease.0.strip_prefix(&*space.name).and_then(|rest| rest.strip_prefix(' ')) else {
            return;
        };
        let held = match row {
            Some(row) => {
                let mut held = format!("V{}", form(&key)).into_bytes();
                held.extend_from_slice(&codec::encode(row));
                Bytes::from(held)
            }
            None => Bytes::from_static(b"N"),
        };
        let lifetime = jittered(lifetime, token);
        let arguments = vec!["fill".into(), token.into(), Value::Bytes(held), Value::Integer(lifetime)];
        let (place, limit) = (space.key(key.table, key.id), self.spaces.link.call_max());
        let filled = self.spaces.link.run(&space.servers, Script::Read, &place, arguments, limit).await;
        meters::filled(match filled {
            Ok(Value::Integer(1)) => "kept",
            Ok(_) => "void",
            Err(_) => "failed",
        });
        self.note(&space, filled.err());
    }

    async fn hide(&self, records: Vec<(Name, Name)>) {
        let tokens = self.started(&records);
        let Some(space) = self.space() else { return };
        let limit = self.spaces.link.call_max();
        let hide = |((table, id), token): (&(Name, Name), &String)| {
            let life = Value::Integer(TIER_HIDDEN_MS as i64);
            let arguments = vec!["hide".into(), token.as_str().into(), life];
            let (space, place) = (&space, space.key(table, id));
            async move {
                let hidden =
                    self.spaces.link.run(&space.servers, Script::Write, &place, arguments, limit).await;
                self.note(space, hidden.err());
            }
        };
        for (records, tokens) in records.chunks(TIER_TOGETHER_MAX).zip(tokens.chunks(TIER_TOGETHER_MAX)) {
            join_all(records.iter().zip(tokens).map(hide)).await;
            // Of what cannot be hidden, each part would take its time to find that out; it is deleted later.
            if self.space().is_none() {
                return;
            }
        }
    }

    async fn lift(&self, records: Vec<(Name, Name)>) {
        let tokens = self.ended(&records);
        loop {
            let space = match self.spaces.settled().await {
                Standing::Open(space) => space,
                _ => return,
            };
            // It is asked also when it has failed before: whether it was reached decides whether all may go on with it.
            let mut is_lifted = true;
            for (records, tokens) in records.chunks(TIER_TOGETHER_MAX).zip(tokens.chunks(TIER_TOGETHER_MAX)) {
                let lifts = records.iter().zip(tokens);
                let lifts = lifts.map(|(record, token)| self.lift_one(&space, record, token));
                is_lifted = join_all(lifts).await.iter().all(Result::is_ok);
                if !is_lifted {
                    break;
                }
            }
            if is_lifted {
                return;
            }
            self.spaces.leave(&space, "a record that was written could not be lifted");
        }
    }

    async fn forget(&self) {
        if let Standing::Open(space) = self.spaces.settled().await {
            self.spaces.turn(&space);
            self.spaces.settled().await;
        }
    }
}

/// Up to a tenth less, so that what was filled together does not end together.
fn jittered(lifetime: Duration, token: &str) -> i64 {
    let milliseconds = lifetime.as_millis().min(i64::MAX as u128 / 2) as i64;
    let part = token.bytes().last().unwrap_or_default() % 16;
    milliseconds - milliseconds / 160 * i64::from(part)
}
