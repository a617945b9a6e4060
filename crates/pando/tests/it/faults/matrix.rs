//! The fault matrix in short: each process of a small cluster is struck once.

use std::time::Duration;

use cluster::Topology;
use testkit::checker::matrix::{Plan, Step, run, table};

use crate::candidate::BINARY;

fn short(replicas: usize) {
    let topology = format!(
        "name = 'faults'\n[web]\nnodes = 3\nport = 0\n[database]\nengine = 'postgres'\nreplicas = {replicas}\n\
         synchronous = {}\n",
        replicas.min(1)
    );
    let plan = Plan {
        steps: Step::all(&Topology::parse(&topology).unwrap()),
        topology,
        pando: BINARY.into(),
        reads: 60,
        writes: 15,
        lasts: Duration::from_millis(1500),
        operator: Duration::from_millis(1000),
        load: |_| {},
    };
    let outcome = run(&plan).unwrap();
    println!("{}", table(&outcome));
    assert!(outcome.verdict.is_clean(), "{}", outcome.verdict);
}

#[test]
fn web_nodes_and_their_database() {
    short(0);
}
