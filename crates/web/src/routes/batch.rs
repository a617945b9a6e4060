//! Several writes to records in one request: all of them or none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::files::Uploads;
use app::records::upsert;
use app::rules::Context;
use app::settings::BatchLimits;
use app::transaction::{self, Outcome, Transaction};
use app::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as FromState};
use axum::http::request::Parts as Head;
use axum::http::{Method, Response, StatusCode};
use axum::routing::post;
use base::Kind;
use base::limits::{BATCH_BODY_BYTES_MAX, BATCH_URL_CHARS_MAX};
use model::{Violation, Violations};
use serde_json::{Map, Value as Json, json};

use super::{queues, records, reduced};
use crate::body;
use crate::extract::{Asked, Query};
use crate::gate;
use crate::state::State;
use crate::wire;

const FAILED: &str = "Batch transaction failed.";
const INVALID: &str = "Invalid batch request data.";
const UNREADABLE: &str = "Failed to read the submitted batch data.";
/// The list whose items files belong to.
const FILES: &str = "requests";
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Seconds that a batch may take when the settings name none.
const SECONDS_DEFAULT: i64 = 3;

pub fn routes() -> Router<State> {
    Router::new().route("/api/batch", post(batch))
}

async fn batch(FromState(state): FromState<State>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let work = async {
        let asked = Asked::of(&state, &head).await?;
        let limits = state.parts().settings.load().batch.clone();
        if !limits.enabled {
            return Err(Failed::Whole(Error::new(Kind::Forbidden, "Batch requests are not allowed.")));
        }
        let steps = read(&head, body, &limits).await?;
        let out = run(&state, &asked, &head, &steps, &limits).await?;
        Ok(wire::answer::ok(reduced(&asked, out, false)?))
    };
    match work.await {
        Ok(response) => response,
        Err(Failed::Whole(error)) => wire::error::response(error),
        Err(Failed::At(index, error)) => failed_at(index, &error),
    }
}

/// Why nothing was written.
enum Failed {
    Whole(Error),
    /// Because of the request with this index.
    At(usize, Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Whole(error)
    }
}

fn failed_at(index: usize, error: &Error) -> Response<Body> {
    let inner = json!({
        "code": "batch_request_failed",
        "message": "Batch request failed.",
        "response": wire::error::body(error),
    });
    let data = json!({ "requests": { index.to_string(): inner } });
    let body = json!({ "data": data, "message": FAILED, "status": 400 });
    let mut response = wire::answer::json(StatusCode::BAD_REQUEST, body.to_string());
    response.extensions_mut().insert(wire::error::Logged { error: FAILED.into(), details: data });
    response
}

/// One request of the batch, as it was sent.
struct Step {
    method: String,
    url: String,
    headers: Map<String, Json>,
    body: Map<String, Json>,
    uploads: Arc<Uploads>,
}

async fn read(head: &Head, body: Body, limits: &BatchLimits) -> Result<Vec<Step>> {
    let bytes_max = match usize::try_from(limits.max_body_size) {
        Ok(0) | Err(_) => BATCH_BODY_BYTES_MAX,
        Ok(bytes) => bytes,
    };
    let unreadable = |error: Error| match error.kind {
        Kind::TooLarge => error,
        _ => Error::new(Kind::Invalid, UNREADABLE).details(error.details.unwrap_or(error.message)),
    };
    let (mut form, uploads) =
        body::read_with_files(head, body, bytes_max as u64, bytes_max).await.map_err(unreadable)?;
    let requests = match form.remove("requests") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(requests)) => requests,
        Some(_) => return Err(Error::new(Kind::Invalid, UNREADABLE).details("the requests are no list")),
    };
    let steps = requests.into_iter().map(Step::of).collect::<Option<Vec<_>>>();
    let mut steps =
        steps.ok_or_else(|| Error::new(Kind::Invalid, UNREADABLE).details("malformed requests"))?;
    check(&steps, limits.max_requests)?;
    for (index, uploads) in uploads.split(FILES) {
        if let Some(step) = steps.get_mut(index) {
            step.uploads = Arc::new(uploads);
        }
    }
    Ok(steps)
}

