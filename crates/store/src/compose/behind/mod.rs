//! Updates that are acknowledged before they are written, of tables that chose it: several of one record become one
//! write. Only over a database that is this process's alone. Whoever asks can tell the difference only by a crash, which
//! loses what was not yet written:
//!
//! - A read by id lays what is noted over what the database has.
//! - Every other read that may be about such a table writes first what is noted.
//! - Every other write writes first what is noted of its records (of everything, where it cannot be told by records), and
//!   until it is done nothing is noted of them. So what is noted is always newer than what is stored.

mod held;
mod reach;
mod state;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::Name;
use base::limits::{WRITE_BEHIND_CHUNK, WRITE_BEHIND_LOOKS_MAX, WRITE_BEHIND_RETRY_MS, WRITE_BEHIND_TURN_MS};
use parking_lot::Mutex;
use query::{Batch, Claim, Op, Row, Select, Visits};
use rustc_hash::FxHashSet;
use tokio::sync::Notify;

use self::held::Held;
use self::reach::{Key, Reach, Update};
use self::state::{Due, State};
use crate::engine::shared::Shared;
use crate::engine::transfer::{Arrival, Departure};
use crate::engine::{Console, Engine, Later, Transaction, ViewColumn};
use crate::error::{Error, Result};

pub struct Behind(Arc<Core>);

struct Core {
    inner: Arc<dyn Engine>,
    tables: FxHashSet<Name>,
    state: Mutex<State>,
    /// Whether anything is noted.
    any: AtomicBool,
    /// One writes at a time.
    turn: tokio::sync::Mutex<()>,
    /// Told when somebody who wrote past it is done.
    freed: Notify,
    /// Told when something is due earlier than was known.
    sooner: Notify,
}

/// Nothing is noted of these records, or of any, until it is dropped.
struct Mark {
    core: Arc<Core>,
    keys: Option<Vec<Key>>,
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.core.state.lock().leave(self.keys.as_deref());
        self.core.freed.notify_waiters();
    }
}

impl Behind {
    pub fn over(inner: Arc<dyn Engine>, tables: FxHashSet<Name>) -> Behind {
        Behind(Arc::new(Core {
            inner,
            tables,
            state: Mutex::default(),
            any: AtomicBool::default(),
            turn: tokio::sync::Mutex::default(),
            freed: Notify::new(),
            sooner: Notify::new(),
        }))
    }

    /// Writes what is noted, if there is anything and the statement may be about it.
    async fn settle_for(&self, select: &Select) -> Result<()> {
        if self.0.any() && self.0.reach(select) != Reach::Nothing {
            self.0.flush().await?;
        }
        Ok(())
    }

    /// Nothing is noted any more while what is returned is held, and all that was is written.
    async fn sweep(&self) -> Result<Mark> {
        let mark = self.0.mark(None);
        self.0.flush().await?;
        Ok(mark)
    }

    async fn read_records(&self, select: &Select, table: &Name, keys: Vec<Key>) -> Result<Vec<Row>> {
        let core = &self.0;
        for _ in 0..WRITE_BEHIND_LOOKS_MAX {
            let (epoch, before) = {
                let state = core.state.lock();
                (state.epoch, state.holds(&keys))
            };
            let mut rows = core.inner.select(select).await?;
            let state = core.state.lock();
            if !before && !state.holds(&keys) {
                return Ok(rows);
            }
            // Else what was read may be from before or after what is noted.
            if state.epoch == epoch {
                state.lay_over(table, select, &mut rows);
                return Ok(rows);
            }
        }
        let _mark = core.mark(Some(keys));
        core.flush().await?;
        core.inner.select(select).await
    }
}

impl Core {
    fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn reach(&self, select: &Select) -> Reach {
        reach::of_select(select, &self.tables, &self.state.lock().views.1)
    }

    fn mark(self: &Arc<Self>, keys: Option<Vec<Key>>) -> Mark {
        self.state.lock().enter(keys.as_deref());
        Mark { core: self.clone(), keys }
    }

