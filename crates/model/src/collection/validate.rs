//! What is wrong with a collection as a whole, its fields, rules and indexes.

use super::{Collection, CollectionKind, index, validate_auth, view};
use crate::field::check::{found_via, is_word};
use crate::field::{Field, FieldKind, OptionsContext};
use crate::schema::Schema;
use crate::violation::{Violation, Violations, sentence};

/// Resolves a rule against a collection, or says why it cannot be.
pub type CheckRule<'a> = &'a dyn Fn(&Collection, &str) -> Result<(), String>;

/// Characters of a collection's id and name.
const ID_CHARS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 255;
/// Tables that are no collections, lower-cased.
const INTERNAL_TABLES: [&str; 5] = ["_collections", "_params", "_migrations", "sqlite_stat1", "sqlite_stat4"];

/// Judges a new collection (`old` is `None`) or a changed one before anything is written. Views must have had their
/// fields derived. The id of an existing collection must not have been changed.
pub fn validate(
    new: &Collection,
    old: Option<&Collection>,
    schema: &Schema,
    check_rule: CheckRule<'_>,
) -> Violations {
    let mut found = Violations::default();
    let mut put = |key: &str, violation: Option<Violation>| {
        if let Some(violation) = violation {
            found.add(key, violation);
        }
    };
    match old {
        None => put("id", check_id(new, schema)),
        Some(old) => {
            if old.system != new.system {
                let message = "System collection state cannot be changed.";
                put("system", Some(Violation::new("validation_collection_system_flag_change", message)));
            }
            if old.kind.name() != new.kind.name() {
                let message = "Collection type cannot be changed.";
                put("type", Some(Violation::new("validation_collection_type_change", message)));
            }
        }
    }
    put("name", check_name(new, old, schema));
    check_fields(new, old, schema, &mut found);
    check_rules(new, old, check_rule, &mut found);
    check_indexes(new, old, schema, &mut found);
    match &new.cache {
        None => {}
        // They hold what logins rest on.
        Some(_) if new.system => found.add("cache", Violation::not_empty()),
        Some(policy) => found.nest("cache", policy.check()),
    }
    match &new.kind {
        CollectionKind::Base => {}
        CollectionKind::Auth(options) => validate_auth::check(new, options, old, check_rule, &mut found),
        CollectionKind::View { query } if query.trim().is_empty() => {
            found.add("viewQuery", Violation::required());
        }
        CollectionKind::View { query } => {
            if let Some(message) = view::check_view(query, &new.id, schema) {
                found.add("viewQuery", invalid_query(&message));
            }
        }
    }
    if found.is_empty() {
        check_index_columns(new, &mut found);
    }
    found
}

/// The answer to a view query that cannot be used, for what only the database can find out too.
pub fn invalid_query(message: &str) -> Violation {
    Violation::new("validation_invalid_view_query", sentence(&format!("Invalid query - {message}")))
}

fn check_id(new: &Collection, schema: &Schema) -> Option<Violation> {
    if new.id.is_empty() {
        Some(Violation::required())
    } else if new.id.chars().count() > ID_CHARS_MAX {
        Some(Violation::length(1, ID_CHARS_MAX))
    } else if !is_word(&new.id) {
        Some(Violation::format())
    } else if schema.collections.iter().any(|other| other.id == new.id) {
        let message = "The model id is invalid or already exists.";
        Some(Violation::new("validation_invalid_or_existing_id", message))
    } else {
        None
    }
}

fn check_name(new: &Collection, old: Option<&Collection>, schema: &Schema) -> Option<Violation> {
    if new.name.is_empty() {
        return Some(Violation::required());
    }
    if let Some(old) = old
        && old.system
        && old.name != new.name
    {
        let message = "System collection name cannot be changed.";
        return Some(Violation::new("validation_collection_system_name_change", message));
    }
    if new.name.chars().count() > NAME_CHARS_MAX {
        return Some(Violation::length(1, NAME_CHARS_MAX));
    }
    if !is_word(&new.name) {
        return Some(Violation::format());
    }
    if let Some(violation) = found_via(&new.name) {
        return Some(violation);
    }
    let lower = new.name.to_lowercase();
    let mut others = schema.collections.iter().filter(|other| other.id != new.id || old.is_none());
    if others.clone().any(|other| other.name.to_lowercase() == lower) {
        let message = "Collection name must be unique (case insensitive).";
        return Some(Violation::new("validation_collection_name_exists", message));
    }
    if INTERNAL_TABLES.contains(&lower.as_str()) {
        let message = "The name shouldn't match with an existing internal table.";
        return Some(Violation::new("validation_collection_name_invalid", message));
    }
    others.any(|other| *other.id == *new.name).then(|| {
        let message = "The name must not match an existing collection id.";
        Violation::new("validation_collection_name_id_duplicate", message)
    })
}

