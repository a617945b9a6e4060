//! In-process caches of records and of whole answers. Entries carry a stamp (see [`crate::Stamps`]) and are
//! used only while it is current.

use std::hash::Hash;
use std::sync::Arc;

use base::Name;
use query::Row;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

/// Records by table and id.
pub struct RecordCache {
    entries: Cache<RecordKey, Stamped<Arc<Row>>, Weigh>,
}

/// Encoded answers by a key that names everything they depend on, besides the tables.
pub struct QueryCache {
    entries: Cache<Box<[u8]>, Stamped<Arc<[u8]>>, Weigh>,
}

#[derive(Clone)]
struct Stamped<T> {
    stamp: u64,
    value: T,
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

impl Weighter<RecordKey, Stamped<Arc<Row>>> for Weigh {
    fn weight(&self, key: &RecordKey, entry: &Stamped<Arc<Row>>) -> u64 {
        ENTRY_BYTES + (key.id.len() + entry.value.size_bytes()) as u64
    }
}

impl Weighter<Box<[u8]>, Stamped<Arc<[u8]>>> for Weigh {
    fn weight(&self, key: &Box<[u8]>, entry: &Stamped<Arc<[u8]>>) -> u64 {
        ENTRY_BYTES + (key.len() + entry.value.len()) as u64
    }
}

impl RecordCache {
    /// `bytes_max` of 0 keeps nothing.
    pub fn new(bytes_max: u64) -> Self {
        RecordCache { entries: Cache::with_weighter((bytes_max / 512) as usize, bytes_max, Weigh) }
    }

    pub fn get(&self, table: &str, id: &str, stamp: u64) -> Option<Arc<Row>> {
        let entry = self.entries.get(&RecordKeyRef { table, id })?;
        (entry.stamp == stamp).then_some(entry.value)
    }

    /// `stamp` was taken before the row was read.
    pub fn put(&self, table: &Name, id: &str, stamp: u64, row: Arc<Row>) {
        self.entries.insert(RecordKey { table: table.clone(), id: id.into() }, Stamped { stamp, value: row });
    }
}

impl QueryCache {
    /// `bytes_max` of 0 keeps nothing.
    pub fn new(bytes_max: u64) -> Self {
        QueryCache { entries: Cache::with_weighter((bytes_max / 4096) as usize, bytes_max, Weigh) }
    }

    pub fn get(&self, key: &[u8], stamp: u64) -> Option<Arc<[u8]>> {
        let entry = self.entries.get(key)?;
        (entry.stamp == stamp).then_some(entry.value)
    }

    /// `stamp` was taken before the first row was read.
    pub fn put(&self, key: Box<[u8]>, stamp: u64, answer: Arc<[u8]>) {
        self.entries.insert(key, Stamped { stamp, value: answer });
    }
}
