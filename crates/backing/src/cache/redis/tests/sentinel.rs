//! A primary that is lost, and another one in its place.

use std::sync::Arc;

use testkit::redis::Sentinels;

use super::fixture::{Nodes, Traffic};

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_makes_nothing_old() {
    let dir = tempfile::tempdir().unwrap();
    let mut servers = Sentinels::start(dir.path()).unwrap();
    let nodes = Arc::new(Nodes::open(&servers.url()).await);
    let traffic = Traffic::start(&nodes);
    traffic.is_served().await;
    let primary = servers.primary().unwrap();
    servers.servers[primary].daemon.kill();
    traffic.is_served().await;
    // The old one comes back, and becomes a replica of the new one.
    servers.servers[primary].daemon.restart().unwrap();
    traffic.is_served().await;
    traffic.stop().await;
}
