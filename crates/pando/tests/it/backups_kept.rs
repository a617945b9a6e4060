//! Where backups go and how many stay: those made by the clock, those in a bucket, and those for which there is no room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::{self, Engine};
use testkit::seaweed::Seaweed;
use testkit::server::Program;
use testkit::{Request, Server, oracle};

use crate::backups::{as_superuser, create, exists, fetch, prepare, send, until_gone, write};
use crate::candidate::{self, Candidate};

const WAIT: Duration = Duration::from_secs(60);
const KEPT: usize = 2;

fn keys(server: &Server) -> Vec<String> {
    let answer = as_superuser(server, "GET", "/api/backups");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all = answer.json();
    all.as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
}

fn set(server: &Server, settings: &Value) {
    let request = Request::json("PATCH", "/api/settings", settings);
    let answer = send(server, &request.token(&server.superuser_token().unwrap()));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn until<T>(what: &str, server: &Server, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WAIT;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}; {:?}\n{}", keys(server), server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn automatic(server: &Server) -> Vec<String> {
    keys(server).into_iter().filter(|key| key.starts_with('@')).collect()
}

/// The names that are left after some runs, with the times taken out.
fn run_by_the_clock(program: &Program) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let server = program.start(&dir.path().join("data")).unwrap();
    // Without a schedule there is nothing to run.
    assert_eq!(as_superuser(&server, "POST", "/api/crons/__pbAutoBackup__").status, 404);
    let backups = json!({"cron": "0 0 29 2 *", "cronMaxKeep": KEPT});
    set(&server, &json!({"meta": {"appName": "Some ÄPP 1"}, "backups": backups}));
    let crons = as_superuser(&server, "GET", "/api/crons?fields=id,expression").json();
    let wanted = json!({"id": "__pbAutoBackup__", "expression": "0 0 29 2 *"});
    assert!(crons.as_array().unwrap().contains(&wanted), "{crons}");

    assert_eq!(create(&server, "by_hand.zip").status, 204);
    assert_eq!(create(&server, "").status, 204);
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < KEPT + 2 {
        let before = seen.len();
        // Names tell the second: one made in the same second takes the place of the other.
        let made = until("another backup", &server, || {
            as_superuser(&server, "POST", "/api/crons/__pbAutoBackup__");
            automatic(&server).into_iter().find(|key| !seen.contains(key))
        });
        seen.push(made);
        assert_eq!(seen.len(), before + 1);
    }
    let newest = seen.split_off(seen.len() - KEPT);
    until("no more than the newest are kept", &server, || {
        // Whatever a run that was still going on has added is newer still.
        let left = automatic(&server);
        (left.len() <= KEPT && left.iter().all(|key| *key >= newest[0])).then_some(())
    });
    let left = keys(&server);
    assert!(left.contains(&"by_hand.zip".to_owned()), "{left:?}");
    let mut shapes: Vec<String> = left
        .iter()
        .map(|key| key.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect())
        .collect();
    shapes.sort();
    shapes.dedup();
    shapes
}

#[test]
fn the_newest_of_the_clock_are_kept_and_all_made_by_hand() {
    let ours = run_by_the_clock(&Candidate::new(Engine::Sqlite).program);
    assert_eq!(ours, run_by_the_clock(&oracle::program().unwrap()));
}

#[test]
fn a_bucket_takes_them() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut store = Seaweed::start(dir.path().join("weed"), &["backups"]).unwrap();
    let data = dir.path().join("data");
    let server = Candidate::new(Engine::Sqlite).program.start(&data).unwrap();
    prepare(&server);
    assert_eq!(create(&server, "local.zip").status, 204);
    let on = json!({"cron": "0 0 29 2 *", "cronMaxKeep": 1, "s3": store.settings("backups")});
    set(&server, &json!({ "backups": on }));
    assert!(keys(&server).is_empty(), "those in the directory are not in the bucket");

    let kept = write(&server, 1).unwrap();
    let made = create(&server, "remote.zip");
    assert_eq!(made.status, 204, "{}", made.text());
    assert_eq!(keys(&server), ["remote.zip"]);
    assert!(!data.join("backups/remote.zip").exists() && data.join("backups/local.zip").exists());
    assert!(fetch(&server, "remote.zip").starts_with(b"PK"));
    assert_eq!(create(&server, "remote.zip").status, 400, "the name is taken");

    let late = write(&server, 2).unwrap();
    assert_eq!(as_superuser(&server, "POST", "/api/backups/remote.zip/restore").status, 204);
    until_gone(&server, &late);
    assert!(exists(&server, &kept));

    let first = until("one by the clock", &server, || {
        as_superuser(&server, "POST", "/api/crons/__pbAutoBackup__");
        automatic(&server).pop()
    });
    until("the older one goes", &server, || {
        as_superuser(&server, "POST", "/api/crons/__pbAutoBackup__");
        let left = automatic(&server);
        (left.len() == 1 && left[0] != first).then_some(())
    });
    assert!(keys(&server).contains(&"remote.zip".to_owned()));

    // A bucket that is gone is said, and nothing else stops.
    store.kill();
    let refused = create(&server, "lost.zip");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(write(&server, 3).is_some());
    store.restart().unwrap();
    assert!(!keys(&server).contains(&"lost.zip".to_owned()));
    assert_eq!(as_superuser(&server, "DELETE", "/api/backups/remote.zip").status, 204);
    assert!(!keys(&server).contains(&"remote.zip".to_owned()));
    assert_eq!(as_superuser(&server, "DELETE", "/api/backups/remote.zip").status, 400);
}

