//! A point in time.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DateField {
    pub required: bool,
    /// Empty when there is no bound.
    pub min: String,
    /// Empty when there is no bound.
    pub max: String,
}

impl DateField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = DateField::default();
        reader.bool("required", &mut field.required)?;
        reader.text("min", &mut field.min)?;
        reader.text("max", &mut field.max)?;
        Ok(field)
    }
}

impl FieldType for DateField {
    fn name(&self) -> &'static str {
        "date"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Date
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("min".into(), Json::from(self.min.as_str()));
        out.insert("max".into(), Json::from(self.max.as_str()));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::date(input)
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
