//! A double.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::read::number_json;
use super::{Field, FieldType, Malformed, Modifier, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

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
        let number = value.as_number();
        if !number.is_finite() {
            return Some(Violation::new(
                "validation_not_a_number",
                "The submitted number is not properly formatted.",
            ));
        }
        // An unset number passes the bounds, whatever they are.
        if number == 0.0 {
            return self.required.then(Violation::required);
        }
        if self.only_int && number.fract() != 0.0 {
            return Some(only_int());
        }
        match (self.min, self.max) {
            (Some(min), _) if number < min => Some(below(min)),
            (_, Some(max)) if number > max => {
                let message = format!("Must be less or equal than {}.", general(max));
                Some(
                    Violation::new("validation_max_number_constraint", message).with("max", number_json(max)),
                )
            }
            _ => None,
        }
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        let decimal = |bound: Option<f64>| self.only_int && bound.is_some_and(|bound| bound.fract() != 0.0);
        if decimal(self.min) {
            found.add("min", only_int());
        }
        if decimal(self.max) {
            found.add("max", only_int());
        } else if let (Some(min), Some(max)) = (self.min, self.max)
            && max < min
        {
            found.add("max", below(min));
        }
        found
    }
}

fn only_int() -> Violation {
    Violation::new("validation_only_int_constraint", "Decimal numbers are not allowed.")
}

fn below(min: f64) -> Violation {
    let message = format!("Must be greater or equal than {}.", general(min));
    Violation::new("validation_min_number_constraint", message).with("min", number_json(min))
}

/// A number as messages show it: with an exponent of two digits or more below 1e-4 and from 1e21 on, and from 1e6
/// on unless it has more digits than that.
fn general(number: f64) -> String {
    let text = format!("{number:e}");
    let Some((digits, power)) = text.split_once('e') else { return text };
    let power: i32 = power.parse().unwrap_or_default();
    if (-4..GENERAL_POWER_MAX).contains(&power) {
        return cast::plain_number(number);
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.abs())
}

/// The first power of ten that messages write with an exponent.
const GENERAL_POWER_MAX: i32 = 6;
