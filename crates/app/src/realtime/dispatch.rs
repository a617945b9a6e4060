//! One task for each process: takes the changes of the bus one after the other and gives each to whom it concerns.
//! It waits for the database, and never for a client.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backing::bus::News;
use base::limits::{REALTIME_RECHECK_MS, REALTIME_SWEEP_MS};
use bytes::Bytes;
use model::{Collection, Record, Schema};
use query::{Change, ChangeItem, ChangeKind};
use tokio::sync::broadcast::error::RecvError;

use super::judge::{Event, Judge, Scope, State};
use super::standing;
use super::topic::Class;
use crate::error::Result;
use crate::parts::Parts;
use crate::queues::pull::Message as Delivered;
use crate::records::Shown;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// How an event is put in words, which is not this crate's to know.
#[derive(Clone, Copy)]
pub struct Wire {
    /// The action, the record, and which of its fields are wanted (all when empty).
    pub event: fn(Action, &Shown, &str) -> Bytes,
    /// A stream's name and a message of it.
    pub message: fn(&str, &Delivered) -> Bytes,
}

/// Runs until `stop` completes.
pub async fn run(parts: Arc<Parts>, stop: impl Future<Output = ()>) {
    let mut changes = parts.bus.subscribe();
    let mut sweep = tokio::time::interval(Duration::from_millis(REALTIME_SWEEP_MS));
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rechecked_ms = 0;
    tokio::pin!(stop);
    loop {
        let change = tokio::select! {
            () = &mut stop => return,
            _ = sweep.tick() => {
                parts.realtime.sweep();
                // What nobody follows any more; what is followed anew was told at once.
                drop(parts.bus.follow(parts.realtime.followed()));
                let now_ms = parts.clock.now().0;
                // Without caches there may be other writers, whose changes are not announced here.
                if !parts.caches() && now_ms - rechecked_ms >= REALTIME_RECHECK_MS {
                    rechecked_ms = now_ms;
                    if let Err(error) = standing::recheck(&parts).await {
                        tracing::warn!(details = error.details, "cannot look realtime callers up: {error}");
                    }
                }
                continue;
            }
            change = changes.recv() => change,
        };
        match change {
            Ok(_) if parts.realtime.is_idle() => {}
            Ok((no, News::Change(change))) => handle(&parts, no, &change).await,
            Ok((_, News::Missed)) => {
                tracing::info!("changes of other nodes were missed: all realtime clients start anew");
                parts.realtime.resync();
            }
            Err(RecvError::Lagged(count)) => {
                tracing::warn!(count, "realtime fell behind: all clients start anew");
                parts.realtime.resync();
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn handle(parts: &Parts, no: u64, change: &Change) {
    parts.realtime.expire();
    if let Err(error) = prepare(parts, change).await {
        // Whoever lost their standing must not see on, so nobody does before they have shown their token again.
        tracing::warn!(details = error.details, "realtime cannot follow a change: {error}");
        return parts.realtime.resync();
    }
    let schema = parts.catalog.schema();
    for item in &change.items {
        handle_item(parts, &schema, no, item).await;
    }
    standing::bury(&parts.realtime, &schema, change);
}

async fn prepare(parts: &Parts, change: &Change) -> Result<()> {
    if change.schema {
        // The writer reads the collections anew only after it has announced that they changed.
        parts.catalog.reload(&parts.store).await?;
        // What was read meanwhile may have been read by the old definitions.
        parts.stamps.expire_all();
    }
    standing::follow(parts, &parts.catalog.schema(), change).await
}

async fn handle_item(parts: &Parts, schema: &Schema, no: u64, item: &ChangeItem) {
    let Some(collection) = schema.find(&item.table).filter(|known| known.name == item.table) else { return };
    let Some(id) = &item.id else { return };
    let mut classes = interested(parts, collection, id);
    if classes.is_empty() {
        return;
    }
    let (action, record) = match item.kind {
        ChangeKind::Insert => (Action::Create, parts.fetch(collection, id).await),
        ChangeKind::Update => (Action::Update, parts.fetch(collection, id).await),
        ChangeKind::Delete => {
            // A row of another form than the collection's is from before a change of it.
            let row = item.row.clone().filter(|row| row.0.len() == collection.table.columns.len());
            (Action::Delete, Ok(row.map(|row| Record { collection: collection.clone(), row })))
        }
    };
    let now_ms = parts.clock.now().0;
    let record = match record {
        Ok(Some(record)) => record,
        // Deleted since, which is announced as well.
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(details = error.details, "realtime cannot read a record: {error}");
            return classes.iter().for_each(|(_, class)| class.resync(now_ms));
        }
    };
    let mut foreseen = Vec::new();
    let mut state = State::Stored;
    if action == Action::Delete {
        state = State::Gone;
        foreseen = parts.realtime.0.foresights.lock().take(&item.table, id, now_ms);
    }
    for (class, data) in &foreseen {
        if let Some(data) = data {
            class.deliver(data, (no, now_ms));
        }
    }
    classes.retain(|(_, class)| !foreseen.iter().any(|(known, _)| Arc::ptr_eq(known, class)));
    let judge = Judge { parts, event: Event { action, record, state } };
    for ((_, class), found) in classes.iter().zip(judge.found(&classes).await) {
        match found {
            Ok(Some(data)) => class.deliver(&data, (no, now_ms)),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(details = error.details, "realtime cannot judge an event: {error}");
                class.resync(now_ms);
            }
        }
    }
}

/// The classes that are subscribed to the record, by the collection's name or id.
pub(super) fn interested(parts: &Parts, collection: &Collection, id: &str) -> Vec<(Scope, Arc<Class>)> {
    let mut classes = Vec::new();
    for name in [&collection.name, &collection.id] {
        let keys = [
            (Scope::List, format!("{name}/*")),
            (Scope::List, name.to_string()),
            (Scope::View, format!("{name}/{id}")),
        ];
        for (scope, key) in keys {
            classes.extend(parts.realtime.classes(&key).into_iter().map(|class| (scope, class)));
        }
    }
    classes
}
