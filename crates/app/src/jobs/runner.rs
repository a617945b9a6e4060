//! Takes due jobs from the database and runs them, in as many processes as like to. A job is held by lease: `due` is
//! moved into the future when it is taken, so that a job whose holder died is due again by itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{
    JOB_ATTEMPTS_MAX, JOB_DEAD_MS, JOB_LEASE_MS, JOB_RETRY_MS, JOB_RETRY_MS_MAX, JOB_RUN_MS, JOBS_DRAIN_MS,
    JOBS_POLL_MS, JOBS_RUNNING_MAX,
};
use base::{Kind, Name, Value};
use observe::RequestId;
use query::select::SortKey;
use query::{Assign, Batch, Column, ColumnType, Expr, Guard, Op, Operand, Operator, Row, Select, Sort};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::meters::Running;
use super::{Payload, QUEUE, UNKNOWN};
use crate::error::{Error, Result};
use crate::parts::Parts;

pub(super) const TABLE: &str = "_pando_jobs";
/// The queue of jobs that were given up.
pub(super) const DEAD: &str = "dead";

/// A job that this process holds.
struct Taken {
    id: Name,
    payload: String,
    /// This run included.
    attempts: u32,
    /// What is to be done, unless a later version alone knows.
    known: serde_json::Result<Payload>,
}

impl Taken {
    /// The request that caused it; one that nobody asked for goes by its own id.
    fn request(&self) -> RequestId {
        let caused = self.known.as_ref().ok().and_then(Payload::request);
        caused.or_else(|| RequestId::read(self.id.as_bytes())).unwrap_or_else(RequestId::make)
    }

    fn kind(&self) -> &'static str {
        self.known.as_ref().map_or(UNKNOWN, |payload| payload.work.kind())
    }
}

/// Runs jobs until `stop` completes. `wake` tells of new ones; without it they are found a little later. Jobs that
/// are still running a while after the stop are cut off and given back, for another process to take at once.
pub async fn run(parts: Arc<Parts>, wake: Arc<Notify>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let holder: Name = base::id::record().into();
    let (cut, is_cut) = watch::channel(false);
    let mut running = JoinSet::new();
    loop {
        let room = JOBS_RUNNING_MAX - running.len();
        let mut took = 0;
        if room > 0 {
            match take(&parts, &holder, room).await {
                Ok(jobs) => {
                    took = jobs.len();
                    for job in jobs {
                        let request = job.request();
                        let held = hold(parts.clone(), holder.clone(), job, is_cut.clone());
                        running.spawn(request.scope(held));
                    }
                }
                Err(error) => tracing::warn!(details = error.details, "cannot look for jobs: {error}"),
            }
        }
        if took == room && room > 0 {
            // There may be more; as many as can run are running now.
            continue;
        }
        tokio::select! {
            () = &mut stop => break,
            _ = running.join_next(), if !running.is_empty() => {}
            () = wake.notified(), if room > 0 => {}
            () = tokio::time::sleep(Duration::from_millis(JOBS_POLL_MS)) => {}
        }
    }
    if !ended(&mut running).await {
        tracing::info!("unfinished jobs are given back");
        let _ = cut.send(true);
        ended(&mut running).await;
    }
}

/// Whether all end within a while.
async fn ended(running: &mut JoinSet<()>) -> bool {
    let all = async { while running.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_millis(JOBS_DRAIN_MS), all).await.is_ok()
}

/// Deletes jobs that were given up long ago.
pub async fn forget_dead(parts: &Parts) -> Result<()> {
    let before = parts.clock.now().0 - JOB_DEAD_MS;
    let filter = Expr::and([
        Expr::eq(Operand::base("queue", ColumnType::Text), Value::from(DEAD)),
        less(due(), number(before)),
    ]);
    parts.store.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter })).await?;
    Ok(())
}

pub(super) fn due() -> Operand {
    Operand::base("due", ColumnType::Number)
}

pub(super) fn less(left: impl Into<Operand>, right: impl Into<Operand>) -> Expr {
    Expr::Compare { left: left.into(), op: Operator::Lt, right: right.into() }
}

pub(super) fn number(number: i64) -> Value {
    Value::Number(number as f64)
}

/// Takes at most `most` due jobs, the longest due first.
async fn take(parts: &Parts, holder: &Name, most: usize) -> Result<Vec<Taken>> {
    let now = parts.clock.now().0;
    let columns = [
        ("id", ColumnType::Id),
        ("payload", ColumnType::Text),
        ("attempts", ColumnType::Number),
        ("due", ColumnType::Number),
    ];
    let columns = columns.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
    // No lease and no wait lasts this long: the clock was set back.
    let absurd = now + (JOB_RETRY_MS_MAX + JOB_LEASE_MS) as i64 * 2;
    let mut select = Select::table(TABLE, columns)
        .filter(Expr::eq(Operand::base("queue", ColumnType::Text), Value::from(QUEUE)))
        .filter(Expr::or([less(due(), number(now + 1)), less(number(absurd), due())]))
        .limit(most as u64);
    select.sort = vec![
        Sort { by: SortKey::Operand(due()), descending: false },
        Sort { by: SortKey::Insertion, descending: false },
    ];
    let mut taken = Vec::new();
    for row in parts.store.select(&select).await? {
        let Some(job) = claim(parts, holder, &row, now).await? else { continue };
        taken.push(job);
    }
    Ok(taken)
}

