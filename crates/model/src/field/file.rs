//! Names of files stored beside the record.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::read::Reader;
use super::{Field, FieldType, Malformed, Modifier, ValidateContext, cast};
use crate::violation::Violation;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileField {
    pub required: bool,
    /// Bytes of one file; 0 is the default limit.
    pub max_size: i64,
    /// At most 1 makes it single.
    pub max_select: i64,
    /// Empty allows all.
    pub mime_types: Vec<String>,
    /// Sizes such as `100x100`.
    pub thumbs: Vec<String>,
    /// Whether downloads need a file token.
    pub protected: bool,
}

impl FileField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = FileField::default();
        reader.bool("required", &mut field.required)?;
        reader.int("maxSize", &mut field.max_size)?;
        reader.int("maxSelect", &mut field.max_select)?;
        reader.texts("mimeTypes", &mut field.mime_types)?;
        reader.texts("thumbs", &mut field.thumbs)?;
        reader.bool("protected", &mut field.protected)?;
        Ok(field)
    }

    pub fn is_multiple(&self) -> bool {
        self.max_select > 1
    }
}

impl FieldType for FileField {
    fn name(&self) -> &'static str {
        "file"
    }

    fn column_type(&self) -> ColumnType {
        if self.is_multiple() { ColumnType::List } else { ColumnType::Text }
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("maxSize".into(), Json::from(self.max_size));
        out.insert("maxSelect".into(), Json::from(self.max_select));
        out.insert("mimeTypes".into(), Json::from(self.mime_types.clone()));
        out.insert("thumbs".into(), Json::from(self.thumbs.clone()));
        out.insert("protected".into(), Json::from(self.protected));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::listed(cast::list(input), self.is_multiple())
    }

    fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        cast::modify_list(modifier, current, input, self.is_multiple())
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        (self.required && *value == self.column_type().zero()).then(Violation::required)
    }
}

/// A file that came with a request, as far as validation needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The name that it will be stored under.
    pub name: String,
    pub size_bytes: u64,
    /// Found from the content.
    pub mime: String,
}
