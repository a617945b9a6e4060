//! Static files: a directory served as a site. Whatever a path says, only what lies in the directory is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::{Error, Result};
use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use base::Kind;
use base::limits::STATIC_CHUNK_BYTES;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::compress::Codings;
use crate::conditional::{self, Resource};
use crate::freshness;
use crate::requestlog::Unlogged;

mod find;
pub(crate) mod kind;

use find::{Found, Located};

/// A directory that is served.
#[derive(Clone, Debug)]
pub struct Public {
    /// Without links in it.
    root: Arc<Path>,
    /// Are paths that lead nowhere answered with the first page, as applications in one page ask for?
    fallback: bool,
}

impl Public {
    /// An error if there is no such directory.
    pub fn open(dir: &Path, fallback: bool) -> std::io::Result<Self> {
        let root = dir.canonicalize()?;
        if !root.is_dir() {
            return Err(std::io::Error::other("it is no directory"));
        }
        Ok(Public { root: root.into(), fallback })
    }

    /// Whether something of the directory has this path, or had when it was asked.
    pub fn holds(&self, path: &str) -> bool {
        find::holds(&self.root, path)
    }

    /// The answer to a GET or HEAD.
    pub async fn serve(&self, head: &Head) -> Result<Response<Body>> {
        let path = head.uri.path();
        if let Some(clean) = find::cleaned(path) {
            return Ok(redirect(head, StatusCode::TEMPORARY_REDIRECT, &clean));
        }
        let codings = Codings::of(&head.headers);
        let (root, wanted, fallback) = (self.root.clone(), path.to_string(), self.fallback);
        let found = tokio::task::spawn_blocking(move || match find::find(&root, &wanted, codings) {
            // The API has no pages.
            Located::Nowhere if fallback && !is_api(&wanted) => find::index(&root, codings),
            located => located,
        });
        match found.await.map_err(Error::internal)? {
            Located::At(found) => send(head, found).await,
            Located::Elsewhere(path) => Ok(redirect(head, StatusCode::MOVED_PERMANENTLY, &path)),
            Located::Nowhere => Err(Error::new(Kind::NotFound, "File not found.")),
        }
    }
}

fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

async fn send(head: &Head, found: Found) -> Result<Response<Body>> {
    let mut headers = HeaderMap::new();
    if let Some(coding) = found.coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    freshness::of_site(&mut headers, kind::Kept::of(&found.name));
    let etag = found.etag();
    let resource = Resource {
        size_bytes: found.size_bytes,
        modified: found.modified,
        etag: Some(&etag),
        content_type: &found.content_type,
    };
    let path: Arc<PathBuf> = Arc::new(found.path);
    let read = |range: std::ops::Range<u64>| {
        let path = path.clone();
        async move {
            let mut file = tokio::fs::File::open(&*path).await.map_err(gone)?;
            if range.start > 0 {
                file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(gone)?;
            }
            let part = file.take(range.end - range.start);
            Ok(ReaderStream::with_capacity(part, STATIC_CHUNK_BYTES).boxed())
        }
    };
    let mut response = conditional::answer(head, &resource, headers, read).await?;
    response.extensions_mut().insert(Unlogged);
    Ok(response)
}

/// It was there a moment ago.
fn gone(error: std::io::Error) -> Error {
    Error::new(Kind::NotFound, "File not found.").details(error)
}

/// To a path of this server: it begins with exactly one slash.
fn redirect(head: &Head, status: StatusCode, path: &str) -> Response<Body> {
    let location = match head.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_string(),
    };
    let mut response = Response::new(Body::empty());
    match HeaderValue::from_str(&location) {
        Ok(location) => {
            *response.status_mut() = status;
            response.headers_mut().insert(header::LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response.extensions_mut().insert(Unlogged);
    response
}

/// Are such requests looked for among the files?
pub fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
