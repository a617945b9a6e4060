//! How cached entries learn that they are out of date, without being looked for.
//!
//! Every applied change gets the next number, and each record and table remembers the number of its last change.
//! A reader notes the current number, reads, and keeps the result with it. The entry is good as long as
//! nothing that it depends on has changed after that number. A change is applied after its commit is durable and before
//! its writer is answered, so a read that raced with it carries a number that is too old and can never be
//! mistaken for the new state; removing entries instead would lose that race.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use query::Change;
use rustc_hash::FxHasher;

/// Slots shared by all records; a collision costs a needless read, never a stale one.
const RECORD_SLOTS: usize = 1 << 14;
const TABLE_SLOTS: usize = 1 << 10;

pub struct Stamps {
    last: AtomicU64,
    records: Box<[AtomicU64]>,
    tables: Box<[AtomicU64]>,
    /// When anything may have changed: the schema, or a write by another process.
    all: AtomicU64,
}

impl Default for Stamps {
    fn default() -> Self {
        let slots = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Stamps {
            last: AtomicU64::new(0),
            records: slots(RECORD_SLOTS),
            tables: slots(TABLE_SLOTS),
            all: AtomicU64::new(0),
        }
    }
}

impl Stamps {
    /// The number to note before reading.
    pub fn now(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// Whether what was read of the record at `since` is still true.
    pub fn record_holds(&self, table: &str, id: &str, since: u64) -> bool {
        let slot = &self.records[slot(&(table, id), RECORD_SLOTS)];
        slot.load(Ordering::Acquire) <= since && self.all.load(Ordering::Acquire) <= since
    }

    /// Whether nothing in these tables has changed since.
    pub fn tables_hold<'a>(&self, tables: impl IntoIterator<Item = &'a str>, since: u64) -> bool {
        self.all.load(Ordering::Acquire) <= since
            && tables
                .into_iter()
                .all(|table| self.tables[slot(&table, TABLE_SLOTS)].load(Ordering::Acquire) <= since)
    }

    pub fn apply(&self, change: &Change) {
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        let mut everything = change.schema;
        for item in &change.items {
            self.tables[slot(&&*item.table, TABLE_SLOTS)].fetch_max(number, Ordering::AcqRel);
            match &item.id {
                Some(id) => {
                    let slot = &self.records[slot(&(&*item.table, &**id), RECORD_SLOTS)];
                    slot.fetch_max(number, Ordering::AcqRel);
                }
                None => everything = true,
            }
        }
        if everything {
            self.all.fetch_max(number, Ordering::AcqRel);
        }
    }

    pub fn expire_all(&self) {
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        self.all.fetch_max(number, Ordering::AcqRel);
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
        let before = stamps.now();
        stamps.apply(&Change {
            sequence: 1,
            origin: base::topology::Node::local(),
            at: base::Timestamp(0),
            items: vec![query::ChangeItem {
                table: "a".into(),
                kind: query::ChangeKind::Update,
                id: Some("1".into()),
                row: None,
            }],
            schema: false,
            jobs: false,
        });
        assert!(!stamps.record_holds("a", "1", before));
        assert!(stamps.record_holds("a", "1", stamps.now()));
        assert!(stamps.record_holds("a", "2", before));
        assert!(!stamps.tables_hold(["a", "b"], before));
        assert!(stamps.tables_hold(["c"], before));
        stamps.expire_all();
        assert!(!stamps.tables_hold(["c"], before));
    }
}
