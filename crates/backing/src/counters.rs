//! How often clients asked lately. Windows are the reference's: fixed, beginning with the second that the first request
//! fell in. Their ends are kept by a clock that never jumps, so that setting the time locks nobody out.
//!
//! Where several nodes work on one database they count together: each takes a part of what is left there and uses it up
//! by itself, so that most requests cost no round trip, and a client that was refused costs none until its window ends.
//! Never more is let pass in a window than may be. While the database cannot be asked, each counts alone.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Timestamp;
use base::limits::{COUNTER_RETRY_MS, COUNTER_WAIT_MS, RATE_CLIENTS_MAX, RATE_SHARDS, RATE_SWEEP_MS};
use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};
use store::{Part, Store, Take, Taken};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// What is counted together.
    pub scope: u64,
    pub address: IpAddr,
}

/// What may be done how often.
#[derive(Clone, Copy)]
pub struct Limit {
    pub most: i64,
    pub seconds: i64,
}

struct Window {
    ends: Instant,
    used: i64,
    /// What this process may use up by itself.
    granted: i64,
    /// Nothing more is to be had in this window.
    is_last: bool,
    /// Set while this process counts alone: when the others may be asked again.
    alone_until: Option<Instant>,
    /// Whose turn it is to ask for more, where more can be asked for.
    turn: Option<Turn>,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

/// Split by hash, so that clients seldom wait for each other.
pub struct Counters {
    shards: Vec<Mutex<Shard>>,
    /// Where nodes count together; `None` for one that counts alone.
    store: Option<Store>,
    /// What tells these counts from others in the database.
    name: String,
}

#[derive(Default)]
struct Shard {
    windows: FxHashMap<Key, Window>,
    swept: Option<Instant>,
}

/// What this process can say by itself.
enum Said {
    /// `Some` is the rest of the time of a window that has no more.
    Answer(Option<Duration>),
    Ask(Turn),
}

impl Counters {
    /// Counts of other names are others, of the same name on other nodes the same.
    pub fn new(store: &Store, name: String) -> Self {
        let store = store.shared().is_some().then(|| store.clone());
        Counters { shards: (0..RATE_SHARDS).map(|_| Mutex::default()).collect(), store, name }
    }

    /// Counts one more. `Some` when that is more than may be, with the rest of the time.
    pub async fn add(&self, key: Key, limit: Limit, now: Timestamp) -> Option<Duration> {
        let turn = match self.say(key, limit, Instant::now(), now) {
            Said::Answer(answer) => return answer,
            Said::Ask(turn) => turn,
        };
        let _turn = turn.lock().await;
        // Somebody may have asked meanwhile.
        match self.say(key, limit, Instant::now(), now) {
            Said::Answer(answer) => answer,
            Said::Ask(turn) => self.ask(key, limit, now, turn).await,
        }
    }

    async fn ask(&self, key: Key, limit: Limit, now: Timestamp, turn: Turn) -> Option<Duration> {
        let turn = Some(turn);
        // Before the database begins the window, so that what is granted is used up before it ends there.
        let at = Instant::now();
        let window = length(limit.seconds, now);
        let taken = self.take(key, limit, window).await;
        let mut shard = self.shard(key).lock();
        let Some(Taken { granted, left_ms }) = taken else {
            return shard.count_alone(key, limit, at, at + window, turn);
        };
        let (left, granted) = (Duration::from_millis(left_ms), granted as i64);
        let (used, is_last) = if granted == 0 { (0, true) } else { (1, false) };
        let window = Window { ends: at + left, used, granted, is_last, alone_until: None, turn };
        shard.insert(key, window, at);
        is_last.then_some(left)
    }

    /// `None` when the database cannot be asked.
    async fn take(&self, key: Key, limit: Limit, window: Duration) -> Option<Taken> {
        let text = format!("{}/{:016x}/{}", self.name, key.scope, key.address);
        let take = Take {
            key: &text,
            most: limit.most.max(1) as u64,
            window_ms: window.as_millis() as u64,
            part: Part::Share,
            durable: false,
        };
        let asked = self.store.as_ref()?.shared()?.take(&take);
        match tokio::time::timeout(Duration::from_millis(COUNTER_WAIT_MS), asked).await {
            Ok(Ok(taken)) => Some(taken),
            Ok(Err(error)) => {
                tracing::debug!(%error, "this node counts a client's requests alone");
                None
            }
            Err(_) => {
                tracing::debug!("the database is slow: this node counts a client's requests alone");
                None
            }
        }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        // The upper bits, as the lower ones choose the place in the map.
        &self.shards[(FxBuildHasher.hash_one(key) >> 40) as usize % self.shards.len()]
    }

