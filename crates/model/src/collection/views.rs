//! The fields of a view collection, told from the columns of its query.

use query::ColumnType;

use super::Collection;
use crate::Schema;
use crate::field::{BoolField, Field, FieldKind, JsonField, NumberField, TextField};

/// A column of a view's query, as an engine describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewColumn {
    pub name: String,
    /// The table and column that it passes through unchanged.
    pub origin: Option<(String, String)>,
    /// What can be told of its type otherwise.
    pub ty: ColumnType,
}

/// A field for each column: a copy of the field that it comes from, else what its type suggests, else JSON. Fields
/// that the view had before keep their ids.
pub fn view_fields(columns: &[ViewColumn], schema: &Schema, before: &[Field]) -> Vec<Field> {
    columns
        .iter()
        .map(|column| {
            let known = before.iter().find(|field| *field.name == *column.name);
            if column.name == "id" {
                return id();
            }
            let mut field = origin(column, schema).unwrap_or_else(|| Field::new(&column.name, suggested(column.ty)));
            field.id = match known {
                Some(known) if known.type_name() == field.type_name() => known.id.clone(),
                _ => {
                    const SUFFIX_LEN: usize = 4;
                    format!("_clone_{}", base::id::random(SUFFIX_LEN, base::id::ALPHANUMERIC)).into()
                }
            };
            field.name = column.name.as_str().into();
            // The view's rows are not written to, and its tables' internals are not its own.
            field.system = false;
            field
        })
        .collect()
}

fn id() -> Field {
    let field = Field::from_json(&super::system::id());
    let mut field = field.unwrap_or_else(|_| Field::new("id", FieldKind::Text(TextField::default())));
    field.id = crate::field::default_id("text", "id").into();
    if let FieldKind::Text(text) = &mut field.kind {
        // Ids of views may be made of anything.
        text.min = 0;
        text.max = 0;
        text.autogenerate_pattern = String::new();
    }
    field
}

fn origin(column: &ViewColumn, schema: &Schema) -> Option<Field> {
    let (table, name) = column.origin.as_ref()?;
    let collection: &Collection = schema.find(table)?;
    let field = collection.field(name)?;
    if &*field.name == "id" {
        // Another record's id is a relation to it, when it is not the view's own.
        return Some(Field::new(
            &column.name,
            FieldKind::Relation(crate::field::RelationField {
                collection_id: collection.id.to_string(),
                max_select: 1,
                ..Default::default()
            }),
        ));
    }
    Some(field.clone())
}

fn suggested(ty: ColumnType) -> FieldKind {
    match ty {
        ColumnType::Number => FieldKind::Number(NumberField::default()),
        ColumnType::Bool => FieldKind::Bool(BoolField::default()),
        ColumnType::Text => FieldKind::Text(TextField::default()),
        _ => FieldKind::Json(JsonField::default()),
    }
}
