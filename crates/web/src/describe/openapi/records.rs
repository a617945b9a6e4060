//! Records of one collection: the five operations, and the schemas of what they take and give.

use std::borrow::Cow;

use model::collection::JsonKey;
use model::{Field, FieldKind};
use serde_json::{Map, Value as Json, json};

use super::fields::{self, reference};
use super::{Subject, anyone, auth, files, json_body, parameter, responses, with_token};
use crate::describe::{is_readable, is_required, is_writable};

impl Subject<'_> {
    pub(super) fn add_paths(&self, paths: &mut Map<String, Json>) {
        let (open, guests) = (self.open, self.guests);
        let collection = self.collection;
        let mut all = Map::new();
        let mut one = Map::new();
        let put = |path: &mut Map<String, Json>, method: &str, operation: Json| {
            path.insert(method.into(), operation);
        };
        if open.list {
            put(&mut all, "get", self.list(&collection.list_rule, guests.list));
        }
        if open.view {
            put(&mut one, "get", self.view(&collection.view_rule, guests.view));
        }
        if !collection.is_view() {
            if open.create {
                put(&mut all, "post", self.create(&collection.create_rule, guests.create));
            }
            if open.update {
                put(&mut one, "patch", self.update(&collection.update_rule, guests.update));
            }
            if open.delete {
                put(&mut one, "delete", self.delete(&collection.delete_rule, guests.delete));
            }
        }
        if !all.is_empty() {
            paths.insert(self.path("records"), Json::Object(all));
        }
        if !one.is_empty() {
            one.insert("parameters".into(), json!([parameter("id")]));
            paths.insert(self.path("records/{id}"), Json::Object(one));
        }
        files::add_paths(self, paths);
        auth::add_paths(self, paths);
    }

    fn start(&self, name: &str, summary: &str, rule: &Option<String>, guests: bool) -> Map<String, Json> {
        let security = if guests { anyone() } else { with_token() };
        let mut operation = self.operation(name, summary, security);
        // A rule's text says more than its verdicts do.
        if self.reader.superuser {
            let rule = match rule.as_deref() {
                None => "Superusers only.".to_string(),
                Some("") => "Open to everyone.".to_string(),
                Some(rule) => format!("Rule: `{rule}`"),
            };
            operation.insert("description".into(), rule.into());
        }
        operation
    }

    fn list(&self, rule: &Option<String>, guests: bool) -> Json {
        let mut operation = self.start("list", &format!("List {}", self.name()), rule, guests);
        let shared = ["page", "perPage", "sort", "filter"].map(parameter);
        let parameters: Vec<Json> = shared
            .into_iter()
            .chain(self.expand_parameter())
            .chain(["fields", "skipTotal"].map(parameter))
            .collect();
        operation.insert("parameters".into(), parameters.into());
        let page = json_body(reference(&format!("{}.page", self.name())), "A page of records.");
        operation.insert("responses".into(), responses(("200", page), &["400", "403"]));
        Json::Object(operation)
    }

    fn view(&self, rule: &Option<String>, guests: bool) -> Json {
        let mut operation = self.start("view", &format!("View one of {}", self.name()), rule, guests);
        operation.insert("parameters".into(), self.one_parameters());
        operation.insert("responses".into(), responses(("200", self.record()), &["403", "404"]));
        Json::Object(operation)
    }

    fn create(&self, rule: &Option<String>, guests: bool) -> Json {
        let mut operation = self.start("create", &format!("Create one of {}", self.name()), rule, guests);
        operation.insert("parameters".into(), self.one_parameters());
        operation.insert("requestBody".into(), self.body("create"));
        operation.insert("responses".into(), responses(("200", self.record()), &["400", "403"]));
        Json::Object(operation)
    }

    fn update(&self, rule: &Option<String>, guests: bool) -> Json {
        let mut operation = self.start("update", &format!("Update one of {}", self.name()), rule, guests);
        operation.insert("parameters".into(), self.one_parameters());
        operation.insert("requestBody".into(), self.body("update"));
        operation.insert("responses".into(), responses(("200", self.record()), &["400", "403", "404"]));
        Json::Object(operation)
    }

    fn delete(&self, rule: &Option<String>, guests: bool) -> Json {
        let mut operation = self.start("delete", &format!("Delete one of {}", self.name()), rule, guests);
        let done = json!({"description": "It is gone."});
        operation.insert("responses".into(), responses(("204", done), &["400", "403", "404"]));
        Json::Object(operation)
    }

    fn record(&self) -> Json {
        json_body(reference(self.name()), "The record.")
    }

    pub(super) fn one_parameters(&self) -> Json {
        self.expand_parameter().into_iter().chain([parameter("fields")]).collect()
    }

    /// `None` when nothing can be expanded.
    fn expand_parameter(&self) -> Option<Json> {
        let names: Vec<String> = self.expansions().into_iter().map(|expansion| expansion.name).collect();
        (!names.is_empty()).then(|| {
            json!({
                "name": "expand",
                "in": "query",
                "schema": {"type": "string"},
                "description": format!(
                    "Relations to bring along, separated by commas; dots lead on through the records found: {}.",
                    names.join(", ")
                ),
                "example": names[0],
            })
        })
    }

    fn writable(&self) -> impl Iterator<Item = &Field> {
        let hidden = self.reader.superuser;
        self.collection.fields.iter().filter(move |field| is_writable(self.collection, field, hidden))
    }

    /// Help is written for those who edit records in a dashboard, and may say what is nobody else's business.
    fn told<'f>(&self, field: &'f Field) -> Cow<'f, Field> {
        match self.reader.superuser || field.help.is_empty() {
            true => Cow::Borrowed(field),
            false => Cow::Owned(Field { help: String::new(), ..field.clone() }),
        }
    }

    fn body(&self, kind: &str) -> Json {
        let json = reference(&format!("{}.{kind}", self.name()));
        let files: Vec<&Field> =
            self.writable().filter(|field| matches!(field.kind, FieldKind::File(_))).collect();
        let mut content = Map::new();
        content.insert("application/json".into(), json!({"schema": json}));
        if !files.is_empty() {
            let mut form = json!({"schema": reference(&format!("{}.{kind}.form", self.name()))});
            let mut encoding = Map::new();
            for field in files {
                if let FieldKind::File(file) = &field.kind
                    && !file.mime_types.is_empty()
                {
                    encoding
                        .insert(field.name.to_string(), json!({"contentType": file.mime_types.join(", ")}));
                }
            }
            if !encoding.is_empty() {
                form["encoding"] = encoding.into();
            }
            content.insert("multipart/form-data".into(), form);
        }
        json!({"required": kind == "create", "content": content})
    }

    pub(super) fn add_schemas(&self, schemas: &mut Map<String, Json>) {
        let name = self.name();
        schemas.insert(name.into(), self.read_schema());
        if self.open.list {
            schemas.insert(format!("{name}.page"), page_of(name));
        }
        if self.collection.is_view() {
            return;
        }
        let has_files = self.writable().any(|field| matches!(field.kind, FieldKind::File(_)));
        for (kind, open) in [("create", self.open.create), ("update", self.open.update)] {
            if open {
                schemas.insert(format!("{name}.{kind}"), self.write_schema(kind, false));
                if has_files {
                    schemas.insert(format!("{name}.{kind}.form"), self.write_schema(kind, true));
                }
            }
        }
    }

    fn read_schema(&self) -> Json {
        let collection = self.collection;
        let mut properties = Map::new();
        let mut required: Vec<&str> = Vec::new();
        for key in &collection.json_order {
            let (name, schema, always) = match key {
                JsonKey::CollectionId => (
                    "collectionId",
                    json!({"type": "string", "const": &*collection.id, "readOnly": true}),
                    true,
                ),
                JsonKey::CollectionName => (
                    "collectionName",
                    json!({"type": "string", "const": &*collection.name, "readOnly": true}),
                    true,
                ),
                JsonKey::Field(position) => {
                    let field = &collection.fields[*position];
                    if !is_readable(collection, field) || (field.hidden && !self.reader.superuser) {
                        continue;
                    }
                    // A superuser's document may well describe what others are answered.
                    let is_email = collection.is_auth() && &*field.name == "email";
                    let always = !field.hidden && !is_email;
                    (&*field.name, fields::shown(collection, &self.told(field)), always)
                }
            };
            if always {
                required.push(name);
            }
            properties.insert(name.into(), schema);
        }
        if let Some(expand) = self.expand_schema() {
            properties.insert("expand".into(), expand);
        }
        json!({"type": "object", "properties": properties, "required": required})
    }

    /// What is asked for and may be seen; the rest is left out without a word.
    fn expand_schema(&self) -> Option<Json> {
        let mut properties = Map::new();
        for expansion in self.expansions() {
            let target = reference(&expansion.target.name);
            let schema = if expansion.many { json!({"type": "array", "items": target}) } else { target };
            properties.insert(expansion.name, schema);
        }
        (!properties.is_empty()).then(|| {
            json!({
                "type": "object",
                "readOnly": true,
                "description": "The related records that `expand` asked for, as far as the caller may view them.",
                "properties": properties,
            })
        })
    }

    fn write_schema(&self, kind: &str, form: bool) -> Json {
        let (collection, creates) = (self.collection, kind == "create");
        let mut properties = Map::new();
        let mut required: Vec<&str> = Vec::new();
        for field in self.writable() {
            let name = &*field.name;
            if name == "id" && !creates {
                continue;
            }
            let schema = match form {
                true => fields::sent(collection, &self.told(field), creates),
                false => fields::given(collection, &self.told(field), creates),
            };
            properties.insert(name.into(), schema);
            if creates && is_required(collection, field) {
                // Files come by form only.
                if form || !matches!(field.kind, FieldKind::File(_)) {
                    required.push(name);
                }
            }
            if !creates {
                add_modifiers(field, form, &mut properties);
            }
        }
        if collection.is_auth() {
            let again = |description: &str| json!({"type": "string", "format": "password", "description": description});
            properties.insert("passwordConfirm".into(), again("The password once more."));
            match creates {
                true => required.extend(["passwordConfirm"]),
                false => {
                    let old = "The password until now, which those who change their own must give.";
                    properties.insert("oldPassword".into(), again(old));
                }
            }
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }
}

