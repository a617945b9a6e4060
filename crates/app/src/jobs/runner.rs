//! Runs jobs: a lane for each queue takes as many as it has places for, and what became of them is said in batches. While
//! jobs are held their leases are renewed together.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backing::queue::{Outcome, Queue, Taken};
use base::limits::{
    JOB_ATTEMPTS_MAX, JOB_RETRY_MS, JOB_RETRY_MS_MAX, JOB_RUN_MS, JOBS_CHAIN_MAX, JOBS_CHAIN_MS,
    JOBS_DRAIN_MS, JOBS_POLL_MS, JOBS_RUNNING_MAX, JOBS_SETTLE_ATTEMPTS_MAX, JOBS_SETTLED_MAX,
};
use base::{Kind, Name};
use observe::RequestId;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::meters::Running;
use super::places::{Place, Places};
use super::{Lane, Payload, UNKNOWN};
use crate::error::{Error, Result};
use crate::parts::Parts;

struct Runner {
    parts: Arc<Parts>,
    queue: Queue,
    places: Arc<Places>,
    held: Mutex<HashMap<Name, Hold>>,
    ended: mpsc::Sender<(Arc<Taken>, Outcome)>,
    stopped: watch::Receiver<bool>,
    cut: watch::Receiver<bool>,
}

struct Hold {
    job: Arc<Taken>,
    until: Instant,
}

/// Runs jobs until `stop` completes. Jobs that are still running a while after the stop are cut off and given back, for
/// another process to take at once.
pub async fn run(parts: Arc<Parts>, queue: Queue, mut lanes: Vec<Lane>, stop: impl Future<Output = ()>) {
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.priority));
    let (ended, settled) = mpsc::channel(JOBS_SETTLED_MAX);
    let (stop_now, stopped) = watch::channel(false);
    let (cut_now, cut) = watch::channel(false);
    let bounds = lanes.iter().map(|lane| lane.concurrency);
    let most = match queue.waits() {
        true => bounds.sum(),
        false => bounds.max().unwrap_or(0).max(JOBS_RUNNING_MAX),
    };
    let places = Places::new(&lanes, most);
    let held = Mutex::default();
    let runner = Arc::new(Runner { parts, queue, places, held, ended, stopped, cut });

    let mut beside = JoinSet::new();
    let (queue, renewing) = (runner.queue.clone(), Arc::downgrade(&runner));
    beside.spawn(async move { queue.serve().await });
    beside.spawn(renew(renewing, runner.queue.lease()));
    let settling = tokio::spawn(settle(Arc::downgrade(&runner), runner.queue.clone(), settled));
    let mut running = JoinSet::new();
    for (at, lane) in lanes.into_iter().enumerate() {
        running.spawn(serve(runner.clone(), at, lane));
    }
    drop(runner);

    stop.await;
    let _ = stop_now.send(true);
    if !all_ended(&mut running).await {
        tracing::info!("unfinished jobs are given back");
        let _ = cut_now.send(true);
        all_ended(&mut running).await;
    }
    running.shutdown().await;
    // Without anybody who sends it ends when it has said all.
    let _ = tokio::time::timeout(Duration::from_millis(JOBS_DRAIN_MS), settling).await;
}

/// Whether all end within a while.
async fn all_ended(running: &mut JoinSet<()>) -> bool {
    let all = async { while running.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_millis(JOBS_DRAIN_MS), all).await.is_ok()
}

