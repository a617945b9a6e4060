//! Collections as API bodies describe them: completed by what the type brings along, and not yet judged.

use serde_json::Value as Json;

use super::{AuthOptions, Collection, CollectionKind, index};
use crate::field::read::Reader;
use crate::field::{
    BoolField, EmailField, Field, FieldKind, Malformed, PasswordField, TextField, default_id,
};
use crate::schema::Schema;
use crate::violation::{Violation, Violations};

/// A collection that a body asks for.
#[derive(Clone, Debug)]
pub struct Draft {
    pub collection: Collection,
    /// What could not even be represented. Belongs into the answer with what [`super::validate()`] finds.
    pub violations: Violations,
}

/// A body that cannot be read. The answer names no key, but two sentences exist for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The name or the type of a new collection is not text.
    #[error("Failed to load the collection type data due to invalid formatting.")]
    TypeData,
    #[error("Failed to load the submitted data due to invalid formatting.")]
    Submitted,
}

impl From<Malformed> for BodyError {
    fn from(_: Malformed) -> Self {
        BodyError::Submitted
    }
}

/// A new collection, to stand among the others. Timestamps are the caller's to set.
pub fn create(body: &Json, schema: &Schema) -> Result<Draft, BodyError> {
    let reader = Reader::of(body)?;
    let (mut name, mut type_name) = (String::new(), String::new());
    reader.text("name", &mut name).map_err(|_| BodyError::TypeData)?;
    reader.text("type", &mut type_name).map_err(|_| BodyError::TypeData)?;
    let (kind, violations) = match kind(&type_name, AuthOptions::defaults) {
        Some(kind) => (kind, Violations::default()),
        None => (CollectionKind::Base, unknown_type()),
    };
    let mut collection = Collection::blank(kind);
    collection.merge(reader)?;
    let free = collection.free_id(schema);
    if collection.id.is_empty() {
        collection.id = free.as_str().into();
    }
    // The type's own indexes are named before the body says its id; where it brings a list of its own, afterwards.
    let suffix = if reader.get("indexes").is_some() { collection.id.to_string() } else { free };
    complete(&mut collection, &suffix);
    Ok(Draft { collection, violations })
}

/// An existing collection with what the body changes.
pub fn patch(old: &Collection, body: &Json) -> Result<Draft, BodyError> {
    let reader = Reader::of(body)?;
    let mut collection = old.clone();
    let mut violations = Violations::default();
    if reader.get("type").is_some() {
        let mut type_name = String::new();
        reader.text("type", &mut type_name)?;
        match kind(&type_name, AuthOptions::default) {
            None => violations = unknown_type(),
            Some(kind) if kind.name() != old.kind.name() => collection.kind = kind,
            Some(_) => {}
        }
    }
    collection.merge(reader)?;
    complete(&mut collection, &old.id);
    Ok(Draft { collection, violations })
}

fn unknown_type() -> Violations {
    Violations::one("type", Violation::unknown_choice())
}

fn kind(name: &str, auth: impl FnOnce() -> AuthOptions) -> Option<CollectionKind> {
    Some(match name {
        "" | "base" => CollectionKind::Base,
        "auth" => CollectionKind::Auth(Box::new(auth())),
        "view" => CollectionKind::View { query: String::new() },
        _ => return None,
    })
}

impl Collection {
    /// The id of a collection that was given none: a checksum of its type and name.
    pub fn default_id(&self) -> String {
        let text = format!("{}{}", self.kind.name(), self.name);
        format!("pbc_{}", crate::checksum::crc32(text.as_bytes()))
    }

    /// The default id, followed by a number when another collection has it: one that has been renamed since.
    fn free_id(&self, schema: &Schema) -> String {
        let id = self.default_id();
        let taken = |id: &str| schema.by_id(id).is_some();
        if !taken(&id) {
            return id;
        }
        let last = schema.collections.len() + 2;
        (2..=last).map(|count| format!("{id}{count}")).find(|id| !taken(id)).unwrap_or(id)
    }
}

/// Adds the system fields and indexes of the type, and brings everything into its one form. Index names end in the
/// suffix: the id, but of a new collection the one that it would have been given, even if the body names another.
pub(super) fn complete(collection: &mut Collection, suffix: &str) {
    if !collection.is_view() {
        let given = std::mem::take(&mut collection.fields);
        collection.fields = merge_fields(given);
        complete_id(&mut collection.fields);
        if collection.is_auth() {
            complete_auth_fields(&mut collection.fields);
        }
        complete_indexes(collection, suffix);
    }
    complete_auth_options(collection);
    collection.seal();
}

