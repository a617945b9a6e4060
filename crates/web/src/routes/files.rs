//! Files: sent to whoever may see them, and the tokens for those that are protected.

use app::files::serve::{self, Asked as AskedFile};
use app::{Error, Result};
use axum::Router;
use axum::extract::{Path, Request, State as FromState};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::routing::{get, post};
use base::Kind;
use base::json::write_string;

use crate::conditional::{self, Resource};
use crate::extract::Asked;
use crate::freshness;
use crate::state::State;
use crate::wire;
use crate::wire::error::Answer;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/api/files/token", post(token))
        .route("/api/files/{collection}/{record}/{name}", get(file))
}

async fn token(FromState(state): FromState<State>, asked: Asked) -> Answer {
    let caller = asked.request.auth.as_ref().ok_or_else(Error::unauthenticated)?;
    let mut body = String::from("{\"token\":");
    write_string(&mut body, &app::auth::token::issue_file(state.parts(), caller)?);
    body.push('}');
    Ok(wire::answer::ok(body))
}

async fn file(
    FromState(state): FromState<State>,
    Path((collection, record, name)): Path<(String, String, String)>,
    request: Request,
) -> Answer {
    let (head, _) = request.into_parts();
    let asked = Asked::of(&state, &head).await?;
    let cx = asked.context(&state);
    let collection = cx
        .collection(&collection)
        .ok_or_else(|| Error::new(Kind::NotFound, "Missing or invalid collection context."))?;
    let wanted = AskedFile {
        record: &record,
        name: &name,
        thumb: asked.query.text("thumb"),
        token: asked.query.text("token"),
    };
    let served = serve::serve(&cx, &collection, &wanted).await?;
    let content_type = content_type(&served.name, &served.content_type);
    let resource = Resource {
        size_bytes: served.blob.size_bytes,
        modified: served.blob.modified,
        etag: None,
        content_type,
    };
    let download = asked.query.get("download").is_some_and(is_true);
    let mut headers = headers(&served.name, content_type, download)?;
    freshness::file(&mut headers, served.is_public.then_some(&collection.name), &record);
    let blob = &served.blob;
    let read = |range| async { Ok(blob.stream(range).await?) };
    Ok(conditional::answer(&head, &resource, headers, read).await?)
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// No script of an uploaded file may ever run: it gets an origin of its own and nothing to load.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// A name never gets other bytes, so a browser may keep them.
const CACHED: HeaderValue = HeaderValue::from_static("max-age=2592000, stale-while-revalidate=86400");

/// Kinds that a browser shows rather than saves, as the reference has them.
const SHOWN: [&str; 24] = [
    "image/png",
    "image/jpg",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/x-icon",
    "video/webm",
    "video/mp4",
    "video/3gpp",
    "video/quicktime",
    "video/x-ms-wmv",
    "audio/basic",
    "audio/aiff",
    "audio/mpeg",
    "audio/mp3",
    "audio/midi",
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/aac",
    "audio/x-m4a",
    "application/pdf",
    "application/x-pdf",
];

/// Texts whose kind a browser must be told to use them at all; their bytes do not tell it.
const BY_EXTENSION: [(&str, &str); 4] = [
    (".svg", "image/svg+xml"),
    (".css", "text/css"),
    (".js", "text/javascript"),
    (".mjs", "text/javascript"),
];

fn content_type<'a>(name: &str, found: &'a str) -> &'a str {
    let known = BY_EXTENSION.iter().find(|(extension, _)| name.ends_with(extension));
    match known {
        Some((_, content_type)) => content_type,
        None if found.is_empty() => "application/octet-stream",
        None => found,
    }
}

fn headers(name: &str, content_type: &str, download: bool) -> Result<HeaderMap> {
    let shown = !download && SHOWN.contains(&content_type);
    let kind = if shown { "inline" } else { "attachment" };
    // What stands in a stored name needs no escaping, but a name may come from elsewhere.
    let quoted = name.replace(['"', '\\'], "_");
    let disposition = HeaderValue::from_str(&format!("{kind}; filename=\"{quoted}\""))
        .map_err(|error| Error::not_found().details(error))?;
    Ok(HeaderMap::from_iter([
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
        (header::CACHE_CONTROL, CACHED),
    ]))
}
