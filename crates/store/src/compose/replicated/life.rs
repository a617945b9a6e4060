//! One host between two breaks of the connection that watches it. A server that crashed may come back behind what it
//! had replayed, so nothing that was found out of one life is used in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use base::limits;
use tokio::sync::{Notify, watch};

use super::ledger::Moment;
use crate::engine::postgres::{Address, Postgres};
use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Answering,
    /// It has not answered for a while. Who waits for a read asks elsewhere.
    Quiet,
    /// The connection broke, or the host may no longer be used as it is.
    Over,
}

pub struct Life {
    pub host: usize,
    pub engine: Postgres,
    /// As a replica; see [`super::ledger::Ledger::readable_until`].
    pub readable_until: AtomicU64,
    /// Reads that are on their way.
    pub running: AtomicUsize,
    /// The timeline that it wrote, if it was the primary.
    pub led: AtomicU64,
    /// The schema's version in its copy, as far as the engine was told.
    pub schema: AtomicU64,
    phase: watch::Sender<Phase>,
    answered: watch::Sender<Moment>,
}

impl Life {
    /// `now` tells the time, `wake` asks the host at once.
    pub fn begin(
        host: usize,
        address: &Address,
        now: impl Fn() -> Moment + Send + Sync + 'static,
        wake: Arc<Notify>,
    ) -> Result<Life> {
        let (answered, _) = watch::channel(0);
        let answers = answered.subscribe();
        // A crash ends every connection. So one that was opened while the watching connection was there already, and
        // that was there before that one answered again, is a connection to the same life.
        let admit = move || {
            let mut answers = answers.clone();
            let opened = now();
            wake.notify_one();
            let seen = async move { answers.wait_for(|sent| *sent >= opened).await.map(drop) };
            let limit = Duration::from_millis(limits::REPLICA_SILENT_MS);
            Box::pin(async move {
                match tokio::time::timeout(limit, seen).await {
                    Ok(Ok(())) => Ok(()),
                    _ => Err(Error::Away("the host ended or does not answer".into())),
                }
            }) as _
        };
        let engine = Postgres::member(address, Arc::new(admit))?;
        Ok(Life {
            host,
            engine,
            readable_until: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            led: AtomicU64::new(0),
            schema: AtomicU64::new(0),
            phase: watch::channel(Phase::Answering).0,
            answered,
        })
    }

    /// The host answered a question that was sent at this moment.
    pub fn answered(&self, sent: Moment) {
        self.answered.send_replace(sent);
        self.phase.send_if_modified(|phase| match phase {
            Phase::Quiet => {
                *phase = Phase::Answering;
                true
            }
            _ => false,
        });
    }

    pub fn quiet(&self) {
        self.readable_until.store(0, Ordering::Release);
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Answering;
            if first {
                *phase = Phase::Quiet;
            }
            first
        });
    }

    pub fn end(&self) {
        self.readable_until.store(0, Ordering::Release);
        self.phase.send_replace(Phase::Over);
        self.engine.end();
    }

    pub fn is_over(&self) -> bool {
        *self.phase.borrow() == Phase::Over
    }

    /// Returns when the host stops answering; at once if it does not answer now.
    pub async fn until_quiet(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Answering).await;
    }

    pub async fn until_over(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Over).await;
    }

    /// Counts a read for as long as what is returned lives.
    pub fn run(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }
}

pub struct Running(Arc<Life>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The host that is written to.
pub struct Primary {
    pub life: Arc<Life>,
    pub timeline: u64,
    /// Until when it may be read without another look at the hosts.
    pub until: AtomicU64,
    /// Somebody sees to it that it becomes ready.
    pub preparing: AtomicBool,
    /// Whether what Pando needs in a database is there, and its timeline is noted.
    pub ready: AtomicBool,
}
