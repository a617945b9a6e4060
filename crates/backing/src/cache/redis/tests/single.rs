//! One server, and what may befall it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use testkit::redis::Redis as Server;

use super::fixture::{Nodes, TABLE, Traffic, key, row};
use crate::cache::tier::{Look, Tier};

const LIFE: Duration = Duration::from_secs(60);

async fn one(nodes: &Nodes, node: usize, id: &str) -> Look {
    nodes.tiers[node].look(&[key(id)]).await.remove(0)
}

fn records(ids: &[&str]) -> Vec<(base::Name, base::Name)> {
    ids.iter().map(|id| (TABLE.into(), (*id).into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_entries_and_forms_do_what_they_are_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("redis")).unwrap();
    let nodes = Nodes::open(&server.url()).await;
    let (a, b) = (&nodes.tiers[0], &nodes.tiers[1]);

    let Look::Load(lease) = one(&nodes, 0, "a").await else { panic!("nobody loads") };
    assert!(matches!(one(&nodes, 1, "a").await, Look::Busy));
    a.fill(key("a"), lease.clone(), Some(&row(1)), LIFE).await;
    assert!(matches!(one(&nodes, 1, "a").await, Look::Found(found) if *found == row(1)));
    a.fill(key("a"), lease, Some(&row(2)), LIFE).await;
    assert!(matches!(one(&nodes, 1, "a").await, Look::Found(found) if *found == row(1)));

    // Rows of other columns are not found; who wants these loads them.
    let other = crate::cache::tier::Key { form: 8, ..key("a") };
    let Look::Load(lease) = b.look(&[other]).await.remove(0) else { panic!("the wrong form is found") };
    b.fill(other, lease, None, LIFE).await;
    assert!(matches!(one(&nodes, 0, "a").await, Look::Absent));

    // What was read before a commit is kept by nobody, and the last of several writers opens the record.
    let Look::Load(lease) = one(&nodes, 0, "b").await else { panic!("nobody loads") };
    b.hide(records(&["b"])).await;
    assert!(matches!(one(&nodes, 0, "b").await, Look::Hidden));
    a.hide(records(&["b"])).await;
    b.lift(records(&["b"])).await;
    a.fill(key("b"), lease, Some(&row(1)), LIFE).await;
    assert!(matches!(one(&nodes, 0, "b").await, Look::Hidden));
    a.lift(records(&["b"])).await;
    assert!(matches!(one(&nodes, 1, "b").await, Look::Load(_)));

    // An entry that got lost: what was kept meanwhile goes with the lift, also a lease.
    for id in ["c", "d"] {
        b.hide(records(&[id])).await;
    }
    for held in server.ask(&["KEYS", "pando:*:{posts:[cd]}"]).unwrap().lines() {
        server.ask(&["DEL", held]).unwrap();
    }
    let Look::Load(lease) = one(&nodes, 0, "c").await else { panic!("nobody loads") };
    a.fill(key("c"), lease, Some(&row(1)), LIFE).await;
    let Look::Load(lease) = one(&nodes, 0, "d").await else { panic!("nobody loads") };
    b.lift(records(&["c", "d"])).await;
    a.fill(key("d"), lease, Some(&row(1)), LIFE).await;
    assert!(matches!(one(&nodes, 0, "c").await, Look::Load(_)));
    assert!(matches!(one(&nodes, 0, "d").await, Look::Load(_)));

    // After a change that names no records nothing is found that was there.
    a.fill(key("x"), lease_of(&nodes, "x").await, Some(&row(1)), LIFE).await;
    b.forget().await;
    assert!(!nodes.tiers[0].is_open());
    nodes.opened().await;
    assert!(matches!(one(&nodes, 0, "x").await, Look::Load(_)));
}

async fn lease_of(nodes: &Nodes, id: &str) -> crate::cache::tier::Lease {
    match one(nodes, 0, id).await {
        Look::Load(lease) => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_who_miss_one_record_one_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("redis")).unwrap();
    let nodes = Arc::new(Nodes::open(&server.url()).await);
    // The first to connect and to load code takes its time; whoever waits too long would read for himself.
    nodes.read(0, "warm").await;
    nodes.read(1, "warm").await;
    let before = nodes.database.reads.load(Ordering::Relaxed);
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let nodes = nodes.clone();
            tokio::spawn(async move {
                // What a node's own single flight would do is left to the leases.
                loop {
                    match nodes.tiers[number % 2].look(&[key("hot")]).await.remove(0) {
                        Look::Found(found) => return assert_eq!(*found, row(0)),
                        Look::Load(lease) => {
                            let read = nodes.database.read("hot").await;
                            nodes.tiers[number % 2].fill(key("hot"), lease, Some(&row(read)), LIFE).await;
                        }
                        _ => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(nodes.database.reads.load(Ordering::Relaxed), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_befalls_the_server_nothing_old_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&dir.path().join("redis")).unwrap();
    let nodes = Arc::new(Nodes::open(&server.url()).await);
    let traffic = Traffic::start(&nodes);
    traffic.is_served().await;
    for command in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"], &["CLIENT", "KILL", "TYPE", "normal"]] {
        server.ask(command).unwrap();
        traffic.is_served().await;
    }
    server.daemon.freeze();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.daemon.thaw();
    traffic.is_served().await;
    server.daemon.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.daemon.restart().unwrap();
    traffic.is_served().await;
    traffic.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_whatever_it_holds_makes_nothing_old() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random"];
    let server = Server::with(&dir.path().join("redis"), &small).unwrap();
    let nodes = Arc::new(Nodes::open(&server.url()).await);
    let traffic = Traffic::start(&nodes);
    traffic.is_served().await;
    let url = server.url();
    let filler = tokio::task::spawn_blocking(move || {
        let port = url.rsplit(':').next().unwrap().to_string();
        let arguments = ["-p", &port, "-n", "40000", "-r", "100000", "-d", "1000", "-t", "set", "-q"];
        std::process::Command::new("redis-benchmark").args(arguments).output().unwrap()
    });
    filler.await.unwrap();
    assert!(!server.ask(&["INFO", "stats"]).unwrap().contains("evicted_keys:0\r\n"));
    traffic.is_served().await;
    traffic.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_nobody_waits_for_long() {
    let port = testkit::tools::free_port();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = crate::cache::redis::Options::new(format!("redis://127.0.0.1:{port}"));
    let tier = crate::cache::redis::Redis::open(&options, Arc::new(crate::Bus::default())).unwrap();
    assert!(!tier.is_open());
    assert!(matches!(tier.look(&[key("a")]).await.remove(0), Look::Away));
    tier.hide(records(&["a"])).await;
    tier.lift(records(&["a"])).await;
    tier.forget().await;
}
