//! Fields: one file per type, each with its options, how it reads input and what it refuses.

use base::{Name, Timestamp, Value};
use query::ColumnType;
use serde_json::{Map, Value as Json};

use crate::violation::{Violation, Violations};

mod autodate;
mod bool;
mod date;
mod editor;
mod email;
mod file;
mod geo_point;
mod json;
mod number;
mod password;
mod relation;
mod select;
mod text;
mod url;

pub mod address;
pub(crate) mod cast;
pub(crate) mod check;
mod generate;
mod pattern;
mod re2;
pub mod read;

pub use autodate::AutodateField;
pub use bool::BoolField;
pub use date::DateField;
pub use editor::EditorField;
pub use email::EmailField;
pub use file::{FileField, Upload};
pub(crate) use generate::Generator;
pub use geo_point::GeoPointField;
pub use json::JsonField;
pub use number::NumberField;
pub use password::PasswordField;
pub use pattern::Pattern;
pub use read::Malformed;
pub use relation::RelationField;
pub use select::SelectField;
pub use text::TextField;
pub use url::UrlField;

use read::Reader;

#[cfg(test)]
pub(crate) mod tests;

/// What all types share, and the type's own options.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub id: Name,
    pub name: Name,
    pub system: bool,
    pub hidden: bool,
    pub presentable: bool,
    /// Autodate fields have none.
    pub help: String,
    pub kind: FieldKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    Text(TextField),
    Editor(EditorField),
    Number(NumberField),
    Bool(BoolField),
    Email(EmailField),
    Url(UrlField),
    Date(DateField),
    Autodate(AutodateField),
    Select(SelectField),
    File(FileField),
    Relation(RelationField),
    Json(JsonField),
    Password(PasswordField),
    GeoPoint(GeoPointField),
}

/// How an input key changes a field's value rather than replacing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// `+name`
    Prepend,
    /// `name+`
    Append,
    /// `name-`
    Remove,
    /// `name:autogenerate`
    Autogenerate,
}

/// What a value is judged by, besides its field's options.
#[derive(Clone, Copy, Default)]
pub struct ValidateContext<'a> {
    /// The stored value of an existing record; `None` for a new one.
    pub old: Option<&'a Value>,
    /// The files that came along for this field, by the names that they will be stored under.
    pub uploads: &'a [Upload],
}

/// What a type's options are judged by.
pub(crate) struct OptionsContext<'a> {
    pub field: &'a Field,
    /// The field before the change, when there was one of the same id.
    pub old: Option<&'a Field>,
    pub collection: &'a crate::Collection,
    pub schema: &'a crate::Schema,
}

/// One field type. [`FieldKind::of`] is the only place that lists them.
pub(crate) trait FieldType {
    fn name(&self) -> &'static str;
    fn column_type(&self) -> ColumnType;
    /// Adds the type's own options, in any order.
    fn write(&self, out: &mut Map<String, Json>);
    /// Reads any JSON as a value of this type.
    fn prepare(&self, input: &Json) -> Value;
    /// `None` when the type does not know the modifier: the key is then ignored.
    fn modify(&self, _modifier: Modifier, _current: &Value, _input: &Json) -> Option<Value> {
        None
    }
    fn validate(&self, field: &Field, value: &Value, cx: &ValidateContext<'_>) -> Option<Violation>;
    /// What is wrong with the options.
    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        Violations::default()
    }
}

impl FieldKind {
    pub(crate) fn of(&self) -> &dyn FieldType {
        match self {
            FieldKind::Text(kind) => kind,
            FieldKind::Editor(kind) => kind,
            FieldKind::Number(kind) => kind,
            FieldKind::Bool(kind) => kind,
            FieldKind::Email(kind) => kind,
            FieldKind::Url(kind) => kind,
            FieldKind::Date(kind) => kind,
            FieldKind::Autodate(kind) => kind,
            FieldKind::Select(kind) => kind,
            FieldKind::File(kind) => kind,
            FieldKind::Relation(kind) => kind,
            FieldKind::Json(kind) => kind,
            FieldKind::Password(kind) => kind,
            FieldKind::GeoPoint(kind) => kind,
        }
    }

    /// Bytes that one value of this field may bring along.
    pub(crate) fn upload_bytes_max(&self) -> u64 {
        match self {
            FieldKind::File(file) => file.upload_bytes_max(),
            _ => self.text_bytes_max(),
        }
    }

    /// Bytes of text that one value of this field may bring along, beyond what any body may have.
    pub(crate) fn text_bytes_max(&self) -> u64 {
        match self {
            FieldKind::Json(json) => json.bytes_max() as u64,
            FieldKind::Editor(editor) => editor.bytes_max() as u64,
            _ => 0,
        }
    }

