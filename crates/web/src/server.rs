//! The accept loop: connections in, responses out, and an end that drops nothing in flight.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use base::limits;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service;

use crate::compress::{self, Codings};
use crate::cors;
use crate::cut::Cut;
use crate::gate::{self, Visit};
use crate::requestlog::Started;
use crate::routes::REALTIME_PATH;
use crate::state::State;
use crate::wire::answer::harden;

/// Serves until `stop` completes, then lets open requests finish for a while.
pub async fn serve(
    listener: TcpListener,
    state: State,
    router: Router,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    tokio::pin!(stop);
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Out of descriptors, or a peer that left while it waited: neither is a reason to end.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (router, state) = (router.clone(), state.clone());
        // Most connections never carry a stream, and need nothing to be cut by.
        let cut: Arc<OnceLock<Cut>> = Arc::default();
        let connection_cut = cut.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (mut router, state) = (router.clone(), state.clone());
            let cut = (request.uri().path() == REALTIME_PATH).then(|| cut.get_or_init(Cut::default).clone());
            async move {
                let (mut head, body) = request.into_parts();
                let visit = Visit::new(state.policy(), &head, peer.ip());
                head.extensions.insert(visit.clone());
                let logged = state.log().enabled().then(|| Started::new(&head, visit.clone()));
                if let Some(cut) = cut {
                    head.extensions.insert(cut);
                }
                let codings = Codings::of(&head.headers);
                let cross_origin = head.headers.contains_key(header::ORIGIN);
                let refused = match cors::preflight(&head) {
                    Some(response) => Some(response),
                    None => gate::admit(&state, &head, &visit).await,
                };
                let mut response = match refused {
                    Some(response) => response,
                    None => router.call(Request::from_parts(head, Body::new(body))).await?,
                };
                harden(response.headers_mut());
                if cross_origin {
                    cors::allow(&mut response);
                }
                if let Some(logged) = logged {
                    logged.finish(&state, &response);
                }
                Ok::<_, std::convert::Infallible>(compress::apply(codings, response))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(limits::HEADER_READ_MS))
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = poll_fn(|context| match connection.as_mut().poll(context) {
                Poll::Pending if connection_cut.get().is_some_and(|cut| cut.poll(context)) => {
                    Poll::Ready(Ok(()))
                }
                other => other,
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    let wait = Duration::from_millis(limits::DRAIN_MS);
    // Streams never end by themselves.
    let ended = async { tokio::join!(state.parts().realtime.close(), graceful.shutdown()) };
    if tokio::time::timeout(wait, ended).await.is_err() {
        tracing::warn!("open requests were cut off after {} ms", limits::DRAIN_MS);
    }
    Ok(())
}
