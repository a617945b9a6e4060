//! Active checks: every node is asked for its health now and then. One checker for a process, on its main runtime.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base::limits::FRONT_CHECK_TICK_MS;
use hyper::StatusCode;

use super::health::Outcome;
use super::options::Active;
use crate::front::Front;
use crate::upstream::{Node, probe};

/// Runs until it is dropped.
pub async fn run(front: Arc<Front>) {
    loop {
        let now = front.balance.now();
        let nodes = front.nodes.load_full();
        for node in nodes.iter() {
            match &front.balance.options.active {
                None => front.balance.tick(node),
                Some(active) if node.check_at.load(Relaxed) <= now.as_millis() as u64 => {
                    // Far away until this one has ended.
                    node.check_at.store(u64::MAX, Relaxed);
                    tokio::spawn(check(front.clone(), node.clone(), active.clone()));
                }
                Some(_) => {}
            }
        }
        front.balance.count(&nodes);
        tokio::select! {
            () = front.nodes.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(FRONT_CHECK_TICK_MS)) => {}
        }
    }
}

async fn check(front: Arc<Front>, node: Arc<Node>, active: Active) {
    let outcome = match probe(&node, &active.path, active.timeout).await {
        // A server that does not know the path is there all the same.
        Ok(status) if status.as_u16() < 500 && status != StatusCode::TOO_MANY_REQUESTS => Outcome::Good,
        Ok(_) => Outcome::Bad,
        Err(error) => {
            tracing::debug!(node = %node.name, %error, "a check failed");
            Outcome::Unreachable
        }
    };
    front.balance.checked(&node, outcome, active.checks);
    let jitter = 0.9 + rand::random::<f64>() * 0.2;
    let next = front.balance.now() + active.interval.mul_f64(jitter);
    node.check_at.store(next.as_millis() as u64, Relaxed);
}
