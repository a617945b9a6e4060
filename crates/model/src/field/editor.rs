//! Rich text.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{INTEGER_MAX, between, put};
use super::read::Reader;
use super::{Field, FieldType, Malformed, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

/// Bytes, unless the field says otherwise.
const CONTENT_BYTES_MAX: i64 = 5 << 20;

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

    /// The most that a value may have.
    pub fn bytes_max(&self) -> i64 {
        if self.max_size > 0 { self.max_size } else { CONTENT_BYTES_MAX }
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
        let text = value.text_or_empty();
        if text.is_empty() {
            return self.required.then(Violation::required);
        }
        let max = self.bytes_max();
        (text.len() as i64 > max).then(|| {
            let message = format!("The maximum allowed content size is {max} bytes.");
            Violation::new("validation_content_size_limit", message).with("maxSize", max)
        })
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        put(&mut found, "maxSize", between(self.max_size, 0, INTEGER_MAX));
        found
    }
}
