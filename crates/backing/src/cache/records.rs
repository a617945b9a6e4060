//! Records in process, and those who load what is not there.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use base::limits::{ABSENT_CACHE_BYTES_MAX, ABSENT_CACHE_SHARES, CACHE_RECORD_OVERHEAD_BYTES};
use base::{Name, Value};
use query::Row;
use quick_cache::Equivalent;

use super::flights::{Flights, Place};
use super::keep::{Ends, Keep, Strategy};
use super::meters::Meters;
use super::pool::{Policy, Pool, Weighed};
use super::seen::Seen;
use crate::stamps::{Slot, Stamps, Watched};

/// Records by table and id, and ids that are no record's.
pub struct RecordCache {
    stamps: Arc<Stamps>,
    pool: Pool<RecordKey, Entry>,
    /// Apart from the records, so that a flood of unknown ids displaces none.
    absent: Pool<RecordKey, Entry>,
    flights: Flights<(Shape, RecordKey), Landed>,
    seen: Seen,
    ends: Ends,
    meters: Meters,
}

/// Tells rows apart that were read as different columns: the address of what describes them, as long as that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape(u32);

impl Shape {
    pub fn of<T>(described: &Arc<T>) -> Shape {
        Shape((Arc::as_ptr(described) as usize >> 4) as u32)
    }
}

/// A record that somebody wants.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub table: &'a Name,
    pub id: &'a str,
    pub shape: Shape,
}

#[derive(Clone)]
struct Entry {
    since: u64,
    /// See [`Ends`].
    end: u64,
    /// `None` for what is not there.
    row: Option<Arc<Row>>,
    weight: u32,
    shape: Shape,
    slot: Slot,
}

/// What came of a load that began at a number.
#[derive(Clone)]
struct Landed {
    since: u64,
    found: Result<Option<Arc<Row>>, Arc<store::Error>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct RecordKey {
    table: Name,
    id: Name,
}

impl Asked<'_> {
    fn key(&self) -> RecordKey {
        RecordKey { table: self.table.clone(), id: self.id.into() }
    }
}

#[derive(Hash)]
struct RecordKeyRef<'a> {
    table: &'a str,
    id: &'a str,
}

impl Equivalent<RecordKey> for RecordKeyRef<'_> {
    fn equivalent(&self, key: &RecordKey) -> bool {
        *self.id == *key.id && *self.table == *key.table
    }
}

impl Weighed for Entry {
    fn weight(&self) -> u64 {
        u64::from(self.weight)
    }
}

/// What an entry takes, the unused part of its allocations included.
fn weight(id: &str, row: Option<&Row>) -> u32 {
    let text = |text: &str| text.len().next_multiple_of(16);
    let value = |value: &Value| size_of::<Value>() + value.as_str().map_or(0, text);
    let bytes = text(id) + row.map_or(0, |row| row.0.iter().map(value).sum());
    u32::try_from(CACHE_RECORD_OVERHEAD_BYTES + bytes as u64).unwrap_or(u32::MAX)
}

impl RecordCache {
    pub fn new(stamps: Arc<Stamps>, policy: Policy, bytes_max: u64) -> Self {
        let meters = Meters::new("record", "memory");
        let absent_max = (bytes_max / ABSENT_CACHE_SHARES).min(ABSENT_CACHE_BYTES_MAX);
        let open =
            |bytes_max, entry_bytes| Pool::open(policy, bytes_max, entry_bytes, meters.evictions.clone());
        RecordCache {
            pool: open(bytes_max - absent_max, 2 * CACHE_RECORD_OVERHEAD_BYTES),
            absent: open(absent_max, CACHE_RECORD_OVERHEAD_BYTES),
            stamps,
            flights: Flights::default(),
            seen: Seen::default(),
            ends: Ends::default(),
            meters,
        }
    }

    /// The bytes to open a cache with that shall hold so many of records.
    pub fn bytes_for(records: u64) -> u64 {
        records + (records / (ABSENT_CACHE_SHARES - 1)).min(ABSENT_CACHE_BYTES_MAX)
    }

    /// What is known: the row, or that there is none.
    pub fn get(&self, asked: Asked<'_>) -> Option<Option<Arc<Row>>> {
        let key = RecordKeyRef { table: asked.table, id: asked.id };
        if let Some(entry) = self.pool.get(&key).filter(|entry| self.holds(entry, asked.shape)) {
            self.meters.hits.increment(1);
            return Some(entry.row);
        }
        if self.absent.get(&key).is_some_and(|entry| self.holds(&entry, asked.shape)) {
            self.meters.absent.increment(1);
            return Some(None);
        }
        self.meters.misses.increment(1);
        None
    }

