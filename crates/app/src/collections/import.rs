//! Importing many collections at once: all of them or none.

use std::sync::Arc;

use model::collection::{Draft, draft};
use model::violation::Node;
use model::{Collection, Schema, Violation, Violations};
use query::{Batch, Ddl};
use serde_json::Value as Json;

use super::{change, views};
use crate::catalog;
use crate::error::{Error, Result};
use crate::rules::Context;

const FAILED: &str = "Failed to import collections.";

pub async fn import(cx: &Context<'_>, collections: &[Json], delete_missing: bool) -> Result<()> {
    let _changing = cx.parts.catalog.changing.lock().await;
    let before = cx.parts.catalog.schema();
    let now = cx.parts.clock.now().to_string();

    // Everything imported is in place before anything is judged, because collections refer to one another.
    let mut pairs: Vec<(Option<Arc<Collection>>, Collection)> = Vec::new();
    for json in collections {
        let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default();
        let old = [text("id"), text("name")]
            .into_iter()
            .filter(|key| !key.is_empty())
            .find_map(|key| before.find(key))
            .cloned();
        let draft = match &old {
            Some(old) if delete_missing || !json.get("fields").is_some_and(Json::is_array) => {
                draft::patch(old, json)
            }
            // Without deletion, fields that the import does not name stay.
            Some(old) => draft::patch(old, &with_missing_fields(old, json)),
            None => draft::create(json),
        };
        let Draft { collection: mut new, violations } = draft.map_err(|_| unreadable(json))?;
        if !violations.is_empty() {
            return Err(refused(&new, &violations));
        }
        if old.is_none() {
            new.created = now.clone();
        }
        new.updated = now.clone();
        new.seal();
        pairs.push((old, new));
    }
    let mut dropped: Vec<Arc<Collection>> = Vec::new();
    if delete_missing {
        dropped = before
            .collections
            .iter()
            .filter(|known| !known.system && !pairs.iter().any(|(_, new)| new.id == known.id))
            .cloned()
            .collect();
    }
    let mut after: Vec<Arc<Collection>> = before
        .collections
        .iter()
        .filter(|known| !dropped.iter().any(|gone| gone.id == known.id))
        .filter(|known| !pairs.iter().any(|(_, new)| new.id == known.id))
        .cloned()
        .collect();
    after.extend(pairs.iter().map(|(_, new)| Arc::new(new.clone())));
    let mut schema = Schema::new(after, before.version);
    // Views read the imported tables, so their fields are told last, and one view may read another.
    for (_, new) in pairs.iter_mut().filter(|(_, new)| new.is_view()) {
        if let Err(why) = new.derive_view(&schema) {
            let violations = Violations::one("viewQuery", model::collection::invalid_query(&why));
            return Err(refused(new, &violations));
        }
        schema = change::with(&schema, &Arc::new(new.clone()));
    }

    for (old, new) in &pairs {
        // A new collection is judged against the others.
        let others = match old {
            Some(_) => schema.clone(),
            None => change::without(&schema, &new.id),
        };
        let violations = change::judge(cx, new, old.as_deref(), &others);
        if !violations.is_empty() {
            return Err(refused(new, &violations));
        }
    }
    let mut batch = Batch::default();
    let mut tables: Vec<Ddl> = Vec::new();
    let mut late: Vec<Ddl> = Vec::new();
    for gone in &dropped {
        tables.extend(model::collection::plan_drop(gone));
        batch.ops.push(catalog::delete(gone));
    }
    for (old, new) in &pairs {
        let plan = model::collection::plan(old.as_deref(), new);
        // Views come after the tables that they read.
        if new.is_view() { late.extend(plan) } else { tables.extend(plan) }
        batch.ops.push(match old {
            Some(_) => catalog::update(new),
            None => catalog::insert(new),
        });
    }
    let changed: Vec<_> =
        pairs
            .iter()
            .map(|(old, new)| old.as_ref().map_or(&new.name, |old| &old.name))
            .chain(dropped.iter().map(|gone| &gone.name))
            .collect();
    batch.ddl = views::around(&before, tables, &changed);
    batch.ddl.extend(late);
    let Some((_, any)) = pairs.first() else { return Ok(()) };
    change::commit(cx, batch).await.map_err(|error| change::refused(error, FAILED, any))?;
    views::refresh(cx, "").await
}

fn with_missing_fields(old: &Collection, json: &Json) -> Json {
    let mut json = json.clone();
    if let Some(Json::Array(fields)) = json.get_mut("fields") {
        for field in &old.fields {
            let named = fields.iter().any(|new| {
                let text = |key: &str| new.get(key).and_then(Json::as_str).unwrap_or_default();
                text("id") == &*field.id || text("name") == &*field.name
            });
            if !named {
                fields.push(field.to_json());
            }
        }
    }
    json
}

fn unreadable(json: &Json) -> Error {
    let name = json.get("name").and_then(Json::as_str).unwrap_or_default();
    failure(format!("Failed to parse collection data for {name:?}."))
}

fn refused(collection: &Collection, violations: &Violations) -> Error {
    let report = serde_json::to_string_pretty(&messages(violations)).unwrap_or_default();
    failure(format!(
        "Data validations failed for collection {:?} ({}):\n{report}.",
        &*collection.name, collection.id
    ))
}

fn failure(message: String) -> Error {
    Error::invalid(
        FAILED,
        Violations::one("collections", Violation::new("validation_collections_import_failure", message)),
    )
}

/// Only the messages, in the plain form that they have inside other messages: lower case, no full stop.
fn messages(violations: &Violations) -> Json {
    let entries = violations.0.iter().map(|(key, node)| {
        let value = match node {
            Node::Leaf(violation) => {
                let mut text = violation.message.trim_end_matches('.').to_string();
                if let Some(first) = text.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                Json::String(text)
            }
            Node::Branch(inner) => messages(inner),
        };
        (key.clone(), value)
    });
    Json::Object(entries.collect())
}
