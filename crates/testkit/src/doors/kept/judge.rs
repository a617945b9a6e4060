//! The rule for what edges keep: a read may show what a write replaced, but only for so long after that write was
//! acknowledged.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One record, written by one caller, each time with the next number.
#[derive(Default)]
pub struct Versions {
    sent: AtomicU32,
    /// In the order of both numbers and times.
    acknowledged: Mutex<Vec<(u32, Instant)>>,
}

impl Versions {
    /// The number of the write that begins now.
    pub fn send(&self) -> u32 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn acknowledge(&self, version: u32, at: Instant) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push((version, at));
    }

    /// How long ago something newer than what is shown had been acknowledged when the read began. None for what nobody
    /// has written.
    pub fn late(&self, shown: u32, asked: Instant) -> Option<Duration> {
        if shown > self.sent.load(Ordering::SeqCst) {
            return None;
        }
        let acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = acknowledged.partition_point(|(version, _)| *version <= shown);
        Some(acknowledged.get(newer).map_or(Duration::ZERO, |(_, at)| asked.saturating_duration_since(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_late_by_the_age_of_what_it_does_not_show() {
        let (versions, began) = (Versions::default(), Instant::now());
        let at = |ms: u64| began + Duration::from_millis(ms);
        assert_eq!(versions.late(0, at(0)), Some(Duration::ZERO));
        assert_eq!(versions.late(1, at(0)), None, "nobody has written that");
        for (version, acknowledged) in [(1, Some(10)), (2, None), (3, Some(30))] {
            assert_eq!(versions.send(), version);
            if let Some(ms) = acknowledged {
                versions.acknowledge(version, at(ms));
            }
        }
        assert_eq!(versions.late(0, at(10)), Some(Duration::ZERO), "it began before");
        assert_eq!(versions.late(0, at(25)), Some(Duration::from_millis(15)));
        // Of the second nobody knows whether it happened: both may be shown until the third is acknowledged.
        for shown in [1, 2] {
            assert_eq!(versions.late(shown, at(29)), Some(Duration::ZERO));
            assert_eq!(versions.late(shown, at(70)), Some(Duration::from_millis(40)));
        }
        assert_eq!(versions.late(3, at(900)), Some(Duration::ZERO));
    }
}
