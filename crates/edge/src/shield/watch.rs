//! Looks after the shields: whether they answer, and answer as shields do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base::limits::{
    EDGE_SHIELD_FALL, EDGE_SHIELD_LOOK_MS, EDGE_SHIELD_LOOK_MS_MAX, EDGE_SHIELD_LOOK_WAIT_MS,
    FRONT_CHECK_TICK_MS,
};
use futures_util::future;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request};

use super::{PANDO_EDGE, Shield, Shields};
use crate::forwarded::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::upstream::once;

/// What a look came to.
enum Found {
    There,
    /// It answers as somebody who is no shield, or does not know the secret.
    Refuses,
    Away(String),
}

impl Shields {
    /// Runs until it is dropped.
    pub async fn watch(self: Arc<Self>) {
        future::join_all(self.all.iter().map(|shield| self.look_after(shield))).await;
    }

    async fn look_after(&self, shield: &Shield) {
        let (mut failed, mut suspected) = (0, false);
        loop {
            let found = self.look(shield).await;
            failed = if matches!(found, Found::There) { 0 } else { failed + 1 };
            shield.note(&found, suspected || failed >= EDGE_SHIELD_FALL);
            // What clients do must not make this look all the time.
            tokio::time::sleep(Duration::from_millis(FRONT_CHECK_TICK_MS)).await;
            let wait = (EDGE_SHIELD_LOOK_MS << failed.saturating_sub(EDGE_SHIELD_FALL).min(10))
                .min(EDGE_SHIELD_LOOK_MS_MAX);
            let wait = Duration::from_millis(wait).mul_f64(0.9 + rand::random::<f64>() * 0.2);
            suspected = tokio::time::timeout(wait, shield.suspected.notified()).await.is_ok();
        }
    }

    /// A question that a shield answers by itself.
    async fn look(&self, shield: &Shield) -> Found {
        let mut request = Request::new(());
        *request.method_mut() = Method::OPTIONS;
        let headers = request.headers_mut();
        match HeaderValue::from_str(&shield.node.address) {
            Ok(host) => headers.insert(header::HOST, host),
            Err(error) => return Found::Away(error.to_string()),
        };
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("127.0.0.1"));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        let (head, ()) = request.into_parts();
        let Some(head) = self.question(&head, "") else { return Found::Refuses };
        match once(&shield.node, &head, Duration::from_millis(EDGE_SHIELD_LOOK_WAIT_MS)).await {
            Ok((_, headers)) if headers.contains_key(PANDO_EDGE) => Found::There,
            Ok(_) => Found::Refuses,
            Err(error) => Found::Away(error.to_string()),
        }
    }
}

impl Shield {
    fn note(&self, found: &Found, is_sure: bool) {
        let was_away = self.away.load(Relaxed);
        let is_away = match found {
            Found::There => false,
            Found::Refuses => true,
            Found::Away(_) => was_away || is_sure,
        };
        if is_away == was_away {
            return;
        }
        self.away.store(is_away, Relaxed);
        // Whoever waits for its answer asks elsewhere.
        self.node.up.store(!is_away, Relaxed);
        let shield = self.node.name.as_str();
        match found {
            Found::There => tracing::info!(shield, "a shield answers again"),
            Found::Refuses => tracing::error!(
                shield,
                "a shield refuses this edge, which asks the nodes meanwhile: it must be a `pando edge` with the same \
                 front.secret, reached without a redirect, and not this edge itself"
            ),
            Found::Away(error) => {
                tracing::warn!(
                    shield,
                    "a shield does not answer, and the nodes are asked meanwhile: {error}"
                );
            }
        }
    }
}
