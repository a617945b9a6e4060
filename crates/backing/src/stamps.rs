//! How cached entries learn that they are out of date, without being looked for.
//!
//! A reader notes the stamp of what it is about to read, reads, and keeps the result with the stamp. A commit
//! bumps the stamp after it is durable and before its writer is answered. An entry whose stamp is no longer
//! the current one is not used. A read that raced with the commit carries the old stamp, so it can never be
//! mistaken for the new state; that is why the order of the steps matters and removal would not do.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use query::Change;
use rustc_hash::FxHasher;

/// Slots shared by all records; a collision costs a needless read, never a stale one.
const RECORD_SLOTS: usize = 1 << 14;
const TABLE_SLOTS: usize = 1 << 10;

pub struct Stamps {
    records: Box<[AtomicU64]>,
    tables: Box<[AtomicU64]>,
    /// Bumped when anything may have changed: the schema, or a write by another process.
    all: AtomicU64,
}

impl Default for Stamps {
    fn default() -> Self {
        let slots = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Stamps { records: slots(RECORD_SLOTS), tables: slots(TABLE_SLOTS), all: AtomicU64::new(0) }
    }
}

impl Stamps {
    /// The stamp to keep with a record that is about to be read.
    pub fn record(&self, table: &str, id: &str) -> u64 {
        self.all.load(Ordering::Acquire)
            + self.records[slot(&(table, id), RECORD_SLOTS)].load(Ordering::Acquire)
    }

    /// The stamp to keep with a query over these tables. A sum, because stamps only grow.
    pub fn tables<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> u64 {
        tables
            .into_iter()
            .map(|table| self.tables[slot(&table, TABLE_SLOTS)].load(Ordering::Acquire))
            .fold(self.all.load(Ordering::Acquire), u64::wrapping_add)
    }

    pub fn apply(&self, change: &Change) {
        for item in &change.items {
            self.tables[slot(&&*item.table, TABLE_SLOTS)].fetch_add(1, Ordering::AcqRel);
            match &item.id {
                Some(id) => {
                    self.records[slot(&(&*item.table, &**id), RECORD_SLOTS)].fetch_add(1, Ordering::AcqRel);
                }
                None => self.expire_all(),
            }
        }
        if change.schema {
            self.expire_all();
        }
    }

    pub fn expire_all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }
}

fn slot(key: &impl Hash, slots: usize) -> usize {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    // The high bits of this hash are the well mixed ones.
    (hasher.finish() >> 40) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_expires_its_record_and_its_tables_queries_only() {
        let stamps = Stamps::default();
        let (record, other, table, far) = (
            stamps.record("a", "1"),
            stamps.record("a", "2"),
            stamps.tables(["a", "b"]),
            stamps.tables(["c"]),
        );
        stamps.apply(&Change {
            sequence: 1,
            origin: base::topology::Node::local(),
            at: base::Timestamp(0),
            items: vec![query::ChangeItem {
                table: "a".into(),
                kind: query::ChangeKind::Update,
                id: Some("1".into()),
            }],
            schema: false,
        });
        assert_ne!(stamps.record("a", "1"), record);
        assert_eq!(stamps.record("a", "2"), other);
        assert_ne!(stamps.tables(["a", "b"]), table);
        assert_eq!(stamps.tables(["c"]), far);
    }
}
