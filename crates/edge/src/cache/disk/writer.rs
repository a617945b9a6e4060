//! The thread that writes: it waits until the directory is its own, learns what lies there, and appends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use base::limits::{
    EDGE_DISK_ENTRIES_MAX, EDGE_DISK_LOCK_MS, EDGE_DISK_RETRY_MS, EDGE_DISK_SEGMENT_BYTES_MIN,
    EDGE_DISK_SEGMENTS,
};
use metrics::gauge;

use super::places::{Place, Places};
use super::record::{self, Header};
use super::segments::{self, Segments};
use super::{Command, Shared};
use crate::cache::compress::Encoded;
use crate::cache::object::{Key, Object};
use crate::cache::purges::Standing;

pub struct Writer {
    shared: Arc<Shared>,
    segments: Segments,
    bytes_max: u64,
    /// Locked as long as it is open.
    _lock: File,
    /// When it could not be written.
    broken: Option<Instant>,
}

/// Waits for the directory, then works until it is told to end.
pub fn run(shared: Arc<Shared>, commands: &Receiver<Command>, ready: &SyncSender<()>, bytes_max: u64) {
    let lock = match lock(&shared, commands, ready) {
        Ok(Some(lock)) => lock,
        // Told to end before it could begin.
        Ok(None) => return,
        Err(error) => return gone(&shared, commands, &error),
    };
    let segment_bytes = (bytes_max / EDGE_DISK_SEGMENTS).max(EDGE_DISK_SEGMENT_BYTES_MIN);
    let segments = match Segments::open(&shared.dir, segment_bytes) {
        Ok(segments) => segments,
        Err(error) => return gone(&shared, commands, &error),
    };
    let mut writer = Writer { shared, segments, bytes_max, _lock: lock, broken: None };
    if let Err(error) = writer.learn() {
        return gone(&writer.shared, commands, &error);
    }
    let _ = ready.try_send(());
    writer.work(commands);
}

/// Nothing is to be had of that disk. What is offered is let go.
fn gone(shared: &Shared, commands: &Receiver<Command>, error: &io::Error) {
    let dir = shared.dir.display();
    tracing::error!(%error, %dir, "the cache cannot use its disk and goes on in memory");
    shared.errors.increment(1);
    while let Ok(command) = commands.recv() {
        match command {
            Command::Write(key, object) => shared.written(record::hash_key(&key), &object, None),
            Command::Close(_, done) => {
                let _ = done.send(());
                return;
            }
        }
    }
}

