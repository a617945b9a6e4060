//! Which answers turned out not to be shared, for a few seconds: requests for them do not queue behind each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use base::limits::{EDGE_PASS_MS, EDGE_PASS_SLOTS};

const TIME_BITS: u32 = 32;

/// Slots with a part of the hash and the second in which it was noted. Two that meet in one overwrite each other, which costs
/// a wait.
pub struct Passes {
    slots: Box<[AtomicU64]>,
    began: Instant,
}

impl Default for Passes {
    fn default() -> Self {
        Passes { slots: (0..EDGE_PASS_SLOTS).map(|_| AtomicU64::default()).collect(), began: Instant::now() }
    }
}

impl Passes {
    fn now(&self) -> u64 {
        // Never 0, which is an empty slot; in steps that make 32 bits last for years.
        self.began.elapsed().as_millis() as u64 / 64 + 1
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        &self.slots[hash as usize % EDGE_PASS_SLOTS]
    }

    pub fn note(&self, hash: u64) {
        let known = hash >> TIME_BITS << TIME_BITS | self.now() & u64::from(u32::MAX);
        self.slot(hash).store(known, Ordering::Relaxed);
    }

    pub fn has(&self, hash: u64) -> bool {
        let known = self.slot(hash).load(Ordering::Relaxed);
        let since = known & u64::from(u32::MAX);
        since != 0
            && known >> TIME_BITS == hash >> TIME_BITS
            && (self.now() & u64::from(u32::MAX)).wrapping_sub(since) <= EDGE_PASS_MS / 64
    }
}
