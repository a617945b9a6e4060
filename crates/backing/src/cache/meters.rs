//! What is counted of a cache.

use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

pub struct Meters {
    pub hits: Counter,
    /// Hits that say that there is no such thing.
    pub absent: Counter,
    pub misses: Counter,
    /// What was there, and holds no more.
    pub changed: Counter,
    /// What was there for as long as it may be.
    pub over: Counter,
    pub evictions: Counter,
    pub loads: Counter,
    pub shared: Counter,
    seconds: Histogram,
    bytes: Gauge,
    bytes_max: Gauge,
    entries: Gauge,
}

impl Meters {
    /// `cache` says of what, `tier` where it is.
    pub fn new(cache: &'static str, tier: &'static str) -> Meters {
        Meters {
            hits: counter!("pando_cache_hits_total", "cache" => cache, "tier" => tier),
            absent: counter!("pando_cache_negative_hits_total", "cache" => cache, "tier" => tier),
            misses: counter!("pando_cache_misses_total", "cache" => cache, "tier" => tier),
            changed: counter!("pando_cache_expirations_total", "cache" => cache, "tier" => tier, "reason" => "changed"),
            over: counter!("pando_cache_expirations_total", "cache" => cache, "tier" => tier, "reason" => "ttl"),
            evictions: counter!("pando_cache_evictions_total", "cache" => cache, "tier" => tier),
            loads: counter!("pando_cache_loads_total", "cache" => cache),
            shared: counter!("pando_cache_loads_shared_total", "cache" => cache),
            seconds: histogram!("pando_cache_load_duration_seconds", "cache" => cache),
            bytes: gauge!("pando_cache_bytes", "cache" => cache, "tier" => tier),
            bytes_max: gauge!("pando_cache_bytes_max", "cache" => cache, "tier" => tier),
            entries: gauge!("pando_cache_entries", "cache" => cache, "tier" => tier),
        }
    }

    /// Of a load that began then.
    pub fn loaded(&self, began: Instant) {
        self.loads.increment(1);
        self.seconds.record(began.elapsed().as_secs_f64());
    }

    pub fn sample(&self, bytes: u64, bytes_max: u64, entries: usize) {
        self.bytes.set(bytes as f64);
        self.bytes_max.set(bytes_max as f64);
        self.entries.set(entries as f64);
    }
}
