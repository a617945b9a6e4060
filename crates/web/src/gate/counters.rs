//! How often clients asked lately. Windows are the reference's: fixed, beginning with the second that the first request
//! fell in. Their ends are kept by a clock that never jumps, so that setting the time locks nobody out.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base::Timestamp;
use base::limits::{RATE_CLIENTS_MAX, RATE_SHARDS, RATE_SWEEP_MS};
use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// What is counted together.
    pub scope: u64,
    pub address: IpAddr,
}

#[derive(Clone, Copy)]
struct Window {
    ends: Instant,
    used: i64,
}

/// Split by hash, so that clients seldom wait for each other.
pub struct Counters(Vec<Mutex<Shard>>);

#[derive(Default)]
struct Shard {
    windows: FxHashMap<Key, Window>,
    swept: Option<Instant>,
}

impl Default for Counters {
    fn default() -> Self {
        Counters((0..RATE_SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Counters {
    /// Counts one more. `Some` when that is more than `max` within `seconds`, with the rest of the time.
    pub fn add(&self, key: Key, max: i64, seconds: i64, at: Instant, now: Timestamp) -> Option<Duration> {
        // The upper bits, as the lower ones choose the place in the map.
        let shard = (FxBuildHasher.hash_one(key) >> 40) as usize % self.0.len();
        let mut shard = self.0[shard].lock();
        match shard.windows.get_mut(&key) {
            Some(window) if window.ends > at => {
                if window.used >= max {
                    return Some(window.ends - at);
                }
                window.used += 1;
            }
            known => {
                let window = Window { ends: at + length(seconds, now), used: 1 };
                match known {
                    Some(over) => *over = window,
                    None => shard.insert(key, window, at),
                }
            }
        }
        None
    }
}

/// From now to the end of the window's last whole second.
fn length(seconds: i64, now: Timestamp) -> Duration {
    const SECONDS_MAX: u64 = 365 * 86_400;
    let begun = Duration::from_millis(now.0.rem_euclid(1000) as u64);
    Duration::from_secs(seconds.unsigned_abs().clamp(1, SECONDS_MAX)) - begun
}

impl Shard {
    fn insert(&mut self, key: Key, window: Window, at: Instant) {
        const CLIENTS_MAX: usize = RATE_CLIENTS_MAX / RATE_SHARDS;
        if self.windows.len() >= CLIENTS_MAX {
            let rest = Duration::from_millis(RATE_SWEEP_MS);
            if self.swept.is_none_or(|swept| at.saturating_duration_since(swept) >= rest) {
                self.swept = Some(at);
                self.windows.retain(|_, window| window.ends > at);
            }
            // Still full: someone is forgotten. Whoever has so many addresses is not held up by counting them.
            if self.windows.len() >= CLIENTS_MAX
                && let Some(any) = self.windows.keys().next().copied()
            {
                self.windows.remove(&any);
            }
        }
        self.windows.insert(key, window);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn key(address: u32) -> Key {
        Key { scope: 1, address: Ipv4Addr::from(address).into() }
    }

    #[test]
    fn windows_begin_with_the_second() {
        let counters = Counters::default();
        let (start, now) = (Instant::now(), Timestamp(5_600));
        let after = |ms: u64| start + Duration::from_millis(ms);
        for expected in [true, true, false, false] {
            assert_eq!(counters.add(key(1), 2, 2, start, now).is_none(), expected);
        }
        assert!(counters.add(key(2), 2, 2, start, now).is_none(), "another client");
        assert!(counters.add(key(1), 2, 2, after(1_399), now).is_some());
        assert!(counters.add(key(1), 2, 2, after(1_400), Timestamp(7_000)).is_none());
        // The time was set back by a day: the window goes on by the other clock.
        assert!(counters.add(key(1), 2, 2, after(1_500), Timestamp(-86_400_000)).is_none());
        assert!(counters.add(key(1), 2, 2, after(1_600), Timestamp(-86_400_000)).is_some());
        assert!(counters.add(key(1), 2, 2, after(3_400), Timestamp(-86_400_000)).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let counters = Counters::default();
        let start = Instant::now();
        for address in 0..RATE_CLIENTS_MAX as u32 * 2 {
            assert!(counters.add(key(address), 1, 60, start, Timestamp(0)).is_none());
        }
        let kept: usize = counters.0.iter().map(|shard| shard.lock().windows.len()).sum();
        assert!(kept <= RATE_CLIENTS_MAX, "{kept}");
    }
}
