//! The first phase: what must not pass is refused, and the rest is put in one form.
//!
//! What hyper has read is not what came over the wire: it takes what it understands and forgets how it was written, and
//! what is passed on is written anew. So a request has one end, the one that hyper saw. What is refused here is what hyper
//! lets through although others might read it differently.

pub mod options;
pub mod target;

mod refusal;

mod seen;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use metrics::Counter;

pub use refusal::Refusal;

use crate::access_log::{AccessLog, Record};
use crate::body::Body;
use crate::cache::outcome::Outcome;
use crate::context::{Context, Introduces};
use crate::forwarded::{self, Asker, Names, Networks};
use crate::front::plain;
use crate::hop;
use crate::limits::{Clients, Held};
use crate::sent::Sent;
use crate::shield::{self, Seal};
use crate::slow::{self, Timing, Upload};
use options::Guard;
use seen::Seen;

/// What is let through, as `Allow` tells it.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// A list of the configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {value:?} is no {kind}")]
pub struct Unreadable {
    pub key: &'static str,
    pub value: String,
    pub kind: &'static str,
}

/// Why a front door cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the access log {path} cannot be opened: {error}")]
    AccessLog { path: String, error: io::Error },
}

/// What is decided by, for the whole life of a front door.
pub struct Gate {
    hosts: Vec<String>,
    pub(crate) trusted: Networks,
    removed: Names,
    pub(crate) tells_forwarded: bool,
    body_bytes_max: u64,
    pub(crate) clients: Clients,
    pub(crate) timing: Timing,
    pub(crate) slow: slow::Counts,
    pub access_log: Option<AccessLog>,
    refused: [Counter; Refusal::ALL.len()],
    /// None where nothing is kept.
    edge: Option<Member>,
    limited: Counter,
    limited_connections: Counter,
    /// By the first digit of the status, from 1 on.
    answered: [Counter; 5],
}

/// An edge among others.
struct Member {
    /// As it calls itself in `CDN-Loop`: another one at every start, so that only its own questions are its own.
    id: String,
    /// How it knows other edges; None without a secret.
    seal: Option<Seal>,
}

