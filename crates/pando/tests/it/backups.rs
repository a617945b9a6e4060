//! Backups under load, between the two servers, and with kills in the middle.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::{Answer, Program, Request, Server, judge, oracle};

use crate::candidate::{self, Candidate};

const DATA: &str = include_str!("differential/data.txt");
const READS: &str = include_str!("differential/corpus/handover.txt");
const RECORDS: &str = "/api/collections/w/records";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn send(server: &Server, request: &Request) -> Answer {
    server.client().with_timeout(PATIENCE).send(request).unwrap()
}

pub(crate) fn as_superuser(server: &Server, method: &str, target: &str) -> Answer {
    send(server, &Request::new(method, target).token(&server.superuser_token().unwrap()))
}

pub(crate) fn create(server: &Server, name: &str) -> Answer {
    let request = Request::json("POST", "/api/backups", &json!({"name": name}));
    send(server, &request.token(&server.superuser_token().unwrap()))
}

pub(crate) fn fetch(server: &Server, name: &str) -> Vec<u8> {
    let token = as_superuser(server, "POST", "/api/files/token").at("/token").unwrap();
    let answer = send(server, &Request::get(&format!("/api/backups/{name}?token={token}")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body.to_vec()
}

pub(crate) fn prepare(server: &Server) {
    let fields = json!([{"name": "n", "type": "number"}, {"name": "doc", "type": "file"}]);
    let body = json!({"name": "w", "type": "base", "listRule": "", "viewRule": "", "createRule": "", "fields": fields});
    candidate::as_superuser(server, "POST", "/api/collections", &body);
}

pub(crate) fn write(server: &Server, n: usize) -> Option<String> {
    let request = Request::json("POST", RECORDS, &json!({"n": n}));
    let answer = server.client().with_timeout(PATIENCE).send(&request).ok()?;
    (answer.status == 200).then(|| answer.at("/id")).flatten()
}

pub(crate) fn exists(server: &Server, id: &str) -> bool {
    send(server, &Request::get(&format!("{RECORDS}/{id}"))).status == 200
}

/// Waits until the server answers with the restored data: the record that was made after the backup is gone.
pub(crate) fn until_gone(server: &Server, id: &str) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let request = Request::get(&format!("{RECORDS}/{id}"));
        if server.client().send(&request).is_ok_and(|answer| answer.status == 404) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the server does not come back with the backup's data:\n{}", server.log());
}

#[test]
fn everything_acknowledged_before_is_in_it_and_writes_go_on() {
    under_load(Engine::Sqlite);
}

#[test]
fn the_same_of_postgresql_as_files_that_a_directory_takes() {
    under_load(Engine::Postgres);
}

fn under_load(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    prepare(&server);
    let stop = AtomicBool::new(false);
    let acknowledged = Mutex::new(Vec::new());
    let (before, during) = std::thread::scope(|scope| {
        for writer in 0..4 {
            let (server, stop, acknowledged) = (&server, &stop, &acknowledged);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Some(id) = write(server, writer * 1_000_000 + n) {
                        acknowledged.lock().unwrap().push(id);
                    }
                }
            });
        }
        let enough = || acknowledged.lock().unwrap().len() > 200;
        let until = Instant::now() + PATIENCE;
        while !enough() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let before = acknowledged.lock().unwrap().clone();
        let answer = create(&server, "load.zip");
        assert_eq!(answer.status, 204, "{}", answer.text());
        let during = acknowledged.lock().unwrap().len() - before.len();
        stop.store(true, Ordering::Relaxed);
        (before, during)
    });
    assert!(before.len() > 200 && during > 0, "writes stood still: {} before, {during} during", before.len());
    let archive = fetch(&server, "load.zip");
    let late = write(&server, 1).unwrap();
    let answer = as_superuser(&server, "POST", "/api/backups/load.zip/restore");
    if engine == Engine::Postgres {
        assert_eq!(answer.status, 501);
        assert!(answer.text().contains("pando move"), "{}", answer.text());
        assert_eq!(as_superuser(&server, "GET", "/api/system/backup").json()["canRestore"], false);
        assert!(exists(&server, &late));
    } else {
        assert_eq!(answer.status, 204, "{}", answer.text());
        until_gone(&server, &late);
    }
    for id in &before {
        assert!(exists(&server, id), "{id} was acknowledged before the backup and is not in it");
    }
    // It goes on as any server.
    assert!(write(&server, 2).is_some());
    assert_eq!(create(&server, "again.zip").status, 204);
    // Another directory takes it too.
    let directory = Candidate::new(Engine::Sqlite).program;
    let other = directory.start(&dir.path().join("other")).unwrap();
    prepare(&other);
    let marker = write(&other, 3).unwrap();
    restore_into(&other, &archive, &marker);
    assert!(before.iter().all(|id| exists(&other, id)));
}

fn restore_into(server: &Server, archive: &[u8], marker: &str) {
    let mut body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"theirs.zip\"\r\n\
                     Content-Type: application/zip\r\n\r\n"
        .to_vec();
    body.extend_from_slice(archive);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let request = Request::new("POST", "/api/backups/upload")
        .body("multipart/form-data; boundary=b", body)
        .token(&server.superuser_token().unwrap());
    let answer = send(server, &request);
    assert_eq!(answer.status, 204, "{}", answer.text());
    let answer = as_superuser(server, "POST", "/api/backups/theirs.zip/restore");
    assert_eq!(answer.status, 204, "{}", answer.text());
    until_gone(server, marker);
}

