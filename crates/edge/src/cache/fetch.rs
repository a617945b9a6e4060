//! Questions to the origin, and what is kept of its answers.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::Cache;
use super::collect::Collected;
use super::conditional;
use super::flight::Fetched;
use super::flow::{Asked, SURROGATE_KEY};
use super::object::{Object, Tag};
use super::outcome::{CACHE_STATUS, Outcome, Told};
use super::policy::{self, Came, Kept, Refusal};
use super::purges::{Moment, Standing};
use super::vary;
use crate::body::Body;
use crate::context::Context;
use crate::front::{Origin, Own};
use crate::upstream::Node;

const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");

/// One question, on behalf of all who wait for its answer.
pub(super) struct Question {
    pub cache: Arc<Cache>,
    pub origin: Origin,
    pub context: Context,
    pub request: Request<Body>,
    pub asked: Arc<Asked>,
    /// What is kept, and is to be validated.
    pub known: Option<(Arc<Object>, Standing)>,
    pub report: Arc<OnceLock<Report>>,
}

/// What became of a question, for who put it.
#[derive(Default)]
pub(super) struct Report {
    pub node: Option<Arc<Node>>,
    pub attempts: u32,
    pub status: u16,
    pub revalidated: bool,
    pub stored: Option<Result<(), Refusal>>,
    /// The headers as they came: some are for this one client and are not kept.
    pub headers: Option<HeaderMap>,
}

/// Asks for the whole, or whether what is kept still holds.
pub(super) async fn ask(question: Question) -> Fetched {
    let Question { cache, origin, mut context, mut request, asked, mut known, report } = question;
    *request.method_mut() = Method::GET;
    conditional::forget(request.headers_mut());
    introduce(request.headers_mut());
    let plain = copy(&request);
    if let Some((object, _)) = &known {
        conditional::validate(request.headers_mut(), object);
    }
    loop {
        let began = SystemTime::now();
        let response = origin.ask(&mut context, request, &asked.key).await;
        let answered = SystemTime::now();
        let mut told = Report {
            node: context.node.clone(),
            attempts: context.attempts,
            status: response.status().as_u16(),
            ..Report::default()
        };
        let serves = known.as_ref().is_some_and(|(object, standing)| {
            let age_ms = object.freshness.age_ms(object.answered, answered);
            *standing != Standing::Hard && object.freshness.serves_errors(age_ms, false)
        });
        if is_error(response.status()) && (is_own(&response) || serves) {
            let status = response.status();
            let _ = report.set(told);
            return Fetched::Failed(status);
        }
        if let (Some((object, _)), StatusCode::NOT_MODIFIED) = (&known, response.status()) {
            let Some(headers) = conditional::refreshed(object, response.headers()) else {
                // It is about something else than what was asked for: once more, without a condition.
                cache.storage.remove(&asked.key);
                request = copy(&plain);
                known = None;
                continue;
            };
            told.revalidated = true;
            let (fresh, kept) = cache.refreshed(&asked, object, headers, response.headers(), began, answered);
            told.stored = Some(kept);
            let _ = report.set(told);
            if kept.is_ok() {
                let body = Body::Full(fresh.body.clone());
                return Fetched::Keep(Box::new(fresh), body);
            }
            cache.storage.remove(&asked.key);
            return Fetched::Pass(super::serve::whole(&fresh));
        }
        let judged = cache.judge(&asked, &response, began, answered);
        told.stored = Some(judged.as_ref().map(drop).map_err(|why| *why));
        return match judged {
            Ok(kept) => {
                let (head, body) = response.into_parts();
                told.headers = Some(head.headers.clone());
                let _ = report.set(told);
                Fetched::Keep(
                    Box::new(object(&asked, head.status, head.headers, &kept, began, answered)),
                    body,
                )
            }
            Err(why) => {
                cache.meter.refuse(why);
                if known.is_some() && !is_error(response.status()) {
                    // What is kept is over, and nothing takes its place.
                    cache.storage.remove(&asked.key);
                }
                let _ = report.set(told);
                Fetched::Pass(response)
            }
        };
    }
}

impl Cache {
    fn judge(
        &self,
        asked: &Asked,
        response: &Response<Body>,
        began: SystemTime,
        answered: SystemTime,
    ) -> Result<Kept, Refusal> {
        let came = Came {
            method: &Method::GET,
            authorized: asked.headers.contains_key(header::AUTHORIZATION),
            status: response.status(),
            headers: response.headers(),
            asked: began,
            answered,
        };
        let kept = policy::judge(&came, &self.options.rules)?;
        let length = hyper::body::Body::size_hint(response.body()).lower();
        let fits = usize::try_from(length).is_ok_and(|length| length <= self.options.object_bytes_max);
        fits.then_some(kept).ok_or(Refusal::Size)
    }