    fn read(type_name: &str, reader: Reader<'_>) -> Result<Self, Malformed> {
        Ok(match type_name {
            "text" => FieldKind::Text(TextField::read(reader)?),
            "editor" => FieldKind::Editor(EditorField::read(reader)?),
            "number" => FieldKind::Number(NumberField::read(reader)?),
            "bool" => FieldKind::Bool(BoolField::read(reader)?),
            "email" => FieldKind::Email(EmailField::read(reader)?),
            "url" => FieldKind::Url(UrlField::read(reader)?),
            "date" => FieldKind::Date(DateField::read(reader)?),
            "autodate" => FieldKind::Autodate(AutodateField::read(reader)?),
            "select" => FieldKind::Select(SelectField::read(reader)?),
            "file" => FieldKind::File(FileField::read(reader)?),
            "relation" => FieldKind::Relation(RelationField::read(reader)?),
            "json" => FieldKind::Json(JsonField::read(reader)?),
            "password" => FieldKind::Password(PasswordField::read(reader)?),
            "geoPoint" => FieldKind::GeoPoint(GeoPointField::read(reader)?),
            _ => return Err(Malformed),
        })
    }
}

impl Field {
    /// A field with nothing set but its name, type and the id made of both.
    pub fn new(name: &str, kind: FieldKind) -> Self {
        let id = default_id(kind.of().name(), name).into();
        Field {
            id,
            name: name.into(),
            system: false,
            hidden: false,
            presentable: false,
            help: String::new(),
            kind,
        }
    }

    /// Reads a field of an API body or of a stored row. The id stays empty when none is given.
    pub fn from_json(json: &Json) -> Result<Self, Malformed> {
        let reader = Reader::of(json)?;
        let (mut id, mut name, mut type_name) = (String::new(), String::new(), String::new());
        // The type is asked for by its exact key.
        if let Some(Json::String(given)) = reader.0.get("type") {
            type_name.clone_from(given);
        }
        reader.text("id", &mut id)?;
        reader.text("name", &mut name)?;
        let mut field = Field {
            id: id.into(),
            name: name.into(),
            system: false,
            hidden: false,
            presentable: false,
            help: String::new(),
            kind: FieldKind::read(&type_name, reader)?,
        };
        reader.bool("system", &mut field.system)?;
        reader.bool("hidden", &mut field.hidden)?;
        reader.bool("presentable", &mut field.presentable)?;
        reader.text("help", &mut field.help)?;
        Ok(field)
    }

    /// Keys in alphabetical order.
    pub fn to_json(&self) -> Json {
        let mut out = Map::new();
        out.insert("id".into(), Json::from(&*self.id));
        out.insert("name".into(), Json::from(&*self.name));
        out.insert("type".into(), Json::from(self.type_name()));
        out.insert("system".into(), Json::from(self.system));
        out.insert("hidden".into(), Json::from(self.hidden));
        out.insert("presentable".into(), Json::from(self.presentable));
        if !matches!(self.kind, FieldKind::Autodate(_)) {
            out.insert("help".into(), Json::from(self.help.as_str()));
        }
        self.kind.of().write(&mut out);
        out.sort_keys();
        Json::Object(out)
    }

    pub fn type_name(&self) -> &'static str {
        self.kind.of().name()
    }

    pub fn column_type(&self) -> ColumnType {
        self.kind.of().column_type()
    }

    /// Reads any JSON as a value of this field. Never fails: what cannot be read becomes the unset value, or one
    /// that [`Field::validate`] refuses.
    pub fn prepare(&self, input: &Json) -> Value {
        self.kind.of().prepare(input)
    }

    /// The value after a modifier; `None` when the type does not know the modifier and the input is ignored.
    pub fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        self.kind.of().modify(modifier, current, input)
    }

    pub fn validate(&self, value: &Value, cx: &ValidateContext<'_>) -> Option<Violation> {
        self.kind.of().validate(self, value, cx)
    }

    /// Whether values of this field never leave the server in a record, whatever `hidden` says.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, FieldKind::Password(_))
    }

    /// A value for a new record that left the field empty; `None` for fields that generate none.
    pub fn autogenerate(&self) -> Option<Value> {
        match &self.kind {
            FieldKind::Text(text) => text.generate().map(Value::from),
            _ => None,
        }
    }

    /// The time to set on create or update; `None` when the field is not set then.
    pub fn autodate(&self, is_new: bool, now: Timestamp) -> Option<Value> {
        match &self.kind {
            FieldKind::Autodate(autodate) if if is_new { autodate.on_create } else { autodate.on_update } => {
                Some(Value::from(now.to_string()))
            }
            _ => None,
        }
    }

    /// The records that a value refers to, as (collection id, record ids), for the caller to look up.
    pub fn relation_checks<'a>(&'a self, value: &Value) -> Option<(&'a str, Vec<String>)> {
        match &self.kind {
            FieldKind::Relation(relation) => {
                let ids = value.to_list();
                (!ids.is_empty()).then_some((relation.collection_id.as_str(), ids))
            }
            _ => None,
        }
    }

    /// What is wrong with the field's options.
    pub(crate) fn check(cx: &OptionsContext<'_>) -> Violations {
        check::check(cx)
    }

    /// Whether a value holds several items.
    pub fn is_multiple(&self) -> bool {
        self.column_type() == ColumnType::List
    }
}

/// The id of a field that was given none: its type and a checksum of its name.
pub fn default_id(type_name: &str, name: &str) -> String {
    format!("{type_name}{}", crate::checksum::crc32(name.as_bytes()))
}
