//! A request as the use cases see it.

use std::sync::Arc;

use app::Error;
use app::auth::login::auth_collection;
use app::auth::token::Caller;
use app::rules::Context;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request as HttpRequest};
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use axum::response::IntoResponse;
use model::{Client, Collection, Request};
use percent_encoding::percent_decode_str;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::body;
use crate::gate::Visit;
use crate::state::State;
use crate::wire;
use crate::wire::error::Failure;

/// What rules see as the type of a request inside of a batch: the reference sends them on as such forms.
const INNER_CONTENT_TYPE: &str = "multipart/form-data; boundary=batch";

/// Query parameters in order of appearance; the first of a name counts.
#[derive(Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(raw: Option<&str>) -> Self {
        let pairs = raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Query(pairs.filter_map(decode_pair).collect())
    }

    /// The same, unless any of it is malformed.
    pub fn parse_strictly(raw: Option<&str>) -> Option<Self> {
        let pairs = raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs.map(decode_pair).collect::<Option<_>>().map(Query)
    }

    fn parameters(&self) -> FxHashMap<String, String> {
        self.0.iter().rev().cloned().collect()
    }

    /// Whether a filter of the request may look at its headers.
    fn reads_headers(&self) -> bool {
        self.0.iter().any(|(_, value)| value.contains("headers"))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The paths of relations whose records are to come along.
    pub fn expand(&self) -> Vec<String> {
        expand(self.text("expand"))
    }
}

/// The paths of an `expand` parameter.
pub fn expand(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_string).collect()
}

/// One `key=value`; `None` when it is malformed: with a semicolon, or a `%` that no two hex digits follow.
pub fn decode_pair(pair: &str) -> Option<(String, String)> {
    let escapes = pair.match_indices('%').all(|(at, _)| {
        pair.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes || pair.contains(';') {
        return None;
    }
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((decode(key), decode(value)))
}

/// Form decoding: `+` is a space, `%xx` a byte; what is not UTF-8 is replaced.
fn decode(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_string();
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The caller and everything a rule may ask of the request, the body aside.
pub struct Asked {
    pub request: Request,
    pub query: Query,
    pub caller: Option<Caller>,
    /// The token as sent, good or not; empty when there was none.
    pub token: String,
    pub visit: Visit,
}

impl Asked {
    pub async fn of(state: &State, head: &Head) -> app::Result<Self> {
        let query = Query::parse(head.uri.query());
        let token = bearer(&head.headers).to_string();
        let Some(visit) = head.extensions.get::<Visit>().cloned() else {
            return Err(Error::internal("a request without its visit"));
        };
        let caller = visit.caller(state, &token).await?;
        let schema = state.parts().catalog.schema();
        // Few rules look at headers, and copying them costs more than most rules.
        let headers = if schema.reads_headers || query.reads_headers() {
            header_map(&head.headers)
        } else {
            FxHashMap::default()
        };
        let request = Request {
            method: method_name(&head.method),
            context: "default",
            query: query.parameters(),
            headers,
            auth: caller.as_ref().map(|caller| caller.record.clone()),
            body: serde_json::Map::new(),
            client: client(head, &visit),
        };
        Ok(Asked { request, query, caller, token, visit })
    }

    /// A request inside of this one, by the same caller. Its own headers lie over those it came with, but for the
    /// caller's token.
    pub fn within(
        &self,
        head: &Head,
        method: &'static str,
        query: Query,
        own_headers: &Map<String, Json>,
        body: Map<String, Json>,
    ) -> Asked {
        let mut headers = header_map(&head.headers);
        for (name, value) in own_headers {
            let name = header_name(name);
            if name != "authorization" {
                headers.insert(name, value.as_str().unwrap_or_default().to_string());
            }
        }
        headers.insert("content_type".into(), INNER_CONTENT_TYPE.into());
        let request = Request {
            method,
            context: "batch",
            query: query.parameters(),
            headers,
            auth: self.request.auth.clone(),
            body,
            client: self.request.client.clone(),
        };
        Asked { request, query, caller: None, token: self.token.clone(), visit: self.visit.clone() }
    }

    /// For rules of which the schema knows nothing.
    pub fn see_headers(&mut self, head: &Head) {
        self.request.headers = header_map(&head.headers);
    }

    pub fn context<'a>(&'a self, state: &'a State) -> Context<'a> {
        Context::new(state.parts(), &self.request)
    }

    /// Refuses everyone but superusers.
    pub fn require_superuser(&self) -> app::Result<()> {
        match &self.request.auth {
            None => Err(Error::unauthenticated()),
            Some(_) if self.request.is_superuser() => Ok(()),
            Some(_) => Err(Error::forbidden()),
        }
    }
}

impl FromRequestParts<State> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(head: &mut Head, state: &State) -> Result<Self, Failure> {
        Ok(Asked::of(state, head).await?)
    }
}

/// The same by a superuser; everyone else is refused before any body is read.
pub struct Superuser(pub Asked);

impl FromRequestParts<State> for Superuser {
    type Rejection = Failure;

    async fn from_request_parts(head: &mut Head, state: &State) -> Result<Self, Failure> {
        let asked = Asked::of(state, head).await?;
        asked.require_superuser()?;
        Ok(Superuser(asked))
    }
}

/// The same with a form whose fields are known.
pub struct WithForm(pub Asked);

impl FromRequest<State> for WithForm {
    type Rejection = Failure;

    async fn from_request(request: HttpRequest, state: &State) -> Result<Self, Failure> {
        let (head, body) = request.into_parts();
        let mut asked = Asked::of(state, &head).await?;
        asked.request.body = body::read(&head, body).await.map_err(body::unreadable)?;
        Ok(WithForm(asked))
    }
}

/// A form for the auth collection that the path names, which is looked for last.
pub struct FormFor {
    pub asked: Asked,
    pub collection: Arc<Collection>,
}

#[derive(Deserialize)]
struct Named {
    collection: String,
}

impl FromRequest<State> for FormFor {
    type Rejection = Response<Body>;

    async fn from_request(request: HttpRequest, state: &State) -> Result<Self, Response<Body>> {
        let (mut head, body) = request.into_parts();
        let named = Path::<Named>::from_request_parts(&mut head, state).await;
        let Path(named) = named.map_err(IntoResponse::into_response)?;
        let request = HttpRequest::from_parts(head, body);
        let WithForm(asked) =
            WithForm::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        match auth_collection(&asked.context(state), &named.collection) {
            Ok(collection) => Ok(FormFor { asked, collection }),
            Err(error) => Err(wire::error::response(error)),
        }
    }
}

/// Only logins ask for it, and they are never a GET.
fn client(head: &Head, visit: &Visit) -> Client {
    if head.method == Method::GET {
        return Client::default();
    }
    let user_agent = head.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    Client {
        ip: Some(visit.address()),
        user_agent: String::from_utf8_lossy(user_agent).into_owned(),
        bars_superusers: visit.bars_superusers(),
    }
}

/// The token of the `Authorization` header, with or without its scheme.
pub fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => &value[7..],
        _ => value,
    }
}

/// The host counts as part of the address, not as a header.
fn header_map(headers: &HeaderMap) -> FxHashMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| *name != header::HOST)
        .map(|(name, value)| {
            (header_name(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

/// As rules spell it.
fn header_name(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "",
    }
}
