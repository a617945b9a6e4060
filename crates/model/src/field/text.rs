//! Text, and the id of every record.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, Pattern, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextField {
    pub required: bool,
    /// Characters.
    pub min: i64,
    /// Characters; 0 is the default limit.
    pub max: i64,
    pub pattern: Pattern,
    /// What new records get when they give no value.
    pub autogenerate_pattern: String,
    pub primary_key: bool,
}

impl TextField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = TextField::default();
        reader.bool("required", &mut field.required)?;
        reader.int("min", &mut field.min)?;
        reader.int("max", &mut field.max)?;
        let mut pattern = String::new();
        reader.text("pattern", &mut pattern)?;
        field.pattern = Pattern::new(pattern);
        reader.text("autogeneratePattern", &mut field.autogenerate_pattern)?;
        reader.bool("primaryKey", &mut field.primary_key)?;
        Ok(field)
    }
}

impl FieldType for TextField {
    fn name(&self) -> &'static str {
        "text"
    }

    fn column_type(&self) -> ColumnType {
        if self.primary_key { ColumnType::Id } else { ColumnType::Text }
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("min".into(), Json::from(self.min));
        out.insert("max".into(), Json::from(self.max));
        out.insert("pattern".into(), Json::from(self.pattern.as_str()));
        out.insert("autogeneratePattern".into(), Json::from(self.autogenerate_pattern.as_str()));
        out.insert("primaryKey".into(), Json::from(self.primary_key));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::text(cast::text(input))
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && value.text_or_empty().is_empty()).then(Violation::required)
    }
}

impl TextField {
    /// A new value after the autogenerate pattern; `None` without one.
    pub fn generate(&self) -> Option<String> {
        match self.autogenerate_pattern.as_str() {
            "" => None,
            "[a-z0-9]{15}" => Some(base::id::record()),
            _ => Some(base::id::random(50, base::id::ALPHANUMERIC)),
        }
    }
}
