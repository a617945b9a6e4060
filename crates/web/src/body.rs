//! Reading bodies: JSON, URL-encoded forms and multipart forms, all to one JSON object.

use std::time::Duration;

use app::files::Uploads;
use app::{Error, Result};
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, header};
use base::Kind;
use base::limits::{BODY_BYTES_MAX, BODY_READ_MS};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Map, Value as Json};

use crate::extract::decode_pair;
use crate::{multipart, strict};

/// A form field whose text is a JSON object that is merged into the rest.
const JSON_PAYLOAD: &str = "@jsonPayload";

pub const UNREADABLE: &str = "An error occurred while loading the submitted data.";

const UNSUPPORTED: &str = "Unsupported Content-Type.";

/// A body for what takes no files: those that come along are passed over.
pub async fn read(head: &Head, body: Body) -> Result<Map<String, Json>> {
    read_with_files(head, body, BODY_BYTES_MAX as u64, BODY_BYTES_MAX).await.map(|(values, _)| values)
}

/// The same of a whole request whose head tells nothing else.
pub async fn of(request: Request) -> Result<Map<String, Json>> {
    let (head, body) = request.into_parts();
    read(&head, body).await
}

/// The same as a form whose fields are known.
pub async fn form(request: Request) -> Result<Map<String, Json>> {
    of(request).await.map_err(unreadable)
}

/// What the reference says of a form that it cannot read.
pub fn unreadable(error: Error) -> Error {
    match error.kind {
        Kind::Invalid => Error { message: UNREADABLE.into(), ..error },
        _ => error,
    }
}

/// A form's text: missing is empty, another type is an unreadable body.
pub fn text(form: &Map<String, Json>, key: &str) -> Result<String> {
    match form.get(key) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(unreadable(Error::bad_request().details(format!("{key} is no text")))),
    }
}

/// A body of at most so many bytes, of which so many may be something else than files.
pub async fn read_with_files(
    head: &Head,
    body: Body,
    bytes_max: u64,
    text_bytes_max: usize,
) -> Result<(Map<String, Json>, Uploads)> {
    let content_type = content_type(&head.headers);
    if content_type.starts_with("multipart/form-data") {
        let declared = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if declared.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > bytes_max) {
            return Err(too_large());
        }
        let body = Limited::new(body, usize::try_from(bytes_max).unwrap_or(usize::MAX));
        return multipart::read(content_type, body.into_data_stream(), text_bytes_max).await;
    }
    let body = Limited::new(body, text_bytes_max).collect();
    let Ok(collected) = tokio::time::timeout(Duration::from_millis(BODY_READ_MS), body).await else {
        return Err(Error::bad_request().details("the body took too long to arrive"));
    };
    let bytes = match collected {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
        Err(error) => return Err(Error::bad_request().details(error)),
    };
    Ok((decode_plain(content_type, &bytes)?, Uploads::default()))
}

pub fn too_large() -> Error {
    Error::new(Kind::TooLarge, "Request entity too large.")
}

/// Everything but multipart, which needs to await its parts.
fn decode_plain(content_type: &str, bytes: &[u8]) -> Result<Map<String, Json>> {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::bad_request().details(error))?;
        let mut form = Form::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) =
                decode_pair(pair).ok_or_else(|| Error::bad_request().details("malformed form"))?;
            form.add(key, value)?;
        }
        return Ok(form.finish());
    }
    if !(content_type.is_empty() || content_type.starts_with("application/json")) {
        return Err(
            match content_type.starts_with("application/xml") || content_type.starts_with("text/xml") {
                true => Error::bad_request().details("XML bodies are not read"),
                false => Error::new(Kind::Invalid, UNSUPPORTED),
            },
        );
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match strict::first_value(bytes) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(Json::Null) => Ok(Map::new()),
        Ok(_) => Err(Error::bad_request().details("the body is not an object")),
        Err(error) => Err(Error::bad_request().details(error)),
    }
}

/// Form values are texts; a name given more than once becomes a list.
#[derive(Default)]
pub struct Form {
    values: Vec<(String, Vec<String>)>,
    payload: Map<String, Json>,
}

impl Form {
    pub fn add(&mut self, name: String, value: String) -> Result<()> {
        if name == JSON_PAYLOAD {
            match serde_json::from_str::<Json>(&value) {
                Ok(Json::Object(object)) => self.payload.extend(object),
                Ok(_) => return Err(Error::bad_request().details("the JSON payload is not an object")),
                Err(error) => return Err(Error::bad_request().details(error)),
            }
            return Ok(());
        }
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.values.push((name, vec![value])),
        }
        Ok(())
    }

    pub fn finish(self) -> Map<String, Json> {
        let mut out = Map::new();
        for (name, mut values) in self.values {
            let value = match values.len() {
                1 => infer(values.swap_remove(0)),
                _ => Json::Array(values.into_iter().map(infer).collect()),
            };
            out.insert(name, value);
        }
        out.extend(self.payload);
        out
    }
}

/// Forms carry no types: what is spelled like a boolean or a number is taken as such, and JSON is
/// left to the fields that hold it.
fn infer(text: String) -> Json {
    match text.as_str() {
        "" => Json::String(text),
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        _ => match text.as_bytes()[0] {
            b'-' | b'0'..=b'9' => match serde_json::from_str::<Json>(&text) {
                // Only numbers whose text is unchanged: ids and codes with leading zeros stay texts.
                Ok(Json::Number(number)) if number.to_string() == text => Json::Number(number),
                _ => Json::String(text),
            },
            _ => Json::String(text),
        },
    }
}

/// Whether the body is one of the two kinds of forms, which carry no types.
pub fn is_form(headers: &HeaderMap) -> bool {
    let content_type = content_type(headers);
    ["multipart/form-data", "application/x-www-form-urlencoded"]
        .iter()
        .any(|form| content_type.starts_with(form))
}

pub fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Decodes arbitrary bytes as each kind of body, for fuzzing: the first byte chooses the kind.
pub fn fuzz(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let _ = match kind % 3 {
        0 => decode_plain("application/json", rest),
        1 => decode_plain("application/x-www-form-urlencoded", rest),
        _ => {
            let body = Full::new(bytes::Bytes::copy_from_slice(rest)).map_err(|never| match never {});
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.map_or(Ok(Map::new()), |runtime| {
                let read = multipart::read(
                    "multipart/form-data; boundary=b",
                    body.into_data_stream(),
                    BODY_BYTES_MAX,
                );
                runtime.block_on(read).map(|(values, _)| values)
            })
        }
    };
}
