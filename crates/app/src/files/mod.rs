//! Files of records: uploaded with them, served by name, and gone with them. The record is what counts: a file is
//! written before the record that names it and removed after the last record that did, so that an acknowledged record
//! never misses a file. What a failure leaves over in between is an orphan, and swept.

mod removal;
pub mod serve;
pub mod sniff;
mod sweep;
mod thumbs;
mod uploads;

pub use removal::{dropped_collection, dropped_fields, remove, remove_folder, removed, unchanged};
pub use serve::Served;
pub use sweep::{Swept, sweep_orphans};
#[doc(hidden)]
pub use thumbs::fuzz as fuzz_thumb;
pub use thumbs::{Thumbs, make as make_thumbs, wanted as wanted_thumbs};
pub use uploads::Uploads;

use removal::held;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use backing::blob::{Attributes, Blobs, Bucket, Content, Place};
use base::Kind;
use model::{Collection, FieldKind, Record};

use crate::error::{Error, Result};
use crate::settings::S3;

/// The files' place, which the settings choose while the server runs.
pub struct Files {
    dir: Option<PathBuf>,
    opened: ArcSwapOption<(S3, Blobs)>,
    pub thumbs: Thumbs,
}

impl Files {
    /// `dir` is used while the settings name no bucket; `None` when no directory is every node's.
    pub fn new(dir: Option<PathBuf>, thumbs: Thumbs) -> Self {
        Files { dir, opened: ArcSwapOption::empty(), thumbs }
    }

    /// Whether there is anywhere to keep files.
    pub fn has_place(&self, settings: &S3) -> bool {
        settings.enabled || self.dir.is_some()
    }

    /// The place that the settings name. It is opened anew when they name another.
    pub fn blobs(&self, settings: &S3) -> Result<Blobs> {
        if let Some(opened) = self.opened.load().as_deref()
            && (opened.0 == *settings || !(opened.0.enabled || settings.enabled))
        {
            return Ok(opened.1.clone());
        }
        let blobs = match &self.dir {
            _ if settings.enabled => open(settings)?,
            Some(dir) => Blobs::open(&Place::Directory(dir.clone()))?,
            None => {
                return Err(Error::new(
                    Kind::Unsupported,
                    "Files have no place that all nodes share: set s3 in the settings, files.s3 in the \
                     configuration, or files.shared for a directory that every node mounts.",
                ));
            }
        };
        self.opened.store(Some(Arc::new((settings.clone(), blobs.clone()))));
        Ok(blobs)
    }
}

/// The bucket that settings name, whether they are enabled or not.
pub fn open(settings: &S3) -> Result<Blobs> {
    Ok(Blobs::open(&Place::Bucket(Bucket {
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        name: settings.bucket.clone(),
        access_key: settings.access_key.clone(),
        secret: settings.secret.clone(),
        path_style: settings.force_path_style,
    }))?)
}

/// Whether a file can be written to the bucket, read and deleted.
pub async fn probe(settings: &S3) -> Result<()> {
    let blobs = open(settings)?;
    let key = format!("pando_probe_{}/test.txt", base::id::record());
    let content = Content::Memory("test".into());
    blobs.put(&key, &content, &Attributes::default()).await?;
    let read = blobs.get(&key).await;
    blobs.delete(&key).await?;
    read?;
    Ok(())
}

impl crate::Parts {
    pub(crate) fn blobs(&self) -> Result<Blobs> {
        self.files.blobs(&self.settings.load().s3)
    }

    /// The same for removing: where nothing can be kept, nothing is there to remove.
    pub(crate) fn blobs_if_any(&self) -> Result<Option<Blobs>> {
        let settings = self.settings.load();
        self.files.has_place(&settings.s3).then(|| self.files.blobs(&settings.s3)).transpose()
    }
}

/// The key of a record's file; the reference's own layout.
fn key(collection_id: &str, record_id: &str, name: &str) -> Result<String> {
    // A part of the key must stay one.
    if [collection_id, record_id, name].iter().any(|part| part.is_empty() || part.contains(['/', '\\'])) {
        return Err(Error::not_found().details("the name cannot be a file's"));
    }
    Ok(format!("{collection_id}/{record_id}/{name}"))
}

/// The folder of what was made of a file.
fn thumbs_folder(collection_id: &str, record_id: &str, name: &str) -> Result<String> {
    key(collection_id, record_id, &format!("thumbs_{name}"))
}

pub fn has_files(collection: &Collection) -> bool {
    !collection.is_view() && collection.fields.iter().any(|field| matches!(field.kind, FieldKind::File(_)))
}

/// The names that a record's file fields hold.
fn names(record: &Record) -> impl Iterator<Item = String> {
    let fields = record.collection.fields.iter().enumerate();
    fields
        .filter(|(_, field)| matches!(field.kind, FieldKind::File(_)))
        .flat_map(|(position, _)| record.row.get(position).to_list())
}

impl From<backing::blob::Error> for Error {
    fn from(error: backing::blob::Error) -> Self {
        let message = match error.kind() {
            _ if matches!(error, backing::blob::Error::Full(_)) => return Error::no_space(error),
            Kind::NotFound => return Error::not_found().details(error),
            Kind::Unavailable => "The file store is not available right now. Try again later.",
            _ => "The file store failed.",
        };
        Error::new(error.kind(), message).details(error)
    }
}