    /// Whether it is noted. Otherwise it is to be written.
    async fn note(self: &Arc<Self>, batch: &Batch, later: &Later) -> Result<bool> {
        let Some(Update { table, id, set }) = reach::only_update(batch) else { return Ok(false) };
        if !self.tables.contains(table) {
            return Ok(false);
        }
        let key = (table.clone(), id.clone());
        let until = Instant::now() + Duration::from_millis(WRITE_BEHIND_TURN_MS);
        while Instant::now() < until {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let sweeps = self.state.lock().sweeps;
            if self.inner.schema_version().await? != later.schema {
                return Ok(false);
            }
            {
                let mut state = self.state.lock();
                if state.is_direct || state.is_full() {
                    return Ok(false);
                }
                if !state.is_written(&key) {
                    // The schema may have become another since it was looked at.
                    if state.sweeps != sweeps {
                        continue;
                    }
                    self.keep(&mut state, key, set, later);
                    return Ok(true);
                }
            }
            let _ = tokio::time::timeout_at(until.into(), freed).await;
        }
        Ok(false)
    }

    fn keep(self: &Arc<Self>, state: &mut State, key: Key, set: &[(Name, query::Assign)], later: &Later) {
        if state.views.0 != later.schema {
            state.views = (later.schema, later.views.clone());
        }
        let due = state.due();
        state.note(key, set, later.schema, later.within);
        self.any.store(true, Ordering::Release);
        metrics::counter!("pando_store_behind_updates_total").increment(1);
        if !state.is_timed {
            state.is_timed = true;
            tokio::spawn(self.clone().write_in_time());
        } else if due.is_some_and(|due| state.due().is_some_and(|now| now < due)) {
            self.sooner.notify_one();
        }
    }

