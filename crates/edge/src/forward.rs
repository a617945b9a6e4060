//! The phase in which a node is asked.

pub mod upgrade;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits::{FRONT_KEPT_BYTES_MAX, FRONT_RETRY_AFTER_S, FRONT_WAITING_MS};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::admit::Refusal;
use crate::balance::{Choice, Wish, sticky};
use crate::body::Body;
use crate::context::Context;
use crate::front::{Origin, plain};
use crate::upstream::{Asked, Node, Said, SendError, Why};

impl Origin {
    /// The answer to a request whose body could not be had.
    fn blamed(&self, context: &Context) -> Response<Body> {
        let refusal = context.broken().unwrap_or(Refusal::BrokenBody);
        self.front.gate.refuse(refusal, context.version)
    }

    /// Asks a node, and another one where that can do no harm.
    pub async fn forward(&self, context: &mut Context, request: Request<Body>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        if keep(&mut body).await.is_err() {
            return self.blamed(context);
        }
        let balance = &self.front.balance;
        let options = &balance.options;
        self.pool.budget.save(options.retry_percent);
        let wish = balance.wish(&head, context);
        let deadline = Instant::now() + options.deadline;
        let upgrade = context.upgrade.take();
        let mut tried: Vec<Arc<Node>> = Vec::new();
        // What is said to the client if nobody says anything better.
        let mut instead = None;
        loop {
            let node = match self.node(&wish, &tried).await {
                Ok(node) => node,
                Err(refused) => return instead.unwrap_or(refused),
            };
            let is_repeatable = is_idempotent(&head.method) && matches!(body, Body::Empty | Body::Full(_));
            context.attempts += 1;
            let asked = Asked {
                head: &head,
                introduction: context.introduction(),
                upgrade: upgrade.as_ref().map(|upgrade| &upgrade.protocol),
                first_byte: options.first_byte,
                deadline,
                is_repeatable,
            };
            let began = Instant::now();
            let said = self.pool.send(node.begin(), &asked, &mut body).await;
            context.node = Some(node.clone());
            match said {
                Ok(Said::Switched(response, connection, busy)) => {
                    balance.answered(&self.front.nodes, &node, began.elapsed(), response.status());
                    let Some(upgrade) = upgrade else { return response };
                    let response = upgrade.agreed(response);
                    upgrade.join(connection, busy);
                    return response;
                }
                Ok(Said::Answer(mut response)) => {
                    balance.answered(&self.front.nodes, &node, began.elapsed(), response.status());
                    if is_repeatable
                        && is_busy_elsewhere(&response)
                        && self.may_repeat(context, deadline, "answer")
                    {
                        instead = Some(response);
                        tried.push(node);
                        continue;
                    }
                    // An earlier attempt may have deleted it, so that it is not there says nothing.
                    if head.method == Method::DELETE
                        && response.status() == StatusCode::NOT_FOUND
                        && let Some(earlier) = instead
                    {
                        return earlier;
                    }
                    self.stick(context, &wish, &node, &mut response);
                    return match &upgrade {
                        Some(upgrade) => upgrade.declined(response),
                        None => response,
                    };
                }
                Err(SendError { why: Why::Client, error, .. }) => {
                    tracing::debug!(%error, "a client's request ended early");
                    return self.blamed(context);
                }
                Err(SendError { is_sent, why, error }) => {
                    tracing::debug!(node = %node.name, %error, "a node did not answer");
                    balance.failed(&self.front.nodes, &node);
                    let status = match why {
                        Why::Late => StatusCode::GATEWAY_TIMEOUT,
                        _ => StatusCode::BAD_GATEWAY,
                    };
                    if (is_sent && !is_repeatable) || !self.may_repeat(context, deadline, "failure") {
                        return plain(status);
                    }
                    instead = Some(plain(status));
                    tried.push(node);
                }
            }
        }
    }

    /// One that may be asked, if need be after a while.
    async fn node(&self, wish: &Wish, tried: &[Arc<Node>]) -> Result<Arc<Node>, Response<Body>> {
        let (balance, nodes) = (&self.front.balance, &self.front.nodes);
        match balance.choose(nodes, wish, tried) {
            Choice::Node(node) => return Ok(node),
            Choice::Nobody => return Err(unavailable()),
            Choice::Full => {}
        }
        let Some(_waiting) = nodes.room().wait(balance.options.waiting_max) else {
            return Err(unavailable());
        };
        let until = tokio::time::Instant::now() + Duration::from_millis(FRONT_WAITING_MS);
        loop {
            let freed = nodes.room().freed.notified();
            match balance.choose(nodes, wish, tried) {
                Choice::Node(node) => return Ok(node),
                Choice::Nobody => return Err(unavailable()),
                Choice::Full if tokio::time::timeout_at(until, freed).await.is_err() => {
                    return Err(unavailable());
                }
                Choice::Full => {}
            }
        }
    }

    fn may_repeat(&self, context: &Context, deadline: Instant, why: &'static str) -> bool {
        let options = &self.front.balance.options;
        if context.attempts > options.retries || Instant::now() >= deadline {
            return false;
        }
        let may = self.pool.budget.take(self.front.balance.now().as_secs());
        if may {
            metrics::counter!("pando_front_retries_total", "after" => why).increment(1);
        } else {
            metrics::counter!("pando_front_retries_refused_total").increment(1);
        }
        may
    }

    /// The client's next requests go where this one went.
    fn stick(&self, context: &Context, wish: &Wish, node: &Node, response: &mut Response<Body>) {
        if let Some(name) = &self.front.balance.options.sticky
            && wish.sticky != Some(node.hash)
            && let Some(cookie) = sticky::cookie(name, node.hash, context.secure)
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// Reads a short body before a node is asked: it can be sent again, and a slow client holds up no node.
async fn keep(body: &mut Body) -> Result<(), crate::Failure> {
    if matches!(body, Body::Empty | Body::Full(_)) {
        return Ok(());
    }
    if body.is_end_stream() {
        *body = Body::Empty;
    } else if body.size_hint().exact().is_some_and(|length| length <= FRONT_KEPT_BYTES_MAX) {
        *body = Body::Full(std::mem::take(body).collect().await?.to_bytes());
    }
    Ok(())
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

/// A node that is about to leave, or has too much to do, says when to come back; another one may answer at once.
fn is_busy_elsewhere(response: &Response<Body>) -> bool {
    response.status() == StatusCode::SERVICE_UNAVAILABLE
        && response.headers().contains_key(header::RETRY_AFTER)
}

/// Nobody can be asked at the moment.
fn unavailable() -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(FRONT_RETRY_AFTER_S));
    response
}
