//! One or several of a fixed set of values.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{between, put};
use super::read::Reader;
use super::{Field, FieldType, Malformed, Modifier, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations, sentence};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelectField {
    pub required: bool,
    pub values: Vec<String>,
    /// At most 1 makes it single.
    pub max_select: i64,
}

impl SelectField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = SelectField::default();
        reader.bool("required", &mut field.required)?;
        reader.texts("values", &mut field.values)?;
        reader.int("maxSelect", &mut field.max_select)?;
        Ok(field)
    }

    pub fn is_multiple(&self) -> bool {
        self.max_select > 1
    }
}

impl FieldType for SelectField {
    fn name(&self) -> &'static str {
        "select"
    }

    fn column_type(&self) -> ColumnType {
        if self.is_multiple() { ColumnType::List } else { ColumnType::Text }
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("values".into(), Json::from(self.values.clone()));
        out.insert("maxSelect".into(), Json::from(self.max_select));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::listed(cast::list(input), self.is_multiple())
    }

    fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        cast::modify_list(modifier, current, input, self.is_multiple())
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        let items = value.to_list();
        if items.is_empty() {
            return self.required.then(Violation::required);
        }
        if let Some(violation) = too_many(items.len(), self.max_select) {
            return Some(violation);
        }
        let unknown = items.into_iter().find(|item| !self.values.contains(item))?;
        let message = sentence(&format!("Invalid value {unknown}"));
        Some(Violation::new("validation_invalid_value", message).with("value", unknown))
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        if self.values.is_empty() {
            found.add("values", Violation::required());
            return found;
        }
        let max = self.values.len() as i64;
        put(&mut found, "maxSelect", between(self.max_select, 0, max));
        found
    }
}

/// What a value with more items than allowed violates.
pub(super) fn too_many(count: usize, max_select: i64) -> Option<Violation> {
    let max = max_select.max(1);
    (count as i64 > max).then(|| {
        let message = format!("Select no more than {max}.");
        Violation::new("validation_too_many_values", message).with("maxSelect", max)
    })
}
