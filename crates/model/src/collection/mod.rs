//! A collection: a named table or view with fields, rules and options.

use base::Name;
use query::{Column, ColumnType, Table};

use crate::field::{Field, Modifier};

mod auth;
mod cache;
pub mod draft;
pub mod index;
mod json;
mod mail;
mod oauth2;
mod plan;
mod row;
pub mod system;
mod validate;
mod validate_auth;
mod view;

pub use auth::*;
pub use cache::CachePolicy;
pub use draft::{BodyError, Draft};
pub use oauth2::{OAuth2Options, OAuth2Provider};
pub use plan::{plan, plan_drop};
pub use row::CollectionRow;
#[cfg(test)]
mod tests;

pub use validate::{CheckRule, invalid_query, validate};
pub use validate_auth::OAUTH2_PROVIDERS;
pub use view::{is_timed, view_fields};

#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    pub id: Name,
    pub name: Name,
    pub kind: CollectionKind,
    pub system: bool,
    pub fields: Vec<Field>,
    /// `CREATE INDEX` statements, normalised.
    pub indexes: Vec<String>,
    /// Each rule: `None` is superusers only, `""` is everyone.
    pub list_rule: Option<String>,
    pub view_rule: Option<String>,
    pub create_rule: Option<String>,
    pub update_rule: Option<String>,
    pub delete_rule: Option<String>,
    /// What caches in front of the server may do with answers; `None` for nothing.
    pub cache: Option<CachePolicy>,
    pub created: String,
    pub updated: String,
    /// Derived from name and fields by [`Collection::seal`]: the columns of a [`crate::Record`], in its order.
    pub table: Table,
    /// Derived like [`Collection::table`]: what a record's JSON is made of, in the order of its keys.
    pub json_order: Vec<JsonKey>,
}

/// One key of a record's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKey {
    CollectionId,
    CollectionName,
    /// The position of a field. An auth record's secrets are left out; hidden fields are not, because
    /// superusers see them.
    Field(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub enum CollectionKind {
    Base,
    Auth(Box<AuthOptions>),
    View { query: String },
}

impl Collection {
    /// Recomputes what is derived. Called after any change of name or fields.
    pub fn seal(&mut self) {
        self.table = Table {
            name: self.name.clone(),
            columns: self
                .fields
                .iter()
                .map(|field| Column { name: field.name.clone(), ty: self.column_type(field) })
                .collect(),
        };
        let mut keys =
            vec![("collectionId", JsonKey::CollectionId), ("collectionName", JsonKey::CollectionName)];
        for (position, field) in self.fields.iter().enumerate() {
            // What an auth record's logins and tokens rest on is nobody's to read.
            let secret = matches!(&*field.name, "password" | "tokenKey") && self.is_auth();
            if !secret {
                keys.push((&*field.name, JsonKey::Field(position)));
            }
        }
        keys.sort_by_key(|(name, _)| *name);
        self.json_order = keys.into_iter().map(|(_, key)| key).collect();
    }

    /// What a view computes has no declared type: it is JSON to the reader, and anything to the database.
    fn column_type(&self, field: &Field) -> ColumnType {
        match field.column_type() {
            ColumnType::Json if self.is_view() => ColumnType::Dynamic,
            ty => ty,
        }
    }

    /// Every rule's text.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        let own = [&self.list_rule, &self.view_rule, &self.create_rule, &self.update_rule, &self.delete_rule];
        let auth = self.auth().map(|options| [&options.auth_rule, &options.manage_rule]);
        own.into_iter().chain(auth.into_iter().flatten()).filter_map(|rule| rule.as_deref())
    }

    pub fn is_auth(&self) -> bool {
        matches!(self.kind, CollectionKind::Auth(_))
    }

    pub fn is_view(&self) -> bool {
        matches!(self.kind, CollectionKind::View { .. })
    }

    pub fn auth(&self) -> Option<&AuthOptions> {
        match &self.kind {
            CollectionKind::Auth(options) => Some(options),
            _ => None,
        }
    }

    pub fn is_superusers(&self) -> bool {
        &*self.name == SUPERUSERS
    }

    /// Bytes that the files and long texts of one record may have together.
    pub fn upload_bytes_max(&self) -> u64 {
        self.fields.iter().map(|field| field.kind.upload_bytes_max()).fold(0, u64::saturating_add)
    }

    /// The same of the long texts alone.
    pub fn text_bytes_max(&self) -> u64 {
        self.fields.iter().map(|field| field.kind.text_bytes_max()).fold(0, u64::saturating_add)
    }

    /// The SQL of a view.
    pub fn view_query(&self) -> Option<&str> {
        match &self.kind {
            CollectionKind::View { query } => Some(query),
            _ => None,
        }
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }

    /// The position of a field in [`Collection::fields`] and in every record's row.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| &*field.name == name)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.position(name).map(|index| &self.table.columns[index])
    }

    /// The field that an input key means, and how it changes it: `name`, `+name`, `name+`, `name-` or
    /// `name:autogenerate`. A field's own name comes first.
    pub fn setter(&self, key: &str) -> Option<(usize, Option<Modifier>)> {
        if let Some(position) = self.position(key) {
            return Some((position, None));
        }
        let (name, modifier) = if let Some(name) = key.strip_prefix('+') {
            (name, Modifier::Prepend)
        } else if let Some(name) = key.strip_suffix('+') {
            (name, Modifier::Append)
        } else if let Some(name) = key.strip_suffix('-') {
            (name, Modifier::Remove)
        } else {
            (key.strip_suffix(":autogenerate")?, Modifier::Autogenerate)
        };
        self.position(name).map(|position| (position, Some(modifier)))
    }

    pub fn id_column() -> Column {
        Column::new("id", ColumnType::Id)
    }
}

/// The collection of those who may do everything.
pub const SUPERUSERS: &str = "_superusers";
