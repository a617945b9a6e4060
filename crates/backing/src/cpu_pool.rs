//! Threads for work that takes the processor for milliseconds and more: password hashes, thumbnails. Few, so that it
//! cannot take every core, of low priority, so that what waits for the same core goes first, and with a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

/// How much these threads stand back: with the same core they get about a tenth of what ordinary threads get, and all of
/// it when nobody else wants it.
const NICENESS: i32 = 10;

type Task = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub struct CpuPool {
    tasks: Sender<Task>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    tasks_open: metrics::Gauge,
    refused: metrics::Counter,
    duration: metrics::Histogram,
}

/// Why a task was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The queue is full, or the threads are gone.
    Busy,
    Panicked,
}

impl CpuPool {
    /// `waiting_max` counts the tasks that run as well.
    pub fn new(name: &'static str, threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let (tasks, queue) = crossbeam_channel::unbounded::<Task>();
        for _ in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name(name.to_string()).spawn(move || {
                stand_back();
                for task in queue {
                    // A task reports its own panic, by the answer that never comes.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
                }
            })?;
        }
        Ok(CpuPool {
            tasks,
            waiting: Arc::default(),
            waiting_max,
            tasks_open: metrics::gauge!("pando_pool_tasks", "pool" => name),
            refused: metrics::counter!("pando_pool_refused_total", "pool" => name),
            duration: metrics::histogram!("pando_pool_task_duration_seconds", "pool" => name),
        })
    }

    /// Runs the task in its turn. A caller that goes away while it waits spares the work.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let Some(place) = Place::take(&self.waiting, self.waiting_max, &self.tasks_open) else {
            self.refused.increment(1);
            return Err(Undone::Busy);
        };
        let duration = self.duration.clone();
        let (answer, answered) = oneshot::channel();
        let task = move || {
            // Declared in this order, so that the place is free before the caller hears, also of a panic.
            let answer = answer;
            let place = place;
            if !answer.is_closed() {
                let begun = Instant::now();
                let done = work();
                duration.record(begun.elapsed().as_secs_f64());
                drop(place);
                let _ = answer.send(done);
            }
        };
        self.tasks.send(Box::new(task)).map_err(|_| Undone::Busy)?;
        answered.await.map_err(|_| Undone::Panicked)
    }
}

#[cfg(target_os = "linux")]
fn stand_back() {
    // On Linux no process means the calling thread alone. Without the right to it, all goes on as before.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {
    let _ = NICENESS;
}

struct Place(Arc<AtomicUsize>, metrics::Gauge);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, most: usize, open: &metrics::Gauge) -> Option<Place> {
        open.increment(1.0);
        let place = Place(waiting.clone(), open.clone());
        (waiting.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        self.1.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_bounded_and_outlives_panics() {
        let pool = CpuPool::new("test", 1, 2).unwrap();
        assert_eq!(pool.run(|| 1).await, Ok(1));
        let fails: Result<(), Undone> = pool.run(|| panic!("as planned")).await;
        assert_eq!(fails, Err(Undone::Panicked));
        let (release, held) = crossbeam_channel::bounded::<()>(0);
        let running = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || held.recv().is_ok()).await }
        });
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(|| 2).await }
        });
        while pool.waiting.load(Ordering::Acquire) < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| 3).await, Err(Undone::Busy));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ok(true));
        assert_eq!(waiting.await.unwrap(), Ok(2));
    }
}
