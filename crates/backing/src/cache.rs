//! In-process caches of records and of whole answers. An entry carries the number at which it was read (see
//! [`crate::Stamps`]) and is used only while what it depends on has not changed since.

use std::hash::Hash;
use std::sync::Arc;

use base::Name;
use query::Row;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::stamps::Stamps;

/// Records by table and id.
pub struct RecordCache {
    stamps: Arc<Stamps>,
    entries: Cache<RecordKey, (u64, Arc<Row>), Weigh>,
    looks: Looks,
}

/// Encoded answers by a key that names everything they depend on, besides the tables.
pub struct QueryCache {
    stamps: Arc<Stamps>,
    entries: Cache<Box<[u8]>, Arc<Answer>, Weigh>,
    looks: Looks,
}

/// How often something was found, and how often not, or no more as it is.
struct Looks {
    cache: &'static str,
    hits: metrics::Counter,
    misses: metrics::Counter,
}

impl Looks {
    fn new(cache: &'static str) -> Self {
        Looks {
            cache,
            hits: metrics::counter!("pando_cache_hits_total", "cache" => cache),
            misses: metrics::counter!("pando_cache_misses_total", "cache" => cache),
        }
    }

    fn count<T>(&self, found: Option<T>) -> Option<T> {
        match found {
            Some(_) => self.hits.increment(1),
            None => self.misses.increment(1),
        }
        found
    }

    fn sample(&self, bytes: u64, bytes_max: u64, entries: usize) {
        metrics::gauge!("pando_cache_bytes", "cache" => self.cache).set(bytes as f64);
        metrics::gauge!("pando_cache_bytes_max", "cache" => self.cache).set(bytes_max as f64);
        metrics::gauge!("pando_cache_entries", "cache" => self.cache).set(entries as f64);
    }
}

struct Answer {
    since: u64,
    tables: Box<[Name]>,
    bytes: bytes::Bytes,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct RecordKey {
    table: Name,
    id: Name,
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

#[derive(Clone)]
struct Weigh;

/// What an entry costs besides its contents.
const ENTRY_BYTES: u64 = 96;

impl Weighter<RecordKey, (u64, Arc<Row>)> for Weigh {
    fn weight(&self, key: &RecordKey, (_, row): &(u64, Arc<Row>)) -> u64 {
        ENTRY_BYTES + (key.id.len() + row.size_bytes()) as u64
    }
}

impl Weighter<Box<[u8]>, Arc<Answer>> for Weigh {
    fn weight(&self, key: &Box<[u8]>, answer: &Arc<Answer>) -> u64 {
        ENTRY_BYTES + (key.len() + answer.bytes.len() + 16 * answer.tables.len()) as u64
    }
}

impl RecordCache {
    pub fn new(stamps: Arc<Stamps>, bytes_max: u64) -> Self {
        let entries = Cache::with_weighter((bytes_max / 512) as usize, bytes_max, Weigh);
        RecordCache { stamps, entries, looks: Looks::new("record") }
    }

    pub fn get(&self, table: &str, id: &str) -> Option<Arc<Row>> {
        let found = self.entries.get(&RecordKeyRef { table, id });
        let holds = |(since, row)| self.stamps.record_holds(table, id, since).then_some(row);
        self.looks.count(found.and_then(holds))
    }

    /// Sets the gauges of what is held.
    pub fn sample(&self) {
        self.looks.sample(self.entries.weight(), self.entries.capacity(), self.entries.len());
    }

    /// `since` was noted before the row was read.
    pub fn put(&self, table: &Name, id: &str, since: u64, row: Arc<Row>) {
        self.entries.insert(RecordKey { table: table.clone(), id: id.into() }, (since, row));
    }
}

impl QueryCache {
    pub fn new(stamps: Arc<Stamps>, bytes_max: u64) -> Self {
        let entries = Cache::with_weighter((bytes_max / 4096) as usize, bytes_max, Weigh);
        QueryCache { stamps, entries, looks: Looks::new("query") }
    }

    pub fn get(&self, key: &[u8]) -> Option<bytes::Bytes> {
        let holds = |answer: Arc<Answer>| {
            let tables = answer.tables.iter().map(|table| &**table);
            self.stamps.tables_hold(tables, answer.since).then(|| answer.bytes.clone())
        };
        self.looks.count(self.entries.get(key).and_then(holds))
    }

    /// Sets the gauges of what is held.
    pub fn sample(&self) {
        self.looks.sample(self.entries.weight(), self.entries.capacity(), self.entries.len());
    }

    /// `since` was noted before the first row was read; `tables` are all that the answer was made from.
    pub fn put(&self, key: &[u8], since: u64, tables: Vec<Name>, bytes: bytes::Bytes) {
        self.entries.insert(key.into(), Arc::new(Answer { since, tables: tables.into(), bytes }));
    }
}
