//! What operators, nodes and other front doors ask of a front door itself, on an address of its own.

pub mod client;
pub mod deeds;
pub mod passing;

mod routes;
mod status;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{ACCEPT_RETRY_MS, FRONT_CONTROL_CONNECTIONS_MAX, HEADER_READ_MS};
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::announce::heard::Heard;
use crate::discovery::Discovery;
use crate::front::Front;
use deeds::Deeds;
use passing::Passes;
use serde_json::Value as Json;

/// What the control API needs.
pub struct Control {
    /// `Bearer …`, if there is a secret. Without one only this machine may reach it.
    pub authorization: Option<HeaderValue>,
    pub discovery: Arc<Discovery>,
    pub front: Arc<Front>,
    pub heard: Arc<Heard>,
    pub passes: Arc<dyn Passes>,
    pub deeds: Deeds,
    /// The figures in their text form; none where none are kept.
    pub figures: Box<dyn Fn() -> BoxFuture<'static, Option<String>> + Send + Sync>,
    /// The figures of now and of the last minutes, as whoever looks after the system keeps them.
    pub pulse: Box<dyn Fn() -> Json + Send + Sync>,
    /// True from the moment when it is told to stop.
    pub stopping: watch::Receiver<bool>,
    /// As people and metrics call it.
    pub name: String,
    pub role: &'static str,
    pub version: &'static str,
    pub zone: String,
    pub region: String,
}

impl Control {
    /// How the front door is doing, in one look.
    pub fn status(&self) -> Json {
        status::of(self)
    }
}

/// The value of `Authorization` that goes with a secret; none without one.
pub fn bearer(secret: &str) -> Result<Option<HeaderValue>, String> {
    if secret.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::from_str(&format!("Bearer {secret}"));
    let mut value = value.map_err(|_| "a secret is made of visible ASCII letters".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Who reaches it could empty the cache and take nodes away: beyond this machine only with a secret.
pub fn check(listen: &[SocketAddr], secret: &str) -> Result<(), String> {
    match listen.iter().find(|address| secret.is_empty() && !address.ip().is_loopback()) {
        Some(address) => Err(format!(
            "front.control listens on {address}, which others can reach: set front.secret, or PANDO_FRONT_SECRET, or \
             listen on 127.0.0.1"
        )),
        None => Ok(()),
    }
}

/// Answers on the listener, for ever. When it is dropped its connections end: whoever keeps one open comes back to whoever
/// answers there then.
pub async fn serve(listener: TcpListener, control: Arc<Control>) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(FRONT_CONTROL_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = control.clone();
                connections.spawn(async move {
                    connection(stream, control).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
            }
        }
    }
}

/// Who announced itself last on a connection: its life and way.
type Speaker = Mutex<Option<(String, String)>>;

async fn connection(stream: TcpStream, control: Arc<Control>) {
    let _ = stream.set_nodelay(true);
    let speaker: Arc<Speaker> = Arc::default();
    let (heard, discovery) = (speaker.clone(), control.discovery.clone());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (control, heard) = (control.clone(), heard.clone());
        async move {
            let mut response = routes::answer(&control, &heard, request).await;
            // Who keeps its connection would go on talking to a process whose successor is to hear it.
            if *control.stopping.borrow() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEADER_READ_MS))
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the control address ended");
    }
    // A process that is killed takes its connections with it, and this is the first that is noticed of it. Who only lost
    // its connection comes back on another one.
    if let Some((life, way)) = speaker.lock().take() {
        discovery.lose(&life, &way);
    }
}