impl Step {
    /// `None` when a part is of another type.
    fn of(json: Json) -> Option<Step> {
        let mut parts = match json {
            Json::Object(parts) => parts,
            Json::Null => Map::new(),
            _ => return None,
        };
        let mut text = |key: &str| match parts.remove(key) {
            None | Some(Json::Null) => Some(String::new()),
            Some(Json::String(text)) => Some(text),
            Some(_) => None,
        };
        let (method, url) = (text("method")?, text("url")?);
        let mut object = |key: &str| match parts.remove(key) {
            None | Some(Json::Null) => Some(Map::new()),
            Some(Json::Object(object)) => Some(object),
            Some(_) => None,
        };
        let (headers, body) = (object("headers")?, object("body")?);
        let texts = |value: &Json| value.is_string() || value.is_null();
        headers.values().all(texts).then(|| Step { method, url, headers, body, uploads: Arc::default() })
    }
}

fn check(steps: &[Step], requests_max: i64) -> Result<()> {
    let mut violations = Violations::default();
    if steps.is_empty() {
        violations.add("requests", Violation::required());
    } else if i64::try_from(steps.len()).unwrap_or(i64::MAX) > requests_max {
        violations.add("requests", too_long(requests_max));
    } else {
        let mut all = Violations::default();
        for (index, step) in steps.iter().enumerate() {
            let mut wrong = Violations::default();
            if step.method.is_empty() {
                wrong.add("method", Violation::required());
            } else if !METHODS.contains(&step.method.as_str()) {
                wrong.add("method", Violation::new("validation_in_invalid", "Must be a valid value."));
            }
            if step.url.is_empty() {
                wrong.add("url", Violation::required());
            } else if step.url.chars().count() > BATCH_URL_CHARS_MAX {
                wrong.add("url", too_long(BATCH_URL_CHARS_MAX as i64));
            }
            if !wrong.is_empty() {
                all.nest(index.to_string(), wrong);
            }
        }
        if !all.is_empty() {
            violations.nest("requests", all);
        }
    }
    match violations.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid(INVALID, violations)),
    }
}

fn too_long(max: i64) -> Violation {
    let message = format!("The length must be no more than {max}.");
    Violation::new("validation_length_too_long", message).with("max", max).with("min", 0)
}

async fn run(
    state: &State,
    asked: &Asked,
    head: &Head,
    steps: &[Step],
    limits: &BatchLimits,
) -> std::result::Result<String, Failed> {
    let seconds = if limits.timeout > 0 { limits.timeout } else { SECONDS_DEFAULT };
    let limit = Duration::from_secs(seconds.unsigned_abs());
    let began = Instant::now();
    for attempt in 1.. {
        // All tries together last no longer than the one that goes through may.
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let open = transaction::begin(&state.parts().store, left).await?;
        let result = all(state, asked, head, steps, &open, attempt == 1).await;
        let undone = result.is_err();
        let outcome = transaction::end(open, result, attempt).await;
        // Whether a commit that failed left the records behind is not known: their files stay.
        if undone || !matches!(outcome, Outcome::Done(_)) {
            for step in steps {
                step.uploads.undo(state.parts()).await;
            }
        }
        match outcome {
            Outcome::Done(result) => return result,
            Outcome::Expired => break,
            Outcome::Again => {}
        }
    }
    Err(Error::new(Kind::Invalid, FAILED).details("the batch took too long").into())
}

/// The answers of all requests, as a JSON list.
async fn all(
    state: &State,
    asked: &Asked,
    head: &Head,
    steps: &[Step],
    open: &Transaction,
    is_first: bool,
) -> std::result::Result<String, Failed> {
    let mut out = String::from("[");
    for (index, step) in steps.iter().enumerate() {
        let body = one(state, asked, head, step, open, is_first).await.map_err(|error| match error.kind {
            // Nothing is wrong with the request.
            Kind::Unavailable | Kind::Internal => Failed::Whole(error),
            _ => Failed::At(index, error),
        })?;
        if index > 0 {
            out.push(',');
        }
        match body {
            Some(body) => out.push_str(&format!("{{\"body\":{body},\"status\":200}}")),
            None => out.push_str("{\"body\":null,\"status\":204}"),
        }
    }
    out.push(']');
    Ok(out)
}

