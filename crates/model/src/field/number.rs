//! A double.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, Modifier, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberField {
    pub required: bool,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub only_int: bool,
}

impl NumberField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = NumberField::default();
        reader.bool("required", &mut field.required)?;
        reader.number("min", &mut field.min)?;
        reader.number("max", &mut field.max)?;
        reader.bool("onlyInt", &mut field.only_int)?;
        Ok(field)
    }
}

impl FieldType for NumberField {
    fn name(&self) -> &'static str {
        "number"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Number
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("min".into(), self.min.map_or(Json::Null, super::read::number_json));
        out.insert("max".into(), self.max.map_or(Json::Null, super::read::number_json));
        out.insert("onlyInt".into(), Json::from(self.only_int));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::Number(cast::number(input))
    }

    fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        let change = cast::number(input);
        match modifier {
            Modifier::Append => Some(Value::Number(current.as_number() + change)),
            Modifier::Remove => Some(Value::Number(current.as_number() - change)),
            _ => None,
        }
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
