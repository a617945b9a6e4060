//! Fields: one file per type, each with its options, how it reads input and what it refuses.

use base::Name;
use query::ColumnType;

mod relation;

pub use relation::RelationField;

/// What all types share, and the type's own options.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub id: Name,
    pub name: Name,
    pub system: bool,
    pub hidden: bool,
    pub presentable: bool,
    pub help: String,
    pub kind: FieldKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    Relation(RelationField),
}

impl Field {
    pub fn column_type(&self) -> ColumnType {
        match &self.kind {
            FieldKind::Relation(relation) if relation.max_select > 1 => ColumnType::List,
            FieldKind::Relation(_) => ColumnType::Text,
        }
    }
}