/// A backup of one server is restored in the other, and then both answer alike.
fn hand_over(from: &Program, to: &Program) {
    let dir = tempfile::tempdir().unwrap();
    let origin = from.start(&dir.path().join("from")).unwrap();
    judge::apply(DATA, &origin);
    assert_eq!(create(&origin, "mine.zip").status, 204);
    let archive = fetch(&origin, "mine.zip");
    let target = to.start(&dir.path().join("to")).unwrap();
    prepare(&target);
    let marker = write(&target, 1).unwrap();
    // The reference writes down how collections came to be, and would do it again after the restore.
    let _ = std::fs::remove_dir_all(dir.path().join("pb_migrations"));
    restore_into(&target, &archive, &marker);
    // The reference answers for a moment from neither.
    let until = Instant::now() + PATIENCE;
    let restored = || {
        let token = target.superuser_token().ok()?;
        let request = Request::get("/api/collections/w").token(&token);
        target.client().send(&request).ok().filter(|answer| answer.status == 404)
    };
    while restored().is_none() {
        assert!(Instant::now() < until, "the backup's collections do not come");
        std::thread::sleep(Duration::from_millis(20));
    }
    let reference = match from.path == oracle::program().unwrap().path {
        true => (&origin, &target),
        false => (&target, &origin),
    };
    let outcome = judge::run("handover", READS, reference.0, reference.1);
    let found = outcome.failures.join("\n");
    assert!(found.is_empty(), "{} of {} steps differ\n{found}", outcome.failures.len(), outcome.steps);
}

#[test]
fn a_backup_of_pocketbase_is_restored_in_pando() {
    hand_over(&oracle::program().unwrap(), &Candidate::new(Engine::Sqlite).program);
}

#[test]
fn a_backup_of_pando_is_restored_in_pocketbase() {
    hand_over(&Candidate::new(Engine::Sqlite).program, &oracle::program().unwrap());
}

#[test]
fn a_backup_of_pando_on_postgresql_is_restored_in_pocketbase() {
    if !pando::is_oracle() {
        hand_over(&Candidate::new(Engine::Postgres).program, &oracle::program().unwrap());
    }
}

fn is_backup(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zip")
}

#[test]
fn a_kill_in_the_middle_leaves_the_old_or_the_new() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Candidate::new(Engine::Sqlite).program.start(&data).unwrap();
    prepare(&server);
    let kept = write(&server, 1).unwrap();
    // Something to do for the archive.
    std::fs::create_dir_all(data.join("storage/extra/files")).unwrap();
    for n in 0..40 {
        std::fs::write(data.join(format!("storage/extra/files/{n}")), vec![n as u8; 1 << 20]).unwrap();
    }
    assert_eq!(create(&server, "whole.zip").status, 204);
    let late = write(&server, 2).unwrap();
    for round in 0..12u64 {
        let token = server.superuser_token().unwrap();
        let port_client = server.client().with_timeout(PATIENCE);
        let making = round % 2 == 0;
        let request = match making {
            true => Request::json("POST", "/api/backups", &json!({"name": format!("cut{round}.zip")})),
            false => Request::new("POST", "/api/backups/whole.zip/restore"),
        };
        let request = request.token(&token);
        let sent = std::thread::spawn(move || drop(port_client.send(&request)));
        // Each round is cut at another place.
        std::thread::sleep(Duration::from_millis(20 + round * 45));
        server.kill();
        sent.join().unwrap();
        server.restart().unwrap();
        assert!(exists(&server, &kept), "round {round}");
        let answer = as_superuser(&server, "GET", "/api/backups");
        for entry in answer.json().as_array().unwrap() {
            let key = entry["key"].as_str().unwrap();
            assert!(is_backup(Path::new(key)), "round {round}: {key} is half a backup");
        }
        assert_eq!(send(&server, &Request::json("POST", RECORDS, &json!({"n": 3}))).status, 200);
        assert!(data.join("storage/extra/files/39").exists(), "round {round}");
        assert!(!data.join(".pando_restore").exists(), "round {round}");
    }
    // Whatever happened before: a restore that nobody disturbs brings the backup's state.
    let extra = write(&server, 4).unwrap();
    assert_eq!(as_superuser(&server, "POST", "/api/backups/whole.zip/restore").status, 204);
    until_gone(&server, &extra);
    assert!(exists(&server, &kept) && !exists(&server, &late));
}

#[test]
fn what_is_no_backup_is_refused() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Candidate::new(Engine::Sqlite).program.start(&data).unwrap();
    prepare(&server);
    let kept = write(&server, 1).unwrap();
    std::fs::create_dir_all(data.join("backups")).unwrap();
    let garbage: [(&str, &[u8]); 3] = [
        ("garbage.zip", b"PK\x03\x04garbage"),
        ("empty.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("text.zip", b"no archive"),
    ];
    for (name, bytes) in garbage {
        std::fs::write(data.join("backups").join(name), bytes).unwrap();
        let answer = as_superuser(&server, "POST", &format!("/api/backups/{name}/restore"));
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert!(exists(&server, &kept));
        assert!(!data.join(".pando_restore").exists() && !data.join(".pando_backup").exists());
    }
    assert_eq!(create(&server, "sound.zip").status, 204);
}
