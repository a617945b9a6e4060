//! Where answers are kept.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::limits::{
    EDGE_DISK_BYTES, EDGE_MEMORY_BYTES, EDGE_OBJECT_BYTES_MAX, EDGE_TAGS_MAX, EDGE_VARIANTS_MAX,
};
use bytes::Bytes;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::{Mutex, MutexGuard};

use super::compress::Coding;
use super::disk::Disk;
use super::memory::Memory;
use super::object::{Entry, Key, Mark, Object};
use super::purges::{Moment, Purges, Standing};
use crate::announce::Purge;

/// Locks for those who change entries; each is for a part of the keys.
const STRIPES: usize = 64;

/// What is kept, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// All that kept answers may take of the memory.
    pub memory_bytes: u64,
    /// None to keep in memory only.
    pub disk_dir: Option<PathBuf>,
    pub disk_bytes: u64,
    /// Whether somebody can purge. If so, what another process left on disk may have been purged since.
    pub purgeable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            memory_bytes: EDGE_MEMORY_BYTES,
            disk_dir: None,
            disk_bytes: EDGE_DISK_BYTES,
            purgeable: true,
        }
    }
}

/// Bounded by bytes. Every method is quick, or waits for a disk without holding up other requests.
pub struct Storage {
    memory: Memory,
    disk: Option<Disk>,
    purges: Purges,
    changing: [Mutex<()>; STRIPES],
    hasher: RandomState,
    purged: Counter,
    bytes: Gauge,
    entries: Gauge,
}

/// What became of another coding of something that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    Kept,
    /// It is not worth keeping.
    Useless,
    /// What it was made of is not kept any more, or was purged.
    Gone,
    /// The answer would displace too much with it.
    NoRoom,
}

impl Default for Storage {
    fn default() -> Self {
        Storage::new(EDGE_MEMORY_BYTES)
    }
}

impl Storage {
    /// In memory only.
    pub fn new(memory_bytes: u64) -> Self {
        Storage {
            memory: Memory::new(memory_bytes, EDGE_OBJECT_BYTES_MAX),
            disk: None,
            purges: Purges::default(),
            changing: [const { Mutex::new(()) }; STRIPES],
            hasher: RandomState::new(),
            purged: counter!("pando_edge_purges_total"),
            bytes: gauge!("pando_edge_cache_bytes", "tier" => "memory"),
            entries: gauge!("pando_edge_cache_entries", "tier" => "memory"),
        }
    }

    pub fn open(options: &Options) -> std::io::Result<Self> {
        let mut storage = Storage::new(options.memory_bytes);
        if let Some(dir) = &options.disk_dir {
            storage.disk = Some(Disk::open(dir.clone(), options.disk_bytes, options.purgeable)?);
        }
        Ok(storage)
    }