    /// What was validated, with what the answer said anew, and whether it may still be kept.
    fn refreshed(
        &self,
        asked: &Asked,
        object: &Object,
        headers: HeaderMap,
        said: &HeaderMap,
        began: SystemTime,
        answered: SystemTime,
    ) -> (Object, Result<(), Refusal>) {
        // Its age is what this answer says, not what the kept one said.
        let mut judged = headers.clone();
        for age in said.get_all(header::AGE) {
            judged.append(header::AGE, age.clone());
        }
        let came = Came {
            method: &Method::GET,
            authorized: asked.headers.contains_key(header::AUTHORIZATION),
            status: object.status,
            headers: &judged,
            asked: began,
            answered,
        };
        let kept = policy::judge(&came, &self.options.rules);
        let mut fresh = Object { headers, asked: began, answered, ..object.clone() };
        if let Ok(kept) = &kept {
            fresh.freshness = kept.freshness;
            clean(&mut fresh.headers, kept);
            fresh.tags = tags(&fresh.headers);
        }
        (fresh, kept.map(drop))
    }

    /// An answer to HEAD changes what is kept for GET, or ends it.
    pub(super) fn learn(
        &self,
        asked: &Asked,
        object: &Object,
        response: &Response<Body>,
        began: SystemTime,
        moment: Moment,
    ) {
        if response.status() == object.status && conditional::is_same(object, response.headers()) {
            let headers = conditional::updated(&object.headers, response.headers());
            let (fresh, kept) =
                self.refreshed(asked, object, headers, response.headers(), began, SystemTime::now());
            if kept.is_ok() {
                self.storage.put(asked.key.clone(), fresh, moment);
                return;
            }
        }
        if !is_error(response.status()) {
            self.storage.remove(&asked.key);
        }
    }

    /// Passes an answer on, and keeps it on the way if it may be kept.
    pub(super) fn take(
        self: &Arc<Self>,
        asked: &Asked,
        response: Response<Body>,
        began: SystemTime,
        moment: Moment,
        outcome: Outcome,
    ) -> (Response<Body>, Told) {
        let answered = SystemTime::now();
        let mut told = Told::of(outcome);
        told.status = Some(response.status().as_u16());
        let judged = self.judge(asked, &response, began, answered);
        told.stored = Some(judged.as_ref().map(drop).map_err(|why| *why));
        let kept = match judged {
            Ok(kept) => kept,
            Err(why) => {
                self.meter.refuse(why);
                return (response, told);
            }
        };
        told.ttl = Some(kept.freshness.ttl_s(kept.freshness.age_ms));
        let (mut head, body) = response.into_parts();
        let mut object = object(asked, head.status, head.headers.clone(), &kept, began, answered);
        self.compress.announce(&object, asked, &mut head.headers);
        let (storage, key) = (self.storage.clone(), asked.key.clone());
        let body = Collected::of(body, self.options.object_bytes_max, move |bytes| {
            object.body = bytes;
            storage.put(key, object, moment);
        });
        (Response::from_parts(head, body), told)
    }
}

fn object(
    asked: &Asked,
    status: StatusCode,
    mut headers: HeaderMap,
    kept: &Kept,
    began: SystemTime,
    answered: SystemTime,
) -> Object {
    let names = vary::names(&headers).unwrap_or_default();
    clean(&mut headers, kept);
    let date = HeaderValue::from_str(&httpdate::fmt_http_date(answered));
    if let (false, Ok(date)) = (headers.contains_key(header::DATE), date) {
        headers.insert(header::DATE, date);
    }
    Object {
        status,
        tags: tags(&headers),
        headers,
        body: Default::default(),
        encoded: Default::default(),
        varies: vary::values(names, &asked.headers),
        host: asked.host.clone(),
        target: asked.target.clone(),
        asked: began,
        answered,
        freshness: kept.freshness,
        mark: Default::default(),
    }
}

/// Statuses in place of which what is kept may serve (RFC 5861, section 4).
pub(super) fn is_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Whether no node answered.
pub(super) fn is_own(response: &Response<Body>) -> bool {
    response.extensions().get::<Own>().is_some()
}

/// Says to the origin that `Surrogate-Control` is understood here.
pub(super) fn introduce(request: &mut HeaderMap) {
    request.append(SURROGATE_CAPABILITY, HeaderValue::from_static("pando=\"Surrogate/1.0\""));
}

/// The same request without its body, which it does not have.
pub(super) fn copy(request: &Request<Body>) -> Request<Body> {
    let mut again = Request::new(Body::Empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    again
}

/// Takes away what is not kept (RFC 9111, section 3.1): what belongs to one exchange, and what the answer names.
fn clean(headers: &mut HeaderMap, kept: &Kept) {
    const OF_AN_EXCHANGE: [HeaderName; 5] = [
        header::PROXY_AUTHENTICATE,
        HeaderName::from_static("proxy-authentication-info"),
        header::PROXY_AUTHORIZATION,
        header::AGE,
        CACHE_STATUS,
    ];
    for name in OF_AN_EXCHANGE.iter().chain(&kept.without) {
        headers.remove(name);
    }
}

fn tags(headers: &HeaderMap) -> Vec<Tag> {
    let values = headers.get_all(SURROGATE_KEY).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(str::split_ascii_whitespace).map(Tag::from).collect()
}
