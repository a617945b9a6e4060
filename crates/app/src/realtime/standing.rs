//! Whose eyes a client sees with, for as long as its token is good.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base::Name;
use base::limits::REALTIME_RECHECK_ROWS_MAX;
use model::{Record, Schema};
use query::{Change, ChangeKind};
use rustc_hash::FxHashMap;

use super::Realtime;
use crate::auth::token;
use crate::error::Result;
use crate::parts::Parts;

/// An auth record that clients are connected as. Shared by all of its clients, so that a rule is judged once.
pub struct Caller {
    pub(super) no: u64,
    record: ArcSwap<Record>,
    /// What its tokens are signed with. A new key ends them, and with them what their clients may see.
    key: String,
}

/// A client's own share of it.
#[derive(Clone)]
pub(super) struct Standing {
    pub caller: Arc<Caller>,
    /// When the token ends, in seconds.
    pub expires: i64,
}

/// Collection and record id.
pub(super) type Identity = (Name, Name);

pub(super) fn identity(record: &Record) -> Identity {
    (record.collection.id.clone(), record.id().into())
}

impl Caller {
    pub(super) fn new(no: u64, record: Arc<Record>) -> Self {
        let key = key(&record);
        Caller { no, record: ArcSwap::new(record), key }
    }

    pub fn record(&self) -> Arc<Record> {
        self.record.load_full()
    }

    /// Takes over a newer state of the record; `false` when its older tokens are no longer good.
    pub(super) fn renew(&self, record: Record) -> bool {
        if key(&record) != self.key {
            return false;
        }
        self.record.store(Arc::new(record));
        true
    }
}

fn key(record: &Record) -> String {
    record.collection.auth().map_or_else(String::new, |options| token::key_of(record, &options.auth_token))
}

/// Callers whose record changed are seen as they are now, and those whose tokens ended as nobody, before anything
/// of the change is judged.
pub(super) async fn follow(parts: &Parts, schema: &Schema, change: &Change) -> Result<()> {
    if change.schema {
        return recheck(parts).await;
    }
    for item in change.items.iter().filter(|item| item.kind != ChangeKind::Delete) {
        let Some(collection) = schema.find(&item.table).filter(|known| known.is_auth()) else { continue };
        let Some(id) = &item.id else { continue };
        let Some(caller) = parts.realtime.caller(&(collection.id.clone(), id.clone())) else { continue };
        let kept = match parts.fetch(collection, id).await? {
            Some(record) => caller.renew(record),
            None => false,
        };
        if !kept {
            parts.realtime.dismiss(&caller);
        }
    }
    Ok(())
}

/// Deleted callers see their own deletion, and nothing that comes after it.
pub(super) fn bury(realtime: &Realtime, schema: &Schema, change: &Change) {
    for item in change.items.iter().filter(|item| item.kind == ChangeKind::Delete) {
        let (Some(collection), Some(id)) = (schema.find(&item.table), &item.id) else { continue };
        if let Some(caller) = realtime.caller(&(collection.id.clone(), id.clone())) {
            realtime.dismiss(&caller);
        }
    }
}

/// Looks all callers up anew: for changes of their collections, and for writes that nobody announces here.
pub async fn recheck(parts: &Parts) -> Result<()> {
    let schema = parts.catalog.schema();
    let mut by_collection: FxHashMap<Name, Vec<(String, Arc<Caller>)>> = FxHashMap::default();
    for ((collection, id), caller) in parts.realtime.callers() {
        by_collection.entry(collection).or_default().push((id.to_string(), caller));
    }
    for (collection, callers) in by_collection {
        let Some(collection) = schema.by_id(&collection).filter(|known| known.is_auth()) else {
            callers.iter().for_each(|(_, caller)| parts.realtime.dismiss(caller));
            continue;
        };
        let mut rest = callers;
        while !rest.is_empty() {
            let callers: Vec<_> = rest.drain(..rest.len().min(REALTIME_RECHECK_ROWS_MAX)).collect();
            let ids = callers.iter().map(|(id, _)| id.clone()).collect();
            let found = parts.fetch_many_from(&parts.store, collection, ids).await?;
            let mut found: FxHashMap<String, Record> =
                found.into_iter().map(|record| (record.id().to_string(), record)).collect();
            for (id, caller) in &callers {
                if !found.remove(id).is_some_and(|record| caller.renew(record)) {
                    parts.realtime.dismiss(caller);
                }
            }
        }
    }
    Ok(())
}
