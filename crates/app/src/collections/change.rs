//! Creating, updating and deleting a collection: the table, its indexes and its definition in one commit.

use std::sync::Arc;

use base::Kind;
use model::filter::{Resolver, Trust};
use model::{Collection, Schema, Violation, Violations};
use query::{Batch, Ddl};
use serde_json::Value as Json;

use super::views;
use crate::catalog;
use crate::error::{Error, Result};
use crate::rules::Context;

const CREATE_FAILED: &str = "Failed to create collection.";
const UPDATE_FAILED: &str = "Failed to update collection.";
const DELETE_FAILED: &str = "Failed to delete collection.";

pub async fn create(cx: &Context<'_>, body: &Json) -> Result<Arc<Collection>> {
    let _changing = cx.parts.catalog.changing.lock().await;
    let schema = cx.parts.catalog.schema();
    let mut collection = Collection::create(body).map_err(|_| Error::bad_request())?;
    views::derive_fields(cx, &mut collection, CREATE_FAILED).await?;
    let now = cx.parts.clock.now().to_string();
    collection.created = now.clone();
    collection.updated = now;
    collection.seal();
    let violations = judge(cx, &collection, None, &schema);
    if !violations.is_empty() {
        return Err(Error::invalid(CREATE_FAILED, violations));
    }
    let batch = Batch {
        ddl: model::collection::plan(None, &collection),
        ops: vec![catalog::insert(&collection)],
        ..Batch::default()
    };
    commit(cx, batch, CREATE_FAILED, &collection).await?;
    current(cx, &collection.id)
}

pub async fn update(cx: &Context<'_>, name_or_id: &str, body: &Json) -> Result<Arc<Collection>> {
    let _changing = cx.parts.catalog.changing.lock().await;
    let schema = cx.parts.catalog.schema();
    let old = schema.find(name_or_id).cloned().ok_or_else(Error::not_found)?;
    let mut collection = old.patched(body).map_err(|_| Error::bad_request())?;
    views::derive_fields(cx, &mut collection, UPDATE_FAILED).await?;
    collection.updated = cx.parts.clock.now().to_string();
    collection.seal();
    let violations = judge(cx, &collection, Some(&old), &schema);
    if !violations.is_empty() {
        return Err(Error::invalid(UPDATE_FAILED, violations));
    }
    let batch = Batch {
        ddl: views::around(&schema, model::collection::plan(Some(&old), &collection), &[&old.name]),
        ops: vec![catalog::update(&collection)],
        ..Batch::default()
    };
    commit(cx, batch, UPDATE_FAILED, &collection).await?;
    views::refresh(cx, &collection).await?;
    current(cx, &collection.id)
}

pub async fn delete(cx: &Context<'_>, name_or_id: &str) -> Result<()> {
    let _changing = cx.parts.catalog.changing.lock().await;
    let schema = cx.parts.catalog.schema();
    let collection = schema.find(name_or_id).cloned().ok_or_else(Error::not_found)?;
    if collection.system {
        return Err(Error::new(Kind::Invalid, DELETE_FAILED).details("a system collection cannot be deleted"));
    }
    let referring: Vec<String> = schema
        .references(&collection)
        .into_iter()
        .filter(|(other, _)| other.id != collection.id)
        .map(|(other, _)| other.name.to_string())
        .collect();
    if let Some(first) = referring.first() {
        return Err(Error::new(
            Kind::Invalid,
            format!("Failed to delete collection probably due to existing reference in {first}."),
        ));
    }
    let batch = Batch {
        ddl: drop_plan(&collection),
        ops: vec![catalog::delete(&collection)],
        ..Batch::default()
    };
    commit(cx, batch, DELETE_FAILED, &collection).await
}

pub(super) fn drop_plan(collection: &Collection) -> Vec<Ddl> {
    match collection.is_view() {
        true => vec![Ddl::DropView(collection.name.clone())],
        false => vec![Ddl::DropTable(collection.name.clone())],
    }
}

fn current(cx: &Context<'_>, id: &str) -> Result<Arc<Collection>> {
    cx.parts.catalog.schema().find(id).cloned().ok_or_else(Error::not_found)
}

/// Everything wrong with a definition, its rules included.
pub(super) fn judge(
    cx: &Context<'_>,
    collection: &Collection,
    old: Option<&Collection>,
    schema: &Schema,
) -> Violations {
    let check_rule = |collection: &Collection, rule: &str| -> std::result::Result<(), String> {
        let filter = model::filter::parse(rule).map_err(|error| error.to_string())?;
        let request = model::Request::default();
        let shared = Arc::new(collection.clone());
        // The collection itself may be new or renamed, and rules may refer to it.
        let schema = with(schema, &shared);
        let now = cx.parts.clock.now();
        let mut resolver = Resolver::new(&schema, &shared, &request, now, Trust::Full);
        resolver.condition(&filter).map(drop).map_err(|error| error.to_string())
    };
    collection.validate(old, schema, &check_rule)
}

/// The schema with one collection added or replaced.
pub(super) fn with(schema: &Schema, collection: &Arc<Collection>) -> Schema {
    let mut collections: Vec<_> =
        schema.collections.iter().filter(|known| known.id != collection.id).cloned().collect();
    collections.push(collection.clone());
    Schema::new(collections, schema.version)
}

/// Commits a schema change and makes it this process's current schema.
pub(super) async fn commit(
    cx: &Context<'_>,
    batch: Batch,
    failed: &str,
    collection: &Collection,
) -> Result<()> {
    if let Err(error) = cx.parts.store.commit(batch).await {
        return Err(match error {
            store::Error::Taken { .. } => Error::invalid(
                failed,
                Violations::one("indexes", Violation::new("validation_invalid_index_expression", error.to_string())),
            ),
            store::Error::Refused(why) if collection.is_view() => Error::invalid(
                failed,
                Violations::one(
                    "viewQuery",
                    Violation::new("validation_invalid_view_query", format!("Invalid query - {why}.")),
                ),
            ),
            store::Error::Refused(why) => Error::invalid(failed, Violations::default()).details(why),
            other => other.into(),
        });
    }
    cx.parts.catalog.reload(&cx.parts.store).await
}
