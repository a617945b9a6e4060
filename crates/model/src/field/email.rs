//! An email address.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmailField {
    pub required: bool,
    pub except_domains: Vec<String>,
    pub only_domains: Vec<String>,
}

impl EmailField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = EmailField::default();
        reader.bool("required", &mut field.required)?;
        reader.texts("exceptDomains", &mut field.except_domains)?;
        reader.texts("onlyDomains", &mut field.only_domains)?;
        Ok(field)
    }
}

impl FieldType for EmailField {
    fn name(&self) -> &'static str {
        "email"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Text
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("exceptDomains".into(), Json::from(self.except_domains.clone()));
        out.insert("onlyDomains".into(), Json::from(self.only_domains.clone()));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::text(cast::text(input))
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
