//! A disk that is full: what cannot be kept is refused with an error that says so, all else is answered as before, nothing
//! acknowledged is lost, and when there is room again nobody has to do anything.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::pando::Engine;
use testkit::server::SUPERUSER;
use testkit::{Answer, Request, Server};

use crate::candidate::{self, BINARY, Candidate, as_superuser};
use crate::files::form;

/// What the disk holds, and what is on it to be taken away.
const DISK: &str = "24m";
const FILLER: usize = 8 << 20;
const RECORDS: &str = "/api/collections/notes/records";
/// Of one record.
const TEXT: usize = 100_000;
const WAIT: Duration = Duration::from_secs(60);

struct World {
    server: Server,
    filler: PathBuf,
    dir: tempfile::TempDir,
}

/// A server on a disk of its own, which nobody else sees and which goes with it. Needs no rights where users may have namespaces.
fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let (script, disk) = (dir.path().join("pando"), dir.path().join("disk"));
    std::fs::create_dir(&disk).unwrap();
    let (email, password) = SUPERUSER;
    let begin = format!(
        "set -e\n\
         mount -t tmpfs -o size={DISK} tmpfs {disk}\n\
         head -c {FILLER} /dev/zero > {disk}/filler\n\
         {BINARY} superuser upsert {email} {password} --dir {disk}/data\n\
         exec {BINARY} \"$@\"\n",
        disk = disk.display()
    );
    std::fs::write(dir.path().join("begin.sh"), begin).unwrap();
    let wrapper = format!(
        "#!/bin/sh\nexec unshare --map-root-user --mount sh {}/begin.sh \"$@\"\n",
        dir.path().display()
    );
    candidate::script(&script, &wrapper);
    let mut program = Candidate::new(Engine::Sqlite).program;
    program.path = script;
    let server = program.serve(&disk.join("data")).unwrap();
    // The server's own view of the files.
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    let filler = root.join(disk.join("filler").strip_prefix("/").unwrap());
    assert!(filler.is_file(), "the disk is not the server's alone");
    World { server, filler, dir }
}

impl World {
    fn create(&self, n: usize) -> Answer {
        let body = json!({"n": n, "text": "x".repeat(TEXT)});
        self.server.client().send(&Request::json("POST", RECORDS, &body)).unwrap()
    }

    fn upload(&self, bytes: usize) -> Answer {
        // Nothing that could be packed.
        let file: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
        let (kind, body) = form(&[("n", None, b"-1"), ("file", Some("a.bin"), &file)]);
        self.server.client().send(&Request::new("POST", RECORDS).body(&kind, body)).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.server.client().send(&Request::get(path)).unwrap()
    }

    fn numbers(&self) -> Vec<u64> {
        let listed = self.get(&format!("{RECORDS}?fields=n&sort=n&perPage=1000&skipTotal=1"));
        assert_eq!(listed.status, 200, "{}", listed.text());
        listed.json()["items"].as_array().unwrap().iter().map(|item| item["n"].as_u64().unwrap()).collect()
    }
}

#[test]
fn refuses_what_it_cannot_keep_and_goes_on() {
    let world = world();
    let collection = json!({
        "name": "notes", "type": "base", "listRule": "", "viewRule": "", "createRule": "",
        "fields": [
            {"name": "n", "type": "number"},
            {"name": "text", "type": "text", "max": TEXT},
            {"name": "file", "type": "file", "maxSelect": 1, "maxSize": 64 << 20},
        ],
    });
    as_superuser(&world.server, "POST", "/api/collections", &collection);

    let mut kept = Vec::new();
    let refused = (0..1_000)
        .find_map(|n| {
            let answer = world.create(n);
            match answer.status {
                200 => kept.push(n as u64),
                _ => return Some(answer),
            }
            None
        })
        .expect("a disk that never fills");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("space"), "{}", refused.text());
    assert!(kept.len() > 10, "{}", kept.len());

    // Reads, and what is sent again, while it is full.
    for n in 0..5 {
        assert_eq!(world.create(10_000 + n).status, 503);
        assert_eq!(world.numbers(), kept);
    }
    let file = world.upload(FILLER / 2);
    assert_eq!(file.status, 503, "{}", file.text());
    assert_eq!(world.numbers(), kept);
    assert_eq!(world.get("/api/health").status, 200);

    // Room again.
    std::fs::remove_file(&world.filler).unwrap();
    let until = Instant::now() + WAIT;
    while world.create(20_000).status != 200 {
        assert!(Instant::now() < until, "nothing is kept though there is room\n{}", world.server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    kept.push(20_000);
    assert_eq!(world.numbers(), kept);
    let file = world.upload(FILLER / 8);
    assert_eq!(file.status, 200, "{}", file.text());
    let token = world.server.superuser_token().unwrap();
    let sound = json!({"query": "PRAGMA integrity_check"});
    let sound = world.server.client().send(&Request::json("POST", "/api/sql", &sound).token(&token)).unwrap();
    assert!(sound.text().contains("\"ok\""), "{}", sound.text());
    drop(world.dir);
}
