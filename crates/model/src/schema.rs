//! All collections at one moment.

use std::sync::Arc;

use base::Name;
use rustc_hash::FxHashMap;

use crate::collection::{Collection, SUPERUSERS};
use crate::field::FieldKind;

/// An immutable snapshot; a schema change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// In order of creation.
    pub collections: Vec<Arc<Collection>>,
    by_key: FxHashMap<Name, usize>,
    /// Grows with every schema change of any process on the same database.
    pub version: u64,
    /// Whether any rule asks for a request header.
    pub reads_headers: bool,
    /// Whether any rule asks for the body of a request. A few more may be counted in.
    pub reads_body: bool,
    /// Whether any rule's verdict can change without a write: by time, or by what else a request carries.
    pub is_volatile: bool,
    /// Whether caches outside may keep answers about any collection's records.
    pub has_cacheable: bool,
}

impl Schema {
    pub fn new(collections: Vec<Arc<Collection>>, version: u64) -> Self {
        let mut by_key = FxHashMap::default();
        for (index, collection) in collections.iter().enumerate() {
            by_key.insert(collection.id.clone(), index);
        }
        // Names win over ids, should one collection be named like another's id.
        for (index, collection) in collections.iter().enumerate() {
            by_key.insert(collection.name.clone(), index);
            by_key.entry(collection.name.to_lowercase().into()).or_insert(index);
        }
        let mentions = |test: &dyn Fn(&str) -> bool| collections.iter().any(|known| known.rules().any(test));
        let reads_headers = mentions(&|rule| rule.contains("headers"));
        let reads_body = mentions(&|rule| rule.contains("body") || rule.contains("data"));
        let is_volatile = mentions(&crate::filter::is_volatile);
        let has_cacheable = collections.iter().any(|known| known.cache.is_some());
        Schema { collections, by_key, version, reads_headers, reads_body, is_volatile, has_cacheable }
    }

    /// By name (in any case) or id.
    pub fn find(&self, name_or_id: &str) -> Option<&Arc<Collection>> {
        let index = match self.by_key.get(name_or_id) {
            Some(index) => *index,
            None => *self.by_key.get(name_or_id.to_lowercase().as_str())?,
        };
        self.collections.get(index)
    }

    /// By id only.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Collection>> {
        self.find(id).filter(|found| *found.id == *id).or_else(|| {
            // The id may be another collection's name.
            self.collections.iter().find(|collection| *collection.id == *id)
        })
    }

    pub fn superusers(&self) -> Option<&Arc<Collection>> {
        self.find(SUPERUSERS)
    }

    /// The collections that a view may be made of: all whose names stand in its query, and what is behind those that are
    /// views themselves.
    pub fn sources_of_view(&self, view: &Collection) -> Vec<Name> {
        let mut found: Vec<Name> = Vec::new();
        let mut queries = vec![view.view_query().unwrap_or_default().to_lowercase()];
        while let Some(query) = queries.pop() {
            for known in &self.collections {
                let is_new = known.id != view.id && !found.contains(&known.name);
                if is_new && query.contains(&known.name.to_lowercase()) {
                    found.push(known.name.clone());
                    queries.extend(known.view_query().map(str::to_lowercase));
                }
            }
        }
        found
    }

    /// The relation fields of other collections (and its own) that point at this one, as
    /// (collection, field position). Views are left out.
    pub fn references(&self, to: &Collection) -> Vec<(&Arc<Collection>, usize)> {
        let mut found = Vec::new();
        for collection in self.collections.iter().filter(|collection| !collection.is_view()) {
            for (position, field) in collection.fields.iter().enumerate() {
                if let FieldKind::Relation(relation) = &field.kind
                    && relation.collection_id == *to.id
                {
                    found.push((collection, position));
                }
            }
        }
        found
    }
}
