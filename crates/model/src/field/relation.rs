//! A reference to one or several records of another collection.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, Modifier, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelationField {
    pub required: bool,
    pub collection_id: String,
    /// Whether the record goes when what it refers to goes.
    pub cascade_delete: bool,
    pub min_select: i64,
    /// At most 1 makes it single.
    pub max_select: i64,
}

impl RelationField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = RelationField::default();
        reader.bool("required", &mut field.required)?;
        reader.text("collectionId", &mut field.collection_id)?;
        reader.bool("cascadeDelete", &mut field.cascade_delete)?;
        reader.int("minSelect", &mut field.min_select)?;
        reader.int("maxSelect", &mut field.max_select)?;
        Ok(field)
    }

    pub fn is_multiple(&self) -> bool {
        self.max_select > 1
    }
}

impl FieldType for RelationField {
    fn name(&self) -> &'static str {
        "relation"
    }

    fn column_type(&self) -> ColumnType {
        if self.is_multiple() { ColumnType::List } else { ColumnType::Text }
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("collectionId".into(), Json::from(self.collection_id.as_str()));
        out.insert("cascadeDelete".into(), Json::from(self.cascade_delete));
        out.insert("minSelect".into(), Json::from(self.min_select));
        out.insert("maxSelect".into(), Json::from(self.max_select));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::listed(cast::list(input), self.is_multiple())
    }

    fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        cast::modify_list(modifier, current, input, self.is_multiple())
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
