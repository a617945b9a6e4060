//! Keeping the request log: in `_logs`, where the reference keeps its own, for as many days as the settings say.
//!
//! A row of `_logs` costs several scattered page writes, because its indexes are over texts. A busy server
//! therefore appends whole batches to a spool, which costs a tenth, and turns them into rows when it has less
//! to do. Entries that are past their time by then never become rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use base::limits::{LOG_DIRECT_MAX, LOG_DRAIN_MS, LOG_SPOOL_MAX, LOG_SWEEP_MS};
use base::{Clock, Timestamp, Value};
use observe::{Lines, LogEntry};
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Expr, Guard, Op, Operand, Operator, Select, Sort};
use store::Store;
use tokio::sync::Mutex;

use crate::error::Result;

pub mod doors;
pub mod read;
pub mod trace;

mod size;

pub const TABLE: &str = "_logs";
const SPOOL: &str = "_pando_log_spool";
const DAY_MS: i64 = 86_400_000;

pub struct Logs {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Spooled batches, or `None` until they were counted.
    spooled: Mutex<Option<usize>>,
    swept: AtomicI64,
    /// When the size was estimated last.
    sized: AtomicI64,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub days_max: i64,
    /// By estimate; 0 for any.
    pub bytes_max: i64,
}

impl Logs {
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Logs { store, clock, spooled: Mutex::new(None), swept: AtomicI64::new(0), sized: AtomicI64::new(0) }
    }

    /// Sets the gauges of the database that the log is kept in.
    pub fn sample(&self) {
        self.store.sample();
    }

    /// Called about once a second, with nothing on a quiet server.
    pub async fn write(&self, lines: Lines, kept: Retention) -> Result<()> {
        let Retention { days_max, bytes_max } = kept;
        let mut spooled = self.spooled.lock().await;
        let mut waiting = match *spooled {
            Some(waiting) => waiting,
            None => self.store.count(&Select::table(SPOOL, Vec::new())).await? as usize,
        };
        let busy = lines.len() > LOG_DIRECT_MAX;
        if busy {
            if waiting >= LOG_SPOOL_MAX && self.drop_oldest().await? {
                waiting -= 1;
                tracing::warn!("the request log's spool is full: its oldest entries were given up");
            }
            self.store.commit(Batch::op(self.spool_row(lines))).await?;
            waiting += 1;
        } else if !lines.is_empty() {
            let ops = lines.entries().into_iter().map(row);
            self.store.commit(Batch { ops: ops.collect(), ..Batch::default() }).await?;
        }
        if !busy && waiting > 0 {
            // Another node may have done it.
            waiting = if self.index_oldest(days_max).await? { waiting - 1 } else { 0 };
        }
        // Counted anew now and then: what a node left that is gone is everybody's.
        *spooled = Some(waiting).filter(|_| !self.is_sweep_due());
        self.sweep(days_max).await?;
        size::bound(self, bytes_max).await
    }

    /// Indexes what is spooled, for a while.
    pub async fn drain(&self, days_max: i64) -> Result<()> {
        let mut spooled = self.spooled.lock().await;
        if *spooled == Some(0) {
            return Ok(());
        }
        *spooled = None;
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(LOG_DRAIN_MS) && self.index_oldest(days_max).await? {}
        Ok(())
    }

    fn spool_row(&self, lines: Lines) -> Op {
        let now = self.clock.now();
        Op::Insert {
            table: SPOOL.into(),
            values: vec![
                ("id".into(), Value::from(base::id::ordered(now))),
                ("entries".into(), Value::from(lines.into_text())),
                ("created".into(), Value::from(now.to_string())),
            ],
        }
    }

    async fn oldest(&self, columns: Vec<Column>) -> Result<Option<query::Row>> {
        let mut select = Select::table(SPOOL, columns).limit(1);
        let id = Operand::base("id", ColumnType::Id);
        select.sort = vec![Sort { by: SortKey::Operand(id), descending: false }];
        Ok(self.store.first(&select).await?)
    }

    async fn drop_oldest(&self) -> Result<bool> {
        let Some(oldest) = self.oldest(vec![Column::new("id", ColumnType::Id)]).await? else {
            return Ok(false);
        };
        let id = oldest.get(0).text_or_empty().into();
        self.store.commit(Batch::op(Op::Delete { table: SPOOL.into(), id, row: None })).await?;
        Ok(true)
    }

    /// Turns the oldest spooled batch into rows. `false` when there is none.
    async fn index_oldest(&self, days_max: i64) -> Result<bool> {
        let columns = vec![Column::new("id", ColumnType::Id), Column::new("entries", ColumnType::Text)];
        let Some(oldest) = self.oldest(columns).await? else { return Ok(false) };
        let since = self.since(days_max);
        let entries = observe::requests::lines::entries(oldest.get(1).text_or_empty());
        let kept = entries.into_iter().filter(|entry| entry.at >= since);
        let mut ops: Vec<Op> = kept.map(row).collect();
        let id: base::Name = oldest.get(0).text_or_empty().into();
        // Several nodes may take the same: its entries become rows once.
        let guards = vec![Guard::Exists(Select::by_ids(SPOOL, Vec::new(), vec![id.clone()]))];
        ops.push(Op::Delete { table: SPOOL.into(), id, row: None });
        match self.store.commit(Batch { guards, ops, ..Batch::default() }).await {
            Ok(_) | Err(store::Error::Guard(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn since(&self, days_max: i64) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_sub(days_max.saturating_mul(DAY_MS)))
    }

    fn is_sweep_due(&self) -> bool {
        (self.clock.now().0 - self.swept.load(Ordering::Relaxed)).abs() >= LOG_SWEEP_MS
    }

    /// Deletes entries past their time, now and then.
    async fn sweep(&self, days_max: i64) -> Result<()> {
        if !self.is_sweep_due() {
            return Ok(());
        }
        self.swept.store(self.clock.now().0, Ordering::Relaxed);
        self.clean(days_max).await
    }

    /// Deletes entries past their time.
    pub async fn clean(&self, days_max: i64) -> Result<()> {
        let filter = Expr::Compare {
            left: Operand::base("created", ColumnType::Date),
            op: Operator::Lt,
            right: Value::from(self.since(days_max).to_string()).into(),
        };
        self.store.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter })).await?;
        Ok(())
    }
}

fn row(entry: LogEntry) -> Op {
    let LogEntry { at, level, message, data } = entry;
    Op::Insert {
        table: TABLE.into(),
        values: vec![
            ("id".into(), Value::from(base::id::ordered(at))),
            ("level".into(), Value::Number(level as f64)),
            ("message".into(), Value::from(message)),
            ("data".into(), Value::Json(data.into())),
            ("created".into(), Value::from(at.to_string())),
        ],
    }
}