    fn say(&self, key: Key, limit: Limit, at: Instant, now: Timestamp) -> Said {
        let mut shard = self.shard(key).lock();
        if let Some(window) = shard.windows.get_mut(&key) {
            let asks_again = window.alone_until.is_some_and(|until| until <= at);
            if window.ends > at && !asks_again {
                if window.used < window.granted {
                    window.used += 1;
                    return Said::Answer(None);
                }
                return match window.turn.clone().filter(|_| !window.is_last) {
                    Some(turn) => Said::Ask(turn),
                    None => Said::Answer(Some(window.ends - at)),
                };
            }
            if let Some(turn) = window.turn.clone() {
                return Said::Ask(turn);
            }
        }
        if self.store.is_some() {
            let turn = Turn::default();
            let none = Window::new(at, Some(turn.clone()));
            shard.insert(key, none, at);
            return Said::Ask(turn);
        }
        let ends = at + length(limit.seconds, now);
        let whole = Window { used: 1, granted: limit.most, is_last: true, ..Window::new(ends, None) };
        shard.insert(key, whole, at);
        Said::Answer(None)
    }
}

/// From now to the end of the window's last whole second.
fn length(seconds: i64, now: Timestamp) -> Duration {
    const SECONDS_MAX: u64 = 365 * 86_400;
    let begun = Duration::from_millis(now.0.rem_euclid(1000) as u64);
    Duration::from_secs(seconds.unsigned_abs().clamp(1, SECONDS_MAX)) - begun
}

impl Window {
    /// Nothing is granted yet.
    fn new(ends: Instant, turn: Option<Turn>) -> Self {
        Window { ends, used: 0, granted: 0, is_last: false, alone_until: None, turn }
    }
}

impl Shard {
    /// Goes on counting without the others, until they are asked again.
    fn count_alone(
        &mut self,
        key: Key,
        limit: Limit,
        at: Instant,
        ends: Instant,
        turn: Option<Turn>,
    ) -> Option<Duration> {
        let alone_until = Some(at + Duration::from_millis(COUNTER_RETRY_MS));
        if let Some(window) = self.windows.get_mut(&key)
            && window.alone_until.is_some()
            && window.ends > at
        {
            window.alone_until = alone_until;
            if window.used >= window.granted {
                return Some(window.ends - at);
            }
            window.used += 1;
            return None;
        }
        let alone =
            Window { used: 1, granted: limit.most, is_last: true, alone_until, ..Window::new(ends, turn) };
        self.insert(key, alone, at);
        None
    }

    fn insert(&mut self, key: Key, window: Window, at: Instant) {
        const CLIENTS_MAX: usize = RATE_CLIENTS_MAX / RATE_SHARDS;
        if self.windows.len() >= CLIENTS_MAX && !self.windows.contains_key(&key) {
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

    impl Counters {
        fn alone() -> Counters {
            let shards = (0..RATE_SHARDS).map(|_| Mutex::default()).collect();
            Counters { shards, store: None, name: String::new() }
        }

        fn add_at(&self, key: Key, most: i64, seconds: i64, at: Instant, now: Timestamp) -> Option<Duration> {
            match self.say(key, Limit { most, seconds }, at, now) {
                Said::Answer(answer) => answer,
                Said::Ask(_) => panic!("nobody to ask"),
            }
        }
    }

    fn key(address: u32) -> Key {
        Key { scope: 1, address: Ipv4Addr::from(address).into() }
    }

    #[test]
    fn windows_begin_with_the_second() {
        let counters = Counters::alone();
        let (start, now) = (Instant::now(), Timestamp(5_600));
        let after = |ms: u64| start + Duration::from_millis(ms);
        for expected in [true, true, false, false] {
            assert_eq!(counters.add_at(key(1), 2, 2, start, now).is_none(), expected);
        }
        assert!(counters.add_at(key(2), 2, 2, start, now).is_none(), "another client");
        assert!(counters.add_at(key(1), 2, 2, after(1_399), now).is_some());
        assert!(counters.add_at(key(1), 2, 2, after(1_400), Timestamp(7_000)).is_none());
        // The time was set back by a day: the window goes on by the other clock.
        assert!(counters.add_at(key(1), 2, 2, after(1_500), Timestamp(-86_400_000)).is_none());
        assert!(counters.add_at(key(1), 2, 2, after(1_600), Timestamp(-86_400_000)).is_some());
        assert!(counters.add_at(key(1), 2, 2, after(3_400), Timestamp(-86_400_000)).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let counters = Counters::alone();
        let start = Instant::now();
        for address in 0..RATE_CLIENTS_MAX as u32 * 2 {
            assert!(counters.add_at(key(address), 1, 60, start, Timestamp(0)).is_none());
        }
        let kept: usize = counters.shards.iter().map(|shard| shard.lock().windows.len()).sum();
        assert!(kept <= RATE_CLIENTS_MAX, "{kept}");
    }
}
