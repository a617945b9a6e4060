//! The fault matrix in short: each process of a small cluster is struck once.

use std::time::Duration;

use testkit::checker::matrix::{self, Plan, Step};

use crate::candidate::BINARY;

fn short(replicas: u32) {
    let topology = matrix::topology(replicas, false, false);
    let plan = Plan {
        steps: Step::all(&topology),
        topology,
        pando: BINARY.into(),
        reads: 60,
        writes: 15,
        lasts: Duration::from_millis(1500),
        operator: Duration::from_millis(1000),
        seed: 1,
    };
    let findings = matrix::run(&plan).unwrap();
    println!("{}", matrix::table(&findings));
    // A database that is alone takes the reads with it.
    match replicas {
        0 => assert!(findings.verdict.is_clean(), "{}", findings.verdict),
        _ => findings.check().unwrap(),
    }
}

#[test]
fn web_nodes_and_their_database() {
    short(0);
}

#[test]
fn web_nodes_on_a_replicated_database() {
    short(2);
}
