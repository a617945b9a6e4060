//! What is spoken on one connection: HTTP/1.1, or HTTP/2 where the client begins with it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::limits;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Phase;
use super::https::Https;
use super::line::Line;
use crate::body::Body;
use crate::context::Context;
use crate::forwarded::Asker;
use crate::front::Origin;
use crate::slow::Pace;

/// How an HTTP/2 client begins that was not asked: RFC 9113, section 3.4. No method of HTTP/1.1 is called so.
const PREFACE: &[u8] = b"PRI";

/// What the connections of one thread share.
pub struct Door {
    pub origin: Origin,
    pub phase: watch::Receiver<Phase>,
    /// The phase is not [`Phase::Serving`] any more: for whom each request asks.
    pub draining: AtomicBool,
    pub https: Https,
}

/// Who is at the other end.
#[derive(Clone)]
struct Client {
    asker: Arc<Asker>,
    pace: Arc<Pace>,
}

impl Client {
    fn new(peer: SocketAddr, secure: bool, line: &Line) -> Self {
        Client { asker: Asker::new(peer.ip().to_canonical(), secure), pace: line.pace() }
    }
}

/// A client without encryption.
pub async fn serve(line: Line, peer: SocketAddr, door: Arc<Door>) {
    let client = Client::new(peer, false, &line);
    match is_http2(&line, &door).await {
        Some(true) => http2(line, client, door).await,
        Some(false) => http1(line, client, door).await,
        None => {}
    }
}

/// A client that is encrypted from its first byte on.
pub async fn serve_secure(line: Line, peer: SocketAddr, door: Arc<Door>, tls: TlsAcceptor) {
    let client = Client::new(peer, true, &line);
    let handshakes = door.https.handshakes.clone();
    let handshake = async {
        let _turn = handshakes.acquire_owned().await.map_err(io::Error::other)?;
        tls.accept(line).await
    };
    let stream = match timeout(Duration::from_millis(limits::FRONT_HANDSHAKE_MS), handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return refused(&peer, &error),
        Err(late) => return refused(&peer, &late.into()),
    };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => http2(stream, client, door).await,
        _ => http1(stream, client, door).await,
    }
}

fn refused(peer: &SocketAddr, error: &io::Error) {
    metrics::counter!("pando_front_handshakes_failed_total").increment(1);
    tracing::debug!(%peer, %error, "no TLS with this client");
}

/// Whether it begins as HTTP/2 does; none when nothing came.
async fn is_http2(line: &Line, door: &Door) -> Option<bool> {
    let mut first = [0; PREFACE.len()];
    let wait = Duration::from_millis(limits::FRONT_FIRST_BYTE_MS);
    let mut phase = door.phase.clone();
    tokio::select! {
        peeked = timeout(wait, line.peek(&mut first)) => match peeked {
            Ok(Ok(1..)) => Some(first == *PREFACE),
            _ => None,
        },
        () = told(&mut phase, Phase::Ending) => None,
    }
}

async fn http1<S>(stream: S, client: Client, door: Arc<Door>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut phase = door.phase.clone();
    let idle = door.origin.front.gate.timing.idle;
    let service = service_fn(move |request| answer(door.clone(), client.clone(), request));
    // Not `pipeline_flush`: with it, an answer that ends the connection is never sent to a client that asked on, and a body is
    // buffered without bound while its client does not read.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // From the answer before on; what has begun is waited for less long, by the line.
        .header_read_timeout((!idle.is_zero()).then_some(idle))
        .max_header_size(limits::FRONT_HEAD_BYTES_MAX)
        .max_buf_size(limits::FRONT_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // Who is idle may still ask: the answer says that it was the last one. So nobody's request meets a closed connection.
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut phase, Phase::Ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn http2<S>(stream: S, client: Client, door: Arc<Door>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut phase = door.phase.clone();
    let (pace, timing) = (client.pace.clone(), door.origin.front.gate.timing);
    pace.release();
    let streams = door.origin.front.gate.streams();
    let begun = streams.clone();
    let service = service_fn(move |request| {
        let (turns, door, client) = (begun.begin(), door.clone(), client.clone());
        async move { Ok::<_, Infallible>(answer(door, client, request).await?.map(|body| turns.of(body))) }
    });
    let connection = http2::Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::FRONT_STREAMS_MAX)
        .max_header_list_size(limits::FRONT_HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(limits::FRONT_RESETS_MAX)
        .max_local_error_reset_streams(limits::FRONT_RESETS_MAX)
        .max_send_buf_size(limits::FRONT_SEND_BYTES_MAX)
        .keep_alive_interval(Duration::from_millis(limits::FRONT_PING_MS))
        .keep_alive_timeout(Duration::from_millis(limits::FRONT_PONG_MS))
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // The client is told which requests are still answered, and asks the others elsewhere.
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut phase, Phase::Draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = pace.idle(timing) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = &mut connection => ended,
                () = streams.left() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(
    door: Arc<Door>,
    client: Client,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let version = request.version();
    if !client.asker.is_secure()
        && let Some(response) = door.https.instead(&request).await
    {
        return Ok(door.last(response, version));
    }
    let _asked = client.pace.ask();
    let response = door.origin.answer(Context::new(client.asker), request.map(Body::Incoming)).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        client.pace.release();
    }
    Ok(door.last(response, version))
}

impl Door {
    /// Says that a connection's answer is its last one, if it is.
    fn last(&self, mut response: Response<Body>, version: Version) -> Response<Body> {
        if self.draining.load(Ordering::Relaxed)
            && version < Version::HTTP_2
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Completes at that phase, or a later one.
async fn told(phase: &mut watch::Receiver<Phase>, at: Phase) {
    let _ = phase.wait_for(|phase| *phase >= at).await;
}
