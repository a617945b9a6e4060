//! What is kept in memory, within a number of bytes. What is asked for once passes through without displacing what is asked
//! for often.

use std::sync::Arc;

use base::limits::EDGE_ENTRY_BYTES;
use metrics::{Counter, counter};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::object::{Entry, Key};

/// The table's and the policy's own share of an entry.
const AROUND: u64 = 192;
const SHARDS_MAX: u64 = 16;

pub struct Memory {
    entries: Cache<Key, Arc<Entry>, Weigh, DefaultHashBuilder, Evicted>,
    entry_bytes_max: u64,
    refused: Counter,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Arc<Entry>> for Weigh {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        let variants = entry.variants.iter().map(|object| object.weight());
        variants.sum::<u64>() + key.0.len() as u64 + AROUND
    }
}

/// Counts those who had to go.
#[derive(Clone)]
struct Evicted(Counter);

impl Lifecycle<Key, Arc<Entry>> for Evicted {
    type RequestState = Option<(Key, Arc<Entry>)>;

    fn on_evict(&self, last: &mut Self::RequestState, key: Key, entry: Arc<Entry>) {
        self.0.increment(1);
        // Mostly it is one, and that is freed after the lock.
        *last = Some((key, entry));
    }
}

impl Memory {
    /// Objects of `object_bytes` shall find room.
    pub fn new(bytes_max: u64, object_bytes: usize) -> Self {
        // What outweighs its shard cannot be kept, and what fills most of it would push out all else.
        let shards = (bytes_max / (4 * object_bytes as u64)).clamp(1, SHARDS_MAX);
        let shards = 1 << shards.ilog2();
        let mut options = OptionsBuilder::new();
        options.shards(shards as usize).weight_capacity(bytes_max);
        options.estimated_items_capacity((bytes_max / EDGE_ENTRY_BYTES).max(64) as usize);
        let evicted = Evicted(counter!("pando_edge_cache_evictions_total"));
        let hasher = DefaultHashBuilder::default();
        let entries = match options.build() {
            Ok(options) => Cache::with_options(options, Weigh, hasher, evicted),
            Err(_) => Cache::with((bytes_max / EDGE_ENTRY_BYTES) as usize, bytes_max, Weigh, hasher, evicted),
        };
        let entry_bytes_max = entries.shard_capacity() / 2;
        Memory { entries, entry_bytes_max, refused: counter!("pando_edge_cache_refused_total") }
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// The same without counting as a use.
    pub fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        self.entries.peek(key)
    }

    /// Whether it may be kept, and not in place of all else.
    pub fn fits(&self, key: &Key, entry: &Arc<Entry>) -> bool {
        Weigh.weight(key, entry) <= self.entry_bytes_max
    }

    pub fn put(&self, key: Key, entry: Arc<Entry>) {
        if !self.fits(&key, &entry) {
            self.refused.increment(1);
            self.entries.remove(&key);
            return;
        }
        self.entries.insert(key, entry);
    }

    pub fn remove(&self, key: &Key) {
        self.entries.remove(key);
    }

    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
