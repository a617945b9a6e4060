//! Any JSON.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonField {
    pub required: bool,
    /// Bytes; 0 is the default limit.
    pub max_size: i64,
}

impl JsonField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = JsonField::default();
        reader.bool("required", &mut field.required)?;
        reader.int("maxSize", &mut field.max_size)?;
        Ok(field)
    }
}

impl FieldType for JsonField {
    fn name(&self) -> &'static str {
        "json"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Json
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("maxSize".into(), Json::from(self.max_size));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::json(input)
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
