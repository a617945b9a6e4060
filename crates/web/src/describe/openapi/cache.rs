//! Documents that were made already: one for each schema and each standing of a reader.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use app::collections::standing::Open;
use app::{Error, Result};
use base::Kind;
use base::limits::{DOCUMENT_BYTES_MAX, DOCUMENTS_MAX};
use bytes::Bytes;
use model::Schema;
use tokio::sync::Mutex;

use super::Reader;

#[derive(Clone)]
pub struct Document {
    /// With its quotes.
    pub etag: String,
    pub body: Bytes,
}

/// The lock is held while a document is made: many who ask at once wait for one, and one is made at a time.
#[derive(Default)]
pub struct Documents(Mutex<Vec<(Key, Document)>>);

/// Everything that a document is made from.
#[derive(PartialEq)]
struct Key {
    version: u64,
    app_name: String,
    superuser: bool,
    open: Vec<Open>,
}

impl Documents {
    pub async fn get(
        &self,
        schema: Arc<Schema>,
        superuser: bool,
        open: Vec<Open>,
        guests: impl FnOnce() -> Vec<Open>,
        app_name: &str,
    ) -> Result<Document> {
        let key = Key { version: schema.version, app_name: app_name.to_string(), superuser, open };
        let mut known = self.0.lock().await;
        if let Some(at) = known.iter().position(|(other, _)| *other == key) {
            // The last ones asked for stay.
            let entry = known.remove(at);
            let document = entry.1.clone();
            known.push(entry);
            return Ok(document);
        }
        let reader = Reader { superuser, open: key.open.clone(), guests: guests() };
        let title = key.app_name.clone();
        let made = tokio::task::spawn_blocking(move || make(&schema, &reader, &title)).await;
        let document =
            made.map_err(|error| Error::new(Kind::Internal, "Failed to describe the API.").details(error))?;
        if document.body.len() <= DOCUMENT_BYTES_MAX {
            if known.len() >= DOCUMENTS_MAX {
                known.remove(0);
            }
            known.push((key, document.clone()));
        }
        Ok(document)
    }
}

fn make(schema: &Schema, reader: &Reader, app_name: &str) -> Document {
    let body = super::document(schema, reader, app_name).to_string();
    // Another database may well have a schema of the same number.
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    Document { etag: format!("\"{:x}-{:016x}\"", schema.version, hasher.finish()), body: body.into() }
}
