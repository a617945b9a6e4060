//! What dies while the data moves, in every phase: the mover, the server, the database.

use testkit::postgres::{Options, Postgres};
use testkit::server::Program;
use testkit::{Request, Server, judge};

use super::{Running, WRITTEN, clients, ids, moved, sqlite};

/// The phases in which something dies, by what the mover says as it enters them.
const PHASES: [&str; 8] = [
    "Checking",
    "Preparing",
    "Copying",
    "Making indexes",
    "Catching up",
    "Comparing",
    "Switching",
    "Switched",
];

/// Writes one more record; it must be acknowledged and be read.
fn write_on(server: &Server, number: usize) -> String {
    let id = format!("one{number:012}");
    let body = serde_json::json!({"id": id, "n": number});
    let answer =
        server.client().send(&Request::json("POST", "/api/collections/written/records", &body)).unwrap();
    assert_eq!(answer.status, 200, "{id}: {}\n{}", answer.text(), server.log());
    let read =
        server.client().send(&Request::get(&format!("/api/collections/written/records/{id}"))).unwrap();
    assert_eq!(read.status, 200, "{id}");
    id
}

/// The same of a server that may have to find its database again first.
fn write_until_done(server: &Server, number: usize) -> String {
    let id = format!("one{number:012}");
    let body = serde_json::json!({"id": id, "n": number});
    let create = Request::json("POST", "/api/collections/written/records", &body);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.client().send(&create).unwrap().status != 200 {
        assert!(std::time::Instant::now() < until, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    id
}

#[test]
fn a_mover_that_is_killed_leaves_the_old_or_the_new_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(Options::default()).unwrap();
    for (round, phase) in PHASES.iter().enumerate() {
        let data = dir.path().join(format!("data{round}"));
        let url = postgres.database().unwrap();
        let server = sqlite().start(&data).unwrap();
        judge::apply(WRITTEN, &server);
        let clients = clients::Clients::start(server.port(), 0..2);
        clients.wait_for(20);
        let mut mover = Running::start(&data, &["--to", &url]);
        assert!(mover.until(phase), "{phase}: {:?}", mover.said);
        testkit::fault::kill_9(mover.child.id());
        let _ = mover.child.wait();
        // Nobody notices.
        clients.wait_for(20);
        let mut there = clients.end();
        assert_eq!(ids(&server), there, "{phase}");
        // Again, until it is done; a move that had happened says so.
        moved(&data, &["--to", &url]);
        there.insert(write_on(&server, round));
        assert_eq!(ids(&server), there, "{phase}");
        drop(server);
        let server = sqlite().serve(&data).unwrap();
        assert_eq!(ids(&server), there, "{phase}");
        let counted = postgres.sql(&format!("test{round}"), "select count(*) from written").unwrap();
        assert_eq!(counted.trim(), there.len().to_string(), "{phase}");
    }
}

#[test]
fn a_server_that_is_killed_while_its_data_moves_finds_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(Options::default()).unwrap();
    for (round, phase) in PHASES.iter().enumerate() {
        let data = dir.path().join(format!("data{round}"));
        let url = postgres.database().unwrap();
        let mut server = sqlite().start(&data).unwrap();
        judge::apply(WRITTEN, &server);
        let mut there: std::collections::BTreeSet<String> =
            (0..20).map(|number| write_on(&server, number)).collect();
        let mut mover = Running::start(&data, &["--to", &url]);
        assert!(mover.until(phase), "{phase}: {:?}", mover.said);
        server.kill();
        let mut server = sqlite().serve(&data).unwrap();
        there.insert(write_on(&server, 100));
        mover.until("\0");
        let moved = mover.child.wait().unwrap().success();
        assert!(moved, "{phase}: {:?}", mover.said);
        there.insert(write_on(&server, 101));
        assert_eq!(ids(&server), there, "{phase}");
        server.restart().unwrap();
        assert_eq!(ids(&server), there, "{phase}");
        let counted = postgres.sql(&format!("test{round}"), "select count(*) from written").unwrap();
        assert_eq!(counted.trim(), there.len().to_string(), "{phase}");
    }
}

#[test]
fn a_database_server_that_is_killed_while_data_moves_there_leaves_the_old_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(Options { fsync: true }).unwrap();
    for (round, phase) in ["Copying", "Comparing", "Switching", "Switched"].iter().enumerate() {
        let data = dir.path().join(format!("data{round}"));
        let url = postgres.database().unwrap();
        let server = sqlite().start(&data).unwrap();
        judge::apply(WRITTEN, &server);
        let mut there: std::collections::BTreeSet<String> =
            (0..20).map(|number| write_on(&server, number)).collect();
        let mut mover = Running::start(&data, &["--to", &url]);
        assert!(mover.until(phase), "{phase}: {:?}", mover.said);
        postgres.kill();
        mover.until("\0");
        let _ = mover.child.wait();
        let until = mover.said.iter().any(|line| line == "Switched");
        if !until && phase != &"Switching" {
            there.insert(write_on(&server, 100));
        }
        postgres.restart().unwrap();
        moved(&data, &["--to", &url]);
        there.insert(write_until_done(&server, 101));
        assert_eq!(ids(&server), there, "{phase}");
        drop(server);
        let server = sqlite().serve(&data).unwrap();
        assert_eq!(ids(&server), there, "{phase}");
    }
}

#[test]
fn a_way_back_that_is_cut_short_leaves_the_old_or_the_new_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(Options::default()).unwrap();
    for (round, phase) in PHASES.iter().enumerate() {
        let data = dir.path().join(format!("data{round}"));
        let url = postgres.database().unwrap();
        let server = Program { data: Some(url.clone()), ..sqlite() }.start(&data).unwrap();
        judge::apply(WRITTEN, &server);
        let clients = clients::Clients::start(server.port(), 0..2);
        clients.wait_for(20);
        let words = ["--data", &url, "--to", data.to_str().unwrap()];
        let mut mover = Running::start(&data, &words);
        assert!(mover.until(phase), "{phase}: {:?}", mover.said);
        testkit::fault::kill_9(mover.child.id());
        let _ = mover.child.wait();
        clients.wait_for(20);
        let mut there = clients.end_or(|| format!("{phase}\n{}", server.log()));
        assert_eq!(ids(&server), there, "{phase}");
        let token = server.superuser_token().unwrap();
        let logs = server.client().send(&Request::get("/api/logs?perPage=1").token(&token)).unwrap();
        assert_eq!(logs.status, 200, "{phase}: {}", server.log());
        moved(&data, &words);
        there.insert(write_on(&server, round));
        drop(server);
        let server = sqlite().serve(&data).unwrap();
        assert_eq!(ids(&server), there, "{phase}");
    }
}
