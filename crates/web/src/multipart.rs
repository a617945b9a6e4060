//! Reading multipart forms as they arrive. Files beyond a size wait in temporary files that have no name, so that
//! nothing is left of them however the request ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use app::files::Uploads;
use app::{Error, Result};
use axum::http::header;
use backing::blob::Content;
use base::Kind;
use base::limits::{
    FILE_NAME_BYTES_MAX, FORM_BUFFER_BYTES_MAX, FORM_NAME_BYTES_MAX, FORM_PARTS_MAX, SNIFF_BYTES_MAX,
    UPLOAD_IDLE_MS, UPLOAD_MEMORY_BYTES_MAX, UPLOAD_READ_MS, UPLOAD_REST_MS,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use multer::{Field, Multipart};
use serde_json::{Map, Value as Json};
use tokio::io::AsyncWriteExt;

use crate::body::{Form, too_large};

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub async fn read<S, E>(
    content_type: &str,
    body: S,
    text_bytes_max: usize,
) -> Result<(Map<String, Json>, Uploads)>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
    E: Into<Failure>,
{
    let boundary =
        multer::parse_boundary(content_type).map_err(|error| Error::bad_request().details(error))?;
    let unclaimed = Arc::new(AtomicUsize::new(0));
    let mut body = Steady { body, unclaimed: unclaimed.clone(), rests: false, total: 0 };
    let parts = Multipart::new(&mut body, boundary);
    let read = Reader { parts, unclaimed, text_bytes_left: text_bytes_max }.read();
    let read = tokio::time::timeout(Duration::from_millis(UPLOAD_READ_MS), read).await;
    let read = read.unwrap_or_else(|_| Err(late()));
    if read.is_err() {
        // What is left of a small body is taken in, so that the connection can go on.
        body.unclaimed.store(0, Ordering::Relaxed);
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        let _ = tokio::time::timeout(Duration::from_millis(UPLOAD_REST_MS), rest).await;
    }
    read
}

struct Reader<'a> {
    parts: Multipart<'a>,
    unclaimed: Arc<AtomicUsize>,
    text_bytes_left: usize,
}

