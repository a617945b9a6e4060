//! One field as JSON Schema: as records show it, and as bodies set it.

use base::json::write_string;
use model::field::{AutodateField, DateField, NumberField, PasswordField, SelectField, TextField};
use model::{Collection, Field, FieldKind};
use serde_json::{Map, Value as Json, json};

use super::pattern;
use crate::describe::is_required;

/// The values that records show. What was stored before the options became what they are may differ.
pub fn shown(collection: &Collection, field: &Field) -> Json {
    let required = is_required(collection, field);
    let schema = match &field.kind {
        FieldKind::Number(number) => json!({"type": if number.only_int { "integer" } else { "number" }}),
        FieldKind::Bool(_) => json!({"type": "boolean"}),
        FieldKind::Date(_) => time(required),
        // A view may join nothing, and then has no time.
        FieldKind::Autodate(AutodateField { on_create, .. }) => time(*on_create && !collection.is_view()),
        FieldKind::Select(select) if select.is_multiple() => {
            json!({"type": "array", "items": choice(select, false), "uniqueItems": true})
        }
        FieldKind::Select(select) => choice(select, !required),
        FieldKind::File(_) | FieldKind::Relation(_) if field.is_multiple() => {
            json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true})
        }
        FieldKind::Json(_) => json!({}),
        FieldKind::GeoPoint(_) => reference("pb.GeoPoint"),
        FieldKind::Password(_) => json!({"type": "string", "const": ""}),
        FieldKind::Email(_) if required => json!({"type": "string", "format": "email"}),
        _ => json!({"type": "string"}),
    };
    let mut schema = described(schema, field, note(field));
    if matches!(field.kind, FieldKind::Autodate(_)) || &*field.name == "id" || collection.is_view() {
        schema.insert("readOnly".into(), true.into());
    }
    Json::Object(schema)
}

/// The values that a JSON body may give.
pub fn given(collection: &Collection, field: &Field, creates: bool) -> Json {
    let required = is_required(collection, field);
    let schema = match &field.kind {
        FieldKind::Text(text) => given_text(text, creates),
        FieldKind::Editor(editor) => {
            optional(json!({"type": "string", "maxLength": editor.bytes_max()}), editor.required)
        }
        FieldKind::Number(number) => given_number(number),
        FieldKind::Bool(bool) if bool.required => json!({"type": "boolean", "const": true}),
        FieldKind::Bool(_) => json!({"type": "boolean"}),
        FieldKind::Email(email) => {
            let mut schema = json!({"type": "string", "format": "email"});
            domains(&mut schema, "@", "$", &email.only_domains, &email.except_domains);
            or_empty(schema, required)
        }
        FieldKind::Url(url) => optional(json!({"type": "string", "format": "uri-reference"}), url.required),
        FieldKind::Date(_) => optional(json!({"type": "string"}), required),
        FieldKind::Autodate(_) => json!({"type": "string", "readOnly": true}),
        FieldKind::Select(select) if select.is_multiple() => {
            list(choice(select, false), required, 0, select.max_select)
        }
        FieldKind::Select(select) => choice(select, !required),
        FieldKind::Relation(relation) if relation.is_multiple() => {
            let ids = json!({"type": "string", "minLength": 1});
            list(ids, required, relation.min_select, relation.max_select)
        }
        FieldKind::Relation(_) => optional(json!({"type": "string"}), required),
        FieldKind::File(file) if file.is_multiple() => {
            list(json!({"type": "string"}), false, 0, file.max_select)
        }
        FieldKind::File(_) => json!({"type": ["string", "null"]}),
        FieldKind::Json(_) => json!({}),
        FieldKind::Password(password) => given_password(password),
        FieldKind::GeoPoint(_) => reference("pb.GeoPoint"),
    };
    Json::Object(described(schema, field, input_note(field)))
}

/// The values that a multipart form may give: files as such, everything else as in JSON.
pub fn sent(collection: &Collection, field: &Field, creates: bool) -> Json {
    let FieldKind::File(file) = &field.kind else { return given(collection, field, creates) };
    let mut one = json!({"type": "string", "format": "binary", "maxLength": file.bytes_max()});
    if let [only] = file.mime_types.as_slice() {
        one["contentMediaType"] = only.as_str().into();
    }
    let schema = match file.is_multiple() {
        true => json!({"type": "array", "items": one, "maxItems": file.max_select}),
        false => one,
    };
    Json::Object(described(schema, field, input_note(field)))
}

pub fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// What an element of a list looks like when it comes alone.
pub fn element(field: &Field) -> Json {
    match &field.kind {
        FieldKind::Select(select) => choice(select, false),
        _ => json!({"type": "string"}),
    }
}

fn time(always: bool) -> Json {
    reference(if always { "pb.DateTime" } else { "pb.OptionalDateTime" })
}

fn choice(select: &SelectField, empty: bool) -> Json {
    let mut values: Vec<&str> = Vec::with_capacity(select.values.len() + 1);
    for value in select.values.iter().map(String::as_str).chain(empty.then_some("")) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    json!({"type": "string", "enum": values})
}

fn list(items: Json, required: bool, min: i64, max: i64) -> Json {
    let mut schema = json!({"type": "array", "items": items, "uniqueItems": true, "maxItems": max.max(1)});
    match (required, min) {
        (true, _) => schema["minItems"] = min.max(1).into(),
        (false, 0 | 1) => {}
        // None at all is no fewer than allowed.
        (false, min) => schema = json!({"anyOf": [{"type": "array", "maxItems": 0}, with_min(schema, min)]}),
    }
    schema
}

