//! Whole answers to lists, in process.

use std::sync::Arc;
use std::time::Instant;

use base::Name;
use base::limits::CACHE_ANSWER_OVERHEAD_BYTES;

use super::keep::{Ends, Ttl};
use super::meters::Meters;
use super::pool::{Policy, Pool, Weighed};
use crate::stamps::Stamps;

/// Encoded answers by a key that names everything they depend on, besides the tables.
pub struct QueryCache {
    stamps: Arc<Stamps>,
    pool: Pool<Box<[u8]>, Arc<Answer>>,
    ttl: Ttl,
    ends: Ends,
    meters: Meters,
}

/// When an answer was begun to be made.
#[derive(Clone, Copy)]
pub struct Began {
    since: u64,
    at: Instant,
}

struct Answer {
    since: u64,
    end: u64,
    weight: u64,
    tables: Box<[Name]>,
    kept: Kept,
}

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub bytes: bytes::Bytes,
    /// What whoever keeps it wants to know of it.
    pub note: Option<Arc<str>>,
}

impl From<bytes::Bytes> for Kept {
    fn from(bytes: bytes::Bytes) -> Self {
        Kept { bytes, note: None }
    }
}

impl Weighed for Arc<Answer> {
    fn weight(&self) -> u64 {
        self.weight
    }
}

impl QueryCache {
    pub fn new(stamps: Arc<Stamps>, policy: Policy, bytes_max: u64, ttl: Ttl) -> Self {
        let meters = Meters::new("query", "memory");
        let pool = Pool::open(policy, bytes_max, 4096, meters.evictions.clone());
        QueryCache { stamps, pool, ttl, ends: Ends::default(), meters }
    }

    pub fn get(&self, key: &[u8]) -> Option<Kept> {
        let found = self.pool.get(key).filter(|answer| {
            let tables = answer.tables.iter().map(|table| &**table);
            let (holds, is_over) =
                (self.stamps.tables_hold(tables, answer.since), self.ends.is_over(answer.end));
            if !holds {
                self.meters.changed.increment(1);
            } else if is_over {
                self.meters.over.increment(1);
            }
            holds && !is_over
        });
        match &found {
            Some(_) => self.meters.hits.increment(1),
            None => self.meters.misses.increment(1),
        }
        found.map(|answer| answer.kept.clone())
    }

    /// Sets the gauges of what is held.
    pub fn sample(&self) {
        self.meters.sample(self.pool.bytes(), self.pool.bytes_max(), self.pool.len());
    }

    /// To be noted before the first row is read.
    pub fn begin(&self) -> Began {
        Began { since: self.stamps.now(), at: Instant::now() }
    }

    /// `tables` are all that the answer was made from.
    pub fn put(&self, key: &[u8], began: Began, tables: Vec<Name>, kept: Kept) {
        self.meters.loaded(began.at);
        let noted = kept.note.as_ref().map_or(0, |note| note.len());
        let weight =
            CACHE_ANSWER_OVERHEAD_BYTES + (key.len() + kept.bytes.len() + noted + 16 * tables.len()) as u64;
        let answer =
            Answer { since: began.since, end: self.ends.of(self.ttl), weight, tables: tables.into(), kept };
        self.pool.put(key.into(), Arc::new(answer));
    }
}
