//! A job's events become deliveries: who is told is settled, and the bytes that every attempt sends. Done twice, it
//! adds nothing.

use std::sync::Arc;

use base::limits::{WEBHOOK_BODIES_BYTES_MAX, WEBHOOK_BODY_BYTES_MAX};
use base::{Name, Timestamp, Value};
use model::{Collection, Record, Request};
use query::{Batch, Column, ColumnType, Guard, Op, Select};

use super::definition::{self, Action, Webhook};
use super::event::{self, Event};
use super::log::{self, New};
use super::{DELIVERIES, Told};
use crate::error::Result;
use crate::parts::Parts;
use crate::records::Shown;
use crate::rules::Context;

pub(crate) async fn perform(parts: &Parts, at: i64, events: &[Event]) -> Result<()> {
    let request = Request::default();
    let cx = Context::new(parts, &request);
    let mut ids: Vec<Name> = events.iter().flat_map(|event| &event.to).map(|id| id.as_str().into()).collect();
    ids.sort_unstable();
    ids.dedup();
    // As they are stored: what another node knows may be newer than what this one does.
    let webhooks = definition::some(&parts.store, &parts.cipher, ids).await?;
    let mut deliveries = Vec::new();
    let mut bytes = 0;
    for event in events {
        let made = of_event(&cx, &webhooks, Timestamp(at), event).await?;
        bytes += made.iter().map(|new| new.body.len()).sum::<usize>();
        deliveries.extend(made);
        if bytes >= WEBHOOK_BODIES_BYTES_MAX {
            bytes = 0;
            store(parts, std::mem::take(&mut deliveries)).await?;
        }
    }
    store(parts, deliveries).await?;
    parts.webhooks.0.wake.notify_one();
    Ok(())
}

/// Adds those that an earlier run has not added.
async fn store(parts: &Parts, mut deliveries: Vec<New>) -> Result<()> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let with = |ids| Select::by_ids(DELIVERIES, vec![Column::new("id", ColumnType::Id)], ids);
    let ids: Vec<Name> = deliveries.iter().map(|new| new.id.clone()).collect();
    let known = parts.store.select(&with(ids.clone())).await?;
    let known: Vec<&str> = known.iter().map(|row| row.get(0).text_or_empty()).collect();
    deliveries.retain(|new| !known.contains(&&*new.id));
    let now = parts.clock.now();
    let ops: Vec<Op> = deliveries.into_iter().map(|new| new.insertion(now)).collect();
    if ops.is_empty() {
        return Ok(());
    }
    // Another run of the job at the same time makes one of both fail, and be tried again.
    let ids = ids.into_iter().filter(|id| !known.contains(&&**id)).collect();
    let batch = Batch { guards: vec![Guard::Absent(with(ids))], ops, ..Batch::default() };
    parts.store.commit(batch).await?;
    Ok(())
}

async fn of_event(cx: &Context<'_>, webhooks: &[Webhook], at: Timestamp, event: &Event) -> Result<Vec<New>> {
    // Of a collection that is gone nothing can be shown.
    let Some(collection) = cx.schema.by_id(&event.collection) else { return Ok(Vec::new()) };
    let webhooks: Vec<&Webhook> =
        webhooks.iter().filter(|webhook| event.to.iter().any(|id| **id == *webhook.id)).collect();
    if webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let is_filtered = webhooks.iter().any(|webhook| !webhook.filter.is_empty());
    let (record, known) = record(cx, collection, event, is_filtered).await?;
    let shown = Shown { record, hidden: false, email: true, expand: None };
    let mut body: Option<Arc<str>> = None;
    let mut made = Vec::new();
    for webhook in webhooks {
        let refused = match cx.rule(collection, &webhook.filter) {
            Ok(condition) if cx.would_pass(&shown.record, &condition).await? => None,
            Ok(_) => continue,
            // The collection has changed since the filter was written. That is seen in the log, and can be made good.
            Err(error) => {
                let why = error.details.unwrap_or(error.message);
                Some(format!("The filter cannot be judged: {why}"))
            }
        };
        let body = body.get_or_insert_with(|| self::body(cx, at, event, &shown, known.as_deref()).into());
        made.push(New {
            id: log::id(&event.id, &webhook.id),
            webhook: webhook.id.clone(),
            event: event.id.clone(),
            kind: event.action.event(),
            body: body.clone(),
            refused,
            at,
        });
    }
    Ok(made)
}

/// The record as it was written, as far as that can be told: what the write itself knew lies over what is stored now.
/// With it the fields that are known, unless all are.
async fn record<'a>(
    cx: &Context<'_>,
    collection: &'a Arc<Collection>,
    event: &'a Event,
    is_filtered: bool,
) -> Result<(Record, Option<Vec<&'a str>>)> {
    let needs_stored = event.action != Action::Delete && (is_filtered || !event.whole);
    let stored = match needs_stored {
        true => cx.fetch(collection, &event.record).await?,
        false => None,
    };
    let is_all = event.whole || stored.is_some();
    let mut record = stored.unwrap_or_else(|| Record::blank(collection.clone()));
    record.set("id", Value::from(event.record.as_str()));
    for (name, value) in &event.values {
        record.set(name, event::decode(value));
    }
    let known =
        (!is_all).then(|| ["id"].into_iter().chain(event.values.iter().map(|(name, _)| &**name)).collect());
    Ok((record, known))
}

fn body(cx: &Context<'_>, at: Timestamp, event: &Event, shown: &Shown, known: Option<&[&str]>) -> String {
    let written = |known| {
        let told = Told { action: event.action, at, record: shown, known };
        (cx.parts.webhooks.0.wire.body)(&told)
    };
    let body = written(known);
    match body.len() > WEBHOOK_BODY_BYTES_MAX {
        true => written(Some(&["id"])),
        false => body,
    }
}
