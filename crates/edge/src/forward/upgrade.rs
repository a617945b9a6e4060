//! Connections that change their protocol: WebSocket, over HTTP/1.1 and over a stream of HTTP/2 (RFC 8441).

use base64::Engine;
use bytes::Buf;
use hyper::ext::Protocol;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::body::Body;
use crate::front::plain;
use crate::upstream::{Busy, Connection};

/// What a client wants its connection to become.
pub struct Upgrade {
    pub protocol: HeaderValue,
    client: OnUpgrade,
    /// Its own stream of HTTP/2, where nothing is switched: the node is asked as HTTP/1.1 has it.
    is_stream: bool,
}

impl Upgrade {
    /// Only WebSocket: in any other protocol (h2c above all) requests could pass that nobody here has judged.
    pub fn wanted(request: &mut Request<Body>) -> Option<Upgrade> {
        if *request.method() == Method::CONNECT {
            return Upgrade::of_stream(request);
        }
        let headers = request.headers();
        let protocol = headers.get(header::UPGRADE)?;
        let is_asked = headers.get_all(header::CONNECTION).iter().any(|value| {
            let options = value.as_bytes().split(|byte| *byte == b',');
            options.into_iter().any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        });
        let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        if !is_asked || !is_websocket || request.version() != Version::HTTP_11 {
            return None;
        }
        let protocol = protocol.clone();
        let client = request.extensions_mut().remove::<OnUpgrade>()?;
        Some(Upgrade { protocol, client, is_stream: false })
    }

    /// Extended CONNECT becomes the GET that it stands for. Any other CONNECT stays what it is, and is refused.
    fn of_stream(request: &mut Request<Body>) -> Option<Upgrade> {
        let is_websocket = |protocol: &Protocol| protocol.as_str().eq_ignore_ascii_case("websocket");
        request.extensions().get::<Protocol>().filter(|protocol| is_websocket(protocol))?;
        let client = request.extensions_mut().remove::<OnUpgrade>()?;
        *request.method_mut() = Method::GET;
        let key = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 16]>());
        request.headers_mut().insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_str(&key).ok()?);
        Some(Upgrade { protocol: HeaderValue::from_static("websocket"), client, is_stream: true })
    }

    /// The answer that the client waits for when its node has agreed.
    pub fn agreed(&self, mut response: Response<Body>) -> Response<Body> {
        if self.is_stream {
            *response.status_mut() = StatusCode::OK;
            for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT] {
                response.headers_mut().remove(name);
            }
        }
        response
    }

    /// The answer when its node has said something else.
    pub fn declined(&self, response: Response<Body>) -> Response<Body> {
        // To this client a success would be the node's consent.
        match self.is_stream && response.status().is_success() {
            true => plain(StatusCode::BAD_GATEWAY),
            false => response,
        }
    }

    /// Passes bytes both ways, in a task of its own, until both ends have ended or the thread does. The node counts it as a
    /// request that is under way.
    pub fn join(self, node: Connection, busy: Busy) {
        tokio::spawn(async move {
            let open = metrics::gauge!("pando_front_upgraded");
            open.increment(1.0);
            if let Err(error) = pass(self.client, node).await {
                tracing::debug!(%error, "an upgraded connection ended");
            }
            open.decrement(1.0);
            drop(busy);
        });
    }
}

async fn pass(client: OnUpgrade, mut node: Connection) -> Result<(), crate::Failure> {
    let mut client = TokioIo::new(client.await?);
    // What came with the answer's head belongs to the new protocol.
    while node.buffer.has_remaining() {
        client.write_buf(&mut node.buffer).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut node.stream).await?;
    Ok(())
}
