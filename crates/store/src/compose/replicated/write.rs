//! Writes: to the primary, wherever it is by now, and acknowledged when every later read, by any process, will see them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::limits;
use query::Batch;
use tokio::time::{Instant, timeout_at};

use super::hosts::Hosts;
use super::ledger::Moment;
use super::life::Primary;
use crate::engine::Console;
use crate::engine::Engine;
use crate::error::{Error, Result};

const PRIMARY_WAIT: Duration = Duration::from_millis(limits::PRIMARY_WAIT_MS);

impl Hosts {
    /// The host that may be written to, as soon as there is one.
    pub async fn writable(&self, deadline: Instant) -> Result<Arc<Primary>> {
        loop {
            if let Some(primary) = self.primary.load_full()
                && primary.ready.load(Ordering::Acquire)
                && !primary.life.is_over()
            {
                return Ok(primary);
            }
            if !self.news(deadline).await {
                return Err(Error::Away("there is no primary".into()));
            }
        }
    }

    pub async fn commit(&self, batch: Batch, wait: bool) -> Result<Vec<usize>> {
        let deadline = Instant::now() + PRIMARY_WAIT;
        let mut batch = Some(batch);
        let mut rendered = None;
        loop {
            let primary = self.writable(deadline).await?;
            let engine = &primary.life.engine;
            if let Some(batch) = batch.take() {
                rendered = Some(Arc::new(engine.render(batch)));
            }
            let Some(rendered) = rendered.clone() else { return Ok(Vec::new()) };
            let result = tokio::select! {
                result = engine.commit_rendered(rendered) => result,
                () = primary.life.until_over() => Err(Error::Uncertain("the primary was lost".into())),
            };
            match result {
                Ok(missing) => {
                    if wait {
                        self.spread(self.now()).await;
                    }
                    return Ok(missing);
                }
                // Nothing was sent.
                Err(Error::Away(text)) => {
                    if !self.news(deadline).await {
                        return Err(Error::Away(text));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub async fn console(&self, sql: &str) -> Result<Console> {
        let primary = self.writable(Instant::now() + PRIMARY_WAIT).await?;
        let console = primary.life.engine.console(sql).await?;
        if console.wrote {
            self.spread(self.now()).await;
        }
        Ok(console)
    }

    /// Returns when every read that begins from now on, by whatever process, sees what the primary had committed at
    /// `done`.
    pub async fn spread(&self, done: Moment) {
        let lapse = self.terms.outlasting();
        let end = Instant::now() + Duration::from_micros(lapse.saturating_sub(self.now() - done));
        let mut everywhere = self.everywhere.subscribe();
        let _waiting = Waiting::begin(self);
        self.wake_all();
        loop {
            let (covered, valid_until) = *everywhere.borrow_and_update();
            if covered >= done && self.now() < valid_until {
                return;
            }
            if !matches!(timeout_at(end, everywhere.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// While a commit waits, hosts are asked more often.
struct Waiting<'a>(&'a Hosts);

impl<'a> Waiting<'a> {
    fn begin(hosts: &'a Hosts) -> Self {
        hosts.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(hosts)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