/// The directory belongs to one process at a time; a successor waits until its predecessor has ended.
fn lock(shared: &Shared, commands: &Receiver<Command>, ready: &SyncSender<()>) -> io::Result<Option<File>> {
    fs::create_dir_all(&shared.dir)?;
    let file = File::options().create(true).truncate(false).write(true).open(shared.dir.join("lock"))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if !std::mem::replace(&mut told, true) {
            let dir = shared.dir.display();
            let _ = ready.try_send(());
            tracing::info!(%dir, "the cache's directory is used by another process; waiting for it");
        }
        match commands.recv_timeout(Duration::from_millis(EDGE_DISK_LOCK_MS)) {
            Ok(Command::Write(key, object)) => shared.written(record::hash_key(&key), &object, None),
            Ok(Command::Close(_, done)) => {
                let _ = done.send(());
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

impl Writer {
    /// What earlier processes kept. Only an orderly end leaves a list; it is taken away before anything else happens.
    fn learn(&mut self) -> io::Result<()> {
        let index = index(&self.shared.dir);
        let listed = match fs::read(&index) {
            Ok(bytes) => {
                fs::remove_file(&index)?;
                Places::read(&bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match listed {
            Some(listed) => self.take_listed(listed),
            None => self.take_scanned(),
        }
        // What nobody knows of is of no use.
        let unused = |segment: &segments::Segment| segment.records.is_empty();
        let known = std::mem::take(self.segments.row_mut());
        let (unused, used): (Vec<_>, Vec<_>) = known.into_iter().partition(unused);
        *self.segments.row_mut() = used.into();
        unused.iter().for_each(|segment| self.segments.delete(segment.number));
        self.report();
        let entries = self.shared.places.len();
        if entries > 0 {
            tracing::info!(entries, "the cache goes on with what lies on its disk");
        }
        Ok(())
    }

    fn take_listed(&mut self, listed: Vec<(u64, Place)>) {
        // Purges may have come while nobody was there to hear them.
        let at_best = if self.shared.purgeable { Standing::Soft } else { Standing::Good };
        for (key, mut place) in listed {
            let row = self.segments.row_mut();
            let Ok(at) = row.binary_search_by_key(&place.segment, |segment| segment.number) else { continue };
            let segment = &mut row[at];
            if place.offset.saturating_add(u64::from(place.bytes)) > segment.bytes {
                continue;
            }
            segment.records.push((key, place.offset));
            place.at_best = place.at_best.map(|before| before.max(at_best));
            self.shared.places.put(key, place);
        }
    }

    /// The process before ended as it had to, and nobody knows what it was told last.
    fn take_scanned(&mut self) {
        let at_best = if self.shared.purgeable { Standing::Hard } else { Standing::Soft };
        let known: Vec<(u64, u64)> =
            self.segments.row_mut().iter().map(|segment| (segment.number, segment.bytes)).collect();
        for (at, (number, bytes)) in known.into_iter().enumerate() {
            let mut records = Vec::new();
            let scanned = self.segments.scan(number, bytes, |header: Header, offset| {
                records.push((header.key, offset));
                let place = Place { at_best: Some(at_best), ..Place::of(&header, number, offset) };
                self.shared.places.put(header.key, place);
            });
            if let Err(error) = scanned {
                tracing::warn!(%error, number, "a segment of the cache could not be read to its end");
            }
            self.segments.row_mut()[at].records = records;
        }
    }

    fn work(&mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            match command {
                Command::Write(key, object) => {
                    let place = self.append(&key, &object);
                    self.shared.written(record::hash_key(&key), &object, place);
                    self.make_room();
                    self.report();
                }
                Command::Close(worst, done) => {
                    self.close(worst);
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    fn writable(&mut self) -> bool {
        self.broken.is_none_or(|since| since.elapsed() >= Duration::from_millis(EDGE_DISK_RETRY_MS))
    }

    /// Where it lies now.
    fn append(&mut self, key: &Key, object: &Object) -> Option<Place> {
        let bytes_max = self.bytes_max / EDGE_DISK_SEGMENTS * 2;
        let encode = |encoded: &Encoded| {
            record::encode(key, object, encoded).filter(|bytes| bytes.len() as u64 <= bytes_max)
        };
        // What can be made again is left out before all of it is.
        let bytes = match self.writable() {
            true => encode(&object.encoded).or_else(|| encode(&Encoded::default())),
            false => None,
        };
        let hash = record::hash_key(key);
        let Some(bytes) = bytes else {
            self.shared.dropped.increment(1);
            // An older one must not come back in its place.
            self.shared.places.remove(hash);
            return None;
        };
        match self.segments.append(hash, &bytes) {
            Ok((segment, offset)) => {
                if self.broken.take().is_some() {
                    tracing::info!("the cache's disk can be written again");
                }
                let at_best = object.mark.at_best;
                Some(Place {
                    segment,
                    offset,
                    bytes: bytes.len() as u32,
                    varies: record::hash_varies(object),
                    moment: object.mark.moment.0,
                    at_best: (at_best != Standing::Good).then_some(at_best),
                    used: false,
                })
            }
            Err(error) => {
                self.shared.errors.increment(1);
                self.shared.places.remove(hash);
                let dir = self.shared.dir.display();
                if self.broken.replace(Instant::now()).is_none() {
                    tracing::error!(%error, %dir, "the cache's disk cannot be written; it goes on in memory");
                }
                None
            }
        }
    }

    /// The oldest segments go. What was read from them since it was written is written once more.
    fn make_room(&mut self) {
        while self.segments.bytes() > self.bytes_max || self.shared.places.len() > EDGE_DISK_ENTRIES_MAX {
            let Some(oldest) = self.segments.pop() else { return };
            let mut again = 0;
            for (key, offset) in oldest.records {
                let Some(place) = self.shared.places.forget(key, oldest.number, offset) else { continue };
                // Half at most, so that it comes to an end.
                if !place.used || again + u64::from(place.bytes) > oldest.bytes / 2 || self.broken.is_some() {
                    self.shared.evicted.increment(1);
                    continue;
                }
                let Ok(bytes) = segments::read(&self.shared.dir, oldest.number, offset, place.bytes) else {
                    continue;
                };
                again += u64::from(place.bytes);
                if let Ok((segment, offset)) = self.segments.append(key, &bytes) {
                    self.shared.places.put(key, Place { segment, offset, used: false, ..place });
                }
            }
            self.segments.delete(oldest.number);
        }
    }

    fn report(&self) {
        gauge!("pando_edge_cache_bytes", "tier" => "disk").set(self.segments.bytes() as f64);
        gauge!("pando_edge_cache_entries", "tier" => "disk").set(self.shared.places.len() as f64);
    }

    /// Lists what is there, for the next process.
    fn close(&self, worst: Standing) {
        let listed = self.shared.places.write(worst);
        let (index, draft) = (index(&self.shared.dir), self.shared.dir.join("index.new"));
        if let Err(error) = fs::write(&draft, listed).and_then(|()| fs::rename(&draft, &index)) {
            tracing::warn!(%error, "the cache could not note what lies on its disk");
        }
    }
}

fn index(dir: &Path) -> std::path::PathBuf {
    dir.join("index")
}
