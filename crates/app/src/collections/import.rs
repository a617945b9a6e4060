//! Importing many collections at once: all of them or none.

use std::sync::Arc;

use model::collection::{Draft, draft};
use model::violation::{Node, sentence};
use model::{Collection, Schema, Violation, Violations};
use query::{Batch, Ddl};
use serde_json::Value as Json;

use super::{change, views};
use crate::auth::passkeys;
use crate::catalog;
use crate::changing::{Changing, outdated};
use crate::error::{Error, Result};
use crate::files;
use crate::rules::Context;

const FAILED: &str = "Failed to import collections.";

/// A collection as it is, if it is, and as the import wants it.
pub type Pair = (Option<Arc<Collection>>, Collection);

pub async fn import(cx: &Context<'_>, collections: &[Json], delete_missing: bool) -> Result<()> {
    let mut changing = Changing::begin(cx.parts).await;
    loop {
        let tried = try_import(cx, collections, delete_missing).await;
        if !changing.again(&tried).await {
            return changing.end(tried).await;
        }
    }
}

/// What an import would make of the collections: those that it names, and those that it drops. Nothing is written.
pub struct Plan {
    before: Arc<Schema>,
    pub pairs: Vec<Pair>,
    pub dropped: Vec<Arc<Collection>>,
}

