//! What is noted and not yet in the database, and who is at present writing past it.

use std::time::{Duration, Instant};

use base::limits::{WRITE_BEHIND_BYTES_MAX, WRITE_BEHIND_OVERHEAD_BYTES, WRITE_BEHIND_RECORDS_MAX};
use base::{Name, Value};
use query::{Assign, Op, Row, Select};
use rustc_hash::FxHashMap;

use super::reach::Key;

/// Columns of a record that are to be written.
struct Entry {
    set: Vec<(Name, Value)>,
    /// Grows with each update, so that one which comes while the record is written is not forgotten.
    version: u64,
    /// Of the schema that the latest update was made by.
    schema: u64,
    since: Instant,
    within: Duration,
    bytes: usize,
}

/// What is about to be written of one record.
#[derive(Clone)]
pub struct Due {
    pub key: Key,
    pub version: u64,
    pub schema: u64,
    pub op: Op,
}

#[derive(Default)]
pub struct State {
    entries: FxHashMap<Key, Entry>,
    bytes: usize,
    versions: u64,
    /// Moves whenever something is taken out, or written past what is noted.
    pub epoch: u64,
    /// Moves whenever somebody begins or ends to write what cannot be told by records.
    pub sweeps: u64,
    /// Those who write everything at the moment, and those who write certain records.
    all: usize,
    records: FxHashMap<Key, usize>,
    /// Views as of a version of the schema.
    pub views: (u64, Vec<Name>),
    /// Nothing more is noted.
    pub is_direct: bool,
    /// Whether a task waits for the time to write.
    pub is_timed: bool,
}

impl State {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn holds(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.entries.contains_key(key))
    }

    pub fn keys(&self) -> Vec<Key> {
        self.entries.keys().cloned().collect()
    }

    pub fn oldest(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.since).min()
    }

    pub fn due(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.since + entry.within).min()
    }

    /// Whether somebody is writing the record, or may be.
    pub fn is_written(&self, key: &Key) -> bool {
        self.all > 0 || self.records.contains_key(key)
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() >= WRITE_BEHIND_RECORDS_MAX || self.bytes >= WRITE_BEHIND_BYTES_MAX
    }

    /// Whoever writes past what is noted. No keys stand for everything.
    pub fn enter(&mut self, keys: Option<&[Key]>) {
        self.epoch += 1;
        match keys {
            Some(keys) => keys.iter().for_each(|key| *self.records.entry(key.clone()).or_default() += 1),
            None => {
                self.sweeps += 1;
                self.all += 1;
            }
        }
    }

    pub fn leave(&mut self, keys: Option<&[Key]>) {
        self.epoch += 1;
        let Some(keys) = keys else {
            self.sweeps += 1;
            self.all -= 1;
            return;
        };
        for key in keys {
            if let Some(count) = self.records.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.records.remove(key);
                }
            }
        }
    }

    /// Whether it is the first of the record.
    pub fn note(&mut self, key: Key, set: &[(Name, Assign)], schema: u64, within: Duration) {
        self.versions += 1;
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            set: Vec::new(),
            version: 0,
            schema,
            since: Instant::now(),
            within,
            bytes: 0,
        });
        for (name, assign) in set {
            let Assign::Set(value) = assign else { continue };
            let value = as_stored(value);
            match entry.set.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = value,
                None => entry.set.push((name.clone(), value)),
            }
        }
        let values = entry.set.iter().map(|(name, value)| name.len() + value.size_bytes());
        let bytes = WRITE_BEHIND_OVERHEAD_BYTES + values.sum::<usize>();
        self.bytes = self.bytes + bytes - entry.bytes;
        (entry.bytes, entry.version, entry.schema) = (bytes, self.versions, schema);
        entry.within = entry.within.min(within);
    }

    pub fn take(&self, keys: &[Key]) -> Vec<Due> {
        let due = |key: &Key| {
            let entry = self.entries.get(key)?;
            let set = entry.set.iter().map(|(name, value)| (name.clone(), Assign::Set(value.clone())));
            let op = Op::Update { table: key.0.clone(), id: key.1.clone(), set: set.collect() };
            Some(Due { key: key.clone(), version: entry.version, schema: entry.schema, op })
        };
        keys.iter().filter_map(due).collect()
    }

    /// These are in the database, or never will be. What came since stays, all of it: columns are set to the same again.
    pub fn done(&mut self, written: &[Due]) {
        self.epoch += 1;
        for due in written {
            match self.entries.get_mut(&due.key) {
                Some(entry) if entry.version == due.version => {
                    self.bytes -= entry.bytes;
                    self.entries.remove(&due.key);
                }
                Some(entry) => entry.since = Instant::now(),
                None => {}
            }
        }
    }

    /// Lays what is noted over rows as the database has them.
    pub fn lay_over(&self, table: &Name, select: &Select, rows: &mut [Row]) {
        let position = |name: &str| select.columns.iter().position(|column| &*column.name == name);
        let Some(id) = position("id") else { return };
        for row in rows {
            let Some(key) = row.get(id).as_str().map(|id| (table.clone(), Name::from(id))) else { continue };
            let Some(entry) = self.entries.get(&key) else { continue };
            for (name, value) in &entry.set {
                if let Some(position) = position(name) {
                    row.0[position] = value.clone();
                }
            }
        }
    }
}

/// SQLite keeps a zero without its sign.
fn as_stored(value: &Value) -> Value {
    match value {
        Value::Number(number) if *number == 0.0 => Value::Number(0.0),
        other => other.clone(),
    }
}
