//! Writes: to the primary, wherever it is by now, and acknowledged when every later read, by any process, will see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::limits;
use parking_lot::Mutex;
use query::{Batch, Claim, Row};
use tokio::time::{Instant, timeout_at};

use super::hosts::Hosts;
use super::ledger::Moment;
use super::life::Primary;
use crate::engine::postgres::{Receipt, STATEMENT_MS};
use crate::engine::{Console, Engine};
use crate::error::{Error, Result};

const PRIMARY_WAIT: Duration = Duration::from_millis(limits::PRIMARY_WAIT_MS);
/// What took longer may have been cut off by the server's limit while it waited for standbys, which looks the same as
/// if they had confirmed it.
pub const UNCONFIRMED: Duration = Duration::from_millis(STATEMENT_MS - 1_000);

/// The receipts that no commit uses at the moment.
pub struct Receipts {
    /// This process among all.
    process: String,
    free: Mutex<Vec<Receipt>>,
    made: AtomicU64,
}

impl Receipts {
    pub fn new() -> Receipts {
        Receipts { process: base::id::record(), free: Mutex::default(), made: AtomicU64::new(0) }
    }

    pub fn take(&self) -> Receipt {
        let token = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let free = self.free.lock().pop();
        let mut receipt = free.unwrap_or_else(|| Receipt::new(format!("{}-{token}", self.process)));
        receipt.promise(token);
        receipt
    }

    /// Only one whose token is known. Others are left to be swept.
    pub fn give_back(&self, receipt: Receipt) {
        self.free.lock().push(receipt);
    }
}

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

    /// Commits once, whatever happens to the primary meanwhile.
    pub async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        let deadline = Instant::now() + PRIMARY_WAIT;
        let primary = self.writable(deadline).await?;
        let rendered = Arc::new(primary.life.engine.render(batch));
        let mut given = Some(primary);
        loop {
            let primary = match given.take() {
                Some(primary) => primary,
                None => self.writable(deadline).await?,
            };
            let mut receipt = self.receipts.take();
            let began = Instant::now();
            let result = tokio::select! {
                result = primary.life.engine.commit_rendered(rendered.clone(), Some(receipt.clone())) => result,
                () = primary.life.until_over() => Err(Error::Uncertain("the primary was lost".into())),
            };
            match result {
                Ok(missing) if began.elapsed() < UNCONFIRMED => {
                    receipt.advance();
                    self.receipts.give_back(receipt);
                    self.spread(self.now()).await;
                    return Ok(missing);
                }
                Ok(_) | Err(Error::Uncertain(_)) => {
                    // A write that took long has the same time again for its outcome.
                    let deadline = deadline.max(Instant::now() + PRIMARY_WAIT);
                    if self.settle(&receipt, deadline).await? {
                        self.spread(self.now()).await;
                        return Ok(Vec::new());
                    }
                }
                // Nothing was sent, or it was refused as a whole.
                Err(Error::Away(text)) => {
                    if !self.news(deadline).await {
                        return Err(Error::Away(text));
                    }
                }
                Err(error) => {
                    self.receipts.give_back(receipt);
                    return Err(error);
                }
            }
        }
    }

    /// As [`Hosts::commit`], without waiting for anybody else to see it, nor for its outcome if that is lost.
    pub async fn commit_unwaited(&self, batch: Batch) -> Result<Vec<usize>> {
        let primary = self.writable(Instant::now() + PRIMARY_WAIT).await?;
        let rendered = Arc::new(primary.life.engine.render(batch));
        tokio::select! {
            result = primary.life.engine.commit_rendered(rendered, None) => result,
            () = primary.life.until_over() => Err(Error::Uncertain("the primary was lost".into())),
        }
    }

    /// Tries once: what was taken unknown to all comes back when its lease ends.
    pub async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        let primary = self.writable(Instant::now() + PRIMARY_WAIT).await?;
        tokio::select! {
            rows = primary.life.engine.claim(claim) => rows,
            () = primary.life.until_over() => Err(Error::Uncertain("the primary was lost".into())),
        }
    }

    /// Whether a commit happened whose answer was lost. If not, it never will.
    pub async fn settle(&self, receipt: &Receipt, deadline: Instant) -> Result<bool> {
        loop {
            let Ok(primary) = self.writable(deadline).await else {
                return Err(Error::Uncertain("no primary knows of it in time".into()));
            };
            let settled = tokio::select! {
                settled = timeout_at(deadline, primary.life.engine.settle(receipt)) => settled,
                () = primary.life.until_over() => Ok(Err(Error::Away("the primary was lost".into()))),
            };
            match settled {
                Ok(Ok(happened)) => return Ok(happened),
                Ok(Err(error)) if !self.news(deadline).await => {
                    return Err(Error::Uncertain(error.to_string()));
                }
                Ok(Err(_)) => {}
                Err(_) => return Err(Error::Uncertain("the primary does not tell in time".into())),
            }
        }
    }

    pub async fn console(&self, sql: &str) -> Result<Console> {
        let primary = self.writable(Instant::now() + PRIMARY_WAIT).await?;
        let console = primary.life.engine.console(sql).await.map_err(|error| match error {
            Error::Away(text) => Error::Uncertain(text),
            other => other,
        })?;
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
        // Its position is asked for first; the others are asked when it is known.
        if let Some(primary) = &*self.primary.load() {
            self.wakes[primary.life.host].notify_one();
        }
        loop {
            if *everywhere.borrow_and_update() >= done {
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
