//! Noting who is active. A request finds out in memory whether its account was noted today, which is all that it pays; a task
//! writes what is new together, at most one row for each account and day whatever node it asked.

use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use base::limits::{ACTIVE_BATCH_ROWS, ACTIVE_DAYS, ACTIVE_FLUSH_MS, ACTIVE_SEEN_MAX, ACTIVE_WAITING_MAX};
use base::{Name, Timestamp, Value};
use model::{Collection, Record};
use parking_lot::Mutex;
use query::{Batch, ColumnType, Expr, Op, Operand, Operator, Select};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::{DAY_MS, TABLE};
use crate::error::Result;
use crate::parts::Parts;

/// Requests that meet in one part wait for each other.
const PARTS: usize = 16;
/// How often a batch that others overtake is begun anew.
const TRIES_MAX: usize = 3;

pub struct Active {
    enabled: AtomicBool,
    seen: [Mutex<Seen>; PARTS],
    waiting: Mutex<Vec<Came>>,
    swept: AtomicI64,
}

/// Accounts that came on a day, by their hashes.
#[derive(Default)]
struct Seen {
    day: i64,
    accounts: FxHashSet<u64>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Came {
    collection: Name,
    record: Box<str>,
    day: i64,
}

impl Came {
    fn id(&self) -> Name {
        format!("{}:{}:{}", self.day, self.collection, self.record).into()
    }
}

impl Default for Active {
    fn default() -> Self {
        Active {
            enabled: AtomicBool::new(true),
            seen: Default::default(),
            waiting: Mutex::default(),
            swept: AtomicI64::new(0),
        }
    }
}

impl Active {
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
        if !enabled {
            self.waiting.lock().clear();
            self.seen.iter().for_each(|seen| *seen.lock() = Seen::default());
        }
    }

    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Notes that the account's token was good in a request.
    pub fn note(&self, record: &Record, now: Timestamp) {
        if !self.is_enabled() {
            return;
        }
        let day = now.0.div_euclid(DAY_MS);
        let hash = FxBuildHasher.hash_one((&*record.collection.id, record.id()));
        {
            let mut seen = self.seen[(hash >> 32) as usize % PARTS].lock();
            if seen.day != day {
                *seen = Seen { day, ..Seen::default() };
            }
            let is_full = seen.accounts.len() >= ACTIVE_SEEN_MAX / PARTS;
            let is_known = seen.accounts.contains(&hash);
            if is_known || (!is_full && !seen.accounts.insert(hash)) {
                return;
            }
        }
        let came = Came { collection: record.collection.id.clone(), record: record.id().into(), day };
        let mut waiting = self.waiting.lock();
        if waiting.len() < ACTIVE_WAITING_MAX {
            waiting.push(came);
            return;
        }
        drop(waiting);
        // Seen anew at its next request.
        self.seen[(hash >> 32) as usize % PARTS].lock().accounts.remove(&hash);
    }

    fn take(&self) -> Vec<Came> {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// What could not be written waits for the next time.
    fn put_back(&self, came: Vec<Came>) {
        let mut waiting = self.waiting.lock();
        let room = ACTIVE_WAITING_MAX.saturating_sub(waiting.len());
        waiting.extend(came.into_iter().take(room));
    }
}

/// Writes what was noted, until `stop` completes; then the rest.
pub async fn run(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let stopping = tokio::select! {
            () = &mut stop => true,
            () = tokio::time::sleep(Duration::from_millis(ACTIVE_FLUSH_MS)) => false,
        };
        flush(&parts).await;
        if stopping {
            return;
        }
        if let Err(error) = sweep_daily(&parts).await {
            tracing::warn!(details = error.details, "old activity is kept for now: {error}");
        }
    }
}

async fn flush(parts: &Parts) {
    let mut all = parts.active.take();
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(ACTIVE_BATCH_ROWS));
        if let Err(error) = write(parts, &all).await {
            tracing::debug!(details = error.details, "activity is written later: {error}");
            all.extend(rest);
            parts.active.put_back(all);
            return;
        }
        all = rest;
    }
}