fn check_fields(new: &Collection, old: Option<&Collection>, schema: &Schema, found: &mut Violations) {
    if new.fields.is_empty() {
        found.add("fields", Violation::required());
        return;
    }
    let is_key = |field: &&Field| {
        &*field.name == "id" && matches!(&field.kind, FieldKind::Text(text) if text.primary_key)
    };
    if !new.fields.iter().any(|field| is_key(&field)) {
        let message = "Missing or invalid \"id\" PK field.";
        found.add("fields", Violation::new("validation_missing_primary_key", message));
        return;
    }
    let lost = |before: &Field| {
        before.system && !new.fields.iter().any(|field| field.id == before.id && field.name == before.name)
    };
    if !new.is_view() && old.is_some_and(|old| old.fields.iter().any(lost)) {
        let message = "System fields cannot be deleted or renamed.";
        found.add("fields", Violation::new("validation_system_field_change", message));
        return;
    }
    // A new collection's fields must not take the ids of the type's own either.
    let brought: Vec<Field> = match old {
        None if new.is_auth() => super::draft::auth_fields().into(),
        _ => Vec::new(),
    };
    let before_of = |field: &Field| {
        let fields = old.map_or(&brought, |old| &old.fields);
        fields.iter().find(|before| before.id == field.id)
    };
    let mut all = Violations::default();
    for (position, field) in new.fields.iter().enumerate() {
        let before = before_of(field);
        let key = position.to_string();
        if before.is_some_and(|before| before.type_name() != field.type_name()) && !new.is_view() {
            let message = "Field type cannot be changed.";
            all.add(key, Violation::new("validation_field_type_change", message));
            continue;
        }
        let cx = OptionsContext { field, old: before, collection: new, schema };
        let mut inner = if new.is_view() {
            // The options were the origin's to judge.
            crate::field::check::check_name(&field.name, false)
                .map_or_else(Violations::default, |violation| Violations::one("name", violation))
        } else {
            Field::check(&cx)
        };
        let lower = field.name.to_lowercase();
        if new.fields[..position].iter().any(|other| other.name.to_lowercase() == lower) {
            let message = format!("Duplicated or invalid field name {}.", field.name);
            let violation = Violation::new("validation_duplicated_field_name", message);
            inner.add("name", violation.with("fieldName", &*field.name));
        }
        all.nest(key, inner);
    }
    found.nest("fields", all);
}

fn check_rules(
    new: &Collection,
    old: Option<&Collection>,
    check_rule: CheckRule<'_>,
    found: &mut Violations,
) {
    let of = |collection: &Collection| {
        [
            collection.list_rule.clone(),
            collection.view_rule.clone(),
            collection.create_rule.clone(),
            collection.update_rule.clone(),
            collection.delete_rule.clone(),
        ]
    };
    let before = old.filter(|old| old.system).map(of);
    let keys = ["listRule", "viewRule", "createRule", "updateRule", "deleteRule"];
    for (position, (key, rule)) in keys.into_iter().zip(of(new)).enumerate() {
        if before.as_ref().is_some_and(|before| before[position] != rule) {
            found.add(key, system_rule_change());
        } else if new.is_view() && position > 1 {
            if rule.is_some() {
                found.add(key, Violation::new("validation_nil", "Must be blank."));
            }
        } else if let Some(violation) = invalid_rule(new, rule.as_deref(), check_rule) {
            found.add(key, violation);
        }
    }
}

pub(super) fn system_rule_change() -> Violation {
    let message = "System collection API rule cannot be changed.";
    Violation::new("validation_collection_system_rule_change", message)
}