impl Reader<'_> {
    async fn read(mut self) -> Result<(Map<String, Json>, Uploads)> {
        let (mut form, mut uploads) = (Form::default(), Uploads::default());
        let mut count = 0;
        while let Some(mut part) = punctual(self.parts.next_field()).await? {
            self.unclaimed.store(0, Ordering::Relaxed);
            count += 1;
            if count > FORM_PARTS_MAX {
                return Err(Error::bad_request().details("the form has too many parts"));
            }
            let (name, file) = named(&part)?;
            match (name, file) {
                (Some(name), Some(original)) => {
                    let (content, head) = self.file(&mut part).await?;
                    uploads.add(name, &original, &head, content);
                }
                (name, _) => {
                    let text = self.text(&mut part).await?;
                    if let Some(name) = name {
                        form.add(name, text)?;
                    }
                }
            }
        }
        Ok((form.finish(), uploads))
    }

    async fn chunk(&self, part: &mut Field<'_>) -> Result<Option<Bytes>> {
        let chunk = punctual(part.chunk()).await?;
        self.unclaimed.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    async fn text(&mut self, part: &mut Field<'_>) -> Result<String> {
        let mut text = Vec::new();
        while let Some(chunk) = self.chunk(part).await? {
            self.text_bytes_left = self.text_bytes_left.checked_sub(chunk.len()).ok_or_else(too_large)?;
            text.extend_from_slice(&chunk);
        }
        Ok(match String::from_utf8(text) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// The file and its first bytes.
    async fn file(&self, part: &mut Field<'_>) -> Result<(Content, Bytes)> {
        let mut memory = Vec::new();
        let mut disk: Option<(tokio::fs::File, u64)> = None;
        let mut head = Bytes::new();
        while let Some(chunk) = self.chunk(part).await? {
            match &mut disk {
                Some((file, size)) => {
                    file.write_all(&chunk).await.map_err(unstored)?;
                    *size += chunk.len() as u64;
                }
                None => {
                    memory.extend_from_slice(&chunk);
                    if memory.len() > UPLOAD_MEMORY_BYTES_MAX {
                        let file = tokio::task::spawn_blocking(tempfile::tempfile).await;
                        let file = file.map_err(std::io::Error::other).flatten().map_err(unstored)?;
                        let mut file = tokio::fs::File::from_std(file);
                        file.write_all(&memory).await.map_err(unstored)?;
                        head = Bytes::copy_from_slice(&memory[..SNIFF_BYTES_MAX.min(memory.len())]);
                        disk = Some((file, memory.len() as u64));
                        memory = Vec::new();
                    }
                }
            }
        }
        match disk {
            Some((mut file, size_bytes)) => {
                file.flush().await.map_err(unstored)?;
                Ok((Content::File { file: file.into_std().await, size_bytes }, head))
            }
            None => {
                let bytes = Bytes::from(memory);
                let head = bytes.slice(..SNIFF_BYTES_MAX.min(bytes.len()));
                Ok((Content::Memory(bytes), head))
            }
        }
    }
}

/// A part's field and, for a file, the file's own name without the folders before it. A part that belongs to no field
/// has neither.
fn named(part: &Field<'_>) -> Result<(Option<String>, Option<String>)> {
    let disposition = part.headers().get(header::CONTENT_DISPOSITION).and_then(|value| value.to_str().ok());
    let is_field = disposition.is_none_or(|text| text.trim_start().starts_with("form-data"));
    let Some(name) = part.name().filter(|_| is_field) else { return Ok((None, None)) };
    let extended = disposition.and_then(extended_name);
    let file = extended.as_deref().or(part.file_name()).unwrap_or_default();
    if name.len() > FORM_NAME_BYTES_MAX || file.len() > FILE_NAME_BYTES_MAX {
        return Err(Error::bad_request().details("a name in the form is too long"));
    }
    let file = file.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Ok((Some(name.to_string()), (!file.is_empty()).then(|| file.to_string())))
}

/// A file's name in the form that says its encoding: `filename*=UTF-8''na%C3%AFve.txt`.
fn extended_name(disposition: &str) -> Option<String> {
    let value = disposition.split(';').find_map(|part| part.trim().strip_prefix("filename*="))?;
    let (encoding, rest) = value.split_once('\'')?;
    let (_, name) = rest.split_once('\'')?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    encoding.eq_ignore_ascii_case("utf-8").then(|| name.into_owned())
}

async fn punctual<T>(work: impl Future<Output = multer::Result<T>>) -> Result<T> {
    match tokio::time::timeout(Duration::from_millis(UPLOAD_IDLE_MS), work).await {
        Ok(done) => done.map_err(malformed),
        Err(_) => Err(late()),
    }
}

fn late() -> Error {
    Error::bad_request().details("the body took too long to arrive")
}

fn unstored(error: std::io::Error) -> Error {
    Error::new(Kind::Internal, "The uploaded file could not be stored.").details(error)
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the form is empty")]
    Empty,
    #[error("a part's head is too long")]
    Head,
}

fn malformed(error: multer::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner.is::<http_body_util::LengthLimitError>() {
            return too_large();
        }
        if matches!(inner.downcast_ref(), Some(Refused::Empty)) {
            return Error::new(Kind::Invalid, "Failed to read the submitted data.");
        }
        cause = inner.source();
    }
    Error::bad_request().details(error)
}

/// A body in bounded steps. The parser reads whatever it is given before it looks at it: it gets one chunk at a time,
/// and an error when nothing was made of what it has.
struct Steady<S> {
    body: S,
    /// Bytes given since the last part or piece of a part.
    unclaimed: Arc<AtomicUsize>,
    rests: bool,
    total: usize,
}

impl<S, E> Stream for Steady<S>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Unpin,
    E: Into<Failure>,
{
    type Item = std::result::Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = std::task::ready!(Pin::new(&mut self.body).poll_next(cx));
        Poll::Ready(match next {
            Some(Ok(chunk)) => {
                self.rests = true;
                self.total += chunk.len();
                let unclaimed = self.unclaimed.fetch_add(chunk.len(), Ordering::Relaxed);
                match unclaimed > FORM_BUFFER_BYTES_MAX {
                    true => Some(Err(Refused::Head.into())),
                    false => Some(Ok(chunk)),
                }
            }
            Some(Err(error)) => Some(Err(error.into())),
            None if self.total == 0 => {
                self.total = 1;
                Some(Err(Refused::Empty.into()))
            }
            None => None,
        })
    }
}