async fn write(parts: &Parts, came: &[Came]) -> Result<()> {
    let came = present(parts, came).await?;
    for _ in 0..TRIES_MAX {
        let ids = came.iter().map(|came| came.id()).collect();
        let known = parts.store.select(&Select::by_ids(TABLE, vec![Collection::id_column()], ids)).await?;
        let known: FxHashSet<&str> = known.iter().map(|row| row.get(0).text_or_empty()).collect();
        let new = came.iter().map(|came| (came.id(), *came)).filter(|(id, _)| !known.contains(&**id));
        let insert = |(id, came): (Name, &Came)| Op::Insert {
            table: TABLE.into(),
            values: vec![
                ("id".into(), Value::from(&*id)),
                ("collection".into(), Value::from(&*came.collection)),
                ("record".into(), Value::from(&*came.record)),
                ("day".into(), Value::Number(came.day as f64)),
            ],
        };
        let ops: Vec<Op> = new.map(insert).collect();
        if ops.is_empty() {
            return Ok(());
        }
        match parts.store.commit(Batch { ops, ..Batch::default() }).await {
            // Another node noted one of them meanwhile.
            Err(store::Error::Taken { .. }) => {}
            other => return other.map(drop).map_err(Into::into),
        }
    }
    Err(crate::Error::internal("other nodes note the same accounts again and again"))
}

/// Those whose accounts are still there, once each.
async fn present<'a>(parts: &Parts, came: &'a [Came]) -> Result<Vec<&'a Came>> {
    let schema = parts.catalog.schema();
    let mut by_collection: FxHashMap<&Name, Vec<String>> = FxHashMap::default();
    for came in came {
        by_collection.entry(&came.collection).or_default().push(came.record.to_string());
    }
    let mut found: FxHashSet<(Name, String)> = FxHashSet::default();
    for (id, records) in by_collection {
        let Some(collection) = schema.by_id(id) else { continue };
        for record in parts.fetch_many_from(&parts.store, collection, records).await? {
            found.insert((id.clone(), record.id().to_owned()));
        }
    }
    let mut once = FxHashSet::default();
    let is_there = |came: &&Came| found.contains(&(came.collection.clone(), came.record.to_string()));
    Ok(came.iter().filter(is_there).filter(|came| once.insert((*came).clone())).collect())
}

/// Deletes what is too old, once a day.
async fn sweep_daily(parts: &Parts) -> Result<()> {
    let today = parts.clock.now().0.div_euclid(DAY_MS);
    if parts.active.swept.swap(today, Ordering::Relaxed) == today {
        return Ok(());
    }
    let filter = Expr::Compare {
        left: Operand::base("day", ColumnType::Number),
        op: Operator::Lt,
        right: Value::Number((today - ACTIVE_DAYS) as f64).into(),
    };
    parts.store.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter })).await?;
    Ok(())
}

/// Everything that was noted is to go.
pub(crate) fn forget_all() -> Op {
    Op::DeleteWhere { table: TABLE.into(), filter: Expr::Const(true) }
}

#[cfg(test)]
mod tests {
    use model::CollectionKind;

    use super::*;

    fn account(id: &str) -> Record {
        let mut collection = Collection::blank(CollectionKind::Auth(Box::default()));
        collection.id = "users".into();
        collection.fields =
            vec![model::Field::new("id", model::FieldKind::Text(model::field::TextField::default()))];
        collection.seal();
        let mut record = Record::blank(Arc::new(collection));
        record.set("id", id.into());
        record
    }

    #[test]
    fn an_account_is_noted_once_a_day() {
        let active = Active::default();
        let days = |active: &Active| active.take().iter().map(|came| came.day).collect::<Vec<_>>();
        for at in [0, 1, DAY_MS - 1, DAY_MS, DAY_MS + 1] {
            active.note(&account("a"), Timestamp(at));
        }
        assert_eq!(days(&active), [0, 1]);
        active.set_enabled(false);
        active.note(&account("b"), Timestamp(DAY_MS));
        active.set_enabled(true);
        assert!(days(&active).is_empty());
        active.note(&account("a"), Timestamp(DAY_MS));
        assert_eq!(days(&active), [1]);
    }

    #[test]
    fn what_waits_is_bounded_and_seen_again() {
        let active = Active::default();
        for n in 0..ACTIVE_WAITING_MAX + 10 {
            active.note(&account(&n.to_string()), Timestamp(0));
        }
        assert_eq!(active.take().len(), ACTIVE_WAITING_MAX);
        active.note(&account(&ACTIVE_WAITING_MAX.to_string()), Timestamp(0));
        assert_eq!(active.take().len(), 1);
    }
}
