//! Taking a body into a record.

use base::Value;
use model::field::Modifier;
use model::{Collection, Field, FieldKind, Record, Request, Violation, Violations};
use serde_json::{Map, Value as Json};

use crate::rules::Context;

/// Body keys that only auth collections know and that are not fields.
pub const PASSWORD_CONFIRM: &str = "passwordConfirm";
pub const OLD_PASSWORD: &str = "oldPassword";

impl Context<'_> {
    /// Applies the body to the record, modifiers included. Keys that mean no field, and hidden fields for callers
    /// that may not see them, are passed over.
    pub fn apply(&self, record: &mut Record, body: &Map<String, Json>) {
        let collection = record.collection.clone();
        // Plain values first, so that a modifier in the same body works on the new value.
        for plain in [true, false] {
            for (key, input) in body {
                let Some((position, modifier)) = collection.setter(key) else { continue };
                if modifier.is_none() != plain {
                    continue;
                }
                let field = &collection.fields[position];
                if !self.may_set(field) {
                    continue;
                }
                let value = match modifier {
                    None => field.prepare(input),
                    Some(Modifier::Autogenerate) => match field.autogenerate() {
                        Some(value) => {
                            let prefix = field.prepare(input);
                            Value::from(format!("{}{}", prefix.text_or_empty(), value.text_or_empty()))
                        }
                        None => continue,
                    },
                    Some(modifier) => match field.modify(modifier, record.row.get(position), input) {
                        Some(value) => value,
                        None => continue,
                    },
                };
                record.set_at(position, value);
            }
        }
    }

    /// The password is hidden, and yet its owner sets it.
    fn may_set(&self, field: &Field) -> bool {
        !field.hidden || self.is_superuser() || field.is_secret()
    }

    /// What the body changes relative to what is stored.
    pub(super) fn relative(&self, collection: &Collection, body: &Map<String, Json>) -> Relative {
        let mut found: Vec<(usize, Option<f64>)> = Vec::new();
        for (key, input) in body {
            let Some((position, Some(modifier))) = collection.setter(key) else { continue };
            let field = &collection.fields[position];
            // A plain value in the same body makes it a value that depends on nothing.
            if modifier == Modifier::Autogenerate || body.contains_key(&*field.name) || !self.may_set(field) {
                continue;
            }
            let change = match &field.kind {
                FieldKind::Number(number) if !number.required && number.min.or(number.max).is_none() => {
                    field.modify(modifier, &Value::Number(0.0), input).map(|change| change.as_number())
                }
                _ => None,
            };
            match found.iter_mut().find(|(known, _)| *known == position) {
                Some((_, known)) => *known = known.zip(change).map(|(a, b)| a + b),
                None => found.push((position, change)),
            }
        }
        Relative(found)
    }
}

/// Fields whose new value is their old one with a change, as the body asks by a modifier: the change alone for numbers
/// that have no bounds, which the database can add by itself.
#[derive(Debug, Default)]
pub struct Relative(Vec<(usize, Option<f64>)>);

impl Relative {
    /// What is to be added to the field, where the database can.
    pub fn change(&self, position: usize) -> Option<f64> {
        self.0.iter().find(|(known, _)| *known == position).and_then(|(_, change)| *change)
    }

    pub fn adds(&self) -> bool {
        self.0.iter().any(|(_, change)| change.is_some())
    }

    /// Whether the field must still hold what was read.
    pub fn needs_old(&self, position: usize) -> bool {
        self.0.iter().any(|(known, change)| *known == position && change.is_none())
    }
}

impl Context<'_> {
    /// The request as rules see it: what the body makes of a field stands under the field's own name, in the form that
    /// the field would store. `None` when no rule looks at the body.
    pub(super) fn resolved(&self, record: &Record) -> Option<Request> {
        self.schema.reads_body.then(|| resolved(self.request, record))
    }
}

fn resolved(request: &Request, record: &Record) -> Request {
    let mut request = request.clone();
    let positions: Vec<usize> = request
        .body
        .keys()
        .filter_map(|key| record.collection.setter(key))
        .map(|(position, _)| position)
        .collect();
    for position in positions {
        let name = record.collection.fields[position].name.to_string();
        request.body.insert(name, to_json(record.row.get(position)));
    }
    request
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => Json::from(*number),
        Value::Text(text) => Json::from(&**text),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_default(),
    }
}

/// What an auth record's body must satisfy besides its fields. `old` is `None` for a new record.
pub fn check_password_form(body: &Map<String, Json>, needs_old: bool, is_new: bool) -> Violations {
    let text = |key: &str| match body.get(key) {
        Some(Json::String(text)) => text.clone(),
        None | Some(Json::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    let mut violations = Violations::default();
    let (password, confirm) = (text("password"), text(PASSWORD_CONFIRM));
    if is_new && password.is_empty() {
        violations.add("password", Violation::required());
    }
    if !password.is_empty() || !confirm.is_empty() || is_new {
        if confirm.is_empty() {
            violations.add(PASSWORD_CONFIRM, Violation::required());
        } else if confirm != password {
            violations
                .add(PASSWORD_CONFIRM, Violation::new("validation_values_mismatch", "Values don't match."));
        }
        if needs_old && text(OLD_PASSWORD).is_empty() {
            violations.add(OLD_PASSWORD, Violation::required());
        }
    }
    violations
}
