//! A point in time.

use base::{Timestamp, Value};
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
        // What is no date counts as unset.
        for bound in [&mut field.min, &mut field.max] {
            *bound = Timestamp::parse(bound).map(|stamp| stamp.to_string()).unwrap_or_default();
        }
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
        let Some(stamp) = Timestamp::parse(value.text_or_empty()) else {
            return self.required.then(Violation::required);
        };
        if let Some(min) = Timestamp::parse(&self.min)
            && stamp < min
        {
            let message = format!("Must be no less than {}.", spoken(min));
            let code = "validation_min_greater_equal_than_required";
            return Some(Violation::new(code, message).with("threshold", rfc3339(min)));
        }
        if let Some(max) = Timestamp::parse(&self.max)
            && stamp > max
        {
            let message = format!("Must be no greater than {}.", spoken(max));
            let code = "validation_max_less_equal_than_required";
            return Some(Violation::new(code, message).with("threshold", rfc3339(max)));
        }
        None
    }
}

/// `2022-01-01 00:00:00.5 +0000 UTC`
fn spoken(stamp: Timestamp) -> String {
    format!("{} +0000 UTC", short(stamp))
}

/// `2022-01-01T00:00:00.5Z`
fn rfc3339(stamp: Timestamp) -> String {
    format!("{}Z", short(stamp).replacen(' ', "T", 1))
}

/// Without a zone, and without zeros at the end of the fraction.
fn short(stamp: Timestamp) -> String {
    let text = stamp.to_string();
    let text = text.trim_end_matches('Z');
    match text.split_once('.') {
        Some((whole, "000")) => whole.to_owned(),
        Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
        None => text.to_owned(),
    }
}