    /// Until nothing is noted any more.
    async fn write_in_time(self: Arc<Self>) {
        loop {
            let due = {
                let mut state = self.state.lock();
                let due = state.due();
                state.is_timed = due.is_some();
                due
            };
            let Some(due) = due else { return };
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = self.sooner.notified() => continue,
            }
            match self.flush().await {
                Ok(()) => {}
                // What is left is handed over.
                Err(Error::Moved) => return,
                Err(error) => {
                    let waiting = self.state.lock().len();
                    tracing::warn!(
                        "{waiting} records with acknowledged updates cannot be written yet: {error}"
                    );
                    tokio::time::sleep(Duration::from_millis(WRITE_BEHIND_RETRY_MS)).await;
                }
            }
        }
    }

    /// Writes what was noted before it is called.
    async fn flush(&self) -> Result<()> {
        if !self.any() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let keys = self.state.lock().keys();
        for some in keys.chunks(WRITE_BEHIND_CHUNK) {
            let due = self.state.lock().take(some);
            match self.write(&due).await {
                Ok(()) => {}
                Err(Error::Taken { .. } | Error::Refused(_) | Error::Internal(_)) => {
                    for one in &due {
                        self.write_alone(one).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn write(&self, due: &[Due]) -> Result<()> {
        if due.is_empty() {
            return Ok(());
        }
        let ops = due.iter().map(|due| due.op.clone()).collect();
        self.inner.commit(Batch { ops, ..Batch::default() }).await?;
        metrics::counter!("pando_store_behind_writes_total").increment(due.len() as u64);
        self.forget(due);
        Ok(())
    }

    /// Only where another process changed the tables can a record be kept from being written for ever.
    async fn write_alone(&self, due: &Due) -> Result<()> {
        let Err(error) = self.write(std::slice::from_ref(due)).await else { return Ok(()) };
        let is_permanent = matches!(error, Error::Taken { .. } | Error::Refused(_) | Error::Internal(_));
        if !is_permanent || self.inner.schema_version().await? == due.schema {
            return Err(error);
        }
        let (table, id) = &due.key;
        tracing::error!(
            "an acknowledged update of {table} {id} is lost, as another process changed the tables: {error}"
        );
        self.forget(std::slice::from_ref(due));
        Ok(())
    }

    fn forget(&self, due: &[Due]) {
        let mut state = self.state.lock();
        state.done(due);
        self.any.store(state.len() > 0, Ordering::Release);
    }
}

#[async_trait]
impl Engine for Behind {
    fn name(&self) -> &'static str {
        self.0.inner.name()
    }

    async fn select(&self, select: &Select) -> Result<Vec<Row>> {
        if !self.0.any() {
            return self.0.inner.select(select).await;
        }
        match (self.0.reach(select), &select.from) {
            (Reach::Nothing, _) => {}
            (Reach::Records(keys), query::Source::Table(table)) => {
                return self.read_records(select, table, keys).await;
            }
            _ => self.0.flush().await?,
        }
        self.0.inner.select(select).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.settle_for(select).await?;
        self.0.inner.count(select).await
    }

    async fn count_by_hour(&self, select: &Select, column: &Name) -> Result<Vec<(String, u64)>> {
        self.settle_for(select).await?;
        self.0.inner.count_by_hour(select, column).await
    }

    async fn visits(&self, visits: &Visits) -> Result<Vec<[i64; 3]>> {
        self.0.inner.visits(visits).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<usize>> {
        let core = &self.0;
        let reach = reach::of_batch(&batch, &core.tables, &core.state.lock().views.1);
        let _mark = match reach {
            Reach::Nothing => None,
            Reach::Anything => Some(self.sweep().await?),
            Reach::Records(keys) => {
                let mark = core.mark(Some(keys));
                let is_noted = core.state.lock().holds(mark.keys.as_deref().unwrap_or_default());
                if is_noted {
                    core.flush().await?;
                }
                Some(mark)
            }
        };
        core.inner.commit(batch).await
    }

    async fn commit_later(&self, batch: Batch, later: &Later) -> Result<Vec<usize>> {
        match self.0.note(&batch, later).await? {
            true => Ok(Vec::new()),
            false => self.commit(batch).await,
        }
    }

    async fn directly(&self, directly: bool) -> Result<()> {
        self.0.state.lock().is_direct = directly;
        if directly { self.0.flush().await } else { Ok(()) }
    }

    fn left(&self) -> Vec<Op> {
        let state = self.0.state.lock();
        state.take(&state.keys()).into_iter().map(|due| due.op).collect()
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Row>> {
        self.0.inner.claim(claim).await
    }

    async fn begin(&self, limit: Duration) -> Result<Arc<dyn Transaction>> {
        let mark = self.sweep().await?;
        let transaction = self.0.inner.begin(limit).await?;
        Ok(Arc::new(Held { transaction, _mark: mark }))
    }

    async fn schema_version(&self) -> Result<u64> {
        self.0.inner.schema_version().await
    }

    fn external_version(&self) -> u64 {
        self.0.inner.external_version()
    }

    fn shared(&self) -> Option<&dyn Shared> {
        self.0.inner.shared()
    }

    async fn describe_view(&self, query: &str) -> Result<Vec<ViewColumn>> {
        self.0.inner.describe_view(query).await
    }

    async fn console(&self, sql: &str) -> Result<Console> {
        let _mark = self.sweep().await?;
        self.0.inner.console(sql).await
    }

    async fn snapshot(&self, to: &Path) -> Result<()> {
        self.0.flush().await?;
        self.0.inner.snapshot(to).await
    }

    async fn depart(&self) -> Result<Box<dyn Departure>> {
        self.0.flush().await?;
        self.0.inner.depart().await
    }

    async fn arrive(&self) -> Result<Box<dyn Arrival>> {
        self.0.inner.arrive().await
    }

    async fn ping(&self) -> Result<()> {
        self.0.inner.ping().await
    }

    async fn optimize(&self) -> Result<()> {
        self.0.inner.optimize().await
    }

    fn gauges(&self) -> Vec<(&'static str, f64)> {
        let mut gauges = self.0.inner.gauges();
        let state = self.0.state.lock();
        let age = state.oldest().map_or(0.0, |since| since.elapsed().as_secs_f64());
        gauges.push(("pando_store_behind_records", state.len() as f64));
        gauges.push(("pando_store_behind_age_seconds", age));
        gauges
    }

    async fn close(&self) {
        if let Err(error) = self.directly(true).await {
            let lost = self.0.state.lock().len();
            tracing::error!(
                "acknowledged updates of {lost} records are lost, they cannot be written: {error}"
            );
        }
        self.0.inner.close().await;
    }
}