    /// What is in memory. Whatever it finds, [`Storage::standing`] says whether it may be used.
    pub fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.memory.get(key)?;
        if let Some(disk) = &self.disk
            && entry.becomes_wanted()
        {
            entry.variants.iter().for_each(|object| disk.offer(key, object));
        }
        Some(entry)
    }

    /// What is in memory or on disk.
    pub async fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        match (self.peek(key), &self.disk) {
            (None, Some(disk)) => self.load(disk, key).await,
            (found, _) => found,
        }
    }

    /// From disk into memory.
    async fn load(&self, disk: &Disk, key: &Key) -> Option<Arc<Entry>> {
        let variants = disk.read(key).await;
        let _changing = self.changing(key);
        // Something newer may have come, or somebody else has loaded it.
        let known = self.memory.peek(key);
        if known.is_some() || variants.is_empty() {
            return known;
        }
        let entry = Arc::new(Entry { variants, wanted: true.into() });
        self.memory.put(key.clone(), entry.clone());
        self.report();
        Some(entry)
    }

    fn changing(&self, key: &Key) -> MutexGuard<'_, ()> {
        self.changing[self.hasher.hash_one(key) as usize % STRIPES].lock()
    }

    fn report(&self) {
        self.bytes.set(self.memory.bytes() as f64);
        self.entries.set(self.memory.len() as f64);
    }

    /// The purge clock, to be read before the origin is asked.
    pub fn moment(&self) -> Moment {
        self.purges.moment()
    }

    /// What purges leave of an answer that was found.
    pub fn standing(&self, object: &Object) -> Standing {
        self.purges.standing(object)
    }

    /// Keeps an answer beside the other variants, in place of the one that the same requests select. `moment` was read
    /// before the origin was asked: what was purged since does not come back by this.
    pub fn put(&self, key: Key, object: Object, moment: Moment) -> Arc<Object> {
        let mut object = object.compact();
        object.mark = Mark { moment, ..Mark::default() };
        let mut object = Arc::new(object);
        if object.body.len() > EDGE_OBJECT_BYTES_MAX || object.tags.len() > EDGE_TAGS_MAX {
            return object;
        }
        let _changing = self.changing(&key);
        let before = self.memory.peek(&key);
        let known = before.as_ref().map(|entry| entry.variants.as_slice()).unwrap_or_default();
        let same = known.iter().find(|other| other.varies == object.varies);
        if same.is_some_and(|same| same.mark.moment > moment) {
            // A later question was answered earlier.
            return object;
        }
        if let Some(same) = same
            && !same.encoded.is_empty()
            && same.body == object.body
            && let Some(new) = Arc::get_mut(&mut object)
        {
            // What was made of these bytes serves on.
            new.encoded = same.encoded.clone();
        }
        let others = known.iter().filter(|other| other.varies != object.varies).cloned();
        let variants = std::iter::once(object.clone()).chain(others).take(EDGE_VARIANTS_MAX).collect();
        let mut wanted = before.is_some_and(|entry| entry.wanted.load(Ordering::Relaxed));
        if let Some(disk) = &self.disk {
            // What lies on disk is not to outlive what comes in its place.
            wanted |= disk.has(&key);
            if wanted {
                disk.offer(&key, &object);
            }
        }
        self.memory.put(key, Arc::new(Entry { variants, wanted: wanted.into() }));
        self.report();
        object
    }

    /// Whether that answer, or one with the same body in its place, is kept and stands.
    pub fn holds(&self, key: &Key, object: &Object) -> bool {
        self.memory.peek(key).is_some_and(|entry| self.place(&entry, object).is_some())
    }

    fn place(&self, entry: &Entry, object: &Object) -> Option<usize> {
        let variants = &entry.variants;
        let at =
            variants.iter().position(|known| known.varies == object.varies && known.body == object.body)?;
        (self.standing(&variants[at]) == Standing::Good).then_some(at)
    }

    /// Keeps another coding of an answer's body beside it.
    pub fn attach(&self, key: &Key, object: &Object, coding: Coding, body: Bytes) -> Attached {
        let _changing = self.changing(key);
        let Some(entry) = self.memory.peek(key) else { return Attached::Gone };
        let Some(at) = self.place(&entry, object) else { return Attached::Gone };
        let mut variants = entry.variants.clone();
        let mut with = Object::clone(&variants[at]);
        with.encoded.put(coding, body);
        let with = Arc::new(with);
        variants[at] = with.clone();
        let wanted = entry.wanted.load(Ordering::Relaxed);
        let entry = Arc::new(Entry { variants, wanted: wanted.into() });
        if !self.memory.fits(key, &entry) {
            return Attached::NoRoom;
        }
        self.memory.put(key.clone(), entry);
        if let Some(disk) = &self.disk
            && wanted
        {
            disk.offer(key, &with);
        }
        self.report();
        Attached::Kept
    }

    /// Forgets what is kept under a key. What is being fetched for it may still come: [`Storage::purge`] by its address is for
    /// what must not.
    pub fn remove(&self, key: &Key) {
        let _changing = self.changing(key);
        self.memory.remove(key);
        if let Some(disk) = &self.disk {
            disk.forget(key);
        }
    }

    /// Notes for the next process what lies on disk. Waits for the disk, for a bounded time.
    pub fn close(&self) {
        let worst = match self.purges.moment() {
            Moment::FIRST => Standing::Good,
            _ if self.purges.any_hard() => Standing::Hard,
            _ => Standing::Soft,
        };
        if let Some(disk) = &self.disk {
            disk.close(worst);
        }
    }

    /// From now on nothing that it names is used before the origin was asked.
    pub fn purge(&self, purge: &Purge) {
        self.purges.apply(purge);
        self.purged.increment(1);
    }

    /// Purges may have been missed: everything has to be asked for again, unless the origin is away.
    pub fn doubt(&self) {
        self.purge(&Purge { all: true, soft: true, ..Purge::default() });
    }

    /// Bytes that wait to be written to disk.
    pub fn disk_waiting(&self) -> usize {
        self.disk.as_ref().map_or(0, Disk::waiting)
    }

    /// How many answers lie on disk.
    pub fn disk_entries(&self) -> usize {
        self.disk.as_ref().map_or(0, Disk::len)
    }

    /// The memory that is taken by kept answers.
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    pub fn entries(&self) -> usize {
        self.memory.len()
    }
}

#[cfg(test)]
mod tests;
