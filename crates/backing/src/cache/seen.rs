//! What was read once lately: a few bits of each, in places that newer ones take over.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU32, Ordering};

use base::limits::CACHE_SEEN_MAX;
use rustc_hash::FxHasher;

pub struct Seen(Box<[AtomicU32]>);

impl Default for Seen {
    fn default() -> Self {
        Seen((0..CACHE_SEEN_MAX).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Seen {
    /// Whether it was there; it is from now on.
    pub fn again(&self, table: &str, id: &str) -> bool {
        let mut hasher = FxHasher::default();
        hasher.write(table.as_bytes());
        hasher.write(id.as_bytes());
        let hash = hasher.finish();
        // Never the mark of an empty place.
        let mark = (hash >> 8) as u32 | 1;
        self.0[(hash >> 40) as usize % CACHE_SEEN_MAX].swap(mark, Ordering::Relaxed) == mark
    }
}
