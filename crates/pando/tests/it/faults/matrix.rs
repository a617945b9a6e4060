//! The fault matrix in short: each process of a small cluster is struck once.

use std::time::Duration;

use testkit::checker::matrix::{self, Plan, Step};

use crate::candidate::BINARY;

#[test]
fn web_nodes_on_a_replicated_database() {
    let topology = matrix::topology(2, false, matrix::may_cut());
    let plan = Plan {
        steps: Step::all(&topology),
        topology,
        pando: BINARY.into(),
        reads: 40,
        writes: 10,
        lasts: Duration::from_millis(1000),
        operator: Duration::from_millis(700),
        seed: 1,
    };
    let findings = matrix::run(&plan).unwrap();
    println!("{}", matrix::table(&findings));
    findings.check().unwrap();
    assert!(findings.verdict.proven.across_nodes > 1000, "too little was proven");
}
