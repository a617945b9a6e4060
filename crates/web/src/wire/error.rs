//! The only table from error kinds to status codes, and the shape of an error.

use app::Error;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use base::Kind;
use model::Violations;
use model::violation::Node;
use serde_json::{Map, Value as Json, json};

/// What a handler returns.
pub type Answer = Result<Response<Body>, Failure>;

/// A use case's error on its way to the client.
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response<Body> {
        response(self.0)
    }
}

/// For the request log: what went wrong, in more words than the client gets.
#[derive(Clone, Debug)]
pub struct Logged {
    pub error: String,
    pub details: Json,
}

pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error as clients read it.
pub fn body(error: &Error) -> Json {
    json!({
        "data": violations(&error.violations),
        "message": error.message,
        "status": status(error.kind).as_u16(),
    })
}

pub fn response(error: Error) -> Response<Body> {
    let mut response = super::answer::json(status(error.kind), body(&error).to_string());
    if error.kind == Kind::Unavailable {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if error.kind == Kind::TooLarge {
        // The rest of the body is not read, so that nothing can follow on the connection.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let details = match error.details {
        Some(details) => Json::String(details),
        None if error.violations.is_empty() => Json::Null,
        None => violations(&error.violations),
    };
    response.extensions_mut().insert(Logged { error: error.message, details });
    response
}

pub fn violations(all: &Violations) -> Json {
    let mut out = Map::new();
    for (key, node) in &all.0 {
        let value = match node {
            Node::Leaf(violation) => {
                let mut leaf = Map::new();
                leaf.insert("code".into(), violation.code.into());
                leaf.insert("message".into(), violation.message.as_str().into());
                if !violation.params.is_empty() {
                    let params =
                        violation.params.iter().map(|(name, value)| (name.to_string(), value.clone()));
                    leaf.insert("params".into(), Json::Object(params.collect()));
                }
                Json::Object(leaf)
            }
            Node::Branch(inner) => violations(inner),
        };
        out.insert(key.clone(), value);
    }
    Json::Object(out)
}
