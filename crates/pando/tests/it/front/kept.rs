//! How old an edge's answers may be while it cannot hear, or cannot ask, one of the nodes.

use std::time::Duration;

use testkit::doors::kept::{self, Happening, LATE_MAX, Plan};

use crate::candidate::BINARY;

/// Longer than an answer may be old.
const LASTS: Duration = Duration::from_millis(LATE_MAX.as_millis() as u64 + 1_000);

fn run(happenings: &[&str]) {
    let happenings = happenings.iter().map(|happening| happening.parse::<Happening>().unwrap()).collect();
    let findings = kept::run(&Plan::of(BINARY, happenings, LASTS)).unwrap();
    println!("{findings}");
    findings.check().unwrap();
    assert!(findings.rows.iter().all(|row| row.hits() > 0));
}

#[test]
fn what_is_written_unheard_is_not_served_for_long() {
    run(&["announcements/broken", "announcements/silent", "both/silent"]);
}

#[test]
fn a_node_that_dies_takes_nothing_with_it_that_an_edge_should_know() {
    run(&["requests/silent", "node/kill", "both/broken"]);
}

#[test]
fn purges_that_are_dropped_are_found() {
    let happenings = vec![Happening::Nothing];
    let findings = kept::run(&Plan { deaf: true, ..Plan::of(BINARY, happenings, LASTS) }).unwrap();
    println!("{findings}");
    let found = findings.check().unwrap_err().to_string();
    assert!(found.contains("a read was older than a write by"), "{found}");
}
