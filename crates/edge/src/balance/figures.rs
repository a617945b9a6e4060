//! What is counted of one node, with the handles kept, as they cost more than what they count.

use std::time::Duration;

use hyper::StatusCode;
use metrics::{Counter, Gauge, Histogram};

pub struct Figures {
    informational: Counter,
    success: Counter,
    redirection: Counter,
    client_error: Counter,
    server_error: Counter,
    failed: Counter,
    ejected: Counter,
    seconds: Histogram,
    /// Connections to it.
    pub open: Gauge,
    pub idle: Gauge,
}

impl Figures {
    pub fn new(node: &str) -> Figures {
        let node = node.to_owned();
        let outcome = |outcome: &'static str| metrics::counter!("pando_front_node_requests_total", "node" => node.clone(), "outcome" => outcome);
        let connections = |state: &'static str| metrics::gauge!("pando_front_node_connections", "node" => node.clone(), "state" => state);
        Figures {
            open: connections("open"),
            idle: connections("idle"),
            informational: outcome("1xx"),
            success: outcome("2xx"),
            redirection: outcome("3xx"),
            client_error: outcome("4xx"),
            server_error: outcome("5xx"),
            failed: outcome("failed"),
            ejected: metrics::counter!("pando_front_ejections_total", "node" => node.clone()),
            seconds: metrics::histogram!("pando_front_node_seconds", "node" => node.clone()),
        }
    }

    pub fn answered(&self, status: StatusCode, after: Duration) {
        let counter = match status.as_u16() {
            100..200 => &self.informational,
            200..300 => &self.success,
            300..400 => &self.redirection,
            400..500 => &self.client_error,
            _ => &self.server_error,
        };
        counter.increment(1);
        self.seconds.record(after);
    }

    pub fn failed(&self) {
        self.failed.increment(1);
    }

    pub fn ejected(&self) {
        self.ejected.increment(1);
    }
}
