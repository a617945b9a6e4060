//! Keys on several primaries, one of which is lost.

use std::sync::Arc;

use testkit::redis::Cluster;

use super::fixture::{Nodes, Traffic};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_primary_of_a_cluster_makes_nothing_old() {
    let dir = tempfile::tempdir().unwrap();
    let mut servers = Cluster::start(dir.path(), 3, 1).unwrap();
    let nodes = Arc::new(Nodes::open(&servers.url()).await);
    let traffic = Traffic::start(&nodes);
    traffic.is_served().await;
    let lost = servers.primaries()[0];
    servers.servers[lost].daemon.kill();
    traffic.is_served().await;
    servers.servers[lost].daemon.restart().unwrap();
    traffic.is_served().await;
    traffic.stop().await;
}
