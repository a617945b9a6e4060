//! Directories change hands: one made by PocketBase opens in Pando and the other way around, with data in every
//! field type; and the rules about two processes on one directory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use testkit::pando::{self, Engine};
use testkit::server::SUPERUSER;
use testkit::{Program, judge, oracle};

use crate::candidate::Candidate;

const DATA: &str = include_str!("differential/data.txt");
const READS: &str = include_str!("differential/corpus/handover.txt");

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// `maker` fills a directory; then the reference and the candidate each answer from a copy of it.
fn hand_over(maker: &Program, reference: &Program, candidate: &Program) {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let mut server = maker.start(&first).unwrap();
    judge::apply(DATA, &server);
    server.terminate(Duration::from_secs(10));
    drop(server);
    copy(&first, &second);
    let reference = reference.serve(&first).unwrap();
    let candidate = candidate.serve(&second).unwrap();
    let outcome = judge::run("handover", READS, &reference, &candidate);
    let found = outcome.failures.join("\n");
    assert!(found.is_empty(), "{} of {} steps differ\n{found}", outcome.failures.len(), outcome.steps);
}

#[test]
fn a_directory_of_pocketbase_opens_in_pando() {
    let candidate = Candidate::new(Engine::Sqlite).program;
    let oracle = oracle::program().unwrap();
    hand_over(&oracle, &oracle, &candidate);
}

#[test]
fn a_directory_of_pando_opens_in_pocketbase() {
    let candidate = Candidate::new(Engine::Sqlite).program;
    hand_over(&candidate, &oracle::program().unwrap(), &candidate);
}

#[test]
fn a_directory_goes_to_pando_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(Engine::Sqlite).program;
    let oracle = oracle::program().unwrap();
    let server = oracle.start(&data).unwrap();
    judge::apply(DATA, &server);
    drop(server);
    let server = candidate.serve(&data).unwrap();
    let written = "scenario w\nas superuser\nPOST /api/collections/posts/records {\"id\":\"handoverrecord1\",\"title\":\"by pando\"}\n\
                   PATCH /api/collections/people {\"name\":\"persons\"}\nDELETE /api/collections/comments/records/comment00000004\n";
    judge::apply(written, &server);
    drop(server);
    let server = oracle.serve(&data).unwrap();
    let read = "scenario r\nas superuser\nGET /api/collections/posts/records/handoverrecord1\n\
                GET /api/collections/persons/records?sort=id\n\
                PATCH /api/collections/persons {\"name\":\"people\"}\n";
    judge::apply(read, &server);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let program = Candidate::new(Engine::Sqlite).program;
    let mut server = program.start(&data).unwrap();
    let (code, log) = program.serve_to_end(&data, Duration::from_secs(10)).unwrap();
    assert!(code.is_some_and(|c| c != 0), "the second server did not end by itself: {code:?}\n{log}");
    let says = log.to_lowercase();
    let clear = ["in use", "locked", "already", "another"].iter().any(|word| says.contains(word));
    assert!(clear && log.contains("data"), "the message does not say why: {log}");
    assert!(!says.contains("panicked"), "{log}");
    assert!(server.is_alive());
    // A killed server leaves no lock behind.
    server.kill();
    program.serve(&data).unwrap();
}

fn upsert_beside_a_running_server(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&data).unwrap();
    server.superuser_token().unwrap();
    candidate.program.upsert_superuser(&data, SUPERUSER.0, "another-long-password").unwrap();
    server.login("_superusers", SUPERUSER.0, "another-long-password").unwrap();
    assert!(server.login("_superusers", SUPERUSER.0, SUPERUSER.1).is_err(), "the old password still works");
    candidate.program.upsert_superuser(&data, "second@example.com", "yet-another-password").unwrap();
    server.login("_superusers", "second@example.com", "yet-another-password").unwrap();
}

#[test]
fn upsert_beside_a_running_server_on_sqlite() {
    upsert_beside_a_running_server(Engine::Sqlite);
}

#[test]
fn upsert_beside_a_running_server_on_postgres() {
    upsert_beside_a_running_server(Engine::Postgres);
}

/// Files of either server, with their thumbnails, are the other's as well.
fn files_change_hands(first: &Program, second: &Program) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let written = "scenario w\nas superuser\n\
        POST /api/collections {\"name\":\"papers\",\"type\":\"base\",\"viewRule\":\"\",\"fields\":[{\"name\":\"doc\",\"type\":\"file\",\"maxSelect\":9,\"thumbs\":[\"7x7\"]}]}\n\
        POST /api/collections/papers/records multipart:id=papersrecord001;doc@paper one.txt=hello;doc@picture.png=<fixture png-40x30>;doc@odd.p*q=x;doc@empty.txt=\n  > text=/doc/0\n  > picture=/doc/1\n  > odd=/doc/2\n\
        GET /api/files/papers/papersrecord001/$text\nGET /api/files/papers/papersrecord001/$picture?thumb=7x7\n";
    let server = first.start(&data).unwrap();
    judge::apply(written, &server);
    drop(server);
    let server = second.serve(&data).unwrap();
    let token = server.superuser_token().unwrap();
    let get = |server: &testkit::Server, target: &str| {
        let answer = server.client().send(&testkit::Request::get(target).token(&token)).unwrap();
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer
    };
    let record = get(&server, "/api/collections/papers/records/papersrecord001").json();
    let name = |at: usize| record["doc"][at].as_str().unwrap().to_owned();
    let file = |name: &str| format!("/api/files/papers/papersrecord001/{name}");
    let text = get(&server, &file(&name(0)));
    assert_eq!(
        (text.text(), text.header("content-type")),
        ("hello".into(), Some("text/plain; charset=utf-8"))
    );
    let picture = get(&server, &file(&name(1)));
    assert_eq!(picture.body, testkit::fixtures::bytes("png-40x30"));
    assert_eq!(picture.header("content-type"), Some("image/png"));
    for size in ["7x7", "100x100"] {
        let thumb = get(&server, &format!("{}?thumb={size}", file(&name(1))));
        assert_eq!(thumb.header("content-type"), Some("image/png"));
        assert!(thumb.header("content-disposition").unwrap().contains(size));
    }
    assert_eq!(get(&server, &file(&name(2))).text(), "x");
    assert_eq!(get(&server, &file(&name(3))).text(), "");
    let deleted =
        testkit::Request::new("DELETE", "/api/collections/papers/records/papersrecord001").token(&token);
    assert_eq!(server.client().send(&deleted).unwrap().status, 204);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let collection = record["collectionId"].as_str().unwrap();
    while data.join("storage").join(collection).join("papersrecord001").exists() {
        assert!(std::time::Instant::now() < until, "the other's files stay behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn files_of_pocketbase_are_pandos() {
    let candidate = Candidate::new(Engine::Sqlite).program;
    files_change_hands(&oracle::program().unwrap(), &candidate);
}

#[test]
fn files_of_pando_are_pocketbases() {
    let candidate = Candidate::new(Engine::Sqlite).program;
    files_change_hands(&candidate, &oracle::program().unwrap());
}
