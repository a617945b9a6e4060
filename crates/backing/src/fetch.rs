//! The HTTP client to the outside. Every call is bounded in time and size, and an address that leads into the own
//! network is refused at the moment of connecting unless whoever named it may name such addresses.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base::limits::{
    FETCH_BYTES_MAX, FETCH_CONNECT_MS, FETCH_REDIRECTS_MAX, FETCH_TOTAL_MS, FETCH_WAIT_MS, FETCHES_MAX,
};
use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Url, redirect};
use tokio::sync::Semaphore;

mod address;

pub use address::is_public;

/// Whose words an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The administrator's: it may lead anywhere, a service of the own network included.
    Configured,
    /// Anybody's: it must lead to the public internet.
    Public,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub url: String,
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Body,
    pub reach: Reach,
    pub bytes_max: usize,
    /// Whether a longer answer is cut there rather than refused.
    pub is_cut: bool,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// A plain GET.
    None,
    /// POST, URL-encoded.
    Form(Vec<(String, String)>),
    /// POST, JSON text.
    Json(String),
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    /// The address that answered in the end.
    pub url: String,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the address is refused: {0}")]
    Refused(String),
    #[error("no answer within {FETCH_TOTAL_MS} ms")]
    Late,
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("too many calls to the outside at the moment")]
    Busy,
    #[error("{0}")]
    Failed(String),
}