impl Gate {
    pub fn new(guard: &Guard) -> Result<Self, Unusable> {
        let hosts = guard.hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect();
        // Proxies are not clients: who is behind them has limits of its own.
        let exempt = Networks::read("front.client_exempt", &guard.client_exempt)?;
        let trusted = Networks::read("front.trusted", &guard.trusted)?;
        let clients = Clients::new(guard.client_most, exempt.and(&trusted));
        let access_log = match &guard.access_log {
            Some(target) => Some(AccessLog::open(target).map_err(|error| {
                let path = target.path.display().to_string();
                Unusable::AccessLog { path, error }
            })?),
            None => None,
        };
        Ok(Gate {
            hosts,
            trusted,
            removed: Names::read(&guard.removed_headers)?,
            tells_forwarded: guard.forwarded,
            body_bytes_max: guard.body_bytes_max,
            clients,
            timing: guard.timing,
            slow: slow::Counts::default(),
            access_log,
            edge: None,
            limited_connections: metrics::counter!("pando_front_limited_total", "of" => "connections"),
            limited: metrics::counter!("pando_front_limited_total", "of" => "requests"),
            answered: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| metrics::counter!("pando_front_requests_total", "status" => class)),
            refused: Refusal::ALL
                .map(|refusal| metrics::counter!("pando_front_refused_total", "reason" => refusal.reason())),
        })
    }

    /// Of an edge of that life, which other edges may ask if they know the secret.
    pub fn among_edges(mut self, life: &str, seal: Option<Seal>) -> Self {
        self.edge = Some(Member { id: format!("pando-{life}"), seal });
        self
    }

    /// Puts a request in one form, or answers what must not pass.
    pub fn admit(&self, context: &mut Context, request: &mut Request<Body>) -> Option<Response<Body>> {
        let version = request.version();
        context.version = version;
        if self.access_log.is_some() {
            context.record = Some(Record::of(request, context.began));
        }
        let refusal = self.judge(context, request).err()?;
        Some(self.refuse(refusal, version))
    }

    pub(crate) fn refuse(&self, refusal: Refusal, version: Version) -> Response<Body> {
        if let Some(counter) = self.refused.get(refusal as usize) {
            counter.increment(1);
        }
        refusal.answer(version)
    }

    /// A connection, while what is returned is kept. None for one that is not let in.
    pub(crate) fn connect(&self, peer: IpAddr) -> Option<Held> {
        let held = self.clients.connect(peer);
        if held.is_none() {
            self.limited_connections.increment(1);
        }
        held
    }

    pub(crate) fn watch(&self) -> slow::Watch {
        slow::Watch::new(self.timing, self.slow.clone())
    }

    /// The streams of a connection by HTTP/2.
    pub(crate) fn streams(&self) -> slow::Streams {
        self.slow.streams(self.timing)
    }

    /// The answer to a client that asked too often.
    pub(crate) fn too_many(&self, wait: Duration) -> Response<Body> {
        self.limited.increment(1);
        let mut response = plain(StatusCode::TOO_MANY_REQUESTS);
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds as u64));
        response
    }

    /// Counts an answer, and sees to what is to happen when it has been sent.
    pub(crate) fn finish(&self, context: Context, held: Held, response: Response<Body>) -> Response<Body> {
        let class = usize::from(response.status().as_u16() / 100);
        if let Some(counter) = class.checked_sub(1).and_then(|class| self.answered.get(class)) {
            counter.increment(1);
        }
        let record = context.record.zip(self.access_log.as_ref()).map(|(mut record, log)| {
            record.client = Some(context.client);
            record.secure = context.secure;
            record.id = response.headers().get(forwarded::X_REQUEST_ID).cloned();
            record.node = context.node;
            record.attempts = context.attempts;
            record.cache = context.cached.map(Outcome::name);
            record.status = response.status();
            (log.clone(), record)
        });
        if record.is_none() && !held.is_counted() {
            return response;
        }
        response.map(|body| Body::Boxed(Box::pin(Sent::new(body, record, held))))
    }

    fn judge(&self, context: &mut Context, request: &mut Request<Body>) -> Result<(), Refusal> {
        method(request.method())?;
        let version = request.version();
        let seen = Seen::of(request.headers(), &self.removed);
        if seen.framing {
            framing(version, request.headers())?;
        }
        let mut changed = None;
        if !self.hosts.is_empty() || !is_plain_host(request.uri(), &seen) {
            let host = host(request.uri(), request.headers())?;
            if !self.hosts.is_empty() && !self.serves(&host) {
                return Err(Refusal::Misdirected);
            }
            changed = host.changed();
        }
        let expects = seen.expect && expects(request.headers())?;
        let Seen { cookies, via, connection, removed, .. } = seen;
        let uri = request.uri();
        let length = uri.path_and_query().map_or(0, |target| target.as_str().len());
        target::check(uri.path(), length)?;
        if uri.authority().is_some() || uri.scheme().is_some() {
            let own = uri.path_and_query().map_or("/", |target| target.as_str());
            *request.uri_mut() = own.parse().map_err(|_| Refusal::Target)?;
        }
        if expects {
            // The answer to that is ours: a body is asked for when a node is there to take it.
            request.headers_mut().remove(header::EXPECT);
        }
        let has_body = !request.body().is_end_stream();
        if let Some(host) = changed {
            request.headers_mut().insert(header::HOST, host);
        }
        *request.version_mut() = Version::HTTP_11;
        let seal = self.edge.as_ref().and_then(|edge| edge.seal.as_ref());
        context.edge = seal
            .filter(|_| !has_body)
            .and_then(|seal| seal.verified(request.method(), request.uri(), request.headers()));
        let headers = request.headers_mut();
        shield::strip(headers);
        context.request_id = forwarded::found(headers, context, self).or_else(forwarded::request_id);
        if !context.asker.is(context.client, context.secure) {
            context.asker = Asker::new(context.client, context.secure);
        }
        if connection {
            hop::strip(headers);
        }
        for name in removed {
            headers.remove(name);
        }
        let own = forwarded::own_via(version);
        let is_first = !via || !headers.contains_key(header::VIA);
        if !is_first {
            forwarded::join_via(headers, own)?;
        }
        let via = is_first.then_some(own);
        if let Some(edge) = &self.edge {
            forwarded::enter_network(headers, &edge.id)?;
        }
        context.introduces = Some(Introduces { via, forwarded: self.tells_forwarded });
        if cookies > 1 {
            one_cookie(headers);
        }
        if has_body {
            self.body(context, request)?;
        }
        Ok(())
    }

    fn serves(&self, host: &Host<'_>) -> bool {
        let name = host.authority.host().trim_end_matches('.').to_ascii_lowercase();
        self.hosts.iter().any(|own| match own.strip_prefix('*') {
            Some(below) => name.len() > below.len() && name.ends_with(below),
            None => *own == name,
        })
    }

    /// Bodies are passed on with an end that is said in one way.
    fn body(&self, context: &mut Context, request: &mut Request<Body>) -> Result<(), Refusal> {
        let length = request.body().size_hint().exact();
        if length.is_some_and(|length| self.body_bytes_max > 0 && length > self.body_bytes_max) {
            return Err(Refusal::LargeBody);
        }
        let headers = request.headers_mut();
        match length {
            Some(length) => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            None => {
                headers.remove(header::CONTENT_LENGTH);
                headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        }
        let broken = Arc::default();
        context.upload = Some(Arc::clone(&broken));
        let inner = std::mem::take(request.body_mut());
        let upload = Upload::new(inner, broken, self.timing, self.body_bytes_max);
        *request.body_mut() = Body::Boxed(Box::pin(upload));
        Ok(())
    }
}

fn method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => Ok(()),
        Method::TRACE | Method::CONNECT => Err(Refusal::Method),
        _ => Err(Refusal::UnknownMethod),
    }
}