/// Makes the job this process's; `None` when another one was faster.
async fn claim(parts: &Parts, holder: &Name, row: &Row, now: i64) -> Result<Option<Taken>> {
    let Some(id) = row.get(0).as_str() else { return Ok(None) };
    let id: Name = id.into();
    let as_seen = Select::by_ids(TABLE, Vec::new(), vec![id.clone()])
        .filter(Expr::eq(due(), row.get(3).clone()))
        .filter(Expr::eq(Operand::base("attempts", ColumnType::Number), row.get(2).clone()));
    let set = vec![
        ("due".into(), Assign::Set(number(now + JOB_LEASE_MS as i64))),
        ("attempts".into(), Assign::Add(1.0)),
        ("holder".into(), Assign::Set(Value::from(&**holder))),
    ];
    let batch = Batch {
        guards: vec![Guard::Exists(as_seen)],
        ops: vec![Op::Update { table: TABLE.into(), id: id.clone(), set }],
        ..Batch::default()
    };
    match parts.store.commit(batch).await {
        Ok(_) => {
            let payload = row.get(1).text_or_empty().to_string();
            let known = Payload::read(&payload);
            Ok(Some(Taken { id, payload, attempts: row.get(2).as_number() as u32 + 1, known }))
        }
        Err(store::Error::Guard(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Runs the job while its lease is renewed, and settles it.
async fn hold(parts: Arc<Parts>, holder: Name, job: Taken, mut is_cut: watch::Receiver<bool>) {
    let measured = Running::begin(job.kind());
    let ran = {
        // A task of its own, so that a panic ends the run and not the runner.
        let work = perform(parts.clone(), job.payload.clone());
        let mut run = tokio::spawn(job.request().scope(work));
        let deadline = tokio::time::sleep(Duration::from_millis(JOB_RUN_MS));
        tokio::pin!(deadline);
        // A sender that is gone means the same.
        let cut = async { drop(is_cut.wait_for(|cut| *cut).await) };
        tokio::pin!(cut);
        let abort = AbortOnDrop(run.abort_handle());
        let ran = loop {
            tokio::select! {
                outcome = &mut run => break Some(match outcome {
                    Ok(outcome) => outcome,
                    Err(error) => Err(Error::new(Kind::Internal, "The job panicked.").details(error)),
                }),
                () = &mut deadline => break Some(Err(Error::new(Kind::Unavailable, "The job took too long."))),
                () = &mut cut => break None,
                () = tokio::time::sleep(Duration::from_millis(JOB_LEASE_MS / 3)) => {
                    // A lease that cannot be renewed may be lost; what runs twice must bear it.
                    let lease = parts.clock.now().0 + JOB_LEASE_MS as i64;
                    if let Err(error) = settle(&parts, &holder, &job, Settle::Due(lease)).await {
                        tracing::warn!(job = &*job.id, details = error.details, "cannot renew a lease: {error}");
                    }
                }
            }
        };
        drop(abort);
        ran
    };
    let settle_as = match ran {
        None => {
            measured.end("cut");
            Settle::Back(parts.clock.now().0)
        }
        Some(Ok(())) => {
            measured.end("done");
            Settle::Done
        }
        Some(Err(error)) => {
            let details = error.details.as_deref().unwrap_or_default();
            if job.attempts >= JOB_ATTEMPTS_MAX {
                tracing::error!(
                    job = &*job.id,
                    payload = job.payload,
                    details,
                    "a job was given up: {error}"
                );
                measured.end("dead");
                Settle::Dead(parts.clock.now().0)
            } else {
                measured.end("failed");
                let wait = retry_ms(job.attempts);
                tracing::warn!(job = &*job.id, attempt = job.attempts, details, "a job failed: {error}");
                Settle::Due(parts.clock.now().0 + wait as i64)
            }
        }
    };
    if let Err(error) = settle(&parts, &holder, &job, settle_as).await {
        tracing::warn!(job = &*job.id, details = error.details, "a job may run again: {error}");
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn perform(parts: Arc<Parts>, payload: String) -> Result<()> {
    let payload = Payload::read(&payload).map_err(|error| {
        Error::new(Kind::Unsupported, "This version does not know the job.").details(error)
    })?;
    super::run(&parts, payload.work).await
}

/// Twice as long each time, with up to a quarter more, so that jobs that failed together do not come back together.
fn retry_ms(attempts: u32) -> u64 {
    let wait = JOB_RETRY_MS.saturating_mul(1 << attempts.saturating_sub(1).min(30)).min(JOB_RETRY_MS_MAX);
    wait + rand::random_range(0..=wait / 4)
}

enum Settle {
    Done,
    /// Due at this time.
    Due(i64),
    /// The same, as if it had not been taken.
    Back(i64),
    /// Given up at this time.
    Dead(i64),
}

/// Says what became of a job, unless another process has taken it over.
async fn settle(parts: &Parts, holder: &Name, job: &Taken, outcome: Settle) -> Result<()> {
    let ours = Select::by_ids(TABLE, Vec::new(), vec![job.id.clone()])
        .filter(Expr::eq(Operand::base("holder", ColumnType::Text), Value::from(&**holder)));
    let due = |at: i64| ("due".into(), Assign::Set(number(at)));
    let (table, id) = (Name::from(TABLE), job.id.clone());
    let op = match outcome {
        Settle::Done => Op::Delete { table, id, row: None },
        Settle::Due(at) => Op::Update { table, id, set: vec![due(at)] },
        Settle::Back(at) => {
            let set = vec![due(at), ("attempts".into(), Assign::Add(-1.0))];
            Op::Update { table, id, set }
        }
        Settle::Dead(at) => {
            let queue = ("queue".into(), Assign::Set(Value::from(DEAD)));
            Op::Update { table, id, set: vec![queue, due(at)] }
        }
    };
    let batch = Batch { guards: vec![Guard::Exists(ours)], ops: vec![op], ..Batch::default() };
    match parts.store.commit(batch).await {
        Ok(_) | Err(store::Error::Guard(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
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
}
