//! Requests go on while web nodes, balancers and edges are stopped, restarted and killed.

use testkit::checker::matrix;
use testkit::doors::{self, Plan};

use crate::candidate::BINARY;

/// A short time for each of these events, with two balancers and two edges before three web nodes.
fn run(events: &[&str]) -> doors::Findings {
    let findings = doors::run(&Plan::short(BINARY, events)).unwrap();
    println!("{}", doors::table(&findings));
    findings.check().unwrap();
    findings
}

#[test]
fn what_is_planned_fails_no_request() {
    let findings = run(&[
        "web/stop",
        "every-web/restart",
        "balancer/stop",
        "balancer/restart",
        "edge/stop",
        "edge/restart",
        "every-edge/certify",
    ]);
    assert!(findings.rows.iter().all(|row| row.failed() == 0 && row.count() >= 300));
}

#[test]
fn sessions_hop_over_balancers() {
    let mut topology = doors::topology(2, false);
    topology.edges.nodes = 0;
    let found = matrix::sessions(&topology, BINARY, 1_500).unwrap();
    println!("{found}");
    assert!(found.is_clean() && found.failed == 0 && found.own_across_nodes > 0, "{found}");
}

#[test]
fn what_dies_fails_the_requests_that_it_was_answering() {
    let findings = run(&["web/kill", "balancer/kill", "edge/kill"]);
    // Who knows two edges asks the other: at once when the connection is refused, else after the request that was cut off.
    let edge = findings.rows.last().unwrap();
    assert!(edge.bypassed() + edge.failed() > 0 && edge.failed_again() == 0, "{}", edge.why());
}