/// A later field replaces an earlier one of the same id, or of the same name when it has no id.
fn merge_fields(given: Vec<Field>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::with_capacity(given.len());
    for mut field in given {
        let earlier = if field.id.is_empty() {
            let named = fields.iter().position(|other| !field.name.is_empty() && other.name == field.name);
            field.id = match named {
                Some(position) => fields[position].id.clone(),
                None => free_id(&fields, &field).into(),
            };
            named
        } else {
            fields.iter().position(|other| other.id == field.id)
        };
        match earlier {
            Some(position) => fields[position] = field,
            None => fields.push(field),
        }
    }
    fields
}

fn free_id(fields: &[Field], field: &Field) -> String {
    let id = default_id(field.type_name(), &field.name);
    let taken = |id: &str| fields.iter().any(|other| &*other.id == id);
    if !taken(&id) {
        return id;
    }
    (2..=fields.len() + 2).map(|count| format!("{id}{count}")).find(|id| !taken(id)).unwrap_or(id)
}

fn complete_id(fields: &mut Vec<Field>) {
    let id = fields.iter_mut().find(|field| &*field.name == "id");
    if let Some(Field { system, hidden, kind: FieldKind::Text(text), .. }) = id {
        (*system, *hidden) = (true, false);
        text.primary_key = true;
        text.required = true;
        if text.pattern.is_empty() {
            text.pattern = TextField::id().pattern;
        }
        return;
    }
    let field = id_field();
    if !fields.iter().any(|other| other.id == field.id) {
        fields.insert(0, field);
    }
}

/// The id of a new collection.
pub(super) fn id_field() -> Field {
    Field { system: true, ..Field::new("id", FieldKind::Text(TextField::id())) }
}

/// The system fields of auth collections, in their order.
pub(super) fn auth_fields() -> [Field; 5] {
    let password = PasswordField { required: true, min: 8, ..PasswordField::default() };
    let token_key = TextField {
        required: true,
        min: 30,
        max: 60,
        autogenerate_pattern: "[a-zA-Z0-9]{50}".into(),
        ..TextField::default()
    };
    let email = EmailField { required: true, ..EmailField::default() };
    let system = |name, kind| Field { system: true, ..Field::new(name, kind) };
    [
        Field { hidden: true, ..system("password", FieldKind::Password(password)) },
        Field { hidden: true, ..system("tokenKey", FieldKind::Text(token_key)) },
        system("email", FieldKind::Email(email)),
        system("emailVisibility", FieldKind::Bool(BoolField::default())),
        system("verified", FieldKind::Bool(BoolField::default())),
    ]
}

fn complete_auth_fields(fields: &mut Vec<Field>) {
    for default in auth_fields() {
        let Some(field) = fields.iter_mut().find(|field| field.name == default.name) else {
            let id = free_id(fields, &default).into();
            fields.push(Field { id, ..default });
            continue;
        };
        if field.type_name() != default.type_name() {
            *field = Field { id: field.id.clone(), ..default };
            continue;
        }
        field.system = true;
        match &mut field.kind {
            FieldKind::Password(password) => (field.hidden, password.required) = (true, true),
            FieldKind::Text(text) => (field.hidden, text.required) = (true, true),
            FieldKind::Email(_) => field.hidden = false,
            _ => {}
        }
    }
}

fn complete_indexes(collection: &mut Collection, suffix: &str) {
    for text in &mut collection.indexes {
        if let Some(mut parsed) = index::parse(text)
            && parsed.index.table != collection.name
            && !collection.name.is_empty()
        {
            parsed.index.table = collection.name.clone();
            *text = parsed.to_sql();
        }
    }
    if collection.is_auth() {
        add_auth_indexes(collection, suffix);
    }
}

/// The unique indexes that sign-in relies on, unless others stand for them.
pub(super) fn add_auth_indexes(collection: &mut Collection, suffix: &str) {
    for (column, filter) in [("tokenKey", ""), ("email", " WHERE `email` != ''")] {
        let unique =
            |text: &String| index::parse(text).is_some_and(|found| found.unique_column() == Some(column));
        if !collection.indexes.iter().any(unique) {
            let table = &collection.name;
            collection.indexes.push(format!(
                "CREATE UNIQUE INDEX `idx_{column}_{suffix}` ON `{table}` (`{column}`){filter}"
            ));
        }
    }
}

fn complete_auth_options(collection: &mut Collection) {
    let superusers = collection.is_superusers();
    let names: Vec<_> = collection.fields.iter().map(|field| field.name.clone()).collect();
    let CollectionKind::Auth(options) = &mut collection.kind else { return };
    if superusers {
        options.password_auth.enabled = true;
        options.oauth2.enabled = false;
        options.oauth2.providers.clear();
        // A code sent by mail is never all that it takes.
        options.mfa.enabled |= options.otp.enabled;
    }
    for (_, mapped) in options.oauth2.mapped_mut() {
        if !names.iter().any(|name| **name == **mapped) {
            mapped.clear();
        }
    }
}
