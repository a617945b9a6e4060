//! `--data` with several hosts: one database on a primary and its standbys.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::postgres::{Options, Postgres, Replicas};
use testkit::server::Server;
use testkit::{Answer, Request, judge, pando};

use crate::candidate::{BINARY, as_superuser};

fn equal(group: &str, text: &str) {
    if pando::is_oracle() {
        return;
    }
    let replicas = Replicas::start(2, Options::default()).unwrap();
    let program = pando::program(BINARY, Some(replicas.database().unwrap())).unwrap();
    judge::check(group, text, program);
}

#[test]
fn records_are_answered_as_by_the_reference() {
    equal("records_crud", include_str!("differential/corpus/records_crud.txt"));
}

#[test]
fn logins_are_answered_as_by_the_reference() {
    equal("auth", include_str!("differential/corpus/auth.txt"));
}

struct Nodes {
    nodes: Vec<Server>,
    token: String,
}

impl Nodes {
    fn create(&self, node: usize, title: &str) -> Answer {
        let body = json!({ "id": title, "title": title });
        let request = Request::json("POST", "/api/collections/notes/records", &body);
        self.nodes[node].client().send(&request.token(&self.token)).unwrap()
    }

    fn view(&self, node: usize, title: &str) -> Answer {
        let request = Request::get(&format!("/api/collections/notes/records/{title}"));
        self.nodes[node].client().send(&request.token(&self.token)).unwrap()
    }
}

fn nodes(url: &str, dir: &std::path::Path) -> Nodes {
    let program = pando::program(BINARY, Some(url.to_owned())).unwrap().role("web");
    let first = program.start(&dir.join("0")).unwrap();
    let fields = json!([{ "name": "title", "type": "text" }]);
    let collection = json!({ "name": "notes", "type": "base", "fields": fields });
    as_superuser(&first, "POST", "/api/collections", &collection);
    let token = first.superuser_token().unwrap();
    let second = program.serve(&dir.join("1")).unwrap();
    Nodes { nodes: vec![first, second], token }
}

/// Requests on two nodes while every host in turn goes, and one of them becomes the primary.
#[test]
fn no_request_notices_that_a_host_dies() {
    if pando::is_oracle() {
        return;
    }
    let mut replicas = Replicas::start(2, Options::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let nodes = nodes(&replicas.database().unwrap(), dir.path());
    let mut written = 0;
    let mut work = |times: usize| {
        for _ in 0..times {
            let (title, node) = (format!("note{written:011}"), written % 2);
            let answer = nodes.create(node, &title);
            assert_eq!(answer.status, 200, "{title}: {}", answer.text());
            let answer = nodes.view(1 - node, &title);
            assert_eq!(answer.status, 200, "{title}: {}", answer.text());
            written += 1;
        }
    };
    work(50);
    replicas.hosts[2].crash();
    work(50);
    replicas.hosts[2].restart().unwrap();
    replicas.wait_streaming(0, 2).unwrap();
    work(50);
    replicas.hosts[1].freeze();
    work(50);
    replicas.hosts[1].thaw();
    work(50);
    std::thread::scope(|scope| {
        replicas.hosts[0].crash();
        let (first, second) = (&replicas.hosts[1], &replicas.hosts[2]);
        let promotion = scope.spawn(|| promote_the_furthest(first, second));
        work(50);
        promotion.join().unwrap();
    });
    work(50);
}

fn promote_the_furthest(one: &Postgres, other: &Postgres) {
    let position = |host: &Postgres| {
        let sql = "select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn";
        host.sql("postgres", sql).unwrap().trim().parse::<u64>().unwrap()
    };
    let (ahead, behind) = if position(one) >= position(other) { (one, other) } else { (other, one) };
    behind.follow(ahead).unwrap();
    ahead.promote().unwrap();
}

/// Without a primary there are reads, and writes are told to come back.
#[test]
fn a_database_without_a_primary_is_read() {
    if pando::is_oracle() {
        return;
    }
    let mut replicas = Replicas::start(2, Options::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = replicas.database().unwrap();
    let mut nodes = nodes(&url, dir.path());
    assert_eq!(nodes.create(0, "note00000000000").status, 200);
    replicas.hosts[0].crash();
    for node in 0..2 {
        assert_eq!(nodes.view(node, "note00000000000").status, 200);
    }
    let began = Instant::now();
    let answer = nodes.create(0, "note00000000001");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    assert!(began.elapsed() < Duration::from_secs(60));
    // A node that starts now reads as well.
    let program = pando::program(BINARY, Some(url)).unwrap().role("web");
    let third = program.serve(&dir.path().join("2")).unwrap();
    nodes.nodes.push(third);
    assert_eq!(nodes.view(2, "note00000000000").status, 200);
    replicas.hosts[0].restart().unwrap();
    for node in 0..3 {
        let until = Instant::now() + Duration::from_secs(60);
        let title = format!("again{node:010}");
        while nodes.create(node, &title).status != 200 {
            assert!(Instant::now() < until, "no write after the primary came back");
        }
        assert_eq!(nodes.view((node + 1) % 3, &title).status, 200);
    }
}
