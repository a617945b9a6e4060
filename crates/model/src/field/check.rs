//! What every field's options are judged by, and the bounds that several types share.

use crate::violation::{Violation, Violations};

use super::{FieldKind, OptionsContext};

/// The largest integer that JavaScript holds exactly.
pub(crate) const INTEGER_MAX: i64 = (1 << 53) - 1;
/// Characters of a field's name or id.
const NAME_CHARS_MAX: usize = 100;
/// Characters of a field's help text.
const HELP_CHARS_MAX: usize = 300;

/// Names that records use for something else.
const RESERVED: [&str; 7] = ["null", "true", "false", "_rowid_", "expand", "collectionId", "collectionName"];
/// Input keys of auth records that are no fields.
const RESERVED_AUTH: [&str; 2] = ["passwordConfirm", "oldPassword"];

/// What is wrong with a field, of whatever type.
pub(crate) fn check(cx: &OptionsContext<'_>) -> Violations {
    let field = cx.field;
    let mut found = Violations::default();
    let id_chars = field.id.chars().count();
    if id_chars == 0 {
        found.add("id", Violation::required());
    } else if id_chars > NAME_CHARS_MAX {
        found.add("id", Violation::length(1, NAME_CHARS_MAX));
    }
    if let Some(violation) = check_name(&field.name, cx.collection.is_auth()) {
        found.add("name", violation);
    }
    if field.help.chars().count() > HELP_CHARS_MAX {
        found.add("help", Violation::length(1, HELP_CHARS_MAX));
    }
    if let FieldKind::Text(text) = &field.kind
        && text.primary_key
        && field.hidden
    {
        found.add("hidden", Violation::not_empty());
    }
    for (key, node) in field.kind.of().check(cx).0 {
        found.0.entry(key).or_insert(node);
    }
    found
}

pub(crate) fn check_name(name: &str, auth: bool) -> Option<Violation> {
    if name.is_empty() {
        Some(Violation::required())
    } else if name.chars().count() > NAME_CHARS_MAX {
        Some(Violation::length(1, NAME_CHARS_MAX))
    } else if !is_word(name) {
        Some(Violation::format())
    } else if RESERVED.contains(&name) {
        Some(Violation::reserved())
    } else if let Some(violation) = found_via(name) {
        Some(violation)
    } else if auth && RESERVED_AUTH.contains(&name) {
        Some(Violation::new(
            "validation_reserved_field_name",
            "The field name is reserved and cannot be used.",
        ))
    } else {
        None
    }
}

/// Back-relations are written with `_via_`, so names must not hold it.
pub(crate) fn found_via(name: &str) -> Option<Violation> {
    name.to_lowercase()
        .contains("_via_")
        .then(|| Violation::new("validation_found_via", "The value cannot contain \"_via_\"."))
}

/// ASCII letters, digits and underscores only.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Bounds of an optional integer: 0 is unset and always allowed.
pub(crate) fn between(value: i64, min: i64, max: i64) -> Option<Violation> {
    if value != 0 && value < min {
        Some(Violation::at_least(min))
    } else if value > max {
        Some(Violation::at_most(max))
    } else {
        None
    }
}

/// Adds under a key what an option violates, if anything.
pub(crate) fn put(found: &mut Violations, key: &str, violation: Option<Violation>) {
    if let Some(violation) = violation {
        found.add(key, violation);
    }
}
