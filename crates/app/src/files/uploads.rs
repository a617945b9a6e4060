//! Files that come with a request, from their arrival to their place.

use std::sync::Arc;

use backing::blob::{Attributes, Content};
use model::field::{FileField, Upload};
use model::{Collection, FieldKind, Record, Request, Violations};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use super::{key, names, sniff};
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::rules::Context;

const RESERVED: &str = ".attrs";

/// The files of one request, in the order of arrival.
#[derive(Debug, Default)]
pub struct Uploads {
    files: Vec<Incoming>,
    /// The same, as validation looks at them.
    known: Vec<Upload>,
    /// Keys that were written for the request.
    written: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Incoming {
    /// The body's key, modifiers included.
    field: String,
    content: Content,
}

impl Uploads {
    /// `original` is the client's name for the file, `head` its first bytes.
    pub fn add(&mut self, field: String, original: &str, head: &[u8], content: Content) {
        let size_bytes = content.size_bytes();
        let found = sniff::sniff(head, head.len() as u64 == size_bytes);
        self.known.push(Upload {
            name: FileField::stored_name(original, found.extension),
            original: original.to_string(),
            size_bytes,
            mime: found.mime.to_string(),
        });
        self.files.push(Incoming { field, content });
    }

    /// The files for the items of a list (`list.0.field` or `list[0].field`), by the item's number. Others are dropped.
    pub fn split(self, list: &str) -> FxHashMap<usize, Uploads> {
        let mut parts: FxHashMap<usize, Uploads> = FxHashMap::default();
        for (incoming, mut upload) in self.files.into_iter().zip(self.known) {
            let Some((index, field)) = numbered(&incoming.field, list) else { continue };
            let part = parts.entry(index).or_default();
            part.files.push(Incoming { field: field.to_string(), content: incoming.content });
            // The reference takes such a file in twice, and the second time by the name that it was given at first.
            upload.original = upload.name;
            upload.name = FileField::stored_name(&upload.original, "");
            part.known.push(upload);
        }
        parts
    }

    /// The first file of that key, and what is known of it.
    pub(crate) fn take(mut self, field: &str) -> Option<(Upload, Content)> {
        let position = self.files.iter().position(|file| file.field == field)?;
        Some((self.known.swap_remove(position), self.files.swap_remove(position).content))
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(crate) fn known(&self) -> &[Upload] {
        &self.known
    }

    /// The request with each file's stored name in its body, after the texts of the same key. A file for what is no
    /// file field, or for one that the caller may not set, is passed over.
    pub(crate) fn named(&self, request: &Request, collection: &Collection) -> Request {
        let mut request = request.clone();
        for (incoming, upload) in self.files.iter().zip(&self.known) {
            let Some((position, _)) = collection.setter(&incoming.field) else { continue };
            let field = &collection.fields[position];
            if !matches!(field.kind, FieldKind::File(_)) || (field.hidden && !request.is_superuser()) {
                continue;
            }
            let before = request.body.remove(&incoming.field).unwrap_or_default();
            let value = match field.prepare(&before).to_list() {
                names if names.is_empty() => Json::from(upload.name.as_str()),
                mut names => {
                    names.push(upload.name.clone());
                    Json::from(names)
                }
            };
            request.body.insert(incoming.field.clone(), value);
        }
        request
    }

    /// Writes those files that the record holds.
    async fn write(&self, parts: &Parts, record: &Record) -> Result<()> {
        for name in names(record) {
            let Some(position) = self.known.iter().position(|upload| upload.name == name) else { continue };
            let (incoming, upload) = (&self.files[position], &self.known[position]);
            let key = key(&record.collection.id, record.id(), &name)?;
            let attributes =
                Attributes { content_type: upload.mime.clone(), original: upload.original.clone() };
            self.written.lock().push(key.clone());
            parts.blobs()?.put(&key, &incoming.content, &attributes).await?;
        }
        Ok(())
    }

    /// Takes back what was written for a record that did not come to be. What cannot be taken back is swept later.
    pub async fn undo(&self, parts: &Parts) {
        let written = std::mem::take(&mut *self.written.lock());
        for key in written {
            let deleted = match parts.blobs() {
                Ok(blobs) => blobs.delete(&key).await.map_err(crate::Error::from),
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                tracing::warn!(key, details = error.details, "an orphaned file was left behind: {error}");
            }
        }
    }
}

/// The number and the field of `list.0.field` or `list[0].field`.
fn numbered<'a>(key: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let rest = key.strip_prefix(list)?;
    let (digits, field) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("].")?,
        None => rest.strip_prefix('.')?.split_once('.')?,
    };
    let index: usize = digits.parse().ok()?;
    (index.to_string() == digits).then_some((index, field))
}

impl<'a> Context<'a> {
    /// The same with files that came along.
    pub fn with_uploads(mut self, uploads: Arc<Uploads>) -> Self {
        self.uploads = (!uploads.is_empty()).then_some(uploads);
        self
    }

    /// See [`Uploads::named`].
    pub(crate) fn named_uploads(&self, collection: &Collection) -> Option<Request> {
        self.uploads.as_ref().map(|uploads| uploads.named(self.request, collection))
    }

    /// Gives the new files of a record that is not stored yet other names in the request than in the record: to a
    /// rule, a file that comes along is a change.
    pub(crate) fn rename_uploads(&self, request: &mut Request) {
        let known = self.known_uploads();
        let rename = |value: &mut Json| {
            let upload = known.iter().find(|upload| value.as_str() == Some(&upload.name));
            if let Some(upload) = upload {
                *value = Json::from(FileField::stored_name(&upload.original, ""));
            }
        };
        for value in request.body.values_mut().filter(|_| !known.is_empty()) {
            match value {
                Json::Array(items) => items.iter_mut().for_each(rename),
                value => rename(value),
            }
        }
    }

    pub(crate) fn known_uploads(&self) -> &[Upload] {
        self.uploads.as_ref().map_or(&[], |uploads| uploads.known())
    }

    /// Puts the record's new files in their places, on disk before the record is written.
    pub(crate) async fn write_uploads(&self, record: &Record, failed: &str) -> Result<()> {
        let Some(uploads) = &self.uploads else { return Ok(()) };
        // What a directory keeps with a file stands beside it under such a name.
        if uploads
            .known
            .iter()
            .any(|upload| upload.name.ends_with(RESERVED) && names(record).any(|name| name == upload.name))
        {
            return Err(Error::invalid(failed, Violations::default()).details("the extension is reserved"));
        }
        let written = uploads.write(self.parts, record).await;
        if written.is_err() {
            uploads.undo(self.parts).await;
        }
        written
    }

    /// To be called only when the record certainly was not written.
    pub(crate) async fn undo_uploads(&self) {
        if let Some(uploads) = &self.uploads {
            uploads.undo(self.parts).await;
        }
    }
}
