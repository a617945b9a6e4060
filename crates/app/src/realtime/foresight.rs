//! What a delete's subscribers will be told, found out while the record and all that it is related to are still
//! there. Only for rules and expansions that need stored records; the rest is judged on the record as it was. A hint
//! from a delete to the dispatchers of all nodes: without it an event is judged on what is left.

use std::sync::Arc;

use base::Name;
use base::limits::{BUS_FORESEEN_MS, REALTIME_FORESEEN_MAX};
use bytes::Bytes;
use model::Record;
use rustc_hash::FxHashMap;

use super::Realtime;
use super::dispatch::{Action, interested};
use super::judge::{Event, Judge, State};
use super::topic::Class;
use crate::across;
use crate::parts::Parts;

/// Table and record id.
type Key = (Name, Name);

/// For some classes the event, or that they get none.
pub(super) type Foreseen = Vec<(Arc<Class>, Option<Bytes>)>;

/// With the time until which it is good: who foresees for another node is not told when nothing comes of it.
#[derive(Default)]
pub(super) struct Foresights(FxHashMap<Key, (Foreseen, i64)>);

impl Foresights {
    pub fn take(&mut self, table: &Name, id: &Name, now_ms: i64) -> Foreseen {
        let found = self.0.remove(&(table.clone(), id.clone()));
        found.filter(|(_, until_ms)| now_ms < *until_ms).map(|(foreseen, _)| foreseen).unwrap_or_default()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Forgets what was foreseen unless the delete comes true.
pub struct Foresight {
    realtime: Realtime,
    keys: Vec<Key>,
}

impl Foresight {
    pub fn comes_true(mut self) {
        self.keys.clear();
    }
}

impl Drop for Foresight {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            let mut foresights = self.realtime.0.foresights.lock();
            for key in &self.keys {
                foresights.0.remove(key);
            }
        }
    }
}

/// To be asked right before records are deleted.
pub async fn foresee(parts: &Parts, records: &[Record]) -> Foresight {
    let mut foresight = Foresight { realtime: parts.realtime.clone(), keys: Vec::new() };
    let (keys, ()) = tokio::join!(foresee_here(parts, records, i64::MAX), across::foresee(parts, records));
    foresight.keys = keys;
    foresight
}

/// Records that another node is about to delete.
pub(crate) async fn foresee_for_others(parts: &Parts, records: &[Record]) {
    let until_ms = parts.clock.now().0 + BUS_FORESEEN_MS;
    foresee_here(parts, records, until_ms).await;
}

async fn foresee_here(parts: &Parts, records: &[Record], until_ms: i64) -> Vec<Key> {
    let mut keys = Vec::new();
    for record in records {
        let classes = interested(parts, &record.collection, record.id());
        if classes.is_empty() {
            continue;
        }
        let key: Key = (record.collection.name.clone(), record.id().into());
        let event = Event { action: Action::Delete, record: record.clone(), state: State::Stored };
        let foreseen = Judge { parts, event }.foresee(&classes).await;
        let mut foresights = parts.realtime.0.foresights.lock();
        if foreseen.is_empty() {
            foresights.0.remove(&key);
            continue;
        }
        if foresights.0.len() >= REALTIME_FORESEEN_MAX {
            // Left over from deletes that were rolled back.
            foresights.clear();
        }
        foresights.0.insert(key.clone(), (foreseen, until_ms));
        keys.push(key);
    }
    keys
}
