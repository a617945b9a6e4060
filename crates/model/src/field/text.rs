//! Text, and the id of every record.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{INTEGER_MAX, between, put};
use super::read::Reader;
use super::{Field, FieldType, Malformed, OptionsContext, Pattern, ValidateContext, cast};
use super::{FieldKind, Generator, Modifier};
use crate::violation::{Violation, Violations, sentence};

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

    fn validate(&self, _field: &Field, value: &Value, cx: &ValidateContext<'_>) -> Option<Violation> {
        let text = value.text_or_empty();
        if self.primary_key && cx.old.is_some() {
            // Existing ids may be older than the options, so only a change is wrong.
            return cx.old.is_some_and(|old| old.text_or_empty() != text).then(|| {
                Violation::new("validation_pk_change", "The record primary key cannot be changed.")
            });
        }
        self.judge(text)
    }

    fn modify(&self, modifier: Modifier, _current: &Value, input: &Json) -> Option<Value> {
        (modifier == Modifier::Autogenerate).then(|| {
            let mut text = cast::text(input);
            text.push_str(&self.generate().unwrap_or_default());
            Value::text(text)
        })
    }

    fn check(&self, cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        if self.primary_key {
            if &*cx.field.name != "id" {
                let message = "The primary key must be named \"id\".";
                found.add("name", Violation::new("validation_in_invalid", message));
            }
            if !self.required {
                found.add("required", Violation::required());
            }
            let is_key = |field: &&Field| matches!(&field.kind, FieldKind::Text(text) if text.primary_key);
            if cx.collection.fields.iter().filter(is_key).count() > 1 {
                let message = "Composite PKs are not supported and the collection must have only 1 PK.";
                found.add("primaryKey", Violation::new("validation_unsupported_composite_pk", message));
            }
        }
        put(&mut found, "min", between(self.min, 0, INTEGER_MAX));
        put(&mut found, "max", between(self.max, self.min.max(0), INTEGER_MAX));
        if self.primary_key && self.pattern.is_empty() {
            found.add("pattern", Violation::required());
        } else {
            put(&mut found, "pattern", self.pattern.check());
        }
        put(&mut found, "autogeneratePattern", self.check_generator());
        found
    }
}

/// Characters, unless the field says otherwise.
const TEXT_CHARS_MAX: i64 = 5000;
/// What ids are made of unless the collection says otherwise.
pub const ID_PATTERN: &str = "^[a-z0-9]+$";
pub const ID_AUTOGENERATE: &str = "[a-z0-9]{15}";
/// How many values of a generator are tried on the field's other options.
const GENERATOR_TRIALS: usize = 8;

impl TextField {
    /// The options of a new collection's id.
    pub fn id() -> Self {
        TextField {
            required: true,
            min: 15,
            max: 15,
            pattern: Pattern::new(ID_PATTERN),
            autogenerate_pattern: ID_AUTOGENERATE.into(),
            primary_key: true,
        }
    }

    /// The most that a value may have.
    pub fn chars_max(&self) -> i64 {
        if self.max > 0 { self.max } else { TEXT_CHARS_MAX }
    }

    /// A new value after the autogenerate pattern; `None` without one.
    pub fn generate(&self) -> Option<String> {
        match self.autogenerate_pattern.as_str() {
            "" => None,
            ID_AUTOGENERATE => Some(base::id::record()),
            pattern => Generator::new(pattern).ok().map(|generator| generator.generate()),
        }
    }

    fn judge(&self, text: &str) -> Option<Violation> {
        if text.is_empty() {
            return self.required.then(Violation::required);
        }
        let chars = text.chars().count() as i64;
        if chars < self.min {
            let message = format!("Must be at least {} character(s).", self.min);
            return Some(Violation::new("validation_min_text_constraint", message).with("min", self.min));
        }
        let max = self.chars_max();
        if chars > max {
            let message = format!("Must be no more than {max} character(s).");
            return Some(Violation::new("validation_max_text_constraint", message).with("max", max));
        }
        if !self.pattern.is_empty() && !self.pattern.matches(text) || self.primary_key && !is_safe_id(text) {
            return Some(Violation::new("validation_invalid_format", "Invalid value format."));
        }
        None
    }

    fn check_generator(&self) -> Option<Violation> {
        if self.autogenerate_pattern.is_empty() {
            return None;
        }
        let generator = match Generator::new(&self.autogenerate_pattern) {
            Ok(generator) => generator,
            Err(violation) => return Some(violation),
        };
        let bad =
            (0..GENERATOR_TRIALS).map(|_| generator.generate()).find(|text| self.judge(text).is_some())?;
        let message =
            format!("The provided autogenerate pattern could produce invalid field values, ex.: \"{bad}\"");
        Some(Violation::new("validation_invalid_autogenerate_pattern_value", sentence(&message)))
    }
}

/// Ids name directories and parts of addresses, whatever a pattern allows.
fn is_safe_id(text: &str) -> bool {
    !matches!(text, "." | "..") && !text.contains(['/', '\\', '\0'])
}
