//! Reading a file, whole or in part.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use base::Timestamp;
use base::limits::{BLOB_CHUNK_BYTES, BLOB_MEMORY_BYTES_MAX};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use object_store::path::Path;
use object_store::{GetOptions, GetResultPayload, ObjectStore};

use super::{Attributes, Blobs, Error, Result, attributes, bounded, modified, path};

pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// A file found: what is known of it, and a way to its bytes.
pub struct Blob {
    pub size_bytes: u64,
    pub modified: Timestamp,
    pub attributes: Attributes,
    source: Source,
}

enum Source {
    /// Open already, so that what is read is what was found.
    File(Arc<File>),
    Remote(Arc<dyn ObjectStore>, Path),
}

impl Blobs {
    /// Looks a file up. Its bytes are read only when asked for.
    pub async fn get(&self, key: &str) -> Result<Blob> {
        let key = path(key)?;
        if !self.sidecars {
            let options = GetOptions { head: true, ..GetOptions::default() };
            let found = bounded(self.store.get_opts(&key, options)).await?;
            return Ok(Blob {
                size_bytes: found.meta.size,
                modified: modified(&found.meta),
                attributes: Attributes::from_kept(&found.attributes),
                source: Source::Remote(self.store.clone(), key),
            });
        }
        let found = bounded(self.store.get_opts(&key, GetOptions::default())).await?;
        let beside = bounded(self.store.get_opts(&attributes::sidecar(&key)?, GetOptions::default())).await;
        let attributes = match beside {
            Ok(sidecar) => Attributes::from_sidecar(&bounded(sidecar.bytes()).await?),
            Err(Error::Missing) => Attributes::default(),
            Err(error) => return Err(error),
        };
        let meta = found.meta;
        match found.payload {
            GetResultPayload::File(file, _) => Ok(Blob {
                size_bytes: meta.size,
                modified: modified(&meta),
                attributes,
                source: Source::File(Arc::new(file)),
            }),
            GetResultPayload::Stream(_) => Err(Error::Internal("a directory gave a stream".into())),
        }
    }
}

impl Blob {
    /// The bytes of a range that lies within the file.
    pub async fn stream(&self, range: Range<u64>) -> Result<ByteStream> {
        match &self.source {
            Source::Remote(..) if range.is_empty() => Ok(futures_util::stream::empty().boxed()),
            Source::Remote(store, key) => {
                let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
                let found = bounded(store.get_opts(key, options)).await?;
                Ok(found.into_stream().map_err(std::io::Error::other).boxed())
            }
            Source::File(file) => {
                let file = file.clone();
                Ok(try_unfold(range, move |range| {
                    let file = file.clone();
                    async move {
                        if range.is_empty() {
                            return Ok(None);
                        }
                        let (start, end) = (range.start, range.end);
                        let chunk = blocking(move || chunk(&file, range)).await?;
                        let next = start + chunk.len() as u64;
                        Ok(Some((chunk, next..end)))
                    }
                })
                .boxed())
            }
        }
    }

    /// The whole file, when it is not longer than `bytes_max`.
    pub async fn bytes(&self, bytes_max: u64) -> Result<Bytes> {
        if self.size_bytes > bytes_max {
            return Err(Error::Refused("the file is too large to be read whole".into()));
        }
        let mut stream = self.stream(0..self.size_bytes).await?;
        let mut all = BytesMut::with_capacity(self.size_bytes.min(BLOB_MEMORY_BYTES_MAX) as usize);
        while let Some(chunk) = stream.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// Reads at a position of its own: several streams may read one file at a time.
fn chunk(file: &File, range: Range<u64>) -> std::io::Result<Bytes> {
    let mut chunk = vec![0; BLOB_CHUNK_BYTES.min((range.end - range.start) as usize)];
    let read = file.read_at(&mut chunk, range.start)?;
    if read == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    chunk.truncate(read);
    Ok(chunk.into())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
