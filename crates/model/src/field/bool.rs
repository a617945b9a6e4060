//! True or false.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoolField {
    pub required: bool,
}

impl BoolField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = BoolField::default();
        reader.bool("required", &mut field.required)?;
        Ok(field)
    }
}

impl FieldType for BoolField {
    fn name(&self) -> &'static str {
        "bool"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Bool
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::Bool(cast::bool(input))
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && !value.as_bool()).then(Violation::required)
    }
}