/// Takes and runs the jobs of one queue.
async fn serve(runner: Arc<Runner>, at: usize, lane: Lane) {
    let pace = Arc::new(Pace::default());
    let mut running = JoinSet::new();
    let mut stopped = runner.stopped.clone();
    // A sender that is gone means the same.
    let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    tokio::pin!(stop);
    loop {
        while running.try_join_next().is_some() {}
        let places = tokio::select! {
            () = &mut stop => break,
            places = runner.places.take(at) => places,
        };
        let most = places.len() * pace.chain();
        // What is taken must not be dropped half way: nobody would run it before its lease ends.
        match runner.queue.take(&lane.name, most).await {
            Ok(jobs) if !jobs.is_empty() => {
                for (place, chain) in runner.share(jobs, places) {
                    let held = in_turn(runner.clone(), place, chain, pace.clone());
                    running.spawn(held);
                }
                continue;
            }
            Ok(_) => drop(places),
            Err(error) => {
                drop(places);
                tracing::warn!(queue = &*lane.name, "cannot take jobs: {error}");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(Duration::from_millis(JOBS_POLL_MS)) => continue,
                }
            }
        }
        tokio::select! {
            () = &mut stop => break,
            () = runner.queue.news(&lane.name) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// How long jobs of a queue take, so that short ones are taken many at a time.
#[derive(Default)]
struct Pace {
    micros: AtomicU64,
}

impl Pace {
    fn chain(&self) -> usize {
        match self.micros.load(Ordering::Relaxed) {
            0 => 1,
            micros => ((JOBS_CHAIN_MS * 1_000 / micros) as usize).clamp(1, JOBS_CHAIN_MAX),
        }
    }

    /// The mean of those before weighs seven times as much, unless the job took longer.
    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = self.micros.load(Ordering::Relaxed);
        let mean = if before == 0 { took } else { (before.saturating_mul(7).saturating_add(took)) / 8 };
        self.micros.store(mean.max(took.min(JOBS_CHAIN_MS * 1_000)).max(1), Ordering::Relaxed);
    }
}

impl Runner {
    /// Shares jobs out among the places, the first to be first in each.
    fn share(&self, jobs: Vec<Taken>, places: Vec<Place>) -> Vec<(Place, Vec<Arc<Taken>>)> {
        let until = Instant::now() + self.queue.lease();
        let mut shared: Vec<_> = places.into_iter().map(|place| (place, Vec::new())).collect();
        let count = shared.len();
        let mut held = self.held.lock();
        for (index, job) in jobs.into_iter().enumerate() {
            let job = Arc::new(job);
            held.insert(job.id.clone(), Hold { job: job.clone(), until });
            shared[index % count].1.push(job);
        }
        shared.retain(|(_, chain)| !chain.is_empty());
        shared
    }

    /// Whether the lease is still this process's, as far as it can tell.
    fn holds(&self, job: &Taken) -> bool {
        self.held.lock().get(&job.id).is_some_and(|hold| Instant::now() < hold.until)
    }
}

async fn in_turn(runner: Arc<Runner>, place: Place, chain: Vec<Arc<Taken>>, pace: Arc<Pace>) {
    for job in chain {
        if !runner.holds(&job) {
            // The process stood still meanwhile.
            runner.held.lock().remove(&job.id);
            metrics::counter!("pando_jobs_overtaken_total").increment(1);
            continue;
        }
        let outcome = if *runner.stopped.borrow() {
            Outcome::Back
        } else {
            let began = Instant::now();
            let payload = Payload::read(&job.payload);
            let request = payload.as_ref().ok().and_then(Payload::request);
            // One that nobody asked for goes by its own id.
            let request =
                request.or_else(|| RequestId::read(job.id.as_bytes())).unwrap_or_else(RequestId::make);
            let outcome = request.clone().scope(hold(&runner, &job, payload, request)).await;
            pace.note(began.elapsed());
            outcome
        };
        // It ends after all who send.
        let _ = runner.ended.send((job, outcome)).await;
    }
    drop(place);
}

/// Runs the job, and says what came of it.
async fn hold(
    runner: &Runner,
    job: &Taken,
    payload: serde_json::Result<Payload>,
    request: RequestId,
) -> Outcome {
    let kind = payload.as_ref().map_or(UNKNOWN, |payload| payload.work.kind());
    if job.attempts > JOB_ATTEMPTS_MAX {
        Running::begin(kind).end("dead");
        tracing::error!(
            job = &*job.id,
            payload = &*job.payload,
            "a job was given up: it never came to an end"
        );
        return Outcome::Dead("It never came to an end: its process ended each time.".into());
    }
    let measured = Running::begin(kind);
    // A task of its own, so that a panic ends the run and not the runner.
    let mut run = tokio::spawn(request.scope(perform(runner.parts.clone(), payload)));
    let _abort = AbortOnDrop(run.abort_handle());
    let mut is_cut = runner.cut.clone();
    // A sender that is gone means the same.
    let cut = async { drop(is_cut.wait_for(|cut| *cut).await) };
    let ran = tokio::select! {
        outcome = &mut run => match outcome {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::new(Kind::Internal, "The job panicked.").details(error)),
        },
        () = tokio::time::sleep(Duration::from_millis(JOB_RUN_MS)) => {
            Err(Error::new(Kind::Unavailable, "The job took too long."))
        }
        () = cut => {
            measured.end("cut");
            return Outcome::Back;
        }
    };
    let Err(error) = ran else {
        measured.end("done");
        return Outcome::Done;
    };
    let details = error.details.as_deref().unwrap_or_default();
    let said = format!("{error} {details}").trim_end().to_owned();
    if job.attempts >= JOB_ATTEMPTS_MAX {
        tracing::error!(job = &*job.id, payload = &*job.payload, details, "a job was given up: {error}");
        measured.end("dead");
        return Outcome::Dead(said);
    }
    measured.end("failed");
    tracing::warn!(job = &*job.id, attempt = job.attempts, details, "a job failed: {error}");
    Outcome::Again(runner.parts.clock.now().0 + retry_ms(job.attempts) as i64, said)
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn perform(parts: Arc<Parts>, payload: serde_json::Result<Payload>) -> Result<()> {
    let payload = payload.map_err(|error| {
        Error::new(Kind::Unsupported, "This version does not know the job.").details(error)
    })?;
    super::run(&parts, payload.work).await
}

/// Renews the leases of all jobs together.
async fn renew(runner: std::sync::Weak<Runner>, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        let Some(runner) = runner.upgrade() else { return };
        let jobs: Vec<Arc<Taken>> = runner.held.lock().values().map(|hold| hold.job.clone()).collect();
        for jobs in jobs.chunks(JOBS_SETTLED_MAX) {
            let until = Instant::now() + lease;
            match runner.queue.renew(jobs).await {
                Ok(still) => {
                    let mut held = runner.held.lock();
                    for id in still {
                        if let Some(hold) = held.get_mut(&id) {
                            hold.until = until;
                        }
                    }
                }
                // A lease that cannot be renewed may be lost; what runs twice must bear it.
                Err(error) => tracing::warn!("cannot renew the leases of jobs: {error}"),
            }
        }
    }
}

