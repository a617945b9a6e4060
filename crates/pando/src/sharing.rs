//! How commits keep the cache that processes share true.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backing::cache::tier::{self, Tier};
use base::Name;
use base::limits::TIER_HIDDEN_MS;
use futures_util::future::BoxFuture;
use query::{Batch, Change, Op};

pub struct Sharing {
    tier: Arc<dyn Tier>,
    /// Whether something was written that names no records, and may be under way.
    sweeps: AtomicBool,
}

impl Sharing {
    pub fn over(tier: Arc<dyn Tier>) -> Self {
        Sharing { tier, sweeps: AtomicBool::new(false) }
    }

    /// Before a commit: hides what it writes.
    pub fn before<'a>(&'a self, batch: &Batch) -> Option<BoxFuture<'a, ()>> {
        if !batch.ddl.is_empty() || batch.ops.iter().any(sweeps) {
            self.sweeps.store(true, Ordering::Relaxed);
        }
        let records: Vec<_> = batch.ops.iter().filter_map(written).collect();
        (!records.is_empty()).then(|| self.tier.hide(records))
    }

    /// After a commit. When what is returned has ended, nobody finds any more what was there before.
    pub fn after(&self, change: &Arc<Change>) -> Option<BoxFuture<'static, ()>> {
        let shared = || change.items.iter().filter(|item| tier::is_shared(&item.table));
        if !change.schema && shared().next().is_none() {
            return None;
        }
        let tier = self.tier.clone();
        let records: Option<Vec<_>> =
            shared().map(|item| Some((item.table.clone(), item.id.clone()?))).collect();
        Some(match records {
            Some(records) if !change.schema => Box::pin(async move { tier.lift(records).await }),
            // Everything of a table, or of all.
            _ => Box::pin(async move { tier.forget().await }),
        })
    }

    /// Nobody knows whether something was committed. Records that it named stay hidden until the database is sure to
    /// have finished; what names none is waited for.
    pub fn unsure(&self) {
        if !self.sweeps.swap(false, Ordering::Relaxed) {
            return;
        }
        let tier = self.tier.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tier.forget().await;
                tokio::time::sleep(Duration::from_millis(TIER_HIDDEN_MS)).await;
                tier.forget().await;
            });
        }
    }
}

/// The record that an operation writes, if it is one of those that processes share. Also one that is new: it may be known
/// that there is none.
fn written(op: &Op) -> Option<(Name, Name)> {
    let (table, id) = match op {
        Op::Insert { table, values } => {
            let id = values.iter().find(|(name, _)| &**name == "id").and_then(|(_, value)| value.as_str());
            (table, Name::from(id?))
        }
        Op::Update { table, id, .. } | Op::Delete { table, id, .. } => (table, id.clone()),
        Op::DeleteWhere { .. } => return None,
    };
    tier::is_shared(table).then(|| (table.clone(), id))
}

fn sweeps(op: &Op) -> bool {
    matches!(op, Op::DeleteWhere { table, .. } if tier::is_shared(table))
}