/// Fails as the import itself would, but for what only the rows can tell.
pub async fn plan(cx: &Context<'_>, collections: &[Json], delete_missing: bool) -> Result<Plan> {
    let before = cx.parts.catalog.schema();
    // What is not named goes, and with it what came while the request was on its way.
    if delete_missing && cx.schema.collections != before.collections {
        return Err(outdated());
    }
    let now = cx.parts.clock.now().to_string();

    // Everything imported is in place before anything is judged, because collections refer to one another.
    let mut pairs: Vec<Pair> = Vec::new();
    for json in collections {
        let (old, mut new) = read(json, &before, delete_missing)?;
        if old.is_none() {
            new.created = now.clone();
        }
        new.updated = now.clone();
        new.seal();
        pairs.push((old, new));
    }
    let dropped: Vec<Arc<Collection>> = before
        .collections
        .iter()
        .filter(|known| delete_missing && !known.system && !pairs.iter().any(|(_, new)| new.id == known.id))
        .cloned()
        .collect();
    let mut after: Vec<Arc<Collection>> = before
        .collections
        .iter()
        .filter(|known| !dropped.iter().any(|gone| gone.id == known.id))
        .filter(|known| !pairs.iter().any(|(_, new)| new.id == known.id))
        .cloned()
        .collect();
    for (_, new) in &pairs {
        let same = |other: &&Arc<Collection>| {
            other.id == new.id || !new.name.is_empty() && other.name.eq_ignore_ascii_case(&new.name)
        };
        if let Some(other) = after.iter().find(same) {
            return Err(unsaved(new, &format!("its name or id is the one of {}", other.name)));
        }
        if let Some(why) = change::reserved(new) {
            return Err(unsaved(new, &why));
        }
        after.push(Arc::new(new.clone()));
    }
    let mut schema = Schema::new(after, before.version);
    // Views read the imported tables, so their fields are told last, and one view may read another.
    for (_, new) in pairs.iter_mut().filter(|(_, new)| new.is_view()) {
        if let Err(why) = new.derive_view(&schema) {
            return Err(unsaved(new, &why));
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
    Ok(Plan { before, pairs, dropped })
}

async fn try_import(cx: &Context<'_>, collections: &[Json], delete_missing: bool) -> Result<()> {
    let Plan { before, pairs, dropped } = plan(cx, collections, delete_missing).await?;
    let mut batch = batch(&pairs, &dropped);
    let now = cx.parts.clock.now();
    batch.jobs.extend(dropped.iter().filter_map(|gone| files::dropped_collection(gone, now)));
    let changed = pairs.iter().filter_map(|(old, new)| Some((old.as_deref()?, new)));
    batch.jobs.extend(changed.filter_map(|(old, new)| files::dropped_fields(old, new)));
    change::commit(cx, &before, batch, |error| match error {
        store::Error::Index { name, why } => {
            let new: Vec<&Collection> = pairs.iter().map(|(_, new)| new).collect();
            change::index_refused(&name, &why, FAILED, &new)
        }
        store::Error::Refused(_) | store::Error::Taken { .. } => unreadable(&error.to_string()),
        other => other.into(),
    })
    .await?;
    views::refresh(cx, "").await
}

/// One collection of the import, completed by what is there already.
fn read(json: &Json, before: &Schema, delete_missing: bool) -> Result<Pair> {
    let empty = Json::Object(serde_json::Map::new());
    let json = if json.is_null() { &empty } else { json };
    let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default();
    let old = match text("id") {
        "" => before.find(text("name")).filter(|_| !text("name").is_empty()),
        id => before.by_id(id),
    };
    let draft = match old {
        Some(old) => draft::patch(old, &with_kept_fields(old, json, delete_missing)),
        None => draft::create(json, before),
    };
    let Draft { collection, violations } =
        draft.map_err(|error| unreadable(&format!("{:?}: {error}", text("name"))))?;
    if !violations.is_empty() {
        return Err(refused(&collection, &violations));
    }
    Ok((old.cloned(), collection))
}

/// The changes in an order that always works: views that change or go make room first, and those that come or
/// change are made when the tables are ready.
fn batch(pairs: &[Pair], dropped: &[Arc<Collection>]) -> Batch {
    let mut batch = Batch::default();
    let (mut views, mut tables, mut late) = (Vec::new(), Vec::new(), Vec::new());
    for gone in dropped {
        if gone.is_view() { &mut views } else { &mut tables }.extend(model::collection::plan_drop(gone));
        batch.ops.extend([catalog::delete(gone), passkeys::forget_collection(gone)]);
    }
    for (old, new) in pairs {
        for step in model::collection::plan(old.as_deref(), new) {
            match step {
                Ddl::DropView(_) => views.push(step),
                Ddl::CreateView { .. } => late.push(step),
                _ => tables.push(step),
            }
        }
        batch.ops.push(match old {
            Some(_) => catalog::update(new),
            None => catalog::insert(new),
        });
    }
    batch.ddl = views.into_iter().chain(tables).chain(late).collect();
    batch
}

/// Fields that the import does not name stay after the named ones; when what is missing is deleted, only those
/// stay that the collection cannot be without.
fn with_kept_fields(old: &Collection, json: &Json, delete_missing: bool) -> Json {
    let mut json = json.clone();
    let Some(object) = json.as_object_mut() else { return json };
    let named = object.entry("fields").or_insert_with(|| Json::Array(Vec::new()));
    if named.is_null() {
        *named = Json::Array(Vec::new());
    }
    if let Json::Array(fields) = named {
        for field in old.fields.iter().filter(|field| field.system || !delete_missing) {
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

/// What cannot be read or written at all.
fn unreadable(why: &str) -> Error {
    failure(format!("Failed to import the collections configuration. Raw error:\n{}", sentence(why)))
}

fn unsaved(collection: &Collection, why: &str) -> Error {
    unreadable(&format!("failed to save collection {:?}: {why}", &*collection.name))
}

fn refused(collection: &Collection, violations: &Violations) -> Error {
    if let Some(Node::Leaf(query)) = violations.0.get("viewQuery") {
        return unsaved(collection, &query.message);
    }
    if let (1, Some(Node::Branch(indexes))) = (violations.0.len(), violations.0.get("indexes"))
        && indexes.0.values().all(is_index_expression)
    {
        return Error::invalid(FAILED, violations.clone());
    }
    let report = serde_json::to_string_pretty(&messages(violations)).unwrap_or_default();
    failure(format!(
        "Data validations failed for collection {:?} ({}):\n{report}.",
        &*collection.name, collection.id
    ))
}

fn is_index_expression(node: &Node) -> bool {
    matches!(node, Node::Leaf(violation) if violation.code == "validation_invalid_index_expression")
}

fn failure(message: String) -> Error {
    Error::invalid(
        FAILED,
        Violations::one("collections", Violation::new("validation_collections_import_failure", message)),
    )
}

/// Only the messages, in the form that they have inside other messages.
fn messages(violations: &Violations) -> Json {
    let entries = violations.0.iter().map(|(key, node)| {
        let value = match node {
            Node::Leaf(violation) => Json::String(plain(violation)),
            Node::Branch(inner) => messages(inner),
        };
        (key.clone(), value)
    });
    Json::Object(entries.collect())
}

/// General constraints are worded to stand inside a sentence; those of collections and rules are sentences.
fn plain(violation: &Violation) -> String {
    const GENERAL: &[&str] = &[
        "validation_required",
        "validation_match_invalid",
        "validation_length_out_of_range",
        "validation_min_greater_equal_than_required",
        "validation_max_less_equal_than_required",
        "validation_in_invalid",
        "validation_not_in_invalid",
        "validation_empty",
        "validation_nil",
        "validation_nil_or_not_empty_required",
        "validation_is_email",
        "validation_is_domain",
        "validation_is_url",
        "validation_invalid_regex",
    ];
    let text = violation.message.as_str();
    match violation.code {
        "validation_invalid_rule" | "validation_min_number_constraint" => {
            text.trim_end_matches('.').to_owned()
        }
        code if GENERAL.contains(&code) => {
            let mut text = text.trim_end_matches('.').to_owned();
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            text
        }
        _ => text.to_owned(),
    }
}
