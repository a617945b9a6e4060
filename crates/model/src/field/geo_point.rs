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
        if self.required && *value == ColumnType::Point.zero() {
            return Some(Violation::required());
        }
        let point: Json = serde_json::from_str(value.as_str().unwrap_or_default()).unwrap_or_default();
        let part = |key: &str| point.get(key).and_then(Json::as_f64).unwrap_or_default();
        if part("lat").abs() > 90.0 {
            let message = "Latitude must be between -90 and 90 degrees.";
            return Some(Violation::new("validation_invalid_latitude", message));
        }
        if part("lon").abs() > 180.0 {
            let message = "Longitude must be between -180 and 180 degrees.";
            return Some(Violation::new("validation_invalid_longitude", message));
        }
        None
    }
}
