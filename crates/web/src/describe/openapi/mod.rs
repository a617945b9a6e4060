//! The OpenAPI 3.1 document of the collections. Operation ids are `COLLECTION_OPERATION` and survive every change but
//! a renaming; schemas are `COLLECTION` with a dotted ending, and `pb.` before those that are no collection's.

use app::collections::standing::Open;
use model::{Collection, Schema};
use serde_json::{Map, Value as Json, json};

use super::Relations;

mod auth;
mod cache;
mod fields;
mod files;
mod pattern;
mod records;

pub use cache::Documents;

/// The parts of the API that are the same whatever the collections are.
const SYSTEM: &str = include_str!("system.json");

/// Who reads the document: each is told of what might succeed, and of no more.
pub struct Reader {
    pub superuser: bool,
    /// One for each collection, in the schema's order.
    pub open: Vec<Open>,
    /// What needs no login.
    pub guests: Vec<Open>,
}

/// One collection on its way into the document.
struct Subject<'a> {
    collection: &'a Collection,
    relations: &'a Relations<'a>,
    reader: &'a Reader,
    open: Open,
    guests: Open,
    /// The collections that the reader may view, by id.
    viewable: &'a rustc_hash::FxHashSet<&'a str>,
}

pub fn document(schema: &Schema, reader: &Reader, app_name: &str) -> Json {
    let mut system = system(reader.superuser);
    let relations = Relations::of(schema);
    let all = schema.collections.iter().enumerate();
    let opens = |index: usize| reader.open.get(index).copied().unwrap_or_default();
    let viewable = all.clone().filter(|(index, _)| opens(*index).view).map(|(_, known)| &*known.id).collect();
    let mut subjects: Vec<Subject<'_>> = all
        .map(|(index, collection)| Subject {
            collection,
            relations: &relations,
            reader,
            open: opens(index),
            guests: reader.guests.get(index).copied().unwrap_or_default(),
            viewable: &viewable,
        })
        .filter(|subject| subject.open.any() || auth::is_open(subject.collection, reader.superuser))
        .collect();
    subjects.sort_by(|left, right| left.collection.name.cmp(&right.collection.name));

    let mut tags = Vec::with_capacity(subjects.len());
    let mut paths = Map::new();
    let mut schemas = take(&mut system, "schemas");
    for subject in &subjects {
        tags.push(json!({"name": &*subject.collection.name, "description": subject.summary()}));
        subject.add_paths(&mut paths);
        subject.add_schemas(&mut schemas);
    }
    tags.extend(system.get_mut("tags").and_then(Json::as_array_mut).into_iter().flat_map(std::mem::take));
    paths.extend(take(&mut system, "paths"));
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": if app_name.is_empty() { "Pando" } else { app_name },
            "version": schema.collections.iter().map(|known| known.updated.as_str()).max().unwrap_or_default(),
            "description": take_text(&mut system, "description"),
        },
        // Relative to the document, whatever stands between server and client.
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": take(&mut system, "parameters"),
            "responses": take(&mut system, "responses"),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "What a login returns as `token`. The word `Bearer` before it may be left out.",
                },
            },
        },
    })
}

/// What is marked as the superusers' is left out for everyone else.
fn system(superuser: bool) -> Map<String, Json> {
    let mut system = serde_json::from_str::<Map<String, Json>>(SYSTEM).unwrap_or_default();
    if let Some(Json::Object(paths)) = system.get_mut("paths") {
        paths.retain(|_, path| {
            let Json::Object(operations) = path else { return false };
            operations.retain(|_, operation| {
                let theirs = unmark(operation);
                if theirs {
                    operation["security"] = with_token();
                }
                superuser || !theirs
            });
            operations.keys().any(|key| key != "parameters")
        });
    }
    if let Some(Json::Object(schemas)) = system.get_mut("schemas") {
        schemas.retain(|_, schema| !unmark(schema) || superuser);
    }
    if let Some(Json::Array(tags)) = system.get_mut("tags") {
        tags.retain_mut(|tag| !unmark(tag) || superuser);
    }
    system
}

fn unmark(json: &mut Json) -> bool {
    json.as_object_mut().is_some_and(|object| object.remove("x-superusers") == Some(Json::Bool(true)))
}

fn take(from: &mut Map<String, Json>, key: &str) -> Map<String, Json> {
    match from.remove(key) {
        Some(Json::Object(object)) => object,
        _ => Map::new(),
    }
}

fn take_text(from: &mut Map<String, Json>, key: &str) -> Json {
    from.remove(key).unwrap_or_default()
}

impl<'a> Subject<'a> {
    fn name(&self) -> &'a str {
        &self.collection.name
    }

    fn summary(&self) -> String {
        let kind = match self.collection.kind.name() {
            "auth" => "Accounts",
            "view" => "A view, read only",
            _ => "Records",
        };
        format!("{kind} of the collection `{}`.", self.name())
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/collections/{}/{rest}", self.name())
    }

    /// The collections that `expand` leads to and that the reader may view.
    fn expansions(&self) -> Vec<super::Expansion<'a>> {
        let mut all = self.relations.expansions(self.collection, self.reader.superuser);
        all.retain(|expansion| self.viewable.contains(&*expansion.target.id));
        all
    }

    /// An operation of this collection, to be completed.
    fn operation(&self, name: &str, summary: &str, security: Json) -> Map<String, Json> {
        let mut operation = Map::new();
        operation.insert("operationId".into(), format!("{}_{name}", self.name()).into());
        operation.insert("tags".into(), json!([self.name()]));
        operation.insert("summary".into(), summary.into());
        operation.insert("security".into(), security);
        operation
    }
}

fn with_token() -> Json {
    json!([{"token": []}])
}

/// Either logged in or not.
fn anyone() -> Json {
    json!([{}, {"token": []}])
}

fn parameter(name: &str) -> Json {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn json_body(schema: Json, description: &str) -> Json {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// The answers to what goes wrong, by status.
fn responses(success: (&str, Json), failures: &[&str]) -> Json {
    let mut all = Map::new();
    all.insert(success.0.into(), success.1);
    for status in failures {
        all.insert((*status).into(), json!({"$ref": format!("#/components/responses/{status}")}));
    }
    all.insert("default".into(), json!({"$ref": "#/components/responses/default"}));
    Json::Object(all)
}
