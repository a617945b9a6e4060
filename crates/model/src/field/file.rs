//! Names of files stored beside the record.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{INTEGER_MAX, between, put};
use super::read::Reader;
use super::{Field, FieldType, Malformed, Modifier, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

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

    /// The most that one file may have.
    pub fn bytes_max(&self) -> i64 {
        if self.max_size > 0 { self.max_size } else { FILE_BYTES_MAX }
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
        cast::listed(cast::file_names(input), self.is_multiple())
    }

    fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        cast::modify_list(modifier, current, input, self.is_multiple())
    }

    fn validate(&self, _field: &Field, value: &Value, cx: &ValidateContext<'_>) -> Option<Violation> {
        let names = value.to_list();
        if names.is_empty() {
            return self.required.then(Violation::required);
        }
        let kept = cx.old.map(Value::to_list).unwrap_or_default();
        let upload = |name: &String| cx.uploads.iter().find(|upload| upload.name == *name);
        let unknown: Vec<&str> = names
            .iter()
            .filter(|name| !kept.contains(name) && upload(name).is_none())
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let message = format!("Invalid new files: [{}].", unknown.join(" "));
            return Some(Violation::new("validation_invalid_file", message).with("invalidFiles", unknown));
        }
        let max = self.max_select.max(1);
        if names.len() as i64 > max {
            let message = format!("The maximum allowed files is {max}.");
            return Some(Violation::new("validation_too_many_files", message).with("maxSelect", max));
        }
        names.iter().filter_map(upload).find_map(|upload| self.check_upload(upload))
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        put(&mut found, "maxSelect", between(self.max_select, 0, INTEGER_MAX));
        put(&mut found, "maxSize", between(self.max_size, 0, INTEGER_MAX));
        let mut thumbs = Violations::default();
        for (index, thumb) in self.thumbs.iter().enumerate() {
            if matches!(thumb.as_str(), "0x0" | "0x0t" | "0x0b" | "0x0f") {
                thumbs.add(index.to_string(), Violation::reserved());
            } else if !thumb.is_empty() && !is_thumb(thumb) {
                thumbs.add(index.to_string(), Violation::format());
            }
        }
        found.nest("thumbs", thumbs);
        found
    }
}

impl FileField {
    pub(crate) fn upload_bytes_max(&self) -> u64 {
        (self.bytes_max() as u64).saturating_mul(self.max_select.max(1) as u64)
    }

    fn check_upload(&self, upload: &Upload) -> Option<Violation> {
        let max = self.bytes_max();
        if upload.size_bytes > max as u64 {
            let message = format!(
                "Failed to upload {} - the maximum allowed file size is {max} bytes.",
                upload.original
            );
            let violation = Violation::new("validation_file_size_limit", message);
            return Some(violation.with("file", upload.original.as_str()).with("maxSize", max));
        }
        if !self.mime_types.is_empty() && !self.mime_types.contains(&upload.mime) {
            let allowed = self.mime_types.join(", ");
            let message = format!("\"{}\" mime type must be one of: {allowed}.", upload.name);
            return Some(Violation::new("validation_invalid_mime_type", message));
        }
        None
    }

    /// The name that a file is stored under: what is left of its own name, ten random characters, and its
    /// extension (`found` with its dot when it has none).
    pub fn stored_name(original: &str, found: &str) -> String {
        let random = || base::id::random(RANDOM_LEN, base::id::RECORD_ALPHABET);
        let (stem, extension) = split_extension(original);
        let mut name = snake(stem);
        name.truncate(STEM_CHARS_MAX);
        if name.len() < STEM_CHARS_MIN {
            name.push_str(&random());
        }
        let extension = if extension.is_empty() { found } else { &extension };
        format!("{name}_{}{extension}", random())
    }
}

/// Bytes of one file, unless the field says otherwise.
const FILE_BYTES_MAX: i64 = 5 << 20;
/// What is kept of a file's own name.
const STEM_CHARS_MAX: usize = 100;
/// Names shorter than this are filled up.
const STEM_CHARS_MIN: usize = 3;
/// What is kept of an extension, without its dot.
const EXTENSION_CHARS_MAX: usize = 20;
/// What keeps stored names apart.
const RANDOM_LEN: usize = 10;

/// A name and its last two extensions, or one, without characters that have no place there.
fn split_extension(name: &str) -> (&str, String) {
    let Some(last) = name.rfind('.') else { return (name, String::new()) };
    let start = name[..last].rfind('.').unwrap_or(last);
    let kept = |letter: &char| letter.is_ascii_alphanumeric() || "_.*-+=#".contains(*letter);
    let mut extension: String = name[start..].chars().filter(kept).collect();
    extension = extension.trim_matches('.').to_owned();
    if extension.len() > EXTENSION_CHARS_MAX {
        extension.drain(..extension.len() - EXTENSION_CHARS_MAX);
    }
    if !extension.is_empty() {
        extension.insert(0, '.');
    }
    (&name[..start], extension)
}

/// Lower-case words with single underscores between them.
fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        let starts_word =
            letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if (!letter.is_ascii_alphanumeric() || starts_word) && !out.ends_with('_') {
            out.push('_');
        }
        if letter.is_ascii_alphanumeric() {
            out.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    out.trim_matches('_').to_owned()
}

/// `WxH` with an optional `t`, `b` or `f`.
fn is_thumb(text: &str) -> bool {
    let text = text.strip_suffix(['t', 'b', 'f']).unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('x').is_some_and(|(width, height)| digits(width) && digits(height))
}

/// A file that came with a request, as far as validation needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The name that it will be stored under.
    pub name: String,
    /// The name that the client gave.
    pub original: String,
    pub size_bytes: u64,
    /// Found from the content.
    pub mime: String,
}