    fn holds(&self, entry: &Entry, shape: Shape) -> bool {
        let holds = entry.shape == shape && self.stamps.slot_holds(entry.slot, entry.since);
        if !holds {
            self.meters.changed.increment(1);
        } else if self.ends.is_over(entry.end) {
            self.meters.over.increment(1);
            return false;
        }
        holds
    }

    /// Keeps what was read. `since` was noted before.
    pub fn put(&self, asked: Asked<'_>, keep: &Keep, since: u64, row: Option<Arc<Row>>) {
        self.put_as(asked.key(), asked.shape, keep, since, row);
    }

    fn put_as(&self, key: RecordKey, shape: Shape, keep: &Keep, since: u64, row: Option<Arc<Row>>) {
        let (pool, ttl) = match (&row, keep.absent) {
            (Some(_), _) => (&self.pool, keep.ttl),
            (None, Some(ttl)) => (&self.absent, ttl),
            (None, None) => return,
        };
        let is_shy = keep.strategy == Strategy::WriteAround && row.is_some();
        if is_shy && !self.seen.again(&key.table, &key.id) {
            return;
        }
        let (slot, weight) = (Stamps::slot(&key.table, &key.id), weight(&key.id, row.as_deref()));
        pool.put(key, Entry { since, end: self.ends.of(ttl), row, weight, shape, slot });
    }

    /// Keeps what was written, after its change was applied: `watched` was noted before the writer read what it changed.
    /// Nothing is kept when others wrote as well.
    pub fn put_written(&self, asked: Asked<'_>, keep: &Keep, watched: Watched, row: Arc<Row>) {
        if let Some(since) = self.stamps.alone(watched) {
            self.put_as(asked.key(), asked.shape, keep, since, Some(row));
        }
    }

    /// Loads what [`RecordCache::get`] did not find; `since` was noted before that. Those who ask for the same meanwhile
    /// get the same, unless it may be older than their own question. `load` says as well whether what it read
    /// may be kept.
    pub async fn load<F>(
        &self,
        asked: Asked<'_>,
        keep: &Keep,
        since: u64,
        load: impl Fn() -> F,
    ) -> Result<Option<Arc<Row>>, store::Error>
    where
        F: Future<Output = Result<(Option<Arc<Row>>, bool), store::Error>>,
    {
        if keep.strategy == Strategy::CacheAside {
            let began = Instant::now();
            let found = load().await;
            self.meters.loaded(began);
            let (row, may_keep) = found?;
            if may_keep {
                self.put(asked, keep, since, row.clone());
            }
            return Ok(row);
        }
        let slot = Stamps::slot(asked.table, asked.id);
        loop {
            let lead = match self.flights.board((asked.shape, asked.key())) {
                Place::Lead(lead) => lead,
                Place::Follow(landed) => match landed.await {
                    // It began when all had been applied that was when this one asked, or nothing came in between.
                    Ok(landed)
                        if landed.found.is_err()
                            || landed.since >= since
                            || self.stamps.slot_holds(slot, landed.since) =>
                    {
                        self.meters.shared.increment(1);
                        return landed.found.map_err(|error| error.again());
                    }
                    _ => continue,
                },
            };
            let (began, since) = (Instant::now(), self.stamps.now());
            // Somebody may have loaded it since this one looked.
            let key = RecordKeyRef { table: asked.table, id: asked.id };
            let entry = self.pool.get(&key).filter(|entry| {
                entry.shape == asked.shape
                    && self.stamps.slot_holds(entry.slot, entry.since)
                    && !self.ends.is_over(entry.end)
            });
            if let Some(entry) = entry {
                lead.land(&Landed { since: entry.since, found: Ok(entry.row.clone()) });
                return Ok(entry.row);
            }
            let found = load().await;
            self.meters.loaded(began);
            return match found {
                Ok((row, may_keep)) => {
                    if may_keep {
                        self.put_as(lead.key.1.clone(), asked.shape, keep, since, row.clone());
                    }
                    lead.land(&Landed { since, found: Ok(row.clone()) });
                    Ok(row)
                }
                Err(error) => {
                    lead.land(&Landed { since, found: Err(Arc::new(error.again())) });
                    Err(error)
                }
            };
        }
    }

    /// Bytes and entries.
    pub fn held(&self) -> (u64, usize) {
        (self.pool.bytes() + self.absent.bytes(), self.pool.len() + self.absent.len())
    }

    /// Sets the gauges of what is held.
    pub fn sample(&self) {
        let (bytes, entries) = self.held();
        self.meters.sample(bytes, self.pool.bytes_max() + self.absent.bytes_max(), entries);
    }
}
