//! How many requests may be asked again, so that an outage does not double the load.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use base::limits::{FRONT_RETRY_FLOOR_PER_S, FRONT_RETRY_SAVED_MAX};

/// What one retry costs.
const RETRY: i64 = 1000;

/// Every request saves a part of a retry; a few retries each second are free.
#[derive(Default)]
pub struct Budget {
    /// In thousandths of a retry.
    saved: AtomicI64,
    /// The second in which free ones were taken last, and how many, in one number.
    free: AtomicU64,
}

impl Budget {
    /// A request came for the first time.
    pub fn save(&self, percent: u32) {
        if self.saved.load(Relaxed) < FRONT_RETRY_SAVED_MAX * RETRY {
            self.saved.fetch_add(i64::from(percent) * RETRY / 100, Relaxed);
        }
    }

    /// Whether one may be asked again; `second` is of any clock that goes forward.
    pub fn take(&self, second: u64) -> bool {
        let free = self.free.load(Relaxed);
        let (then, taken) = (free >> 16, free & 0xffff);
        let taken = if then == second { taken } else { 0 };
        if taken < FRONT_RETRY_FLOOR_PER_S {
            self.free.store((second << 16) | (taken + 1), Relaxed);
            return true;
        }
        if self.saved.fetch_sub(RETRY, Relaxed) >= RETRY {
            return true;
        }
        self.saved.fetch_add(RETRY, Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_part_of_the_requests_and_a_few_more() {
        let budget = Budget::default();
        let mut retried = 0;
        // Every request of an outage would be asked again.
        for request in 0..10_000u64 {
            budget.save(20);
            retried += u64::from(budget.take(request / 1000));
        }
        let seconds = 10;
        assert!(retried <= 2000 + seconds * FRONT_RETRY_FLOOR_PER_S, "{retried}");
        assert!(retried >= 2000, "{retried}");
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let budget = Budget::default();
        (0..1_000_000).for_each(|_| budget.save(20));
        let taken = (0..1_000_000).filter(|_| budget.take(7)).count() as i64;
        assert!(taken <= FRONT_RETRY_SAVED_MAX + 1 + FRONT_RETRY_FLOOR_PER_S as i64, "{taken}");
    }
}
