//! The fault matrix in short: each process of a small cluster is struck once.

use std::time::Duration;

use cluster::topology::RedisMode;
use testkit::checker::matrix::{self, Plan, Step, Target};

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

/// What requests can do without: workers, the cache that nodes share, the bus.
#[test]
fn what_stands_beside_the_database() {
    let may_cut = matrix::may_cut();
    let topology = matrix::backed(matrix::topology(0, false, may_cut), RedisMode::Single, 3, 1);
    let steps = ["worker/kill", "redis/freeze", "nats/kill", if may_cut { "bus/cut" } else { "bus/freeze" }];
    let plan = Plan {
        steps: steps.map(|step| step.parse::<Step>().unwrap()).to_vec(),
        topology,
        pando: BINARY.into(),
        reads: 200,
        writes: 40,
        lasts: Duration::from_millis(1000),
        operator: Duration::ZERO,
        seed: 2,
    };
    assert!(plan.steps.iter().all(|step| Target::is_beside(step.target)));
    let findings = matrix::run(&plan).unwrap();
    println!("{}", matrix::table(&findings));
    findings.check().unwrap();
    assert!(findings.verdict.proven.across_nodes > 300, "too little was proven");
}
