//! Rich text.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EditorField {
    pub required: bool,
    /// Bytes; 0 is the default limit.
    pub max_size: i64,
    /// Whether clients should strip the host of own links.
    pub convert_urls: bool,
}

impl EditorField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = EditorField::default();
        reader.bool("required", &mut field.required)?;
        reader.int("maxSize", &mut field.max_size)?;
        reader.bool("convertURLs", &mut field.convert_urls)?;
        Ok(field)
    }
}

impl FieldType for EditorField {
    fn name(&self) -> &'static str {
        "editor"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Text
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("maxSize".into(), Json::from(self.max_size));
        out.insert("convertURLs".into(), Json::from(self.convert_urls));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::text(cast::text(input))
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}
