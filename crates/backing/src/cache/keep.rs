//! How entries of one kind are kept: by which strategy they come in, and for how long they are good at most.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use base::Name;
use rustc_hash::FxHashMap;

/// How a collection's records get into the caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The cache loads what it has not: one load for all who ask meanwhile.
    #[default]
    ReadThrough,
    /// Whoever misses asks the database, waits for nobody, and puts what was found.
    CacheAside,
    /// As read-through, and a writer puts what was written.
    WriteThrough,
    /// As read-through, but a record comes in at its second read, so that what is written or read once displaces nothing.
    WriteAround,
    /// Writes are acknowledged before they reach the database.
    WriteBehind,
}

impl Strategy {
    pub const ALL: [Strategy; 5] = [
        Strategy::ReadThrough,
        Strategy::CacheAside,
        Strategy::WriteThrough,
        Strategy::WriteAround,
        Strategy::WriteBehind,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Strategy::ReadThrough => "read-through",
            Strategy::CacheAside => "cache-aside",
            Strategy::WriteThrough => "write-through",
            Strategy::WriteAround => "write-around",
            Strategy::WriteBehind => "write-behind",
        }
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| {
            format!("{name:?} is no strategy; there are {}", Strategy::ALL.map(Strategy::name).join(", "))
        })
    }
}

/// How one collection's records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    pub strategy: Strategy,
    pub ttl: Ttl,
    /// How long it is remembered that there is no such record; `None` when it is not.
    pub absent: Option<Ttl>,
}

/// How each table's records are kept.
#[derive(Clone, Debug, Default)]
pub struct Keeps {
    pub default: Keep,
    pub named: FxHashMap<Name, Keep>,
}

impl Keeps {
    pub fn of(&self, table: &str) -> Keep {
        match self.named.is_empty() {
            true => self.default,
            false => self.named.get(table).copied().unwrap_or(self.default),
        }
    }
}

/// How long an entry is good at most, besides being expired by what changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttl {
    /// 0 for no bound.
    pub ms: u64,
    /// By how much less an entry may get, so that those which came together do not go together.
    pub jitter_percent: u64,
}

/// The end of entries' time, by a clock that no one sets.
pub struct Ends {
    began: Instant,
    /// Of a sequence that is spread evenly, whatever part of it is taken.
    spread: AtomicU32,
}

/// The fraction of the golden ratio, in 32 bits.
const STEP: u32 = 0x9E37_79B9;

impl Default for Ends {
    fn default() -> Self {
        Ends { began: Instant::now(), spread: AtomicU32::new(0) }
    }
}

impl Ends {
    /// When an entry ends that is made now; 0 for never.
    pub fn of(&self, ttl: Ttl) -> u64 {
        if ttl.ms == 0 {
            return 0;
        }
        let part = u128::from(self.spread.fetch_add(STEP, Ordering::Relaxed));
        let percent = u128::from(ttl.jitter_percent.min(100));
        let less = (u128::from(ttl.ms) * percent * part / 100) >> 32;
        self.now().saturating_add(ttl.ms - less as u64)
    }

    pub fn is_over(&self, end: u64) -> bool {
        end != 0 && self.now() >= end
    }

    /// Milliseconds since this was made, the first of which is 1.
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }
}
