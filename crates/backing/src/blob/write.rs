//! Writing a file: whole or not at all, and on disk before it is acknowledged.

use std::fs::File;
use std::io::SeekFrom;

use base::limits::{BLOB_PART_BYTES, BLOB_PARTS_MAX};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::{Attributes as Kept, ObjectStore, PutMultipartOptions, PutOptions, WriteMultipart};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Attributes, Blobs, Error, Result, attributes, bounded, path};

/// The bytes of a file that is to be written.
#[derive(Debug)]
pub enum Content {
    Memory(Bytes),
    /// A temporary file, which is read from its beginning.
    File {
        file: File,
        size_bytes: u64,
    },
}

impl Content {
    pub fn size_bytes(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File { size_bytes, .. } => *size_bytes,
        }
    }
}

impl Blobs {
    /// Writes a file, in place of one of the same key.
    pub async fn put(&self, key: &str, content: &Content, attributes: &Attributes) -> Result<()> {
        let key = path(key)?;
        let kept = self.keep(&key, attributes).await?;
        match content {
            Content::Memory(bytes) => self.put_whole(&key, bytes.clone(), kept).await,
            Content::File { file, size_bytes } => {
                let mut file = tokio::fs::File::from_std(file.try_clone()?);
                file.seek(SeekFrom::Start(0)).await?;
                if *size_bytes <= BLOB_PART_BYTES as u64 {
                    let bytes = part(&mut file).await?;
                    return self.put_whole(&key, bytes, kept).await;
                }
                self.put_parts(&key, file, kept).await
            }
        }
    }

    /// What is stored with the file, once what stands beside it is written.
    async fn keep(&self, key: &object_store::path::Path, attributes: &Attributes) -> Result<Kept> {
        if !self.sidecars {
            return Ok(attributes.to_kept());
        }
        if attributes::is_sidecar(key.as_ref()) {
            return Err(Error::Refused("the name is that of another file's attributes".into()));
        }
        // Before the file, so that there never is one without.
        let beside = attributes::sidecar(key)?;
        bounded(self.store.put_opts(&beside, attributes.to_sidecar().into(), PutOptions::default())).await?;
        Ok(Kept::new())
    }

    /// Writes what comes, which must be as long as was said.
    pub async fn put_stream(
        &self,
        key: &str,
        mut content: super::ByteStream,
        size_bytes: u64,
        attributes: &Attributes,
    ) -> Result<()> {
        let key = path(key)?;
        let kept = self.keep(&key, attributes).await?;
        if size_bytes <= BLOB_PART_BYTES as u64 {
            let mut all = BytesMut::with_capacity(size_bytes as usize);
            while let Some(bytes) = content.try_next().await? {
                all.extend_from_slice(&bytes);
            }
            if all.len() as u64 != size_bytes {
                return Err(Error::Internal("the file ended early".into()));
            }
            return self.put_whole(&key, all.freeze(), kept).await;
        }
        let options = PutMultipartOptions { attributes: kept, ..PutMultipartOptions::default() };
        let upload = bounded(self.store.put_multipart_opts(&key, options)).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, BLOB_PART_BYTES);
        let mut written = 0;
        loop {
            let bytes = match content.try_next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) if written == size_bytes => break,
                Ok(None) => {
                    return abandon(writer, Error::Internal("the file ended early".into())).await;
                }
                Err(error) => return abandon(writer, error.into()).await,
            };
            if let Err(error) = writer.wait_for_capacity(BLOB_PARTS_MAX).await {
                return abandon(writer, error.into()).await;
            }
            written += bytes.len() as u64;
            writer.put(bytes);
        }
        writer.finish().await?;
        Ok(())
    }

    async fn put_whole(&self, key: &object_store::path::Path, bytes: Bytes, attributes: Kept) -> Result<()> {
        let options = PutOptions { attributes, ..PutOptions::default() };
        bounded(self.store.put_opts(key, bytes.into(), options)).await.map(drop)
    }

    async fn put_parts(
        &self,
        key: &object_store::path::Path,
        mut file: tokio::fs::File,
        attributes: Kept,
    ) -> Result<()> {
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = bounded(self.store.put_multipart_opts(key, options)).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, BLOB_PART_BYTES);
        loop {
            let bytes = match part(&mut file).await {
                Ok(bytes) => bytes,
                Err(error) => return abandon(writer, error).await,
            };
            if bytes.is_empty() {
                break;
            }
            if let Err(error) = writer.wait_for_capacity(BLOB_PARTS_MAX).await {
                return abandon(writer, error.into()).await;
            }
            writer.put(bytes);
        }
        // Takes its parts back by itself when it fails.
        writer.finish().await?;
        Ok(())
    }
}

async fn abandon(writer: WriteMultipart, error: Error) -> Result<()> {
    if let Err(second) = writer.abort().await {
        tracing::debug!(%second, "parts of a file were left behind");
    }
    Err(error)
}

/// As much as makes a part, less at the end.
async fn part(file: &mut tokio::fs::File) -> Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(BLOB_PART_BYTES);
    while bytes.len() < BLOB_PART_BYTES {
        let room = BLOB_PART_BYTES - bytes.len();
        if file.take(room as u64).read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(bytes.freeze())
}
