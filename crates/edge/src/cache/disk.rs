//! What is kept on disk: what was asked for more than once, so that it outlives memory's bound and the process.
//!
//! A disk that is slow, full or broken costs hits and nothing else. One thread writes; requests read, a bounded number at once.

mod places;
mod record;
mod segments;
mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use base::limits::{
    EDGE_DISK_BYTES_MIN, EDGE_DISK_CLOSE_MS, EDGE_DISK_OPEN_MS, EDGE_DISK_QUEUE_BYTES_MAX,
    EDGE_DISK_QUEUE_MAX, EDGE_DISK_READ_MS, EDGE_DISK_READS_MAX,
};
use metrics::{Counter, counter};
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use tokio::sync::Semaphore;

use super::object::{Key, Object};
use super::purges::{Moment, Standing};
use places::{Place, Places};

pub struct Disk {
    shared: Arc<Shared>,
    commands: SyncSender<Command>,
    reads: Arc<Semaphore>,
}

enum Command {
    Write(Key, Arc<Object>),
    /// With what the next process may think, at best, of what this one fetched.
    Close(Standing, std::sync::mpsc::Sender<()>),
}

struct Shared {
    dir: PathBuf,
    /// Whether somebody can purge: if so, purges may be missed while no process runs.
    purgeable: bool,
    places: Places,
    /// Bodies that wait to be written.
    waiting: AtomicUsize,
    /// What waits under each key's hash. What is no more among it when it was written is not wanted any more.
    queued: Mutex<HashMap<u64, Vec<Arc<Object>>, FxBuildHasher>>,
    dropped: Counter,
    errors: Counter,
    evicted: Counter,
    hits: Counter,
}

impl Shared {
    /// It waits no more. With a place it was written, and is found there from now on unless it was forgotten meanwhile.
    fn written(&self, key: u64, object: &Arc<Object>, place: Option<Place>) {
        self.waiting.fetch_sub(object.body_bytes(), Ordering::AcqRel);
        let mut queued = self.queued.lock();
        let Some(waiting) = queued.get_mut(&key) else { return };
        let Some(at) = waiting.iter().position(|other| Arc::ptr_eq(other, object)) else { return };
        waiting.swap_remove(at);
        if waiting.is_empty() {
            queued.remove(&key);
        }
        if let Some(place) = place {
            self.places.put(key, place);
        }
    }

    fn forget(&self, key: u64) {
        let mut queued = self.queued.lock();
        queued.remove(&key);
        self.places.remove(key);
    }
}

impl Disk {
    /// What lies there is found as soon as it has been looked through.
    pub fn open(dir: PathBuf, bytes_max: u64, purgeable: bool) -> std::io::Result<Disk> {
        let shared = Arc::new(Shared {
            dir,
            purgeable,
            places: Places::default(),
            waiting: AtomicUsize::new(0),
            queued: Mutex::default(),
            dropped: counter!("pando_edge_disk_dropped_total"),
            errors: counter!("pando_edge_disk_errors_total"),
            evicted: counter!("pando_edge_disk_evictions_total"),
            hits: counter!("pando_edge_disk_hits_total"),
        });
        let (commands, receive) = sync_channel(EDGE_DISK_QUEUE_MAX);
        let own = shared.clone();
        let (ready, learnt) = sync_channel(1);
        std::thread::Builder::new()
            .name("edge-disk".into())
            .spawn(move || writer::run(own, &receive, &ready, bytes_max.max(EDGE_DISK_BYTES_MIN)))?;
        // Mostly it takes no time, and then the first request finds what is there.
        let _ = learnt.recv_timeout(Duration::from_millis(EDGE_DISK_OPEN_MS));
        Ok(Disk { shared, commands, reads: Arc::new(Semaphore::new(EDGE_DISK_READS_MAX)) })
    }

    pub fn len(&self) -> usize {
        self.shared.places.len()
    }

    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    pub fn has(&self, key: &Key) -> bool {
        self.shared.places.has(record::hash_key(key))
    }

    /// Writes it when there is time. What does not fit into the queue stays in memory only.
    pub fn offer(&self, key: &Key, object: &Arc<Object>) {
        let size = object.body_bytes();
        let hash = record::hash_key(key);
        self.shared.queued.lock().entry(hash).or_default().push(object.clone());
        let waiting = self.shared.waiting.fetch_add(size, Ordering::AcqRel);
        let fits = waiting + size <= EDGE_DISK_QUEUE_BYTES_MAX;
        if !fits || self.commands.try_send(Command::Write(key.clone(), object.clone())).is_err() {
            self.shared.written(hash, object, None);
            self.shared.dropped.increment(1);
            // An older one must not come back in its place.
            self.shared.forget(hash);
        }
    }

    pub fn forget(&self, key: &Key) {
        self.shared.forget(record::hash_key(key));
    }

    /// All variants that lie there. A disk that does not answer soon has none.
    pub async fn read(&self, key: &Key) -> Vec<Arc<Object>> {
        let hash = record::hash_key(key);
        if !self.shared.places.has(hash) {
            return Vec::new();
        }
        let (shared, reads, key) = (self.shared.clone(), self.reads.clone(), key.clone());
        let read = async move {
            let Ok(permit) = reads.acquire_owned().await else { return Vec::new() };
            let read = tokio::task::spawn_blocking(move || {
                // Held until the disk has answered, however long the request has waited.
                let _permit = permit;
                let places = shared.places.find(hash);
                places.into_iter().filter_map(|place| shared.read(&key, hash, place)).collect()
            });
            read.await.unwrap_or_default()
        };
        let found = tokio::time::timeout(Duration::from_millis(EDGE_DISK_READ_MS), read).await;
        found.unwrap_or_default()
    }

    /// Lists what is there, so that the next process finds it.
    pub fn close(&self, worst: Standing) {
        let (done, told) = std::sync::mpsc::channel();
        let until = std::time::Instant::now() + Duration::from_millis(EDGE_DISK_CLOSE_MS);
        let mut close = Command::Close(worst, done);
        while let Err(error) = self.commands.try_send(close) {
            close = match error {
                std::sync::mpsc::TrySendError::Full(close) if std::time::Instant::now() < until => close,
                _ => return,
            };
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = told.recv_timeout(until.saturating_duration_since(std::time::Instant::now()));
    }
}

impl Shared {
    fn read(&self, key: &Key, hash: u64, place: Place) -> Option<Arc<Object>> {
        let read = segments::read(&self.dir, place.segment, place.offset, place.bytes);
        let found = match read {
            Ok(bytes) => record::decode(bytes),
            // Its segment went a moment ago.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::debug!(%error, "an answer on disk could not be read");
                None
            }
        };
        let Some((found, mut object)) = found else {
            self.errors.increment(1);
            self.places.forget(hash, place.segment, place.offset);
            return None;
        };
        if found != *key {
            return None;
        }
        match place.at_best {
            Some(at_best) => {
                object.mark.moment = Moment::FIRST;
                object.mark.at_best = at_best;
            }
            None => object.mark.moment = Moment(place.moment),
        }
        self.hits.increment(1);
        Some(Arc::new(object))
    }
}

#[cfg(test)]
mod tests;