fn with_min(mut schema: Json, min: i64) -> Json {
    schema["minItems"] = min.into();
    schema
}

/// Empty is unset, which passes every bound unless the field is required.
fn optional(mut schema: Json, required: bool) -> Json {
    if required {
        schema["minLength"] = 1.into();
    }
    schema
}

fn or_empty(schema: Json, required: bool) -> Json {
    if required { schema } else { json!({"anyOf": [schema, {"type": "string", "const": ""}]}) }
}

fn given_text(text: &TextField, creates: bool) -> Json {
    let generated = creates && !text.autogenerate_pattern.is_empty();
    let required = text.required && !generated;
    let mut schema = json!({"type": "string", "maxLength": text.chars_max()});
    let has_pattern = pattern::is_portable(text.pattern.as_str());
    if has_pattern {
        schema["pattern"] = text.pattern.as_str().into();
    }
    if text.min > 0 || required {
        schema["minLength"] = text.min.max(1).into();
    }
    or_empty(schema, required || !(has_pattern || text.min > 0))
}

fn given_password(password: &PasswordField) -> Json {
    let mut schema = json!({
        "type": "string",
        "format": "password",
        "minLength": password.min.max(1),
        "maxLength": password.chars_max(),
    });
    if pattern::is_portable(password.pattern.as_str()) {
        schema["pattern"] = password.pattern.as_str().into();
    }
    or_empty(schema, password.required)
}

/// Zero is unset, which passes every bound unless the field is required.
fn given_number(number: &NumberField) -> Json {
    let ty = if number.only_int { "integer" } else { "number" };
    let mut schema = Map::from_iter([("type".to_string(), Json::from(ty))]);
    for (key, bound) in [("minimum", number.min), ("maximum", number.max)] {
        if let Some(bound) = bound {
            schema.insert(key.into(), model::field::read::number_json(bound));
        }
    }
    let zero_fits = number.min.is_none_or(|min| min <= 0.0) && number.max.is_none_or(|max| max >= 0.0);
    match (number.required, zero_fits) {
        (true, true) => {
            schema.insert("not".into(), json!({"const": 0}));
            Json::Object(schema)
        }
        (true, false) | (false, true) => Json::Object(schema),
        (false, false) => json!({"anyOf": [schema, {"type": ty, "const": 0}]}),
    }
}

/// Restricts an address to domains, or keeps it from some.
fn domains(schema: &mut Json, before: &str, after: &str, only: &[String], except: &[String]) {
    let any = |list: &[String]| {
        let escaped: Vec<String> = list.iter().map(|domain| domain.replace('.', r"\.")).collect();
        format!("{before}({}){after}", escaped.join("|"))
    };
    if !only.is_empty() {
        schema["pattern"] = any(only).into();
    }
    if !except.is_empty() {
        schema["not"] = json!({"type": "string", "pattern": any(except)});
    }
}

/// Adds what people want to know: the field's own help first.
fn described(schema: Json, field: &Field, note: String) -> Map<String, Json> {
    let mut schema = match schema {
        Json::Object(schema) => schema,
        _ => Map::new(),
    };
    let mut sentences: Vec<&str> = Vec::new();
    if !field.help.is_empty() {
        sentences.push(&field.help);
    }
    if !note.is_empty() {
        sentences.push(&note);
    }
    if field.hidden && !field.is_secret() {
        sentences.push("Only superusers see it.");
    }
    if !sentences.is_empty() {
        schema.insert("description".into(), sentences.join(" ").into());
    }
    schema
}

fn note(field: &Field) -> String {
    match &field.kind {
        FieldKind::Editor(_) => "HTML.".into(),
        FieldKind::Url(_) => "A web address.".into(),
        FieldKind::File(file) if file.protected => {
            "A file's name; it is downloaded with a file token.".into()
        }
        FieldKind::File(_) => "A file's name.".into(),
        FieldKind::Password(_) => "Never shown.".into(),
        _ => String::new(),
    }
}

fn input_note(field: &Field) -> String {
    match &field.kind {
        FieldKind::Text(text) if !text.pattern.is_empty() && !pattern::is_portable(text.pattern.as_str()) => {
            format!("Must match {} (RE2).", quoted(text.pattern.as_str()))
        }
        FieldKind::Text(text) if !text.autogenerate_pattern.is_empty() => "Generated when left out.".into(),
        FieldKind::Editor(editor) => format!("HTML of at most {} bytes.", editor.bytes_max()),
        FieldKind::Json(json) => {
            let must = if json.required { " Must not be null or empty." } else { "" };
            format!("Any JSON of at most {} bytes.{must}", json.bytes_max())
        }
        FieldKind::Date(DateField { min, max, .. }) => {
            let mut note = String::from("A time, as ISO 8601; UTC unless it says otherwise.");
            for (word, bound) in [("From", min), ("Until", max)] {
                if !bound.is_empty() {
                    note.push_str(&format!(" {word} {bound}."));
                }
            }
            note
        }
        FieldKind::Url(url) => match (url.only_domains.as_slice(), url.except_domains.as_slice()) {
            ([], []) => "A web address.".into(),
            ([], except) => format!("A web address, not at {}.", except.join(", ")),
            (only, _) => format!("A web address at {}.", only.join(", ")),
        },
        FieldKind::File(file) => {
            let mut note = format!("Files of at most {} bytes", file.bytes_max());
            if !file.mime_types.is_empty() {
                note.push_str(&format!(" ({})", file.mime_types.join(", ")));
            }
            note.push_str(", sent as a multipart form. In JSON, the names of the stored files to keep.");
            note
        }
        _ => String::new(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}
