//! A password, stored as a bcrypt hash. The value is plain text between input and storage.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{between, put};
use super::read::Reader;
use super::{Field, FieldType, Malformed, OptionsContext, Pattern, ValidateContext, cast};
use crate::violation::{Violation, Violations};

use base::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MAX};

/// What bcrypt can be told.
const COST_MIN: i64 = 4;
const COST_MAX: i64 = 31;

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

    /// The most that a password may have.
    pub fn chars_max(&self) -> i64 {
        if self.max > 0 { self.max } else { PASSWORD_CHARS_MAX as i64 }
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

    fn validate(&self, _field: &Field, value: &Value, cx: &ValidateContext<'_>) -> Option<Violation> {
        let plain = value.text_or_empty();
        // What did not change is a hash, which the options say nothing about.
        if cx.old.is_some_and(|old| old == value) {
            return (self.required && plain.is_empty()).then(Violation::required);
        }
        if plain.is_empty() {
            return self.required.then(Violation::required);
        }
        if plain.len() > PASSWORD_BYTES_MAX {
            return Some(Violation::new("validation_invalid_value", "Invalid value."));
        }
        let chars = plain.chars().count() as i64;
        if chars < self.min {
            let message = format!("Must be at least {} character(s).", self.min);
            return Some(Violation::new("validation_min_text_constraint", message));
        }
        let max = self.chars_max();
        if chars > max {
            let message = format!("Must be less than {max} character(s).");
            return Some(Violation::new("validation_max_text_constraint", message));
        }
        (!self.pattern.is_empty() && !self.pattern.matches(plain))
            .then(|| Violation::new("validation_invalid_format", "Invalid value format."))
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        let max = PASSWORD_CHARS_MAX as i64;
        put(&mut found, "min", between(self.min, 1, max));
        put(&mut found, "max", between(self.max, self.min.max(0), max));
        put(&mut found, "cost", between(self.cost, COST_MIN, COST_MAX));
        put(&mut found, "pattern", self.pattern.check());
        found
    }
}
