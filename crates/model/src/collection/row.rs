//! Collections as rows of `_collections`, which the reference reads and writes too.

use serde_json::{Map, Value as Json};

use super::{CachePolicy, Collection};
use crate::field::Malformed;
use crate::json_text;

/// The columns of a `_collections` row; `fields`, `indexes` and `options` are JSON text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionRow {
    pub id: String,
    pub system: bool,
    pub kind: String,
    pub name: String,
    pub fields: String,
    pub indexes: String,
    pub list_rule: Option<String>,
    pub view_rule: Option<String>,
    pub create_rule: Option<String>,
    pub update_rule: Option<String>,
    pub delete_rule: Option<String>,
    /// Token secrets included.
    pub options: String,
    pub created: String,
    pub updated: String,
}

impl Collection {
    pub fn to_row(&self) -> CollectionRow {
        let mut options = Map::new();
        self.write_options(true, &mut options);
        if let Some(cache) = &self.cache {
            cache.write(CachePolicy::STORED_KEY, &mut options);
        }
        let fields: Json = self.fields.iter().map(crate::Field::to_json).collect();
        CollectionRow {
            id: self.id.to_string(),
            system: self.system,
            kind: self.kind.name().into(),
            name: self.name.to_string(),
            fields: json_text::stored(&fields),
            indexes: json_text::stored(&Json::from(self.indexes.clone())),
            list_rule: self.list_rule.clone(),
            view_rule: self.view_rule.clone(),
            create_rule: self.create_rule.clone(),
            update_rule: self.update_rule.clone(),
            delete_rule: self.delete_rule.clone(),
            options: json_text::stored(&Json::Object(options)),
            created: self.created.clone(),
            updated: self.updated.clone(),
        }
    }

    pub fn from_row(row: CollectionRow) -> Result<Self, Malformed> {
        let parse = |text: &str| serde_json::from_str::<Json>(text).map_err(|_| Malformed);
        let mut json = match parse(&row.options)? {
            Json::Object(options) => options,
            _ => Map::new(),
        };
        // Ours alone: what the reference may store under the plain key one day is another thing.
        match json.remove(CachePolicy::STORED_KEY) {
            Some(cache) => drop(json.insert(CachePolicy::KEY.into(), cache)),
            None => drop(json.remove(CachePolicy::KEY)),
        }
        json.insert("type".into(), Json::from(row.kind));
        json.insert("fields".into(), parse(&row.fields)?);
        json.insert("indexes".into(), parse(&row.indexes)?);
        let mut collection = Collection::from_json(&Json::Object(json))?;
        collection.id = row.id.into();
        collection.name = row.name.into();
        collection.system = row.system;
        collection.list_rule = row.list_rule;
        collection.view_rule = row.view_rule;
        collection.create_rule = row.create_rule;
        collection.update_rule = row.update_rule;
        collection.delete_rule = row.delete_rule;
        collection.created = row.created;
        collection.updated = row.updated;
        collection.seal();
        Ok(collection)
    }
}
