//! Creating, updating and deleting a collection: the table, its indexes and its definition in one commit.

use std::sync::Arc;

use base::Kind;
use model::collection::{BodyError, draft};
use model::filter::{Filter, Resolver, Trust};
use model::violation::{Node, sentence};
use model::{Collection, Schema, Violation, Violations};
use query::{Batch, Ddl, Guard};
use serde_json::Value as Json;

use super::views;
use crate::auth::passkeys;
use crate::catalog;
use crate::changing::{Changing, outdated, overtaken};
use crate::error::{Error, Result};
use crate::files;
use crate::rules::Context;

const CREATE_FAILED: &str = "Failed to create collection.";
const UPDATE_FAILED: &str = "Failed to update collection.";
const DELETE_FAILED: &str = "Failed to delete collection.";

pub async fn create(cx: &Context<'_>, body: &Json) -> Result<Arc<Collection>> {
    let mut changing = Changing::begin(cx.parts).await;
    loop {
        let tried = try_create(cx, body).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_create(cx: &Context<'_>, body: &Json) -> Result<Arc<Collection>> {
    let schema = cx.parts.catalog.schema();
    let draft = draft::create(body, &schema)?;
    let now = cx.parts.clock.now().to_string();
    let mut collection = draft.collection;
    collection.created = now.clone();
    collection.updated = now;
    let violations = judged(cx, &mut collection, None, &schema, draft.violations).await?;
    if !violations.is_empty() {
        return Err(Error::invalid(CREATE_FAILED, violations));
    }
    if let Some(why) = reserved(&collection) {
        return Err(refused(store::Error::Refused(why), CREATE_FAILED, &[&collection]));
    }
    let batch = Batch {
        ddl: model::collection::plan(None, &collection),
        ops: vec![catalog::insert(&collection)],
        ..Batch::default()
    };
    commit(cx, &schema, batch, |error| refused(error, CREATE_FAILED, &[&collection])).await?;
    current(cx, &collection.id)
}

pub async fn update(cx: &Context<'_>, name_or_id: &str, body: &Json) -> Result<Arc<Collection>> {
    let mut changing = Changing::begin(cx.parts).await;
    loop {
        let tried = try_update(cx, name_or_id, body).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_update(cx: &Context<'_>, name_or_id: &str, body: &Json) -> Result<Arc<Collection>> {
    let schema = cx.parts.catalog.schema();
    let old = schema.find(name_or_id).cloned().ok_or_else(Error::not_found)?;
    // A list of fields takes the place of the whole list, and drops with it a field that came while the request was on
    // its way.
    let names_fields = body.get("fields").is_some();
    if names_fields && cx.schema.by_id(&old.id).is_some_and(|seen| seen.fields != old.fields) {
        return Err(outdated());
    }
    let draft = draft::patch(&old, body)?;
    let mut collection = draft.collection;
    if collection.id != old.id {
        if schema.by_id(&collection.id).is_none() {
            return Err(Error::not_found());
        }
        let mismatch = Violation::new("validation_values_mismatch", "Values don't match.");
        return Err(Error::invalid(UPDATE_FAILED, Violations::one("id", mismatch)));
    }
    collection.updated = cx.parts.clock.now().to_string();
    let violations = judged(cx, &mut collection, Some(&old), &schema, draft.violations).await?;
    if !violations.is_empty() {
        return Err(Error::invalid(UPDATE_FAILED, violations));
    }
    if let Some(why) = reserved(&collection) {
        return Err(refused(store::Error::Refused(why), UPDATE_FAILED, &[&collection]));
    }
    let batch = Batch {
        ddl: model::collection::plan(Some(&old), &collection),
        ops: vec![catalog::update(&collection)],
        jobs: files::dropped_fields(&old, &collection).into_iter().collect(),
        ..Batch::default()
    };
    commit(cx, &schema, batch, |error| refused(error, UPDATE_FAILED, &[&collection])).await?;
    views::refresh(cx, &collection.id).await?;
    current(cx, &collection.id)
}

/// A definition as it would be saved, and what stands against it: what an editor asks on the way, with nothing written.
/// `of` names the collection that it would change; empty for a new one. Whether the rows fit a unique index is found out
/// by saving alone.
pub async fn check(cx: &Context<'_>, of: &str, body: &Json) -> Result<(Collection, Violations)> {
    let schema = cx.parts.catalog.schema();
    let (old, draft) = match of {
        "" => (None, draft::create(body, &schema)?),
        of => {
            let old = schema.find(of).cloned().ok_or_else(Error::not_found)?;
            let draft = draft::patch(&old, body)?;
            (Some(old), draft)
        }
    };
    let mut collection = draft.collection;
    let mut violations = judged(cx, &mut collection, old.as_deref(), &schema, draft.violations).await?;
    if let Some(why) = reserved(&collection) {
        violations.add("name", Violation::new("validation_collection_name_invalid", sentence(&why)));
    }
    Ok((collection, violations))
}

/// A view's fields are told, and then everything is judged.
async fn judged(
    cx: &Context<'_>,
    collection: &mut Collection,
    old: Option<&Collection>,
    schema: &Schema,
    mut violations: Violations,
) -> Result<Violations> {
    if let Some(violation) = views::derive_fields(cx, collection, schema).await? {
        violations.add("viewQuery", violation);
    }
    collection.seal();
    violations.merge(judge(cx, collection, old, schema));
    Ok(violations)
}

pub async fn delete(cx: &Context<'_>, name_or_id: &str) -> Result<()> {
    let mut changing = Changing::begin(cx.parts).await;
    loop {
        let tried = try_delete(cx, name_or_id).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

async fn try_delete(cx: &Context<'_>, name_or_id: &str) -> Result<()> {
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
        ddl: model::collection::plan_drop(&collection),
        ops: vec![catalog::delete(&collection), passkeys::forget_collection(&collection)],
        jobs: files::dropped_collection(&collection, cx.parts.clock.now()).into_iter().collect(),
        ..Batch::default()
    };
    // A table that a view reads cannot go before the view does.
    commit(cx, &schema, batch, |error| match error {
        store::Error::Refused(why) => Error::invalid(DELETE_FAILED, Violations::default()).details(why),
        other => other.into(),
    })
    .await
}

fn current(cx: &Context<'_>, id: &str) -> Result<Arc<Collection>> {
    cx.parts.catalog.schema().by_id(id).cloned().ok_or_else(Error::not_found)
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
        // The collection itself may be new or renamed, and rules may refer to it by either name.
        let mut collections = schema.collections.clone();
        collections.push(shared.clone());
        let schema = Schema::new(collections, schema.version);
        let now = cx.parts.clock.now();
        let mut resolver = Resolver::new(&schema, &shared, &request, now, Trust::Full);
        check_all(&mut resolver, &filter)
    };
    model::collection::validate(collection, old, schema, &check_rule)
}

/// Every comparison by itself: as a whole, a filter may be settled before all of it was looked at.
pub(crate) fn check_all(resolver: &mut Resolver<'_>, filter: &Filter) -> std::result::Result<(), String> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().try_for_each(|part| check_all(resolver, part)),
        Filter::Test(_) => resolver.condition(filter).map(drop).map_err(|error| error.to_string()),
    }
}

/// Names that SQLite keeps for itself. They are refused on every engine, so that data can move between them.
pub(super) fn reserved(collection: &Collection) -> Option<String> {
    let name = &*collection.name;
    let prefix = name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("sqlite_"));
    prefix.then(|| format!("object name reserved for internal use: {name}"))
}

/// The schema with one collection less.
pub(super) fn without(schema: &Schema, id: &str) -> Schema {
    let rest = schema.collections.iter().filter(|known| *known.id != *id).cloned().collect();
    Schema::new(rest, schema.version)
}

/// The schema with one collection added or replaced.
pub(super) fn with(schema: &Schema, collection: &Arc<Collection>) -> Schema {
    let mut collections: Vec<_> =
        schema.collections.iter().filter(|known| known.id != collection.id).cloned().collect();
    collections.push(collection.clone());
    Schema::new(collections, schema.version)
}

/// Commits a change that was planned on `schema`, and makes it this process's current one. Fails as overtaken when that
/// is not the database's any more. Other processes see the change too, even when no table changed.
pub(super) async fn commit(
    cx: &Context<'_>,
    schema: &Schema,
    mut batch: Batch,
    refused: impl FnOnce(store::Error) -> Error,
) -> Result<()> {
    batch.guards.push(Guard::Version(schema.version));
    batch.ddl.push(Ddl::Announce);
    cx.store().commit(batch).await.map_err(|error| match error {
        store::Error::Guard(_) => overtaken(),
        other => refused(other),
    })?;
    cx.parts.catalog.reload(&cx.parts.store).await?;
    // What was cached under the old definitions is gone only now that the new ones are in force.
    cx.parts.stamps.expire_all();
    cx.parts.outside.anything(true);
    Ok(())
}

/// What the database says against a definition, at the part of it that is at fault.
fn refused(error: store::Error, failed: &str, collections: &[&Collection]) -> Error {
    match error {
        store::Error::Index { name, why } => index_refused(&name, &why, failed, collections),
        store::Error::Refused(why) => match collections {
            [view] if view.is_view() => {
                Error::invalid(failed, Violations::one("viewQuery", model::collection::invalid_query(&why)))
            }
            _ => Error::invalid(format!("{failed} Raw error: \n{}", sentence(&why)), Violations::default()),
        },
        store::Error::Taken { .. } => {
            let why = sentence(&error.to_string());
            Error::invalid(format!("{failed} Raw error: \n{why}"), Violations::default())
        }
        other => other.into(),
    }
}

/// The index of this name, among those of the collections.
pub(super) fn index_refused(name: &str, why: &str, failed: &str, collections: &[&Collection]) -> Error {
    let named = |text: &String| {
        model::collection::index::parse(text).is_some_and(|found| found.index.name.eq_ignore_ascii_case(name))
    };
    let position = collections.iter().find_map(|collection| collection.indexes.iter().position(named));
    let message = sentence(&format!("Failed to create index {name} - {why}"));
    let violation = Violation::new("validation_invalid_index_expression", message);
    let inner = Violations::one(position.unwrap_or_default().to_string(), violation);
    let mut all = Violations::default();
    all.0.insert("indexes".into(), Node::Branch(inner));
    Error::invalid(failed, all)
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Error::new(Kind::Invalid, error.to_string())
    }
}