/// A small file system, as long as it lasts.
struct Small(PathBuf);

impl Small {
    /// `None` when this user may not mount one.
    fn mount(at: PathBuf, mebibytes: u32) -> Option<Small> {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={mebibytes}m");
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output().ok()?;
        done.status.success().then_some(Small(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The program with files of at most so many bytes.
fn confined(program: &Program, dir: &Path, kibibytes: u32) -> Program {
    let script = dir.join("confined");
    // In units of 512 bytes. The signal must not end it: a full disk sends none.
    let text = format!(
        "#!/bin/sh\ntrap '' XFSZ\nulimit -f {}\nexec '{}' \"$@\"\n",
        kibibytes * 2,
        program.path.display()
    );
    candidate::script(&script, &text);
    Program { path: script, ..program.clone() }
}

/// `data` has no room for a backup of `mebibytes` of files.
fn without_room(program: &Program, data: &Path, mebibytes: usize) {
    let server = program.start(data).unwrap();
    prepare(&server);
    assert_eq!(create(&server, "first.zip").status, 204);
    let kept = write(&server, 1).unwrap();
    let files = data.join("storage/extra/files");
    std::fs::create_dir_all(&files).unwrap();
    let mut random = testkit::fuzz::Random(3);
    for n in 0..mebibytes {
        // What cannot be packed smaller.
        let bytes: Vec<u8> = (0..1 << 17).flat_map(|_| random.number().to_le_bytes()).collect();
        std::fs::write(files.join(n.to_string()), bytes).unwrap();
    }
    for name in ["", "second.zip"] {
        let refused = create(&server, name);
        assert_eq!(refused.status, 503, "{}\n{}", refused.text(), server.log());
        assert!(refused.text().contains("no space left"), "{}", refused.text());
        assert_eq!(keys(&server), ["first.zip"], "half a backup");
        let left: Vec<_> = std::fs::read_dir(data.join("backups")).unwrap().flatten().collect();
        assert_eq!(left.len(), 2, "the first and its attributes alone: {left:?}");
        assert!(!data.join(".pando_backup").exists(), "what was half made takes room");
        assert!(exists(&server, &kept) && write(&server, 2).is_some(), "the server does not go on");
        assert_eq!(send(&server, &Request::get("/api/health")).status, 200);
    }
    std::fs::remove_dir_all(&files).unwrap();
    assert_eq!(create(&server, "second.zip").status, 204);
}

#[test]
fn a_full_disk_is_said_and_leaves_no_half() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = Candidate::new(Engine::Sqlite).program;
    match Small::mount(dir.path().join("small"), 40) {
        Some(disk) => without_room(&program, &disk.0.join("data"), 20),
        // Files that may not grow come nearest to it.
        None => without_room(&confined(&program, dir.path(), 8 << 10), &dir.path().join("data"), 10),
    }
}

#[test]
fn a_file_that_may_not_grow_is_as_a_full_disk() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = confined(&Candidate::new(Engine::Sqlite).program, dir.path(), 8 << 10);
    without_room(&program, &dir.path().join("data"), 10);
}

/// Until the server says so, nobody else may begin one.
#[test]
fn health_tells_whether_one_can_be_made() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Candidate::new(Engine::Sqlite).program.start(&data).unwrap();
    let files = data.join("storage/extra/files");
    std::fs::create_dir_all(&files).unwrap();
    for n in 0..40 {
        std::fs::write(files.join(n.to_string()), vec![n as u8; 1 << 20]).unwrap();
    }
    let token = server.superuser_token().unwrap();
    let can = || {
        let answer = send(&server, &Request::get("/api/health").token(&token));
        answer.json()["data"]["canBackup"].as_bool().unwrap()
    };
    assert!(can());
    let progress = || {
        let answer = send(&server, &Request::get("/api/system/backup").token(&token));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let idle = json!({"busy": null, "canRestore": true, "canKeep": true});
    assert_eq!(progress(), idle);
    let mut seen = None;
    // One may be done before anybody has looked.
    for round in 0.. {
        assert!(round < 50, "it is never told that a backup is made");
        let name = json!({"name": format!("n{round}.zip")});
        let request = Request::json("POST", "/api/backups", &name).token(&token);
        let client = server.client().with_timeout(WAIT);
        let making = std::thread::spawn(move || client.send(&request).unwrap());
        let mut told = false;
        while (!told || seen.is_none()) && !making.is_finished() {
            told |= !can();
            let busy = progress()["busy"].take();
            if busy["done"].as_u64().is_some_and(|bytes| bytes > 0) {
                seen = Some((round, busy));
            }
        }
        assert_eq!(making.join().unwrap().status, 204);
        assert!(can());
        if told && seen.is_some() {
            break;
        }
    }
    let (round, busy) = seen.unwrap();
    assert_eq!((&busy["doing"], &busy["phase"]), (&json!("backup"), &json!("packing")), "{busy}");
    assert_eq!(busy["name"], format!("n{round}.zip"), "{busy}");
    assert!(busy["done"].as_u64() <= busy["total"].as_u64(), "{busy}");
    assert!(busy["total"].as_u64().unwrap() >= 40 << 20, "{busy}");
    assert_eq!(progress(), idle);
}
