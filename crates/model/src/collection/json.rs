//! Collections as the API shows and takes them.

use base::Name;
use query::Table;
use serde_json::{Map, Value as Json, json};

use super::{AuthOptions, CachePolicy, Collection, CollectionKind};
use crate::field::read::Reader;
use crate::field::{Field, Malformed};

impl CollectionKind {
    pub fn name(&self) -> &'static str {
        match self {
            CollectionKind::Base => "base",
            CollectionKind::Auth(_) => "auth",
            CollectionKind::View { .. } => "view",
        }
    }
}

impl Collection {
    /// A collection without a name, an id and fields.
    pub fn blank(kind: CollectionKind) -> Self {
        Collection {
            id: "".into(),
            name: "".into(),
            kind,
            system: false,
            fields: Vec::new(),
            indexes: Vec::new(),
            list_rule: None,
            view_rule: None,
            create_rule: None,
            update_rule: None,
            delete_rule: None,
            cache: None,
            created: String::new(),
            updated: String::new(),
            table: Table { name: "".into(), columns: Vec::new() },
            json_order: Vec::new(),
        }
    }

    /// Reads a whole collection, as [`Collection::to_json`] writes it. What is missing gets its default; nothing
    /// is judged.
    pub fn from_json(json: &Json) -> Result<Self, Malformed> {
        let reader = Reader::of(json)?;
        let mut type_name = String::from("base");
        reader.text("type", &mut type_name)?;
        let kind = match type_name.as_str() {
            "base" => CollectionKind::Base,
            "auth" => CollectionKind::Auth(Box::new(AuthOptions::defaults())),
            "view" => CollectionKind::View { query: String::new() },
            _ => return Err(Malformed),
        };
        let mut collection = Collection::blank(kind);
        collection.merge(reader)?;
        collection.seal();
        Ok(collection)
    }

    /// Takes what the body says, and keeps the rest. The type is not touched.
    pub(super) fn merge(&mut self, reader: Reader<'_>) -> Result<(), Malformed> {
        name(reader, "id", &mut self.id)?;
        name(reader, "name", &mut self.name)?;
        reader.bool("system", &mut self.system)?;
        reader.optional_text("listRule", &mut self.list_rule)?;
        reader.optional_text("viewRule", &mut self.view_rule)?;
        reader.optional_text("createRule", &mut self.create_rule)?;
        reader.optional_text("updateRule", &mut self.update_rule)?;
        reader.optional_text("deleteRule", &mut self.delete_rule)?;
        reader.text("created", &mut self.created)?;
        reader.text("updated", &mut self.updated)?;
        reader.texts("indexes", &mut self.indexes)?;
        CachePolicy::patch(reader, &mut self.cache)?;
        match reader.0.get("fields") {
            None => {}
            Some(Json::Null) => self.fields.clear(),
            Some(Json::Array(items)) => {
                self.fields = items.iter().map(Field::from_json).collect::<Result<_, _>>()?;
            }
            Some(_) => return Err(Malformed),
        }
        // The options of the other types are read too, if only to refuse what has the wrong form.
        let (mut other_options, mut other_query) = (AuthOptions::default(), String::new());
        match &mut self.kind {
            CollectionKind::Auth(options) => options.patch(reader)?,
            _ => other_options.patch(reader)?,
        }
        match &mut self.kind {
            CollectionKind::View { query } => reader.text("viewQuery", query),
            _ => reader.text("viewQuery", &mut other_query),
        }
    }

    /// In the reference's order of keys. `secrets` is for exports and stored forms, never for answers.
    pub fn to_json(&self, secrets: bool) -> Json {
        let mut out = Map::new();
        let mut put = |key: &str, value: Json| out.insert(key.into(), value);
        put("id", json!(&*self.id));
        put("listRule", json!(self.list_rule));
        put("viewRule", json!(self.view_rule));
        put("createRule", json!(self.create_rule));
        put("updateRule", json!(self.update_rule));
        put("deleteRule", json!(self.delete_rule));
        put("name", json!(&*self.name));
        put("type", json!(self.kind.name()));
        put("fields", self.fields.iter().map(Field::to_json).collect());
        put("indexes", json!(self.indexes));
        put("created", json!(self.created));
        put("updated", json!(self.updated));
        put("system", json!(self.system));
        self.write_options(secrets, &mut out);
        if let Some(cache) = &self.cache {
            cache.write(CachePolicy::KEY, &mut out);
        }
        Json::Object(out)
    }

    /// Appends the type's own options.
    pub(super) fn write_options(&self, secrets: bool, out: &mut Map<String, Json>) {
        match &self.kind {
            CollectionKind::Base => {}
            CollectionKind::Auth(options) => options.write(secrets, out),
            CollectionKind::View { query } => {
                out.insert("viewQuery".into(), json!(query));
            }
        }
    }
}

fn name(reader: Reader<'_>, key: &str, target: &mut Name) -> Result<(), Malformed> {
    let mut text = target.to_string();
    reader.text(key, &mut text)?;
    *target = text.into();
    Ok(())
}
