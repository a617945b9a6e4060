//! Moving the files to another place while they are in use. Each is written, read back and compared; what is there and
//! equal already is not written again, so that a move that was cut short goes on. The settings then name the new place,
//! and what came to the old one in between follows.

use std::sync::Arc;
use std::time::Duration;

use backing::Blobs;
use backing::blob::{Blob, Place};
use base::Kind;
use base::limits::{FOREIGN_CHANGES_MS, TRANSFER_FILES_AT_ONCE, TRANSFER_FILES_PASSES_MAX};
use futures_util::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value as Json, json};

use crate::error::{Error, Result};
use crate::files;
use crate::parts::Parts;
use crate::settings::{self, Format, S3};

/// What has been done of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub files: u64,
    /// Of these, written now; the others were there.
    pub written: u64,
    pub bytes: u64,
}

pub type TellFiles<'a> = &'a (dyn Fn(Passed) + Send + Sync);

/// Copies all files, names the new place in the settings, and copies what came meanwhile. `to` is `None` for the data
/// directory, which is `dir`.
pub async fn relocate(
    parts: &Parts,
    dir: &std::path::Path,
    to: Option<&S3>,
    tell: TellFiles<'_>,
) -> Result<Passed> {
    let old = parts.blobs()?;
    let new = match to {
        Some(bucket) => {
            files::probe(bucket).await?;
            files::open(bucket)?
        }
        None => Blobs::open(&Place::Directory(dir.join("storage")))?,
    };
    let before = parts.settings.load_full();
    let stays = match to {
        Some(bucket) => before.s3 == *bucket,
        None => !before.s3.enabled,
    };
    if stays {
        return Err(Error::new(Kind::Invalid, "The files are there already."));
    }
    let all = pass(&old, &new, tell).await?;
    settings::change(parts, &naming(to), Format::Json).await?;
    // Every server hears of the change within its next look; until then files may still come to the old place.
    for _ in 0..TRANSFER_FILES_PASSES_MAX {
        tokio::time::sleep(Duration::from_millis(FOREIGN_CHANGES_MS * 2)).await;
        if pass(&old, &new, tell).await?.written == 0 {
            return Ok(all);
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        "The settings name the new place, but files still come to the old one: is a server configured to write there?",
    ))
}

fn naming(to: Option<&S3>) -> Map<String, Json> {
    let place = match to {
        Some(bucket) => json!(bucket),
        None => json!({ "enabled": false }),
    };
    Map::from_iter([("s3".to_owned(), place)])
}

async fn pass(old: &Blobs, new: &Blobs, tell: TellFiles<'_>) -> Result<Passed> {
    let passed = Mutex::new(Passed::default());
    let found = old.list("")?.map_err(Error::from);
    found
        .try_for_each_concurrent(TRANSFER_FILES_AT_ONCE, |entry| {
            let passed = &passed;
            async move {
                let written = one(old, new, &entry.key).await?;
                let mut passed = passed.lock();
                passed.files += 1;
                passed.written += u64::from(written);
                passed.bytes += entry.size_bytes;
                tell(*passed);
                Ok(())
            }
        })
        .await?;
    Ok(passed.into_inner())
}

/// Whether the file had to be written. One that is deleted meanwhile is no file of the list any more.
async fn one(old: &Blobs, new: &Blobs, key: &str) -> Result<bool> {
    let source = match old.get(key).await {
        Err(error) if error.kind() == Kind::NotFound => return Ok(false),
        other => other?,
    };
    if let Ok(there) = new.get(key).await
        && there.size_bytes == source.size_bytes
        && hash(&there).await? == hash(&source).await?
    {
        return Ok(false);
    }
    let hashing = Arc::new(Mutex::new(Context::new(&SHA256)));
    let seen = hashing.clone();
    let stream =
        source.stream(0..source.size_bytes).await?.inspect_ok(move |bytes| seen.lock().update(bytes));
    new.put_stream(key, stream.boxed(), source.size_bytes, &source.attributes).await?;
    let here = hashing.lock().clone().finish();
    let there = new.get(key).await?;
    if there.size_bytes != source.size_bytes || hash(&there).await? != here.as_ref() {
        return Err(Error::new(Kind::Internal, format!("The copy of the file {key} is not equal.")));
    }
    Ok(true)
}

async fn hash(blob: &Blob) -> Result<Vec<u8>> {
    let mut hashing = Context::new(&SHA256);
    let mut stream = blob.stream(0..blob.size_bytes).await?;
    while let Some(bytes) = stream.try_next().await.map_err(backing::blob::Error::from)? {
        hashing.update(&bytes);
    }
    Ok(hashing.finish().as_ref().to_vec())
}
