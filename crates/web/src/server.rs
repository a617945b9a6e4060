//! The accept loop: connections in, responses out, and an end that drops nothing in flight.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts as Head;
use axum::http::{Response, header};
use base::limits;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use observe::RequestId;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service;

use crate::audited::Audited;
use crate::compress::{self, Codings};
use crate::cors;
use crate::freshness;
use crate::gate::{self, Visit};
use crate::identified::{self, Told};
use crate::requestlog::Started;
use crate::state::State;
use crate::stream::{HandedOver, Line};
use crate::wire::answer::harden;

/// What every request passes, and what every answer gets.
async fn answer(
    state: &State,
    mut router: Router,
    mut head: Head,
    body: Incoming,
    peer: IpAddr,
    id: &RequestId,
) -> Response<Body> {
    let begun = state.meters().begin(&head.method, head.uri.path());
    let unsure = gate::be_sure(state, &head).await;
    let visit = Visit::new(state.policy(), &head, peer);
    head.extensions.insert(visit.clone());
    let logged = state.log().enabled().then(|| Started::new(&head, visit.clone()));
    let cross_origin = head.headers.contains_key(header::ORIGIN);
    let told = Told::of(&head);
    let refused = match cors::preflight(&head) {
        Some(response) => Some(response),
        None if unsure.is_some() => unsure,
        None => gate::admit(state, &head, &visit).await,
    };
    let mut response = match refused {
        Some(response) => response,
        None => {
            let audited = Audited::of(state, &head, &visit).await;
            let answered = router.call(Request::from_parts(head, Body::new(body)));
            let answered = async { answered.await.unwrap_or_else(|never| match never {}) };
            match audited {
                None => answered.await,
                Some(audited) => Box::pin(audited.answer(state, answered)).await,
            }
        }
    };
    harden(response.headers_mut());
    if visit.record().is_some_and(|record| record.collection.is_superusers()) {
        freshness::belongs_to_superusers(response.headers_mut());
    }
    if !state.parts().outside.is_told() {
        freshness::without_tags(response.headers_mut());
    }
    identified::answer(&mut response, id);
    if cross_origin {
        cors::allow(&mut response);
    }
    let elapsed = begun.elapsed();
    if let Some(logged) = logged {
        logged.finish(state, id, &told, elapsed, &response);
    }
    if response.status().is_server_error() {
        told.failed(state, &response);
    }
    begun.answered(response.status(), elapsed);
    response
}

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
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (router, state) = (router.clone(), state.clone());
        let line = Line::default();
        let socket = line.socket(stream);
        let carrier = line.clone();
        let counted = state.meters().connection();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (router, state) = (router.clone(), state.clone());
            let line = line.clone();
            async move {
                let (head, body) = request.into_parts();
                if let Some(response) = state.health(&head).await {
                    return Ok(response);
                }
                let (codings, version) = (Codings::of(&head.headers), head.version);
                let id = identified::of(&head.headers);
                // Pinned here, as it is large and would be moved into its scope.
                let answered = std::pin::pin!(answer(&state, router, head, body, peer.ip(), &id));
                let mut response = id.clone().scope(answered).await;
                match line.take(&mut response, version, state.parts().clock.now()) {
                    true => Err(HandedOver),
                    false => Ok(compress::apply(codings, response)),
                }
            }
        });
        // Not `pipeline_flush`: with it a body is buffered without bound while its client does not read, and an answer that
        // ends the connection never reaches a client that asked on.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(limits::HEADER_READ_MS))
            .serve_connection(TokioIo::new(socket), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            // A task of its own, as this one has room for all that a request needs.
            if let Some(stream) = carrier.carried() {
                tokio::spawn(async move {
                    stream.await;
                    drop((slot, counted));
                });
                return;
            }
            drop((slot, counted));
        });
    }
    drop(listener);
    // Who waits for messages is answered that there are none.
    state.parts().queues.close();
    let wait = Duration::from_millis(limits::DRAIN_MS);
    // Streams never end by themselves.
    let ended = async { tokio::join!(state.parts().realtime.close(), graceful.shutdown()) };
    if tokio::time::timeout(wait, ended).await.is_err() {
        tracing::warn!("open requests were cut off after {} ms", limits::DRAIN_MS);
    }
    Ok(())
}
