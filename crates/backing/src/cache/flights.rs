//! Loads that are under way, so that those who miss the same thing meanwhile wait for one of them.

use std::hash::{Hash, Hasher};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use tokio::sync::oneshot;

/// Parts with a lock of their own.
const SHARDS: usize = 16;

/// Those who wait, by what for.
type Open<K, T> = FxHashMap<K, Vec<oneshot::Sender<T>>>;

pub struct Flights<K, T>([Mutex<Open<K, T>>; SHARDS]);

/// What whoever misses has to do.
pub enum Place<'f, K: Hash + Eq, T> {
    /// Load, for all who come meanwhile.
    Lead(Lead<'f, K, T>),
    /// Wait. It fails when the one who loads went away, and then somebody else has to.
    Follow(oneshot::Receiver<T>),
}

/// The duty to load. When it is dropped before it has landed, those who wait are told that nobody loads.
pub struct Lead<'f, K: Hash + Eq, T> {
    flights: &'f Flights<K, T>,
    pub key: K,
    over: bool,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Flights(std::array::from_fn(|_| Mutex::default()))
    }
}

impl<K: Hash + Eq, T> Flights<K, T> {
    pub fn board(&self, key: K) -> Place<'_, K, T>
    where
        K: Clone,
    {
        let mut open = self.shard(&key).lock();
        if let Some(waiting) = open.get_mut(&key) {
            let (answer, waits) = oneshot::channel();
            waiting.push(answer);
            return Place::Follow(waits);
        }
        open.insert(key.clone(), Vec::new());
        Place::Lead(Lead { flights: self, key, over: false })
    }

    fn shard(&self, key: &K) -> &Mutex<Open<K, T>> {
        let mut hasher = FxHasher::default();
        key.hash(&mut hasher);
        // The high bits of this hash are the well mixed ones.
        &self.0[(hasher.finish() >> 40) as usize % SHARDS]
    }
}

impl<K: Hash + Eq, T> Lead<'_, K, T> {
    /// Ends the load, and gives what came of it to those who waited.
    pub fn land(mut self, outcome: &T)
    where
        T: Clone,
    {
        for answer in self.end() {
            // Whoever went away needs no answer.
            let _ = answer.send(outcome.clone());
        }
    }

    fn end(&mut self) -> Vec<oneshot::Sender<T>> {
        self.over = true;
        self.flights.shard(&self.key).lock().remove(&self.key).unwrap_or_default()
    }
}

impl<K: Hash + Eq, T> Drop for Lead<'_, K, T> {
    fn drop(&mut self) {
        // After a landing somebody else may lead by now.
        if !self.over {
            self.end();
        }
    }
}