/// Rules that nobody or everybody passes are always fine.
pub(super) fn invalid_rule(
    collection: &Collection,
    rule: Option<&str>,
    check_rule: CheckRule<'_>,
) -> Option<Violation> {
    let rule = rule.filter(|rule| !rule.is_empty())?;
    let error = check_rule(collection, rule).err()?;
    let message = sentence(&format!("Invalid rule. Raw error: {error}"));
    Some(Violation::new("validation_invalid_rule", message))
}

fn check_indexes(new: &Collection, old: Option<&Collection>, schema: &Schema, found: &mut Violations) {
    if new.is_view() {
        if !new.indexes.is_empty() {
            let message = "View collections don't support indexes.";
            found.add("indexes", Violation::new("validation_indexes_not_supported", message));
        }
        return;
    }
    let mut all = Violations::default();
    let mut earlier: Vec<index::ParsedIndex> = Vec::new();
    for (position, text) in new.indexes.iter().enumerate() {
        let Some(parsed) = index::parse(text) else {
            all.add(position.to_string(), invalid_index("Invalid CREATE INDEX expression."));
            continue;
        };
        if let Some(violation) = check_index(&parsed, &earlier, new, schema) {
            all.add(position.to_string(), violation);
        }
        earlier.push(parsed);
    }
    if let Some(old) = old.filter(|_| all.is_empty())
        && let Some(violation) = lost_unique_index(old, &earlier)
    {
        found.add("indexes", violation);
    }
    found.nest("indexes", all);
}

/// What keeps system fields unique stays.
fn lost_unique_index(old: &Collection, indexes: &[index::ParsedIndex]) -> Option<Violation> {
    for before in
        old.indexes.iter().filter_map(|text| index::parse(text)).filter(|before| before.index.unique)
    {
        let is_system = |name: &&str| old.field(name).is_some_and(|field| field.system);
        let Some(field) = before.column_names().find(is_system) else { continue };
        let stays =
            |index: &index::ParsedIndex| index.index.unique && index.column_names().eq(before.column_names());
        if !indexes.iter().any(stays) {
            let message =
                format!("Unique index definition on system fields ({field}) is invalid or missing.");
            let violation = Violation::new("validation_invalid_unique_system_field_index", message);
            return Some(violation.with("fieldName", field));
        }
    }
    None
}

fn invalid_index(message: &str) -> Violation {
    Violation::new("validation_invalid_index_expression", message)
}

fn check_index(
    parsed: &index::ParsedIndex,
    earlier: &[index::ParsedIndex],
    new: &Collection,
    schema: &Schema,
) -> Option<Violation> {
    let name = &parsed.index.name;
    if earlier.iter().any(|other| other.index.name.eq_ignore_ascii_case(name)) {
        let message = "The index name already exists.";
        return Some(Violation::new("validation_duplicated_index_name", message));
    }
    if earlier.iter().any(|other| other.same_definition(parsed)) {
        let message = "The index definition already exists.";
        return Some(Violation::new("validation_duplicated_index_definition", message));
    }
    let uses =
        |text: &String| index::parse(text).is_some_and(|other| other.index.name.eq_ignore_ascii_case(name));
    let others = schema.collections.iter().filter(|other| other.id != new.id);
    let user = others.into_iter().find(|other| other.indexes.iter().any(uses))?;
    let message = format!("The index name is already used in {} collection.", user.name);
    Some(Violation::new("validation_existing_index_name", message).with("usedTableName", &*user.name))
}

/// What the database would refuse, found before it is asked.
fn check_index_columns(new: &Collection, found: &mut Violations) {
    let mut all = Violations::default();
    for (position, text) in new.indexes.iter().enumerate() {
        let Some(parsed) = index::parse(text) else { continue };
        let known = |name: &str| {
            name.eq_ignore_ascii_case("rowid")
                || new.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
        };
        let error = if !matches!(parsed.schema.as_str(), "" | "main") {
            Some(format!("unknown database `{}`", parsed.schema))
        } else if parsed.index.name.starts_with("sqlite_") {
            Some(format!("object name reserved for internal use: {}", parsed.index.name))
        } else {
            parsed.column_names().find(|name| !known(name)).map(|name| format!("no such column: {name}"))
        };
        if let Some(error) = error {
            let message =
                format!("Failed to create index {} - SQL logic error: {error} (1).", parsed.index.name);
            all.add(position.to_string(), invalid_index(&message));
        }
    }
    found.nest("indexes", all);
}