/// One request's answer; `None` when it has no body.
async fn one(
    state: &State,
    asked: &Asked,
    head: &Head,
    step: &Step,
    open: &Transaction,
    is_first: bool,
) -> Result<Option<String>> {
    let (path, query) = match step.url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (step.url.as_str(), None),
    };
    let query = Query::parse_strictly(query)
        .ok_or_else(|| Error::bad_request().details("the request's parameters are malformed"))?;
    let mut inner = asked.within(head, "", query, &step.headers, step.body.clone());
    if let Some(stream) = stream(path).filter(|_| step.method == "POST") {
        inner.request.method = "POST";
        count(state, &inner, path, is_first).await?;
        return queues::publish(&Context::within(state.parts(), &inner.request, open.store()), stream)
            .await
            .map(Some);
    }
    let (name, id) = target(path).ok_or_else(|| Error::bad_request().details("no such action in a batch"))?;
    let collection = records::find(&state.parts().catalog.schema(), name)?;
    let mut existing = None;
    inner.request.method = match (step.method.as_str(), id) {
        ("POST", None) => "POST",
        ("PUT", None) => {
            let cx = Context::within(state.parts(), &inner.request, open.store());
            existing = upsert::existing(&cx, &collection).await?;
            if existing.is_some() { "PATCH" } else { "POST" }
        }
        ("PATCH", Some(_)) => "PATCH",
        ("DELETE", Some(_)) => "DELETE",
        _ => return Err(Error::bad_request().details("no such action in a batch")),
    };
    count(state, &inner, path, is_first).await?;
    let cx = Context::within(state.parts(), &inner.request, open.store());
    let cx = cx.with_uploads(step.uploads.clone());
    match (inner.request.method, existing.as_deref().or(id)) {
        ("PATCH", Some(id)) => records::updated(&inner, &cx, &collection, id).await.map(Some),
        ("DELETE", Some(id)) => {
            app::records::delete::delete(&cx, &collection, id).await?;
            Ok(None)
        }
        _ => records::created(&inner, &cx, &collection).await.map(Some),
    }
}

/// Rate limits count a request the first time that it runs.
async fn count(state: &State, inner: &Asked, path: &str, is_first: bool) -> Result<()> {
    let method = Method::from_bytes(inner.request.method.as_bytes()).unwrap_or_default();
    let counted = gate::Asked { method: &method, path, in_batch: true };
    match is_first && inner.visit.count(state, &counted).await.is_some() {
        true => Err(gate::too_many()),
        false => Ok(()),
    }
}

/// The stream that a path publishes to.
fn stream(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/api/queues/")?.strip_suffix("/publish")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// The collection and the record that a path names. Nothing in it is decoded, as in the reference.
fn target(path: &str) -> Option<(&str, Option<&str>)> {
    let (name, rest) = path.strip_prefix("/api/collections/")?.split_once("/records")?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    match rest.strip_prefix('/') {
        None => rest.is_empty().then_some((name, None)),
        Some(id) => (!id.is_empty() && !id.contains('/')).then_some((name, Some(id))),
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn only_paths_of_records_are_known() {
        for (path, expected) in [
            ("/api/collections/a/records", Some(("a", None))),
            ("/api/collections/a/records/b", Some(("a", Some("b")))),
            ("/api/collections/records/records/records", Some(("records", Some("records")))),
            ("/api/collections/a/records/", None),
            ("/api/collections/a/records/b/c", None),
            ("/api/collections//records", None),
            ("/api/collections/a/b/records", None),
            ("/api/collections/a/recordsb", None),
            ("/api/batch", None),
            ("", None),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
    }
}
