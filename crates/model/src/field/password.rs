//! A password, stored as a bcrypt hash. The value is plain text between input and storage.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, Pattern, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PasswordField {
    pub required: bool,
    pub pattern: Pattern,
    /// Characters.
    pub min: i64,
    /// Characters; 0 is the most that bcrypt reads.
    pub max: i64,
    /// Of bcrypt; 0 is the default.
    pub cost: i64,
}

impl PasswordField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = PasswordField::default();
        reader.bool("required", &mut field.required)?;
        let mut pattern = String::new();
        reader.text("pattern", &mut pattern)?;
        field.pattern = Pattern::new(pattern);
        reader.int("min", &mut field.min)?;
        reader.int("max", &mut field.max)?;
        reader.int("cost", &mut field.cost)?;
        Ok(field)
    }
}

impl FieldType for PasswordField {
    fn name(&self) -> &'static str {
        "password"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Text
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("pattern".into(), Json::from(self.pattern.as_str()));
        out.insert("min".into(), Json::from(self.min));
        out.insert("max".into(), Json::from(self.max));
        out.insert("cost".into(), Json::from(self.cost));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::text(cast::text(input))
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
