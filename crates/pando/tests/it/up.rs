//! Topologies as processes: what dies comes back, what is promoted has every acknowledged write, and nothing stays behind.

use std::time::{Duration, Instant};

use cluster::Condition;
use testkit::topology::Rig;

const BUILT: &str = env!("CARGO_BIN_EXE_pando");

/// A primary with two standbys, and nobody who asks them.
const REPLICATED: &str = "
name = 'test'
[web]
nodes = 0
[database]
engine = 'postgres'
replicas = 2
synchronous = 1
fsync = false
";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn count(rig: &Rig, node: &str) -> Option<u64> {
    rig.sql(node, "select count(*) from t").ok()?.parse().ok()
}

#[test]
fn the_most_advanced_standby_takes_over_and_the_old_primary_follows() {
    let mut rig = Rig::start(REPLICATED, BUILT).unwrap();
    rig.sql("db-1", "create table t (n int)").unwrap();
    rig.sql("db-1", "set synchronous_commit = on; insert into t select generate_series(1, 100)").unwrap();
    until("the standby replays", || count(&rig, "db-3") == Some(100));
    // One standby hears nothing of what the other acknowledges.
    rig.node("db-2").unwrap().freeze().unwrap();
    rig.sql("db-1", "set synchronous_commit = on; insert into t values (101)").unwrap();
    rig.node("db-1").unwrap().kill().unwrap();
    let refused = rig.promote("any").unwrap_err().to_string();
    assert!(refused.contains("2 are needed"), "{refused}");
    rig.node("db-2").unwrap().thaw().unwrap();
    // The one that lacks it gets it from the other before it becomes the primary.
    assert_eq!(rig.promote("db-2").unwrap(), "db-2");
    assert_eq!((rig.primary().unwrap().as_str(), count(&rig, "db-2")), ("db-2", Some(101)));
    // The other one acknowledges already, so that the next failover loses nothing either.
    rig.sql("db-2", "set synchronous_commit = on; insert into t values (102)").unwrap();
    until("the other standby follows", || count(&rig, "db-3") == Some(102));

    // The old primary comes back as it was, writes what nobody acknowledges, and has to drop it.
    let old = rig.node("db-1").unwrap();
    old.restart().unwrap();
    rig.sql("db-1", "insert into t values (-1)").unwrap();
    rig.rejoin("db-1").unwrap();
    until("the old primary follows", || count(&rig, "db-1") == Some(102));
    assert_eq!(rig.sql("db-1", "select pg_is_in_recovery(), min(n) > 0 from t").unwrap(), "t|t");

    rig.sql("db-2", "insert into t values (103)").unwrap();
    rig.again().unwrap();
    assert_eq!(rig.primary().unwrap(), "db-2");
    until("all of it is there after another start", || count(&rig, "db-1") == Some(103));
    assert!(rig.status().nodes.iter().all(|node| node.condition == Condition::Ready));
}
