//! What goes on beside the API, or alone in a worker: jobs, the schedules that make some of them, and
//! what webhooks are told.

use std::time::Duration;

use anyhow::{Context, Result};
use backing::queue;
use base::limits::{JOBS_POLL_MS, JOBS_WORKER_POLL_MS};
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;

use super::node::ended;
use crate::assemble::{Assembled, Purpose};
use crate::config::Config;

/// What was begun.
pub struct Work(Vec<JoinHandle<()>>);

/// Begins with it, unless it is left to workers, until stopped.
pub async fn begin(
    config: &Config,
    assembled: &Assembled,
    purpose: Purpose,
    stopped: &Receiver<bool>,
) -> Result<Work> {
    if purpose == Purpose::Web && !config.jobs.run {
        return Ok(Work(Vec::new()));
    }
    let lanes = config.lanes()?;
    let poll = if purpose == Purpose::Worker { JOBS_WORKER_POLL_MS } else { JOBS_POLL_MS };
    let parts = &assembled.parts;
    let queue = queue::open(queue::Options {
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        kind: config.queue_kind()?,
        queues: lanes.iter().map(|lane| lane.name.clone()).collect(),
        wake: assembled.jobs.clone(),
        poll: Duration::from_millis(poll),
    })
    .await
    .context("cannot open the queue")?;
    let jobs = app::jobs::run_all(parts.clone(), queue, lanes, ended(stopped.clone()));
    let crons = app::crons::keep(parts.clone(), ended(stopped.clone()));
    let deliveries = app::webhooks::run(parts.clone(), ended(stopped.clone()));
    Ok(Work(vec![tokio::spawn(jobs), tokio::spawn(crons), tokio::spawn(deliveries)]))
}

impl Work {
    pub async fn ended(self) {
        for task in self.0 {
            let _ = task.await;
        }
    }
}
