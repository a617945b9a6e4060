//! How cached entries learn that they are out of date, without being looked for.
//!
//! Every applied change gets the next number, and each record and table remembers the number of its last change.
//! A reader notes the current number, reads, and keeps the result with it. The entry is good as long as
//! nothing that it depends on has changed after that number. A change is applied after its commit is durable and before
//! its writer is answered, so a read that raced with it carries a number that is too old and can never be
//! mistaken for the new state; removing entries instead would lose that race.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use query::Change;
use rustc_hash::FxHasher;

/// Slots shared by all records; a collision costs a needless read, never a stale one.
const RECORD_SLOTS: usize = 1 << 14;
const TABLE_SLOTS: usize = 1 << 10;

pub struct Stamps {
    last: AtomicU64,
    records: Box<[AtomicU64]>,
    /// How many changes each slot has seen, raised before its number.
    counts: Box<[AtomicU32]>,
    tables: Box<[AtomicU64]>,
    /// When anything may have changed: the schema, or a write by another process.
    all: AtomicU64,
}

/// A record's slot, for those who look at it more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u16);

/// What a writer notes of a record before it looks at it, to know at the end that nobody else wrote.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    slot: Slot,
    count: u32,
    all: u64,
}

impl Default for Stamps {
    fn default() -> Self {
        let slots = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Stamps {
            last: AtomicU64::new(0),
            records: slots(RECORD_SLOTS),
            counts: (0..RECORD_SLOTS).map(|_| AtomicU32::new(0)).collect(),
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
        self.slot_holds(Self::slot(table, id), since)
    }

    pub fn slot(table: &str, id: &str) -> Slot {
        Slot(slot(&(table, id), RECORD_SLOTS) as u16)
    }

    /// [`Stamps::record_holds`] of a record in that slot.
    pub fn slot_holds(&self, slot: Slot, since: u64) -> bool {
        let changed = self.records[usize::from(slot.0)].load(Ordering::Acquire);
        changed <= since && self.all.load(Ordering::Acquire) <= since
    }

    /// To be noted before a writer reads what it is about to change.
    pub fn watch(&self, table: &str, id: &str) -> Watched {
        let slot = Self::slot(table, id);
        let count = self.counts[usize::from(slot.0)].load(Ordering::Acquire);
        Watched { slot, count, all: self.all.load(Ordering::Acquire) }
    }

    /// The number to keep what was written with, once its change is applied. `None` when another change of the record was
    /// applied since, which may have come before or after this one in the database. One that is applied later
    /// has a higher number, and expires what is kept.
    pub fn alone(&self, watched: Watched) -> Option<u64> {
        let slot = usize::from(watched.slot.0);
        let number = self.records[slot].load(Ordering::Acquire);
        // Read in this order: whoever raised the number has raised the count before.
        let count = self.counts[slot].load(Ordering::Acquire);
        let alone = count == watched.count.wrapping_add(1) && self.all.load(Ordering::Acquire) == watched.all;
        alone.then_some(number)
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
                    let slot = usize::from(Self::slot(&item.table, id).0);
                    self.counts[slot].fetch_add(1, Ordering::AcqRel);
                    self.records[slot].fetch_max(number, Ordering::AcqRel);
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

    /// Of one record, or of any of the table.
    fn change(id: Option<&str>) -> Change {
        Change {
            sequence: 1,
            origin: base::topology::Node::local(),
            at: base::Timestamp(0),
            items: vec![query::ChangeItem {
                table: "a".into(),
                kind: query::ChangeKind::Update,
                id: id.map(Into::into),
                row: None,
            }],
            schema: false,
            jobs: false,
        }
    }

    #[test]
    fn a_write_expires_its_record_and_its_tables_queries_only() {
        let stamps = Stamps::default();
        let before = stamps.now();
        stamps.apply(&change(Some("1")));
        assert!(!stamps.record_holds("a", "1", before));
        assert!(stamps.record_holds("a", "1", stamps.now()));
        assert!(stamps.record_holds("a", "2", before));
        assert!(!stamps.tables_hold(["a", "b"], before));
        assert!(stamps.tables_hold(["c"], before));
        stamps.expire_all();
        assert!(!stamps.tables_hold(["c"], before));
    }

    #[test]
    fn a_writer_knows_whether_it_was_alone() {
        let stamps = Stamps::default();
        let watched = stamps.watch("a", "1");
        stamps.apply(&change(Some("1")));
        let since = stamps.alone(watched).unwrap();
        assert!(stamps.record_holds("a", "1", since));
        // Another's, before this one was applied.
        let watched = stamps.watch("a", "1");
        stamps.apply(&change(Some("1")));
        stamps.apply(&change(Some("1")));
        assert_eq!(stamps.alone(watched), None);
        // One that names no record, and so may have been about this one.
        let watched = stamps.watch("a", "1");
        stamps.apply(&change(None));
        stamps.apply(&change(Some("1")));
        assert_eq!(stamps.alone(watched), None);
        let watched = stamps.watch("a", "1");
        stamps.expire_all();
        stamps.apply(&change(Some("1")));
        assert_eq!(stamps.alone(watched), None);
    }
}