fn page_of(name: &str) -> Json {
    json!({
        "type": "object",
        "properties": {
            "page": {"type": "integer", "minimum": 1},
            "perPage": {"type": "integer", "minimum": 1},
            "totalItems": {"type": "integer", "minimum": -1, "description": "-1 with `skipTotal`."},
            "totalPages": {"type": "integer", "minimum": -1, "description": "-1 with `skipTotal`."},
            "items": {"type": "array", "items": reference(name)},
        },
        "required": ["page", "perPage", "totalItems", "totalPages", "items"],
    })
}

/// The keys that change a value rather than replacing it.
fn add_modifiers(field: &Field, form: bool, properties: &mut Map<String, Json>) {
    let name = &field.name;
    let mut put = |key: String, description: &str, mut schema: Json| {
        schema["description"] = description.into();
        properties.insert(key, schema);
    };
    match &field.kind {
        FieldKind::Number(_) => {
            put(format!("{name}+"), "Added to the value.", json!({"type": "number"}));
            put(format!("{name}-"), "Taken from the value.", json!({"type": "number"}));
        }
        FieldKind::Select(_) | FieldKind::Relation(_) if field.is_multiple() => {
            let (one, many) = one_or_many(field);
            let either = json!({"anyOf": [one, many]});
            put(format!("+{name}"), "Put before what is there.", either.clone());
            put(format!("{name}+"), "Put after what is there.", either.clone());
            put(format!("{name}-"), "Taken out of what is there.", either);
        }
        FieldKind::File(file) => {
            if form && file.is_multiple() {
                let files = json!({"type": "array", "items": {"type": "string", "format": "binary", "maxLength": file.bytes_max()}});
                put(format!("+{name}"), "Put before the files that are there.", files.clone());
                put(format!("{name}+"), "Put after the files that are there.", files);
            }
            let (one, many) = one_or_many(field);
            put(format!("{name}-"), "Names of the files to delete.", json!({"anyOf": [one, many]}));
        }
        FieldKind::Text(text) if !text.autogenerate_pattern.is_empty() && !text.primary_key => {
            let note = "Set to this text and a generated one after it.";
            put(format!("{name}:autogenerate"), note, json!({"type": "string"}));
        }
        _ => {}
    }
}

fn one_or_many(field: &Field) -> (Json, Json) {
    let one = fields::element(field);
    let many = json!({"type": "array", "items": one.clone()});
    (one, many)
}
