//! Files by key, in a local directory or in a bucket: one façade over `object_store`, whose trait is the seam. A key is
//! a path with `/` between its parts. Nothing here knows what a file belongs to.

mod attributes;
mod error;
mod open;
mod read;
mod write;

pub use attributes::Attributes;
pub use error::{Error, is_full};
pub use open::{Bucket, Place};
pub use read::{Blob, ByteStream};
pub use write::Content;

use std::sync::Arc;

use base::Timestamp;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

pub type Result<T> = std::result::Result<T, Error>;

/// Where files are kept. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// What a bucket keeps with its objects stands in files beside them, see [`attributes`].
    sidecars: bool,
}

/// One file of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub size_bytes: u64,
    pub modified: Timestamp,
}

impl Blobs {
    /// The files below a folder, in no particular order; all for the empty text. They are read as the stream is, so
    /// that a list may be longer than memory.
    pub fn list(&self, prefix: &str) -> Result<impl Stream<Item = Result<Entry>> + Send + use<>> {
        let prefix = match prefix.is_empty() {
            true => None,
            false => Some(path(prefix)?),
        };
        let sidecars = self.sidecars;
        Ok(self
            .store
            .list(prefix.as_ref())
            .map_err(Error::from)
            .try_filter(move |meta| {
                let shown = !(sidecars && attributes::is_sidecar(meta.location.as_ref()));
                std::future::ready(shown)
            })
            .map_ok(|meta| Entry {
                size_bytes: meta.size,
                modified: modified(&meta),
                key: meta.location.into(),
            }))
    }

    /// Deletes a file. One that is not there is deleted already.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let key = path(key)?;
        self.delete_path(&key).await?;
        if self.sidecars {
            self.delete_path(&attributes::sidecar(&key)?).await?;
        }
        Ok(())
    }

    async fn delete_path(&self, path: &Path) -> Result<()> {
        match bounded(self.store.delete(path)).await {
            Err(Error::Missing) => Ok(()),
            other => other,
        }
    }

    /// Deletes what is below a folder and was last written before `before`. Returns how many there were.
    pub async fn delete_prefix(&self, prefix: &str, before: Timestamp) -> Result<usize> {
        let mut deleted = 0;
        let mut found = std::pin::pin!(self.list(prefix)?);
        while let Some(entry) = found.next().await {
            let entry = entry?;
            if entry.modified < before {
                self.delete(&entry.key).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Copies a file within the store.
    pub async fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (path(from)?, path(to)?);
        if self.sidecars {
            match bounded(self.store.copy(&attributes::sidecar(&from)?, &attributes::sidecar(&to)?)).await {
                Err(Error::Missing) => {}
                other => other?,
            }
        }
        bounded(self.store.copy(&from, &to)).await
    }
}

/// A key as it is: nothing in it is escaped, and parts that lead elsewhere are refused.
fn path(key: &str) -> Result<Path> {
    let path = Path::parse(key).map_err(|error| Error::Refused(error.to_string()))?;
    // Parsing forgives slashes at the ends.
    match path.as_ref() == key && !key.is_empty() {
        true => Ok(path),
        false => Err(Error::Refused(format!("{key:?} is no key"))),
    }
}

fn modified(meta: &ObjectMeta) -> Timestamp {
    Timestamp(meta.last_modified.timestamp_millis())
}

/// An operation whose answer is small, for as long as that may take.
async fn bounded<T>(work: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    let wait = std::time::Duration::from_millis(base::limits::BLOB_CALL_MS);
    match tokio::time::timeout(wait, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::Unavailable("no answer in time".into())),
    }
}

#[cfg(test)]
mod tests;
