//! A client for control APIs: of nodes that announce themselves, of other front doors, and of operators.

use std::time::Duration;

use base::limits::{FRONT_CONNECT_MS, FRONT_CONTROL_ANSWER_BYTES_MAX};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
pub use hyper::Method;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header;
pub use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::body::Failure;

/// For one address, with one connection, which is kept.
pub struct Client {
    /// `host:port`.
    address: String,
    authorization: Option<HeaderValue>,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Client {
    pub fn new(address: String, authorization: Option<HeaderValue>) -> Self {
        Client { address, authorization, connection: Mutex::default() }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// One request at a time. Whoever does not wait for the answer ends the connection.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        text: impl Into<Bytes>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut kept = self.connection.lock().await;
        let text: Bytes = text.into();
        let mut kept_one = kept.take().filter(|sender| !sender.is_closed());
        loop {
            let reused = kept_one.is_some();
            let mut sender = match kept_one.take() {
                Some(sender) => sender,
                None => connect(&self.address).await?,
            };
            let request = self.request(&method, path, text.clone())?;
            let answered = match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            };
            let response = match answered {
                Ok(response) => response,
                // Closed a moment ago. All that is asked may be asked twice.
                Err(error)
                    if reused
                        && (error.is_closed() || error.is_canceled() || error.is_incomplete_message()) =>
                {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let status = response.status();
            let body = Limited::new(response.into_body(), FRONT_CONTROL_ANSWER_BYTES_MAX);
            let body = body.collect().await?.to_bytes();
            *kept = Some(sender);
            return Ok((status, body));
        }
    }

    fn request(&self, method: &Method, path: &str, text: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder().method(method).uri(path).body(Full::from(text))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(&self.address)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let wait = Duration::from_millis(FRONT_CONNECT_MS);
    let stream = tokio::time::timeout(wait, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| "no connection in time")??;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to a front door ended");
        }
    });
    Ok(sender)
}
