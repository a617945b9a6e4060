//! What machines ask about the process itself: does it run, can it serve, what did it count. Answered before any gate,
//! log or route, so that it neither disturbs nor is disturbed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use base::limits;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use observe::health::is_ready;
use observe::{Health, Metrics};
use serde_json::{Map, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::wire::answer;

/// Whether the event loop runs. Looks at nothing else: who is not alive is started anew, which helps no database.
pub const LIVE: &str = "/livez";
/// Whether requests can be served.
pub const READY: &str = "/readyz";
pub const METRICS: &str = "/metrics";

/// Who is asked. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    pub health: Health,
    /// Absent when no figures are kept.
    pub metrics: Option<Metrics>,
}

impl Watch {
    /// `None` when something else is asked for.
    pub async fn health(&self, head: &Head) -> Option<Response<Body>> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return None;
        }
        let mut response = match head.uri.path() {
            LIVE => answer::ok(r#"{"live":true}"#),
            READY => self.ready().await,
            _ => return None,
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer::harden(response.headers_mut());
        Some(response)
    }

    async fn ready(&self) -> Response<Body> {
        let report = self.health.report().await;
        let ready = is_ready(&report);
        let checks: Map<_, _> =
            report.iter().map(|(name, state)| (name.to_string(), state.to_string().into())).collect();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer::json(status, json!({"ready": ready, "checks": checks}).to_string())
    }

    /// The figures, for whoever may see them.
    pub async fn figures(&self) -> Option<Response<Body>> {
        let mut response = answer::ok(self.metrics.as_ref()?.render().await);
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }

    /// On a listener of its own, whoever reaches it may see everything.
    async fn answer(&self, head: &Head) -> Response<Body> {
        if let Some(response) = self.health(head).await {
            return response;
        }
        if head.uri.path() == METRICS
            && (head.method == Method::GET || head.method == Method::HEAD)
            && let Some(response) = self.figures().await
        {
            return response;
        }
        answer::json(StatusCode::NOT_FOUND, format!(r#"{{"paths":["{LIVE}","{READY}","{METRICS}"]}}"#))
    }
}

/// Serves health and figures alone, for ever.
pub async fn serve(listener: TcpListener, watch: Watch) {
    let slots = Arc::new(Semaphore::new(limits::WATCH_CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, slot))
        };
        let (stream, slot) = match accepted.await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS)).await;
                continue;
            }
        };
        let watch = watch.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let watch = watch.clone();
            async move { Ok::<_, std::convert::Infallible>(watch.answer(&request.into_parts().0).await) }
        });
        // One answer each: few connections are let in, and none may be kept by who says nothing.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .header_read_timeout(Duration::from_millis(limits::WATCH_READ_MS))
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(slot);
        });
    }
}
