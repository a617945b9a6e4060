//! What holds entries within a number of bytes, and who has to go when it is full. The policy is chosen where it is
//! opened; nothing else knows which one it is.

use std::hash::Hash;
use std::str::FromStr;
use std::sync::Arc;

use foyer_common::event::{Event, EventListener};
use foyer_memory::{
    Cache as Foyer, CacheBuilder, EvictionConfig, FifoConfig, LfuConfig, LruConfig, S3FifoConfig,
};
use quick_cache::sync::Cache as Quick;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, Weighter};

/// Who goes first when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Clock-PRO: what is read once passes through without displacing what is read often. The fastest here.
    #[default]
    Scan,
    Lru,
    /// W-TinyLFU.
    Lfu,
    Fifo,
    S3Fifo,
    Sieve,
}

impl Policy {
    pub const ALL: [Policy; 6] =
        [Policy::Scan, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::S3Fifo, Policy::Sieve];

    pub fn name(self) -> &'static str {
        match self {
            Policy::Scan => "clock-pro",
            Policy::Lru => "lru",
            Policy::Lfu => "lfu",
            Policy::Fifo => "fifo",
            Policy::S3Fifo => "s3-fifo",
            Policy::Sieve => "sieve",
        }
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Policy::ALL.into_iter().find(|policy| policy.name() == name).ok_or_else(|| {
            format!(
                "{name:?} is no policy of a cache; there are {}",
                Policy::ALL.map(Policy::name).join(", ")
            )
        })
    }
}

/// An entry that knows what it weighs, with all that is kept beside it.
pub trait Weighed {
    fn weight(&self) -> u64;
}

pub enum Pool<K: Hash + Eq + Send + Sync + 'static, V: Weighed + Clone + Send + Sync + 'static> {
    Quick(Quick<K, V, Weigh, DefaultHashBuilder, Evicted>),
    Foyer(Foyer<K, V>),
}

#[derive(Clone)]
pub struct Weigh;

impl<K, V: Weighed> Weighter<K, V> for Weigh {
    fn weight(&self, _: &K, entry: &V) -> u64 {
        entry.weight()
    }
}

/// Counts those who had to go.
#[derive(Clone)]
pub struct Evicted(metrics::Counter);

impl<K, V> Lifecycle<K, V> for Evicted {
    type RequestState = Option<(K, V)>;

    fn on_evict(&self, last: &mut Self::RequestState, key: K, entry: V) {
        self.0.increment(1);
        // Mostly it is one, and that is freed after the lock.
        *last = Some((key, entry));
    }
}

struct Listener<K, V>(metrics::Counter, std::marker::PhantomData<fn(K, V)>);

impl<K: Hash + Eq + Send + Sync + 'static, V: Send + Sync + 'static> EventListener for Listener<K, V> {
    type Key = K;
    type Value = V;

    fn on_leave(&self, reason: Event, _: &K, _: &V) {
        if reason == Event::Evict {
            self.0.increment(1);
        }
    }
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Weighed + Clone + Send + Sync + 'static> Pool<K, V> {
    /// `entry_bytes` is what an entry is expected to weigh.
    pub fn open(policy: Policy, bytes_max: u64, entry_bytes: u64, evictions: metrics::Counter) -> Self {
        let config: EvictionConfig = match policy {
            Policy::Scan => {
                return Pool::Quick(Quick::with(
                    (bytes_max / entry_bytes) as usize,
                    bytes_max,
                    Weigh,
                    DefaultHashBuilder::default(),
                    Evicted(evictions),
                ));
            }
            Policy::Lru => LruConfig::default().into(),
            Policy::Lfu => LfuConfig::default().into(),
            Policy::Fifo => FifoConfig::default().into(),
            Policy::S3Fifo => S3FifoConfig::default().into(),
            Policy::Sieve => EvictionConfig::Sieve(Default::default()),
        };
        let listener = Listener(evictions, std::marker::PhantomData);
        let builder = CacheBuilder::new(bytes_max as usize).with_eviction_config(config);
        let builder = builder.with_weighter(|_: &K, entry: &V| entry.weight() as usize);
        // What outweighs its share of the whole would push everything out and not stay either.
        let share = bytes_max as usize / SHARDS;
        let builder =
            builder.with_shards(SHARDS).with_filter(move |_: &K, entry: &V| entry.weight() as usize <= share);
        Pool::Foyer(builder.with_event_listener(Arc::new(listener)).build())
    }

    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        match self {
            Pool::Quick(pool) => pool.get(key),
            Pool::Foyer(pool) => pool.get(key).map(|entry| entry.value().clone()),
        }
    }

    pub fn put(&self, key: K, entry: V) {
        match self {
            Pool::Quick(pool) => pool.insert(key, entry),
            Pool::Foyer(pool) => drop(pool.insert(key, entry)),
        }
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Pool::Quick(pool) => pool.weight(),
            Pool::Foyer(pool) => pool.usage() as u64,
        }
    }

    pub fn bytes_max(&self) -> u64 {
        match self {
            Pool::Quick(pool) => pool.capacity(),
            Pool::Foyer(pool) => pool.capacity() as u64,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Pool::Quick(pool) => pool.len(),
            Pool::Foyer(pool) => pool.entries(),
        }
    }
}

/// Parts of a pool with a lock of their own.
const SHARDS: usize = 8;
