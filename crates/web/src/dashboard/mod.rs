//! The dashboard: a site that is part of the program, compressed when it was built, so that serving it copies nothing.

use std::sync::OnceLock;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use tokio_util::io::ReaderStream;

use self::bundle::{Bundle, File};
use crate::compress::Codings;
use crate::conditional;
use crate::requestlog::Unlogged;

mod bundle;

/// What `npm run build` in `dashboard/` wrote.
const BUNDLE: &[u8] = include_bytes!("../../dashboard/bundle.bin");
const PAGE: &str = "index.html";
/// Scripts and styles come from this server's files alone: markup in a record stays text, or at most a picture.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files, read from the program when somebody asks for the first of them.
#[derive(Default)]
pub struct Dashboard(OnceLock<Bundle>);

impl Dashboard {
    /// The one page.
    pub fn page(&self, asked: &HeaderMap) -> Option<Response<Body>> {
        self.file(PAGE, asked)
    }

    pub fn file(&self, path: &str, asked: &HeaderMap) -> Option<Response<Body>> {
        let bundle = self.0.get_or_init(|| {
            bundle::read(BUNDLE).unwrap_or_else(|| {
                tracing::error!("the dashboard's files in this program cannot be read");
                Bundle::default()
            })
        });
        Some(answer(bundle.get(path)?, asked))
    }
}

fn answer(file: &File, asked: &HeaderMap) -> Response<Body> {
    let codings = Codings::of(asked);
    let (coding, bytes) = match () {
        () if codings.accepts("br") => (Some("br"), file.br.clone()),
        () if codings.accepts("gzip") => (Some("gzip"), file.gzip.clone()),
        () => (None, file.gzip.clone()),
    };
    let etag = format!("\"{}{}\"", file.etag, coding.map(|coding| format!("-{coding}")).unwrap_or_default());
    let is_known = conditional::is_known(asked, &etag);
    let body = match coding {
        _ if is_known => Body::empty(),
        Some(_) => Body::from(bytes),
        None => unpacked(bytes),
    };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    let kept = if file.is_named_by_content { "public, max-age=31536000, immutable" } else { "no-cache" };
    for (name, value) in [
        (header::CACHE_CONTROL, kept),
        (header::VARY, "Accept-Encoding"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !is_known {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::CONTENT_TYPE, file.content_type.clone());
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response.extensions_mut().insert(Unlogged);
    response
}

/// For the rare client that takes no compression.
fn unpacked(bytes: Bytes) -> Body {
    Body::from_stream(ReaderStream::new(GzipDecoder::new(std::io::Cursor::new(bytes))))
}
