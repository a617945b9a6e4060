//! Answers made from what is kept.

use std::sync::Arc;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::Cache;
use super::conditional;
use super::flow::Asked;
use super::object::Object;
use super::outcome::{Outcome, Told};
use super::range::{self, Part};
use crate::body::Body;

impl Cache {
    /// The whole, a part of it, or word that the client has it already.
    pub(super) fn kept(
        &self,
        object: &Arc<Object>,
        asked: &Asked,
        age_ms: u64,
        outcome: Outcome,
    ) -> (Response<Body>, Told) {
        let form = self.compress.form(object, asked);
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = object.status;
        *response.headers_mut() = object.headers.clone();
        let headers = response.headers_mut();
        headers.insert(header::AGE, HeaderValue::from(age_ms / 1_000));
        form.describe(headers);
        let body = form.body(object);
        let told = Told { ttl: Some(object.freshness.ttl_s(age_ms)), ..Told::of(outcome) };
        if conditional::is_known(object, &asked.headers) {
            conditional::without_body(headers);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return (response, told);
        }
        if asked.method == Method::HEAD {
            if !headers.contains_key(header::CONTENT_LENGTH) && object.status != StatusCode::NO_CONTENT {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            return (response, told);
        }
        let length = body.len();
        let part =
            match object.status == StatusCode::OK && conditional::may_be_partial(object, &asked.headers) {
                true => range::wanted(&asked.headers, length),
                false => Part::Whole,
            };
        if let Some(which) = range::content_range(part, length) {
            headers.insert(header::CONTENT_RANGE, which);
            headers.remove(header::CONTENT_LENGTH);
        }
        match part {
            Part::Whole => {
                self.compress.count(length, object.body.len());
                *response.body_mut() = Body::Full(body.clone());
            }
            Part::From(from, to) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                *response.body_mut() = Body::Full(body.slice(from..to));
            }
            Part::None => {
                for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                    headers.remove(name);
                }
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            }
        }
        (response, told)
    }

    /// What is still coming in: its head, and a body that is read as it comes. `came` are the headers as the origin sent them, for the
    /// one whose question it was.
    pub(super) fn coming(
        &self,
        head: &Arc<Object>,
        came: Option<HeaderMap>,
        body: Body,
        asked: &Asked,
        age_ms: u64,
    ) -> Response<Body> {
        if head.body.is_empty() && conditional::is_known(head, &asked.headers) {
            return self.kept(head, asked, age_ms, Outcome::Hit).0;
        }
        if !head.body.is_empty() {
            return match came {
                Some(mut headers) if !is_special(asked) => {
                    self.compress.announce(head, asked, &mut headers);
                    respond(head.status, headers, body)
                }
                _ => self.kept(head, asked, age_ms, Outcome::Hit).0,
            };
        }
        let is_led = came.is_some();
        let mut response = respond(head.status, came.unwrap_or_else(|| head.headers.clone()), body);
        self.compress.announce(head, asked, response.headers_mut());
        if !is_led {
            response.headers_mut().insert(header::AGE, HeaderValue::from(age_ms / 1_000));
        }
        response
    }
}

fn is_special(asked: &Asked) -> bool {
    [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::RANGE]
        .iter()
        .any(|name| asked.headers.contains_key(name))
}

/// All of it, to whoever asks.
pub(super) fn whole(object: &Object) -> Response<Body> {
    respond(object.status, object.headers.clone(), Body::Full(object.body.clone()))
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
