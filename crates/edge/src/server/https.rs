//! What a front door with certificates does for clients that are not encrypted yet.

use std::sync::Arc;

use base::limits;
use hyper::header::{self, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode};
use tokio::sync::Semaphore;

use crate::acme::{self, Challenges};
use crate::body::Body;
use crate::front::plain;

/// The port that an address with `https://` means.
const PORT: u16 = 443;

#[derive(Clone)]
pub struct Https {
    pub challenges: Option<Challenges>,
    /// The port that clients without encryption are sent to.
    pub redirect: Option<u16>,
    /// TLS handshakes at the same time.
    pub handshakes: Arc<Semaphore>,
}

impl Https {
    pub fn new(challenges: Option<Challenges>, redirect: Option<u16>) -> Https {
        Https { challenges, redirect, handshakes: Arc::new(Semaphore::new(limits::FRONT_HANDSHAKES_MAX)) }
    }

    /// The answer to a request that came without encryption, where it goes no further.
    pub async fn instead<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if let Some(challenges) = &self.challenges
            && let Some(response) = challenges.answer(request).await
        {
            return Some(response);
        }
        let port = self.redirect.filter(|_| !acme::is_challenge(request.uri().path()))?;
        Some(redirect(request, port).unwrap_or_else(|| plain(StatusCode::BAD_REQUEST)))
    }
}

/// The same address with encryption. 308, so that a form is sent again as it is.
fn redirect<B>(request: &Request<B>, port: u16) -> Option<Response<Body>> {
    let uri = request.uri();
    let authority: Authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => request.headers().get(header::HOST)?.to_str().ok()?.parse().ok()?,
    };
    let host = authority.host();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = match port {
        PORT => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    let mut response = plain(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&location).ok()?);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_host_path_and_query() {
        let location = |target: &str, host: &str, port| {
            let request = Request::get(target).header("Host", host).body(()).unwrap();
            let response = redirect(&request, port)?;
            Some(response.headers()["location"].to_str().unwrap().to_owned())
        };
        assert_eq!(location("/a?b=c", "x.example:80", 443).unwrap(), "https://x.example/a?b=c");
        assert_eq!(location("/", "x.example", 8443).unwrap(), "https://x.example:8443/");
        assert_eq!(location("/", "[::1]:80", 443).unwrap(), "https://[::1]/");
        assert_eq!(location("/", "user@x.example", 443).unwrap(), "https://x.example/");
        assert_eq!(location("http://y.example/z", "x.example", 443).unwrap(), "https://y.example/z");
        assert!(location("/", "", 443).is_none());
    }
}