/// hyper has chosen by now where the body ends; here it is about whether anybody could have chosen otherwise.
fn framing(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None)
            if version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") =>
        {
            if headers.contains_key(header::CONTENT_LENGTH) {
                return Err(Refusal::Framing);
            }
        }
        _ => return Err(Refusal::Framing),
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit) => {
            Ok(())
        }
        _ => Err(Refusal::Framing),
    }
}

/// Whether the host is said once, in the field alone, and is a name or an IPv4 address in small letters, perhaps with a port:
/// what [`host`] lets pass as it is, as most requests have it.
fn is_plain_host(uri: &Uri, seen: &Seen<'_>) -> bool {
    let Some(host) = seen.host.map(HeaderValue::as_bytes).filter(|_| !seen.hosts) else { return false };
    let is_plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let length = host.iter().position(|byte| !is_plain(byte)).unwrap_or(host.len());
    let is_port = match host.get(length..) {
        None | Some([]) => true,
        Some([b':', digits @ ..]) => is_port(digits),
        Some(_) => false,
    };
    length > 0 && is_port && uri.authority().is_none() && uri.scheme().is_none()
}

/// Digits of a number of 16 bits.
fn is_port(digits: &[u8]) -> bool {
    let add = |number: u32, digit: &u8| {
        digit.is_ascii_digit().then(|| (number * 10 + u32::from(digit - b'0')).min(1 << 16))
    };
    !digits.is_empty() && digits.iter().try_fold(0, add).is_some_and(|number| number < 1 << 16)
}

/// Who is asked for.
struct Host<'a> {
    authority: Authority,
    /// As the field has it.
    given: Option<&'a HeaderValue>,
}

/// One host, said once, or twice alike.
fn host<'a>(uri: &Uri, headers: &'a HeaderMap) -> Result<Host<'a>, Refusal> {
    let mut given = headers.get_all(header::HOST).iter();
    let (given, second) = (given.next(), given.next());
    if second.is_some() {
        return Err(Refusal::Host);
    }
    let named = match given {
        Some(given) => Some(Authority::try_from(given.as_bytes()).map_err(|_| Refusal::Host)?),
        None => None,
    };
    let authority = match (uri.authority(), named) {
        (Some(target), Some(named)) if *target != named => return Err(Refusal::Host),
        (Some(target), _) => target.clone(),
        (None, Some(named)) => named,
        (None, None) => return Err(Refusal::Host),
    };
    if uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(Refusal::Target);
    }
    let has_port = || authority.port_u16().is_some();
    let ends_in_port = || authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    if authority.host().is_empty() || authority.as_str().contains('@') || (ends_in_port() && !has_port()) {
        return Err(Refusal::Host);
    }
    Ok(Host { authority, given })
}

impl Host<'_> {
    /// The field, where it is not there or not in the one form: lower case.
    fn changed(&self) -> Option<HeaderValue> {
        let text = self.authority.as_str();
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_lower && self.given.is_some_and(|given| given.as_bytes() == text.as_bytes()) {
            return None;
        }
        HeaderValue::from_str(&text.to_ascii_lowercase()).ok()
    }
}

/// Whether the client waits to be told to go on.
fn expects(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::EXPECT) {
        None => Ok(false),
        Some(expected) if expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Refusal::Expectation),
    }
}

/// HTTP/2 may send each cookie in a field of its own; before that there is one (RFC 9113, section 8.2.3).
fn one_cookie(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut all = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        all.extend_from_slice(b"; ");
        all.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(all) = HeaderValue::from_bytes(&all) {
        headers.insert(header::COOKIE, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &[u8]) -> Option<(Uri, HeaderMap)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_bytes(host).ok()?);
        Some((Uri::from_static("/a"), headers))
    }

    fn passes(uri: &Uri, headers: &HeaderMap) -> bool {
        is_plain_host(uri, &Seen::of(headers, &Names::read(&[]).unwrap()))
    }

    /// The short way lets nothing pass that the long one would refuse or write otherwise.
    #[test]
    fn a_plain_host_passes_as_it_is() {
        let letters = b"ab9.-:0123456789A_[]@%/ \t";
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut plain = 0;
        for _ in 0..200_000 {
            let mut host = Vec::new();
            for _ in 0..random % 9 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                host.push(letters[(random >> 33) as usize % letters.len()]);
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let Some((uri, headers)) = asked(&host) else { continue };
            if passes(&uri, &headers) {
                plain += 1;
                let found = super::host(&uri, &headers);
                assert!(
                    found.is_ok_and(|host| host.changed().is_none()),
                    "{}",
                    String::from_utf8_lossy(&host)
                );
            }
        }
        assert!(plain > 1_000, "{plain}");
        for (host, is_plain) in
            [("example.com:80", true), ("Example.com", false), ("a:65536", false), ("a:", false), ("", false)]
        {
            let (uri, headers) = asked(host.as_bytes()).unwrap();
            assert_eq!(passes(&uri, &headers), is_plain, "{host}");
        }
    }
}