/// Says what became of jobs, those together that ended meanwhile.
async fn settle(
    runner: std::sync::Weak<Runner>,
    queue: Queue,
    mut ended: mpsc::Receiver<(Arc<Taken>, Outcome)>,
) {
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, JOBS_SETTLED_MAX).await > 0 {
        for attempt in 1..=JOBS_SETTLE_ATTEMPTS_MAX {
            match queue.settle(&batch).await {
                Ok(lost) => {
                    metrics::counter!("pando_jobs_overtaken_total").increment(lost as u64);
                    break;
                }
                Err(error) if attempt == JOBS_SETTLE_ATTEMPTS_MAX => {
                    tracing::warn!(jobs = batch.len(), "jobs may run again: {error}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 200)).await,
            }
        }
        if let Some(runner) = runner.upgrade() {
            let mut held = runner.held.lock();
            for (job, _) in &batch {
                held.remove(&job.id);
            }
        }
        batch.clear();
    }
}

/// Twice as long each time, with up to a quarter more, so that jobs that failed together do not come back together.
fn retry_ms(attempts: u32) -> u64 {
    let wait = JOB_RETRY_MS.saturating_mul(1 << attempts.saturating_sub(1).min(30)).min(JOB_RETRY_MS_MAX);
    wait + rand::random_range(0..=wait / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        for (attempts, least) in [(1, 1_000), (2, 2_000), (5, 16_000), (40, JOB_RETRY_MS_MAX)] {
            let wait = retry_ms(attempts);
            assert!((least..=least + least / 4).contains(&wait), "{attempts}: {wait}");
        }
    }

    #[test]
    fn only_short_jobs_are_taken_ahead() {
        let pace = Pace::default();
        assert_eq!(pace.chain(), 1);
        pace.note(Duration::from_micros(100));
        assert_eq!(pace.chain(), JOBS_CHAIN_MAX);
        pace.note(Duration::from_secs(60));
        assert_eq!(pace.chain(), 1);
    }
}
