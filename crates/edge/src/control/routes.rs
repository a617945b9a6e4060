//! What can be asked, and who may ask it.

use std::time::Duration;

use base::limits::{FRONT_CONTROL_BODY_BYTES_MAX, FRONT_CONTROL_READ_MS};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::passing::Asked;
use super::{Control, Speaker, status};
use crate::announce::Announcement;
use crate::announce::heard::Mark;
use crate::body::Failure;

type Answer = Response<Full<Bytes>>;

/// A request, by its id.
#[derive(Deserialize)]
struct Wanted {
    request: String,
}

/// A refusal, in words for whoever asked.
struct Refused(StatusCode, String);

pub(super) async fn answer<B>(control: &Control, speaker: &Speaker, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes, Error: Into<Failure>>,
{
    let answered = route(control, speaker, request).await;
    let mut response = answered.unwrap_or_else(|Refused(status, message)| {
        let body = json!({"data": {}, "message": message, "status": status.as_u16()});
        let mut response = told(status, &body);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn route<B>(control: &Control, speaker: &Speaker, request: Request<B>) -> Result<Answer, Refused>
where
    B: Body<Data = Bytes, Error: Into<Failure>>,
{
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    match (&method, segments.as_slice()) {
        (&Method::GET, ["livez"]) => return Ok(told(StatusCode::OK, &json!({"live": true}))),
        (&Method::GET, ["readyz"]) => return Ok(ready(control)),
        (&Method::GET, ["metrics"]) => return figures(control).await,
        _ => {}
    }
    authorize(control, request.headers())?;
    match (method, segments.as_slice()) {
        (Method::POST, ["announce"]) => {
            let said: Announcement = read(request).await?;
            let heard = control.discovery.hear(&said);
            heard.map_err(|why| Refused(StatusCode::BAD_REQUEST, format!("{why}.")))?;
            *speaker.lock() = Some((said.life, said.way));
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        (Method::POST, ["purge"]) => {
            let mark = Mark::of(request.uri().query());
            purge(control, read(request).await?, mark).await
        }
        (Method::POST, ["logs"]) => {
            let Wanted { request } = read(request).await?;
            let lines = control.front.gate.access_log.as_ref().map(|log| log.find(&request));
            let items: Option<Vec<Json>> =
                lines.map(|lines| lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect());
            Ok(told(StatusCode::OK, &json!({"name": control.name, "items": items})))
        }
        (Method::GET, ["status"]) => Ok(told(StatusCode::OK, &status::of(control))),
        (Method::POST, ["nodes", name, verb @ ("drain" | "undrain")]) => {
            let name = decoded(name);
            if !control.discovery.drain(&name, *verb == "drain") {
                let message = format!("There is no node of the name or address {name:?}.");
                return Err(Refused(StatusCode::NOT_FOUND, message));
            }
            tracing::info!(node = name, "{verb}, as an operator wants it");
            control.deeds.drained(&name, *verb == "drain");
            Ok(told(StatusCode::OK, &json!({"node": name, "drained": *verb == "drain"})))
        }
        _ => {
            let message = "There are GET /livez, /readyz, /metrics, /status, and POST /announce, /purge, /logs, \
                           /nodes/NAME/drain, /nodes/NAME/undrain.";
            Err(Refused(StatusCode::NOT_FOUND, message.into()))
        }
    }
}

fn ready(control: &Control) -> Answer {
    let stopping = *control.stopping.borrow();
    let node = control.front.nodes.load().iter().any(|node| node.is_up() && !node.is_draining());
    let word = |good: bool| if good { "ok" } else { "failed" };
    let ready = node && !stopping;
    let checks = match stopping {
        true => json!({"stopping": word(false)}),
        false => json!({"nodes": word(node)}),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    told(status, &json!({"ready": ready, "checks": checks}))
}

async fn figures(control: &Control) -> Result<Answer, Refused> {
    let Some(text) = (control.figures)().await else {
        return Err(Refused(StatusCode::NOT_FOUND, "No figures are kept.".into()));
    };
    let mut response = Response::new(Full::from(text));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

async fn purge(control: &Control, asked: Asked, mark: Option<Mark>) -> Result<Answer, Refused> {
    let passed = asked.passed;
    let purge = asked.purge();
    if purge.is_empty() {
        let message = "Name what is to be purged: tags, urls, prefixes, or all.";
        return Err(Refused(StatusCode::BAD_REQUEST, message.into()));
    }
    let from = if passed { "door" } else { "operator" };
    metrics::counter!("pando_front_purges_total", "from" => from).increment(1);
    if passed {
        control.heard.passed(mark.as_ref(), &purge);
        return Ok(told(StatusCode::OK, &json!({"purged": true})));
    }
    let mark = control.heard.purge(&purge);
    let others = control.passes.pass(&purge, &mark).await;
    for other in &others {
        let outcome = if other.confirmed { "confirmed" } else { "unconfirmed" };
        metrics::counter!("pando_front_purges_passed_total", "outcome" => outcome).increment(1);
    }
    let missing: Vec<&str> =
        others.iter().filter(|other| !other.confirmed).map(|other| other.door.as_str()).collect();
    control.deeds.purged(&purge, &missing);
    let (status, message) = match missing.is_empty() {
        true => (StatusCode::OK, "Purged everywhere.".to_owned()),
        false => (StatusCode::BAD_GATEWAY, format!("Purged here; not confirmed by {}.", missing.join(", "))),
    };
    Ok(told(status, &json!({"purged": true, "message": message, "doors": others})))
}

fn authorize(control: &Control, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(wanted) = &control.authorization else { return Ok(()) };
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if is_same(given, wanted.as_bytes()) {
        return Ok(());
    }
    metrics::counter!("pando_front_control_refused_total").increment(1);
    let message = "The request needs the header `Authorization: Bearer` with the secret of this front door.";
    Err(Refused(StatusCode::UNAUTHORIZED, message.into()))
}

/// Takes as long for a wrong secret whose first half is right as for any other of its length.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differs = left
        .iter()
        .zip(right)
        .fold(0, |differs, (left, right)| std::hint::black_box(differs | (left ^ right)));
    left.len() == right.len() && differs == 0
}

async fn read<T: DeserializeOwned, B>(request: Request<B>) -> Result<T, Refused>
where
    B: Body<Data = Bytes, Error: Into<Failure>>,
{
    let body = Limited::new(request.into_body(), FRONT_CONTROL_BODY_BYTES_MAX);
    let wait = Duration::from_millis(FRONT_CONTROL_READ_MS);
    let body = match tokio::time::timeout(wait, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("The body is larger than {FRONT_CONTROL_BODY_BYTES_MAX} bytes.");
            return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(Err(error)) => {
            return Err(Refused(StatusCode::BAD_REQUEST, format!("The body broke off: {error}.")));
        }
        Err(_) => {
            return Err(Refused(StatusCode::REQUEST_TIMEOUT, "The body did not come in time.".into()));
        }
    };
    serde_json::from_slice(&body).map_err(|error| {
        Refused(StatusCode::BAD_REQUEST, format!("The body is not the JSON that is expected: {error}."))
    })
}

fn told(status: StatusCode, body: &Json) -> Answer {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A segment of a path without its percent signs. What is wrongly encoded stays as it is.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(is_same(b"Bearer a", b"Bearer a"));
        for wrong in [&b""[..], b"Bearer", b"Bearer b", b"Bearer aa"] {
            assert!(!is_same(wrong, b"Bearer a"));
        }
    }

    #[test]
    fn names_in_paths_are_decoded() {
        for (segment, name) in
            [("a%3A1", "a:1"), ("a:1", "a:1"), ("%", "%"), ("%zz%4", "%zz%4"), ("%é", "%é")]
        {
            assert_eq!(decoded(segment), name);
        }
    }
}
