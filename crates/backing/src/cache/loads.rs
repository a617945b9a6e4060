//! How many may ask the database at a time for what a cache did not have. When caches vanish, this is what stands
//! between all requests and the database.

use std::sync::Arc;
use std::time::Duration;

use base::limits::{CACHE_LOAD_WAIT_MS, GATHERED_READS_MAX};
use metrics::{Counter, counter};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Nothing is bounded by default.
#[derive(Clone, Default)]
pub struct Loads(Option<Arc<Bounds>>);

struct Bounds {
    /// Reads of records by id, of which many share a statement.
    records: Semaphore,
    /// Lists, which may load records on their way: one bound for both would let them wait for each other.
    lists: Semaphore,
    refused: Counter,
}

/// The permission to load, until it is dropped.
pub type Load<'l> = Option<SemaphorePermit<'l>>;

impl Loads {
    /// `statements_max` is how many statements may be under way for each of the two.
    pub fn at_most(statements_max: usize) -> Loads {
        Loads(Some(Arc::new(Bounds {
            records: Semaphore::new(
                statements_max.saturating_mul(GATHERED_READS_MAX).min(Semaphore::MAX_PERMITS),
            ),
            lists: Semaphore::new(statements_max.min(Semaphore::MAX_PERMITS)),
            refused: counter!("pando_cache_loads_refused_total"),
        })))
    }

    /// Before one record is read.
    pub async fn record(&self) -> store::Result<Load<'_>> {
        match &self.0 {
            None => Ok(None),
            Some(bounds) => bounds.admit(&bounds.records).await,
        }
    }

    /// Before a list is read.
    pub async fn list(&self) -> store::Result<Load<'_>> {
        match &self.0 {
            None => Ok(None),
            Some(bounds) => bounds.admit(&bounds.lists).await,
        }
    }
}

impl Bounds {
    async fn admit<'l>(&self, of: &'l Semaphore) -> store::Result<Load<'l>> {
        if let Ok(permit) = of.try_acquire() {
            return Ok(Some(permit));
        }
        let wait = Duration::from_millis(CACHE_LOAD_WAIT_MS);
        match tokio::time::timeout(wait, of.acquire()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => {
                self.refused.increment(1);
                Err(store::Error::Unavailable("too many wait for what is not cached".into()))
            }
        }
    }
}
