//! An edge asks its shields, and the nodes when none of them answers.

use std::time::Instant;

use base::limits::EDGE_SHIELD_ATTEMPTS_MAX;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use super::{ANSWERED, PANDO_EDGE, PANDO_HEARD, Question, Shield, Shields, UNANSWERED};
use crate::body::Body;
use crate::cache::object::Key;
use crate::context::Context;
use crate::front::{Origin, Own, plain};
use crate::upstream::{Asked, Said, Why};

impl Origin {
    /// A question of the cache, whose answer may be kept. The purge clock was read before.
    pub(crate) async fn ask(
        &self,
        context: &mut Context,
        request: Request<Body>,
        key: &Key,
    ) -> Response<Body> {
        let Some(shields) = &self.front.shields else { return self.forward(context, request).await };
        let (head, body) = request.into_parts();
        match shields.ask(self, context, &head, key).await {
            Some(response) => response,
            None => self.forward(context, Request::from_parts(head, body)).await,
        }
    }
}

impl Shields {
    /// None when the nodes are to be asked.
    async fn ask(
        &self,
        origin: &Origin,
        context: &mut Context,
        head: &Parts,
        key: &Key,
    ) -> Option<Response<Body>> {
        if is_stream(head) {
            return None;
        }
        let Some(heard) = self.heard.told() else {
            self.untold.increment(1);
            return None;
        };
        let head = self.question(head, &heard)?;
        for shield in self.by_turn(key).into_iter().take(EDGE_SHIELD_ATTEMPTS_MAX) {
            self.asked.increment(1);
            if let Some(response) = shield.ask(origin, context, &head).await {
                return Some(response);
            }
        }
        self.away.increment(1);
        None
    }

    /// The same request with what was heard, and the proof of it.
    pub(super) fn question(&self, head: &Parts, heard: &str) -> Option<Parts> {
        let mut head = head.clone();
        head.headers.insert(PANDO_HEARD, HeaderValue::from_str(heard).ok()?);
        let proof = self.seal.proof(&Question::of(&head.method, &head.uri, &head.headers)?);
        head.headers.insert(PANDO_EDGE, proof);
        Some(head)
    }
}

impl Shield {
    /// None when it has not answered, or not as a shield does. Only a look of its own decides whether it is asked again: a
    /// client may have found a request that no shield answers.
    async fn ask(&self, origin: &Origin, context: &mut Context, head: &Parts) -> Option<Response<Body>> {
        let options = &origin.front.balance.options;
        let deadline = Instant::now() + options.deadline;
        let asked = Asked {
            head,
            introduction: None,
            upgrade: None,
            first_byte: options.first_byte,
            deadline,
            is_repeatable: true,
        };
        let error = match origin.pool.send(self.node.begin(), &asked, &mut Body::Empty).await {
            Ok(Said::Answer(mut response)) => match response.headers_mut().remove(PANDO_EDGE) {
                Some(mark) if mark == ANSWERED || mark == UNANSWERED => {
                    if mark == UNANSWERED {
                        response.extensions_mut().insert(Own);
                    }
                    // What no shield answers is not held against the nodes' attempts.
                    context.attempts += 1;
                    context.node = Some(self.node.clone());
                    return Some(response);
                }
                _ => format!("it answers, and not as a shield: {}", response.status()),
            },
            Ok(Said::Switched(..)) => "it changed the protocol".to_owned(),
            // It is there, and waits for a node: nobody else would have an answer sooner.
            Err(failed) if failed.why == Why::Late => return Some(plain(StatusCode::GATEWAY_TIMEOUT)),
            Err(failed) => failed.error.to_string(),
        };
        tracing::debug!(shield = %self.node.name, "a shield did not answer: {error}");
        self.suspected.notify_one();
        None
    }
}

/// Events are for the one who asks.
fn is_stream(head: &Parts) -> bool {
    let accepted = head.headers.get_all(header::ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/event-stream"))
}
