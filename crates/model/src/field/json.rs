//! Any JSON.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{INTEGER_MAX, between, put};
use super::read::Reader;
use super::{Field, FieldType, Malformed, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

/// Bytes, unless the field says otherwise.
const JSON_BYTES_MAX: i64 = 1 << 20;

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

    /// The most that a value's text may have.
    pub fn bytes_max(&self) -> i64 {
        if self.max_size > 0 { self.max_size } else { JSON_BYTES_MAX }
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
        let text = match value {
            Value::Json(text) => &**text,
            Value::Text(_) => {
                return Some(Violation::new("validation_invalid_json", "Must be a valid json value."));
            }
            _ => "null",
        };
        if self.required && matches!(text, "null" | "\"\"" | "[]" | "{}") {
            return Some(Violation::required());
        }
        let max = self.bytes_max();
        (text.len() as i64 > max).then(|| {
            let message = format!("The maximum allowed JSON size is {max} bytes.");
            Violation::new("validation_json_size_limit", message).with("maxSize", max)
        })
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        put(&mut found, "maxSize", between(self.max_size, 0, INTEGER_MAX));
        found
    }
}