impl Call {
    pub fn get(url: impl Into<String>, reach: Reach) -> Self {
        Call {
            url: url.into(),
            headers: Vec::new(),
            body: Body::None,
            reach,
            bytes_max: FETCH_BYTES_MAX,
            is_cut: false,
        }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[derive(Clone)]
pub struct Fetch(Arc<Inner>);

struct Inner {
    /// Made when they are first needed: reading the machine's certificates takes longer than all the rest of a start.
    anywhere: OnceLock<Result<Client, String>>,
    public: OnceLock<Result<Client, String>>,
    allow_private: bool,
    running: Semaphore,
}

impl Fetch {
    /// With `allow_private`, everybody may name addresses of the own network.
    pub fn new(allow_private: bool) -> Self {
        // A machine without certificates must still serve; only its calls to the outside fail.
        Fetch(Arc::new(Inner {
            anywhere: OnceLock::new(),
            public: OnceLock::new(),
            allow_private,
            running: Semaphore::new(FETCHES_MAX),
        }))
    }

    /// Whether anybody may name addresses of the own network.
    pub fn allows_private(&self) -> bool {
        self.0.allow_private
    }

    /// Sends the call and reads the whole answer, whatever its status.
    pub async fn send(&self, call: Call) -> Result<Answer, FetchError> {
        let begun = Instant::now();
        let answered = self.send_unseen(call).await;
        let outcome = match &answered {
            Ok(answer) if answer.is_success() => "success",
            Ok(_) => "status",
            Err(FetchError::Refused(_)) => "refused",
            Err(FetchError::Late) => "late",
            Err(FetchError::TooLarge(_)) => "too_large",
            Err(FetchError::Busy) => "busy",
            Err(FetchError::Failed(_)) => "failed",
        };
        let duration = metrics::histogram!("pando_fetch_duration_seconds", "outcome" => outcome);
        duration.record(begun.elapsed().as_secs_f64());
        answered
    }

    async fn send_unseen(&self, call: Call) -> Result<Answer, FetchError> {
        let wait = Duration::from_millis(FETCH_WAIT_MS);
        let _running = match tokio::time::timeout(wait, self.0.running.acquire()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(FetchError::Busy),
        };
        let total = Duration::from_millis(FETCH_TOTAL_MS);
        tokio::time::timeout(total, self.follow(call)).await.unwrap_or(Err(FetchError::Late))
    }

    /// Redirects are followed by hand, so that each address is judged anew.
    async fn follow(&self, call: Call) -> Result<Answer, FetchError> {
        let mut url = parse(&call.url)?;
        let first_host = url.host_str().map(str::to_owned);
        for hop in 0..=FETCH_REDIRECTS_MAX {
            // What an administrator configured may send elsewhere, but not to another host of the own network.
            let trusted = call.reach == Reach::Configured
                && (hop == 0 || url.host_str().map(str::to_owned) == first_host);
            let public = !trusted && !self.0.allow_private;
            let response = self.once(&call, url.clone(), public, trusted).await?;
            let status = response.status().as_u16();
            let location = match status {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION).cloned(),
                _ => None,
            };
            let Some(location) = location.filter(|_| matches!(call.body, Body::None)) else {
                return read(response, call.bytes_max, call.is_cut).await;
            };
            let location = location.to_str().map_err(|error| FetchError::Failed(error.to_string()))?;
            let next = url.join(location).map_err(|error| FetchError::Failed(error.to_string()))?;
            if !call.headers.is_empty() && next.host_str() != url.host_str() {
                return Err(FetchError::Refused("a redirect would carry credentials to another host".into()));
            }
            url = parse(next.as_str())?;
        }
        Err(FetchError::Failed("too many redirects".into()))
    }

    async fn once(
        &self,
        call: &Call,
        url: Url,
        public: bool,
        trusted: bool,
    ) -> Result<reqwest::Response, FetchError> {
        let client = if public { &self.0.public } else { &self.0.anywhere };
        let client = client
            .get_or_init(|| client_for(public))
            .as_ref()
            .map_err(|error| FetchError::Failed(error.clone()))?;
        // Addresses that are written as numbers are never resolved, so they are judged here.
        let literal = match url.host() {
            Some(url::Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(url::Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if let Some(ip) = literal.filter(|ip| public && !is_public(*ip)) {
            return Err(FetchError::Refused(format!("{ip} is no public address")));
        }
        let method = if matches!(call.body, Body::None) { Method::GET } else { Method::POST };
        let mut request = client.request(method, url).headers(headers(&call.headers)?);
        // Whom an administrator chose may know which request it is for; whom just anybody named, need not.
        if let Some(id) = observe::request_id::current().filter(|_| trusted) {
            request = request.header("x-request-id", id.as_str());
        }
        request = match &call.body {
            Body::None => request,
            Body::Form(fields) => request.form(fields),
            Body::Json(text) => request.header("content-type", "application/json").body(text.clone()),
        };
        request.send().await.map_err(|error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text.push_str(&format!(": {inner}"));
                cause = inner.source();
            }
            match text.contains(NOT_PUBLIC) {
                true => FetchError::Refused(text),
                false => FetchError::Failed(text),
            }
        })
    }
}

fn parse(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|error| FetchError::Refused(error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        other => Err(FetchError::Refused(format!("{other} is not fetched"))),
    }
}

fn headers(given: &[(Cow<'static, str>, String)]) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let refused = || FetchError::Refused(format!("{name} cannot be sent as a header"));
        let value = HeaderValue::from_str(value).map_err(|_| refused())?;
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value);
    }
    Ok(headers)
}

async fn read(mut response: reqwest::Response, bytes_max: usize, is_cut: bool) -> Result<Answer, FetchError> {
    let (status, url) = (response.status().as_u16(), response.url().to_string());
    let failed = |error: reqwest::Error| FetchError::Failed(error.to_string());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > bytes_max {
            if is_cut {
                body.extend_from_slice(&chunk[..bytes_max - body.len()]);
                break;
            }
            return Err(FetchError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: body.freeze(), url })
}

fn client_for(public: bool) -> Result<Client, String> {
    let builder = Client::builder()
        .user_agent("Pando")
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_millis(FETCH_CONNECT_MS));
    let builder = if public { builder.dns_resolver(Arc::new(PublicOnly)) } else { builder };
    builder.build().map_err(|error| format!("calls to the outside are not possible: {error}"))
}

const NOT_PUBLIC: &str = "has no public address";

/// Resolves names to public addresses alone. The connection is made to what this returns, so that a name cannot
/// be public when it is judged and private when it is used.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0))
                .await?
                .filter(|address| is_public(address.ip()))
                .collect();
            if found.is_empty() {
                return Err(format!("{host} {NOT_PUBLIC}").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
