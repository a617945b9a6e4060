//! Making the configured sizes of new pictures before somebody asks for them: a job of the batch that brought them.

use base::Kind;
use model::{FieldKind, Record};
use query::Job;

use super::picture;
use crate::error::{Error, Result};
use crate::files::{held, key, thumbs_folder};
use crate::jobs::Work;
use crate::parts::Parts;
use model::field::{FileField, Upload};

/// The job for those of the record's new files that are pictures and whose field has sizes configured.
pub fn wanted(record: &Record, new: &[Upload]) -> Option<Job> {
    let is_new_picture = |name: &String| {
        new.iter().any(|upload| upload.name == *name && picture::Format::of(&upload.mime).is_some())
    };
    let names: Vec<String> = if new.is_empty() {
        Vec::new()
    } else {
        with_sizes(record).map(|(_, name)| name).filter(is_new_picture).collect()
    };
    if names.is_empty() {
        return None;
    }
    let (collection, record) = (record.collection.id.to_string(), record.id().to_string());
    Some(Work::MakeThumbs { collection, record, names }.job())
}

/// The names that fields with configured sizes hold.
fn with_sizes(record: &Record) -> impl Iterator<Item = (&FileField, String)> {
    record.collection.fields.iter().enumerate().flat_map(|(position, field)| match &field.kind {
        FieldKind::File(file) if !file.thumbs.is_empty() => {
            record.row.get(position).to_list().into_iter().map(|name| (file, name)).collect()
        }
        _ => Vec::new(),
    })
}

/// Does the job of [`wanted`]. What is there already, what cannot be made and what is gone is passed over.
pub async fn make(parts: &Parts, collection: &str, record: &str, names: &[String]) -> Result<()> {
    let Some(blobs) = parts.blobs_if_any()? else { return Ok(()) };
    let Some(found) = held(parts, collection, record).await? else { return Ok(()) };
    for (field, name) in with_sizes(&found).filter(|(_, name)| names.contains(name)) {
        let original = key(collection, record, &name)?;
        let folder = thumbs_folder(collection, record, &name)?;
        for size in &field.thumbs {
            let thumb = format!("{folder}/{size}_{name}");
            match parts.files.thumbs.find_or_make(&blobs, &original, &thumb, size).await {
                Err(Error { kind: Kind::NotFound, .. }) => break,
                made => drop(made?),
            }
        }
    }
    Ok(())
}
