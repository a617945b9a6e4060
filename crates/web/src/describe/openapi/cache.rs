//! Documents that were made already: one for each schema and each standing of a reader.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use app::collections::standing::Open;
use app::{Error, Result};
use base::Kind;
use base::limits::{DOCUMENTS_BYTES_MAX, DOCUMENTS_MAX};
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
struct Key {
    schema: Arc<Schema>,
    app_name: String,
    superuser: bool,
    open: Vec<Open>,
}

impl Key {
    /// Collections that did not change are the same ones after a reload, while a schema's version may stay although
    /// options did change.
    fn is(&self, other: &Key) -> bool {
        let (ours, theirs) = (&self.schema.collections, &other.schema.collections);
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(one, other)| Arc::ptr_eq(one, other))
            && self.app_name == other.app_name
            && self.superuser == other.superuser
            && self.open == other.open
    }
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
        let key = Key { schema: schema.clone(), app_name: app_name.to_string(), superuser, open };
        let mut known = self.0.lock().await;
        if let Some(at) = known.iter().position(|(other, _)| other.is(&key)) {
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
        known.push((key, document.clone()));
        let bytes = |known: &[(Key, Document)]| known.iter().map(|(_, kept)| kept.body.len()).sum::<usize>();
        while known.len() > DOCUMENTS_MAX || bytes(&known) > DOCUMENTS_BYTES_MAX {
            known.remove(0);
        }
        Ok(document)
    }
}

fn make(schema: &Schema, reader: &Reader, app_name: &str) -> Document {
    let body = super::document(schema, reader, app_name).to_string();
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    Document { etag: format!("\"{:016x}\"", hasher.finish()), body: body.into() }
}
