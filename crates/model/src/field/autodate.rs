//! A time that is set on create or update and never by input.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AutodateField {
    pub on_create: bool,
    pub on_update: bool,
}

impl AutodateField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = AutodateField::default();
        reader.bool("onCreate", &mut field.on_create)?;
        reader.bool("onUpdate", &mut field.on_update)?;
        Ok(field)
    }
}

impl FieldType for AutodateField {
    fn name(&self) -> &'static str {
        "autodate"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Date
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("onCreate".into(), Json::from(self.on_create));
        out.insert("onUpdate".into(), Json::from(self.on_update));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::date(input)
    }

    fn validate(&self, _field: &Field, _value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        None
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        if !self.on_create && !self.on_update {
            for key in ["onCreate", "onUpdate"] {
                let message = "Either onCreate or onUpdate must be enabled.";
                found.add(key, Violation::new("validation_required", message));
            }
        }
        found
    }
}
