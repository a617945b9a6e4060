//! The API described for machines, from the collections that there are: as OpenAPI and as TypeScript. Pure functions
//! of a schema.

use std::sync::Arc;

use model::{Collection, Field, FieldKind, Schema};
use rustc_hash::FxHashMap;

pub mod openapi;
pub mod typescript;

/// What `expand` may name on records of one collection.
pub struct Expansion<'a> {
    pub name: String,
    pub target: &'a Arc<Collection>,
    pub many: bool,
}

/// All relations of a schema, found once.
pub struct Relations<'a> {
    schema: &'a Schema,
    /// By the id of the collection that they point at: the collection that has the field, and the field.
    back: FxHashMap<&'a str, Vec<(&'a Arc<Collection>, &'a Field)>>,
}

impl<'a> Relations<'a> {
    pub fn of(schema: &'a Schema) -> Self {
        let mut back: FxHashMap<&str, Vec<_>> = FxHashMap::default();
        for collection in &schema.collections {
            for field in &collection.fields {
                if let FieldKind::Relation(relation) = &field.kind {
                    back.entry(&relation.collection_id).or_default().push((collection, field));
                }
            }
        }
        Relations { schema, back }
    }

    pub fn target(&self, field: &Field) -> Option<&'a Arc<Collection>> {
        match &field.kind {
            FieldKind::Relation(relation) => self.schema.by_id(&relation.collection_id),
            _ => None,
        }
    }

    /// In order of their names. With `hidden`, relations that only superusers see count too.
    pub fn expansions(&self, collection: &'a Collection, hidden: bool) -> Vec<Expansion<'a>> {
        let seen = |field: &Field| hidden || !field.hidden;
        let forward = collection.fields.iter().filter(|field| seen(field)).filter_map(|field| {
            let target = self.target(field)?;
            Some(Expansion { name: field.name.to_string(), target, many: field.is_multiple() })
        });
        let back = self.back.get(&*collection.id).into_iter().flatten();
        let back = back.filter(|(_, field)| seen(field)).map(|(source, field)| Expansion {
            name: format!("{}_via_{}", source.name, field.name),
            target: source,
            many: field.is_multiple() || !source.has_unique_index(&field.name),
        });
        let mut all: Vec<Expansion<'_>> = forward.chain(back).collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }
}

/// Whether records show the field at all. An auth record's secrets are nobody's to read.
pub fn is_readable(collection: &Collection, field: &Field) -> bool {
    !(collection.is_auth() && matches!(&*field.name, "password" | "tokenKey"))
}

/// Whether a body may set the field. The password is hidden, and yet its owner sets it.
pub fn is_writable(collection: &Collection, field: &Field, hidden: bool) -> bool {
    let auto = matches!(field.kind, FieldKind::Autodate(_));
    !collection.is_view() && !auto && (hidden || !field.hidden || field.is_secret())
}

/// Whether a new record must be given a value for the field.
pub fn is_required(collection: &Collection, field: &Field) -> bool {
    if collection.is_view() {
        return false;
    }
    match &field.kind {
        FieldKind::Text(field) => field.required && field.autogenerate_pattern.is_empty(),
        FieldKind::Editor(field) => field.required,
        FieldKind::Number(field) => field.required,
        FieldKind::Bool(field) => field.required,
        FieldKind::Email(field) => field.required,
        FieldKind::Url(field) => field.required,
        FieldKind::Date(field) => field.required,
        FieldKind::Autodate(_) => false,
        FieldKind::Select(field) => field.required,
        FieldKind::File(field) => field.required,
        FieldKind::Relation(field) => field.required,
        FieldKind::Json(field) => field.required,
        FieldKind::Password(field) => field.required,
        FieldKind::GeoPoint(field) => field.required,
    }
}
