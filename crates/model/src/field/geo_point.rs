//! A longitude and a latitude.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeoPointField {
    pub required: bool,
}

impl GeoPointField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = GeoPointField::default();
        reader.bool("required", &mut field.required)?;
        Ok(field)
    }
}

impl FieldType for GeoPointField {
    fn name(&self) -> &'static str {
        "geoPoint"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Point
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::point(input)
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
