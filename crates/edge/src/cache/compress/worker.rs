//! The threads that make codings, and what waits for them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use base::limits::{
    EDGE_COMPRESS_QUEUE_BYTES_MAX, EDGE_COMPRESS_QUEUE_MAX, EDGE_COMPRESS_THREAD_NICE,
    EDGE_COMPRESS_THREADS_MAX,
};
use metrics::{Counter, counter};
use parking_lot::Mutex;

use super::allowed::is_immutable;
use super::codings::Coding;
use super::encode::{Effort, encode};
use crate::cache::object::{Key, Object};
use crate::cache::storage::{Attached, Storage};

/// Whoever asks never waits: what does not fit into the queue is asked for again by a later hit.
pub struct Worker {
    jobs: SyncSender<Job>,
    figures: Arc<Figures>,
}

/// What became of the work so far.
#[derive(Default)]
pub struct Figures {
    pub waiting: AtomicUsize,
    pub waiting_bytes: AtomicUsize,
    pub made: AtomicU64,
    pub refused: AtomicU64,
}

struct Meters {
    made: [Counter; Coding::ALL.len()],
    useless: Counter,
    gone: Counter,
    room: Counter,
    failed: Counter,
}

fn refused(reason: &'static str) -> Counter {
    counter!("pando_edge_compress_refused_total", "reason" => reason)
}

/// One coding of one answer. There is no other job for it until this one is let go.
struct Job {
    key: Key,
    object: Arc<Object>,
    coding: Coding,
    figures: Arc<Figures>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.figures.waiting.fetch_sub(1, Ordering::Relaxed);
        self.figures.waiting_bytes.fetch_sub(self.object.body.len(), Ordering::Relaxed);
        self.object.encoded.end(self.coding);
    }
}

impl Worker {
    pub fn start(storage: &Arc<Storage>) -> std::io::Result<Worker> {
        let (jobs, receive) = sync_channel::<Job>(EDGE_COMPRESS_QUEUE_MAX);
        let receive = Arc::new(Mutex::new(receive));
        // Three of four processors stay with those who answer.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let figures = Arc::<Figures>::default();
        for _ in 0..(processors / 4).clamp(1, EDGE_COMPRESS_THREADS_MAX) {
            let (receive, storage, figures) = (receive.clone(), storage.clone(), figures.clone());
            std::thread::Builder::new()
                .name("edge-compress".into())
                .spawn(move || work(&receive, &storage, &figures))?;
        }
        Ok(Worker { jobs, figures })
    }

    pub fn want(&self, key: &Key, object: &Arc<Object>, coding: Coding) {
        if !object.encoded.begin(coding) {
            return;
        }
        let (size, figures) = (object.body.len(), self.figures.clone());
        figures.waiting.fetch_add(1, Ordering::Relaxed);
        let before = figures.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        let job = Job { key: key.clone(), object: object.clone(), coding, figures };
        if before + size > EDGE_COMPRESS_QUEUE_BYTES_MAX || self.jobs.try_send(job).is_err() {
            refused("queue").increment(1);
        }
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}

/// To the end of the process, or of the cache.
fn work(jobs: &Mutex<Receiver<Job>>, storage: &Storage, figures: &Figures) {
    yield_to_others();
    let meters = Meters {
        made: Coding::ALL.map(|coding| counter!("pando_edge_compress_made_total", "coding" => coding.name())),
        useless: refused("size"),
        gone: refused("gone"),
        room: refused("room"),
        failed: refused("failed"),
    };
    loop {
        // The lock is held while one waits, and let go before it works.
        let next = jobs.lock().recv();
        let Ok(job) = next else { return };
        // An encoder that panics costs one coding.
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job.run(storage)));
        let counter = match outcome {
            Ok(Attached::Kept) => {
                job.object.encoded.made(job.coding);
                figures.made.fetch_add(1, Ordering::Relaxed);
                meters.made[job.coding as usize].increment(1);
                continue;
            }
            Ok(Attached::Useless) => &meters.useless,
            Ok(Attached::Gone) => &meters.gone,
            Ok(Attached::NoRoom) => &meters.room,
            Err(_) => &meters.failed,
        };
        if !matches!(outcome, Ok(Attached::Gone)) {
            job.object.encoded.refuse(job.coding);
        }
        figures.refused.fetch_add(1, Ordering::Relaxed);
        counter.increment(1);
    }
}

impl Job {
    fn run(&self, storage: &Storage) -> Attached {
        if !storage.holds(&self.key, &self.object) {
            return Attached::Gone;
        }
        let effort = if is_immutable(&self.object) { Effort::Thorough } else { Effort::Quick };
        match encode(self.coding, &self.object.body, effort) {
            Some(body) => storage.attach(&self.key, &self.object, self.coding, body.into()),
            None => Attached::Useless,
        }
    }
}

/// Under load those who answer come first.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    // Of this thread alone: Linux counts by threads.
    if let Err(error) = rustix::process::setpriority_process(None, EDGE_COMPRESS_THREAD_NICE) {
        tracing::debug!(%error, "compressing has the same priority as answering");
    }
}
