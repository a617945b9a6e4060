//! One front door, and the phases that a request passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{FRONT_FIRST_NODE_LOOK_MS, FRONT_FIRST_NODE_MS};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::admit::Gate;
use crate::announce::heard::Heard;
use crate::balance::Balance;
use crate::body::Body;
use crate::cache::Cache;
use crate::context::Context;
use crate::forward::upgrade::Upgrade;
use crate::forwarded;
use crate::limits::Held;
use crate::shield::{self, Shields};
use crate::upstream::{Nodes, Pool};

/// What all threads share.
pub struct Front {
    pub gate: Gate,
    pub nodes: Nodes,
    pub balance: Balance,
    /// None for a balancer alone.
    pub cache: Option<Arc<Cache>>,
    /// What has been heard of purges, by which other edges are answered.
    pub heard: Option<Arc<Heard>>,
    /// Who is asked in place of the nodes.
    pub shields: Option<Arc<Shields>>,
    began: Instant,
}

/// The way to the nodes: what a phase, or a task that outlives its request, asks when only they can answer. One for each
/// thread, as connections belong to threads.
#[derive(Clone)]
pub struct Origin {
    pub front: Arc<Front>,
    pub pool: Arc<Pool>,
}

impl Front {
    pub fn new(gate: Gate, nodes: Nodes, balance: Balance, cache: Option<Arc<Cache>>) -> Self {
        Front { gate, nodes, balance, cache, heard: None, shields: None, began: Instant::now() }
    }

    /// An edge among others: some may ask it, and it may ask some.
    pub fn among_edges(mut self, heard: Arc<Heard>, shields: Option<Arc<Shields>>) -> Self {
        (self.heard, self.shields) = (Some(heard), shields);
        self
    }

    /// Right after the start nodes have not announced themselves yet: whoever comes meanwhile waits for the first.
    pub(crate) async fn first_node(&self) {
        while self.nodes.load().is_empty()
            && self.began.elapsed() < Duration::from_millis(FRONT_FIRST_NODE_MS)
        {
            tokio::time::sleep(Duration::from_millis(FRONT_FIRST_NODE_LOOK_MS)).await;
        }
    }
}

impl Origin {
    /// All phases, in their order.
    pub async fn answer(&self, mut context: Context, mut request: Request<Body>) -> Response<Body> {
        context.upgrade = Upgrade::wanted(&mut request);
        if let Some(refused) = self.front.gate.admit(&mut context, &mut request) {
            return self.finish(context, Held::none(), refused);
        }
        let held = match context.edge {
            // The edge that the client asked has limits of its own.
            Some(_) => Ok(Held::none()),
            None => self.front.gate.clients.ask(context.client),
        };
        let held = match held {
            Ok(held) => held,
            Err(wait) => return self.finish(context, Held::none(), self.front.gate.too_many(wait)),
        };
        if context.edge.is_some() && request.method() == Method::OPTIONS {
            // An edge asks whether it has a shield here.
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            shield::mark(response.headers_mut(), false);
            return self.finish(context, held, response);
        }
        self.front.first_node().await;
        let front = &self.front;
        if front.cache.is_some() || front.balance.options.looks_at_fields() {
            context.introduce(request.headers_mut());
        }
        let response = match &front.cache {
            Some(cache) => cache.answer(&mut context, request, self).await,
            None => self.forward(&mut context, request).await,
        };
        self.finish(context, held, response)
    }

    /// What every answer gets.
    fn finish(&self, mut context: Context, held: Held, mut response: Response<Body>) -> Response<Body> {
        // A kept answer would bear the name of the request that brought it.
        if let Some(id) = context.request_id.take() {
            response.headers_mut().insert(forwarded::X_REQUEST_ID, id);
        }
        self.front.gate.finish(context, held, response)
    }
}

/// Marks an answer of the front door's own, where no node answered.
#[derive(Clone, Copy, Debug)]
pub struct Own;

/// An answer of the front door's own, in the form that clients of the API know.
pub fn plain(status: StatusCode) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!("{{\"data\":{{}},\"message\":\"{reason}.\",\"status\":{}}}", status.as_u16());
    let mut response = Response::new(Body::Full(text.into()));
    *response.status_mut() = status;
    response.extensions_mut().insert(Own);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
