//! What becomes of files on disk and in a bucket: nothing is left behind, nothing is lost, and a store that is gone is
//! said plainly.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::pando::{self, Engine};
use testkit::seaweed::Seaweed;
use testkit::{Answer, Request, Server, fixtures, judge, oracle};

use crate::candidate::Candidate;

const SOON: Duration = Duration::from_secs(30);

/// A form with texts and files.
pub fn form(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--b--\r\n");
    ("multipart/form-data; boundary=b".into(), body)
}

struct Api {
    server: Server,
    token: String,
}

impl Api {
    fn new(server: Server) -> Api {
        let token = server.superuser_token().unwrap();
        Api { server, token }
    }

    fn send(&self, request: Request) -> Answer {
        self.server.client().send(&request.token(&self.token)).unwrap()
    }

    fn json(&self, method: &str, target: &str, body: serde_json::Value) -> Answer {
        self.send(Request::json(method, target, &body))
    }

    fn form(&self, method: &str, target: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        let (kind, body) = form(parts);
        self.send(Request::new(method, target).body(&kind, body))
    }

    fn collection(&self, name: &str) -> String {
        let fields = json!([
            {"name": "title", "type": "text", "max": 10},
            {"name": "one", "type": "file", "maxSize": 20_000_000},
            {"name": "many", "type": "file", "maxSelect": 9},
        ]);
        let index = format!("CREATE UNIQUE INDEX idx_{name}_title ON {name} (title)");
        let body =
            json!({"name": name, "type": "base", "viewRule": "", "fields": fields, "indexes": [index]});
        let answer = self.json("POST", "/api/collections", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.at("/id").unwrap()
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Waits until as many files (with their attributes) lie below a directory.
fn settles_at(dir: &Path, count: usize) {
    let until = Instant::now() + SOON;
    while files_below(dir).len() != count {
        assert!(Instant::now() < until, "{count} files were expected: {:#?}", files_below(dir));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn files_go_with_their_records(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(engine);
    let api = Api::new(candidate.program.start(&data).unwrap());
    let storage = data.join("storage").join(api.collection("kept"));
    let records = "/api/collections/kept/records";

    let picture = fixtures::bytes("png-40x30");
    let made = api.form("POST", records, &[("title", None, b"a"), ("one", Some("first.png"), &picture)]);
    let (id, name) = (made.at("/id").unwrap(), made.at("/one").unwrap());
    let at = format!("{records}/{id}");
    assert_eq!(api.send(Request::get(&format!("/api/files/kept/{id}/{name}?thumb=100x100"))).status, 200);
    settles_at(&storage, 4);
    assert_eq!(fs::read(storage.join(&id).join(&name)).unwrap(), picture);

    // Refused writes leave nothing.
    let twice = api.form("POST", records, &[("title", None, b"a"), ("one", Some("twice.txt"), b"x")]);
    assert_eq!(twice.status, 400, "{}", twice.text());
    let long = api.form("POST", records, &[("title", None, b"much too long"), ("one", Some("l.txt"), b"x")]);
    assert_eq!(long.status, 400);
    let gone = api.form("PATCH", &format!("{records}/missing"), &[("one", Some("gone.txt"), b"x")]);
    assert_eq!(gone.status, 404);
    let other = api.form("POST", records, &[("title", None, b"b"), ("many", Some("m.txt"), b"x")]);
    let other = other.at("/id").unwrap();
    let clash = api.form(
        "PATCH",
        &format!("{records}/{other}"),
        &[("title", None, b"a"), ("many+", Some("n.txt"), b"x")],
    );
    assert_eq!(clash.status, 400, "{}", clash.text());
    settles_at(&storage, 6);

    // A replaced file goes with what was made of it, and others stay.
    let replaced = api.form("PATCH", &at, &[("one", Some("second.txt"), b"second")]);
    assert_eq!(replaced.status, 200);
    settles_at(&storage, 4);
    assert_eq!(api.json("PATCH", &at, json!({"one": null})).status, 200);
    settles_at(&storage, 2);

    // So do those of a deleted record, of an emptied and of a deleted collection.
    let deleted = api.send(Request::new("DELETE", &format!("{records}/{other}")));
    assert_eq!(deleted.status, 204);
    settles_at(&storage, 0);
    for title in [b"c", b"d"] {
        api.form("POST", records, &[("title", None, title), ("many", Some("m.txt"), b"x")]);
    }
    settles_at(&storage, 4);
    assert_eq!(api.send(Request::new("DELETE", "/api/collections/kept/truncate")).status, 204);
    settles_at(&storage, 0);
    api.form("POST", records, &[("many", Some("m.txt"), b"x"), ("many", Some("n.txt"), b"x")]);
    settles_at(&storage, 4);
    assert_eq!(api.send(Request::new("DELETE", "/api/collections/kept")).status, 204);
    settles_at(&storage, 0);
}

#[test]
fn files_go_with_their_records_on_sqlite() {
    files_go_with_their_records(Engine::Sqlite);
}

#[test]
fn files_go_with_their_records_on_postgres() {
    files_go_with_their_records(Engine::Postgres);
}

/// A count alone takes a file that is being written for one that is there.
fn appears(path: &Path) {
    let until = Instant::now() + SOON;
    while !path.is_file() {
        assert!(Instant::now() < until, "{} is missing", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// In the sizes that are configured, and no others.
fn thumbs_are_made_ahead(engine: Engine) {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(engine);
    let api = Api::new(candidate.program.start(&data).unwrap());
    let fields = json!([
        {"name": "plain", "type": "file"},
        {"name": "shown", "type": "file", "maxSelect": 9, "thumbs": ["10x10", "20x0"]},
    ]);
    let body = json!({"name": "ahead", "type": "base", "viewRule": "", "fields": fields});
    let storage = data.join("storage").join(api.json("POST", "/api/collections", body).at("/id").unwrap());
    let records = "/api/collections/ahead/records";
    let (png, cut) = (fixtures::bytes("png-40x30"), fixtures::bytes("cut-100"));
    let made = api.form(
        "POST",
        records,
        &[
            ("plain", Some("plain.png"), &png),
            ("shown", Some("no.txt"), b"text"),
            ("shown", Some("cut.png"), &cut),
            ("shown", Some("yes.png"), &png),
        ],
    );
    assert_eq!(made.status, 200, "{}", made.text());
    let (id, name) = (made.at("/id").unwrap(), made.at("/shown/2").unwrap());
    let folder = |name: &str| storage.join(&id).join(format!("thumbs_{name}"));
    appears(&folder(&name).join(format!("10x10_{name}")));
    appears(&folder(&name).join(format!("20x0_{name}")));
    // Four originals and two thumbnails, each with its attributes.
    settles_at(&storage, 12);
    let thumb = api.send(Request::get(&format!("/api/files/ahead/{id}/{name}?thumb=20x0")));
    assert_eq!(thumb.body, fs::read(folder(&name).join(format!("20x0_{name}"))).unwrap());

    let at = format!("{records}/{id}");
    let changed = api.form("PATCH", &at, &[("shown", Some("next.png"), &png)]);
    assert_eq!(changed.status, 200, "{}", changed.text());
    let name = changed.at("/shown/0").unwrap();
    appears(&folder(&name).join(format!("10x10_{name}")));
    appears(&folder(&name).join(format!("20x0_{name}")));
    settles_at(&storage, 8);
    assert_eq!(api.send(Request::new("DELETE", &at)).status, 204);
    settles_at(&storage, 0);
}

#[test]
fn thumbs_are_made_ahead_on_sqlite() {
    thumbs_are_made_ahead(Engine::Sqlite);
}

#[test]
fn thumbs_are_made_ahead_on_postgres() {
    thumbs_are_made_ahead(Engine::Postgres);
}

/// Of changes to one record at once, none undoes another's: whatever was answered with success is there.
#[test]
fn uploads_to_one_record_at_once_are_all_kept() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(Engine::Sqlite);
    let api = Api::new(candidate.program.start(&dir.path().join("data")).unwrap());
    api.collection("shared");
    let made = api.json("POST", "/api/collections/shared/records", json!({"id": "sharedrecord001"}));
    assert_eq!(made.status, 200, "{}", made.text());
    let at = "/api/collections/shared/records/sharedrecord001";
    let accepted: usize = std::thread::scope(|scope| {
        let send = |n: usize| {
            let (client, token) = (api.server.client(), api.token.clone());
            scope.spawn(move || {
                let (kind, body) = form(&[("many+", Some(&format!("file{n}.txt")), b"x")]);
                let request = Request::new("PATCH", at).body(&kind, body).token(&token);
                let status = client.send(&request).unwrap().status;
                assert!(status == 200 || status == 409, "{status}");
                usize::from(status == 200)
            })
        };
        let all: Vec<_> = (0..9).map(send).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    let record = api.send(Request::get(at)).json();
    let names = record["many"].as_array().unwrap();
    assert_eq!(names.len(), accepted);
    for name in names {
        let file = format!("/api/files/shared/sharedrecord001/{}", name.as_str().unwrap());
        assert_eq!(api.send(Request::get(&file)).status, 200);
    }
}

/// Pictures that want more than they give: answered as they are, within bounds, and the server lives on.
#[test]
fn pictures_that_are_traps_are_sent_as_they_are() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(Engine::Sqlite);
    let mut api = Api::new(candidate.program.start(&dir.path().join("data")).unwrap());
    api.collection("traps");
    // A header that promises more than anybody has, over little data.
    let huge = |side: u32| {
        let mut bytes = fixtures::bytes("png-8x8");
        bytes[16..20].copy_from_slice(&side.to_be_bytes());
        bytes[20..24].copy_from_slice(&side.to_be_bytes());
        let sum = fixtures::crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    for trap in [huge(29_999), huge(u32::MAX >> 1), huge(40_000), huge(9_000), fixtures::bytes("cut-70")] {
        let made = api.form(
            "POST",
            "/api/collections/traps/records",
            &[("title", None, base_title(&trap).as_bytes()), ("one", Some("trap.png"), &trap)],
        );
        assert_eq!(made.status, 200, "{}", made.text());
        let (id, name) = (made.at("/id").unwrap(), made.at("/one").unwrap());
        let thumb = api.send(Request::get(&format!("/api/files/traps/{id}/{name}?thumb=100x100")));
        assert_eq!((thumb.status, thumb.body), (200, trap));
    }
    let moving = fixtures::bytes("frames-2000");
    let made = api.form("POST", "/api/collections/traps/records", &[("one", Some("moving.gif"), &moving)]);
    let (id, name) = (made.at("/id").unwrap(), made.at("/one").unwrap());
    let thumb = api.send(Request::get(&format!("/api/files/traps/{id}/{name}?thumb=100x100")));
    assert_eq!(thumb.status, 200);
    assert!(thumb.body.len() < moving.len(), "only the first picture counts");
    assert!(api.server.is_alive());
}

fn base_title(bytes: &[u8]) -> String {
    fixtures::crc32(bytes).to_string()
}

/// What belongs to nothing is swept when it is old; what is young, or not ours, stays.
#[test]
fn orphans_are_swept() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let candidate = Candidate::new(Engine::Sqlite);
    let api = Api::new(candidate.program.start(&data).unwrap());
    let storage = data.join("storage").join(api.collection("swept"));
    let made = api.form("POST", "/api/collections/swept/records", &[("one", Some("kept.txt"), b"x")]);
    let kept = storage.join(made.at("/id").unwrap()).join(made.at("/one").unwrap());
    let put = |path: PathBuf, days: u64| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        let then = std::time::SystemTime::now() - Duration::from_secs(days * 86_400);
        fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        path
    };
    let beside = kept.parent().unwrap();
    let old = [
        put(beside.join("orphan.txt"), 3),
        put(beside.join("thumbs_gone.png/100x100_gone.png"), 3),
        put(storage.join("missingrecord01/orphan.txt"), 3),
    ];
    let others = [
        put(beside.join("young.txt"), 0),
        put(beside.join(format!("thumbs_{}/1x1.png", made.at("/one").unwrap())), 3),
        put(data.join("storage/foreign/record/file.txt"), 3),
        kept.clone(),
    ];
    let asked = api.send(Request::new("POST", "/api/crons/__pandoFilesCleanup__"));
    assert_eq!(asked.status, 204, "{}", asked.text());
    let until = Instant::now() + SOON;
    while old.iter().any(|path| path.exists()) {
        assert!(Instant::now() < until, "{old:?} are still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(others.iter().all(|path| path.exists()), "{others:?}");
}

/// The corpus of files once more, each server with a bucket of its own.
#[test]
fn buckets_are_served_as_directories_are() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Seaweed::start(dir.path().join("weed"), &["reference", "candidate"]).unwrap();
    let reference = oracle::program().unwrap().start(&dir.path().join("reference")).unwrap();
    let candidate = Candidate::new(Engine::Sqlite).program.start(&dir.path().join("candidate")).unwrap();
    for (server, bucket) in [(&reference, "reference"), (&candidate, "candidate")] {
        let token = server.superuser_token().unwrap();
        let body = json!({"s3": store.settings(bucket)});
        let request = Request::json("PATCH", "/api/settings", &body).token(&token);
        assert_eq!(server.client().send(&request).unwrap().status, 200);
    }
    for (group, source) in [
        ("files", include_str!("differential/corpus/files.txt")),
        ("files_fields", include_str!("differential/corpus/files_fields.txt")),
    ] {
        // Names that a directory reserves: a bucket of the reference's takes them.
        let source = source.replace("  a.txt.attrs\n  x.attrs\n", "");
        let outcome = judge::run(group, &source, &reference, &candidate);
        let found = outcome.failures.join("\n");
        assert!(found.is_empty(), "{} of {} steps differ\n{found}", outcome.failures.len(), outcome.steps);
    }
    assert!(files_below(&dir.path().join("candidate/storage")).is_empty(), "nothing lies in the directory");
}

#[test]
fn a_bucket_that_is_gone_is_said_plainly_and_loses_nothing() {
    if pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut store = Seaweed::start(dir.path().join("weed"), &["files"]).unwrap();
    let candidate = Candidate::new(Engine::Sqlite);
    let api = Api::new(candidate.program.start(&dir.path().join("data")).unwrap());
    api.collection("remote");
    let records = "/api/collections/remote/records";
    let local = api.form("POST", records, &[("title", None, b"local"), ("one", Some("l.txt"), b"local")]);
    assert_eq!(local.status, 200);
    let on = api.json("PATCH", "/api/settings", json!({"s3": store.settings("files")}));
    assert_eq!(on.status, 200, "{}", on.text());
    let long = fixtures::bytes("bytes-18000000");
    let made = api.form("POST", records, &[("title", None, b"kept"), ("one", Some("kept.txt"), &long)]);
    assert_eq!(made.status, 200, "{}", made.text());
    let file = format!("/api/files/remote/{}/{}", made.at("/id").unwrap(), made.at("/one").unwrap());
    assert_eq!(api.send(Request::get(&file)).body, long);
    let part = api.send(Request::get(&file).header("Range", "bytes=17999990-"));
    assert_eq!((part.status, part.body.len()), (206, 10));

    store.kill();
    let refused = api.form("POST", records, &[("title", None, b"lost"), ("one", Some("lost.txt"), b"x")]);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("file store"), "{}", refused.text());
    let found = api.send(Request::get(&format!("{records}?filter=title='lost'")));
    assert_eq!(found.at("/totalItems").as_deref(), Some("0"), "no record without its file");
    let unread = api.send(Request::get(&file));
    assert_eq!(unread.status, 503, "{}", unread.text());
    // Records without files go on.
    assert_eq!(api.json("POST", records, json!({"title": "plain"})).status, 200);

    store.restart().unwrap();
    // The store takes requests before it has found what it keeps.
    let until = Instant::now() + SOON;
    let mut read = api.send(Request::get(&file));
    while read.status == 503 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        read = api.send(Request::get(&file));
    }
    assert!(read.status == 200 && read.body == long, "{} with {} bytes", read.status, read.body.len());
    let off = api.json("PATCH", "/api/settings", json!({"s3": {"enabled": false}}));
    assert_eq!(off.status, 200);
    let (id, name) = (local.at("/id").unwrap(), local.at("/one").unwrap());
    assert_eq!(api.send(Request::get(&format!("/api/files/remote/{id}/{name}"))).text(), "local");
}
