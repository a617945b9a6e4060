//! `pando move`: everything goes to another database and back, and every answer stays as it was, to the byte. While
//! it goes on, clients read and write; nothing acknowledged is lost, and nobody is told to go away.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testkit::pando::Engine;
use testkit::postgres::{Options, Postgres};
use testkit::server::{Program, SUPERUSER};
use testkit::{Request, Server, judge};

use crate::candidate::{BINARY, Candidate};

mod clients;
mod kills;

const DATA: &str = include_str!("differential/data.txt");

/// More for the move than the corpus has: a view, indexes, odd texts, rules, an account, files, numbers at the edges.
const MORE: &str = r#"setup more
as superuser
POST /api/collections {"name":"odd","type":"base","listRule":"","viewRule":"","fields":[{"name":"ctid","type":"text"},{"name":"t","type":"text"},{"name":"n","type":"number"},{"name":"j","type":"json"},{"name":"d","type":"date"},{"name":"tags","type":"select","values":["a","b c","ü"],"maxSelect":3},{"name":"aVeryLongFieldNameThatIsLongerThanWhatPostgresKeepsOfAnyIdentifier","type":"text"}],"indexes":["CREATE UNIQUE INDEX idx_odd_t ON odd (t) WHERE t != ''","CREATE INDEX idx_odd_n ON odd (n, d DESC)","CREATE INDEX idx_odd_nocase ON odd (t COLLATE NOCASE)"]}
POST /api/collections/odd/records {"id":"odd000000000001","ctid":"x","t":"ß 'quoted' \"double\" \\ back\n\ttab 😀","n":1e300,"j":{"b":1,"a":[1.50,{"z":null,"y":1e5}],"":"é"},"d":"0001-01-01 00:00:00.000Z","tags":["a","ü"]}
POST /api/collections/odd/records {"id":"odd000000000002","t":"","n":-0.1,"j":"null","d":"9999-12-31 23:59:59.999Z","tags":["b c"],"aVeryLongFieldNameThatIsLongerThanWhatPostgresKeepsOfAnyIdentifier":"long"}
POST /api/collections/odd/records {"id":"odd000000000003","t":"A","n":9007199254740993,"j":1234567890123}
POST /api/collections/odd/records {"id":"odd000000000004","t":"B","n":0.30000000000000004,"j":"[1, 2]"}
POST /api/collections/odd/records {"id":"odd000000000005","t":"C","j":1.0}
DELETE /api/collections/odd/records/odd000000000004
POST /api/collections/odd/records {"id":"odd000000000006","t":"aaaa first by nothing","n":6}
POST /api/collections {"name":"sums","type":"view","listRule":"","viewRule":"","viewQuery":"SELECT id, t, (n * 2) AS twice FROM odd WHERE n > 0"}
POST /api/collections {"name":"oversums","type":"view","listRule":"","viewRule":"","viewQuery":"SELECT id, twice FROM sums"}
POST /api/collections {"name":"papers","type":"base","viewRule":"","listRule":"","fields":[{"name":"doc","type":"file","maxSelect":3}]}
POST /api/collections/papers/records multipart:id=papersrecord001;doc@paper one.txt=hello;doc@picture.png=<fixture png-40x30>
PATCH /api/settings {"meta":{"appName":"Moved","appURL":"https://example.com"}}
"#;

const READS: [&str; 24] = [
    "/api/collections?perPage=200",
    "/api/collections/odd",
    "/api/collections/odd/records",
    "/api/collections/odd/records?sort=t,id",
    "/api/collections/odd/records?sort=-n,d,id",
    "/api/collections/odd/records?filter=n%3E0%26%26t%21=''",
    "/api/collections/odd/records?filter=j.a.0=1.5",
    "/api/collections/odd/records?filter=tags%3F='a'",
    "/api/collections/odd/records/odd000000000001",
    "/api/collections/sums/records?sort=id",
    "/api/collections/oversums/records?sort=id",
    "/api/collections/papers/records",
    "/api/collections/posts/records?perPage=500&expand=author.city,editors.boss,comments_via_post.by",
    "/api/collections/posts/records?sort=-day,title,id&fields=id,title,day,doc,place",
    "/api/collections/posts/records?filter=doc.b.c='x'||tags:length%3E2",
    "/api/collections/posts/records?filter=author.city.name~'o'&sort=@rowid",
    "/api/collections/posts/records?sort=-@rowid",
    "/api/collections/people/records?expand=friends,boss,account",
    "/api/collections/cities/records?filter=geoDistance(at.lon,at.lat,23,42)%3C500",
    "/api/collections/comments/records?sort=score,id",
    "/api/collections/users/records?sort=email",
    "/api/collections/_superusers/records?fields=id,email,created",
    "/api/settings",
    "/api/backups/none?token=x",
];

/// What a server answers to all of it.
fn answers(server: &Server) -> Vec<String> {
    let token = server.superuser_token().unwrap();
    let ask = |target: &str| {
        let answer = server.client().send(&Request::get(target).token(&token)).unwrap();
        assert!(answer.status < 500 || target.contains("backups"), "{target}: {}", answer.text());
        format!("{target}\n{} {}", answer.status, answer.text())
    };
    let mut out: Vec<String> =
        READS.iter().filter(|target| !target.contains("backups")).map(|target| ask(target)).collect();
    let papers = server.client().send(&Request::get("/api/collections/papers/records")).unwrap().json();
    for name in papers["items"][0]["doc"].as_array().unwrap() {
        out.push(ask(&format!("/api/files/papers/papersrecord001/{}", name.as_str().unwrap())));
    }
    out
}

fn assert_same(one: &[String], other: &[String]) {
    for (one, other) in one.iter().zip(other) {
        pretty(one, other);
    }
    assert_eq!(one.len(), other.len());
}

fn pretty(one: &str, other: &str) {
    if one != other {
        let at = one.bytes().zip(other.bytes()).position(|(one, other)| one != other).unwrap_or(0);
        let around = |text: &str| text.chars().skip(at.saturating_sub(80)).take(240).collect::<String>();
        panic!("before: …{}…\n after: …{}…\n{}", around(one), around(other), one.lines().next().unwrap());
    }
}

fn fill(server: &Server) {
    judge::apply(DATA, server);
    judge::apply(MORE, server);
}

fn mover(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("move").arg("--dir").arg(dir).args(words).current_dir(dir);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PANDO_")) {
        command.env_remove(name);
    }
    command
}

/// Moves and returns what was said.
fn moved(dir: &Path, words: &[&str]) -> String {
    let out = mover(dir, words).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{text}");
    text
}

fn refused(dir: &Path, words: &[&str]) -> String {
    let out = mover(dir, words).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(!out.status.success(), "{text}");
    text
}

fn sqlite() -> Program {
    Candidate::new(Engine::Sqlite).program
}

#[test]
fn everything_is_there_after_a_move_and_after_the_way_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let postgres = Postgres::start(Options::default()).unwrap();
    let url = postgres.database().unwrap();
    let server = sqlite().start(&data).unwrap();
    fill(&server);
    let token = server.superuser_token().unwrap();
    let before = answers(&server);
    drop(server);

    moved(&data, &["--to", &url]);
    // The directory alone leads to the data.
    let server = sqlite().serve(&data).unwrap();
    assert_same(&before, &answers(&server));
    let get = Request::get("/api/collections/_superusers/records").token(&token);
    assert_eq!(server.client().send(&get).unwrap().status, 200, "an old token is good");
    judge::apply(
        "setup w\nas superuser\nPOST /api/collections/odd/records {\"id\":\"odd000000000007\",\"t\":\"on postgres\"}\n",
        &server,
    );
    let before = answers(&server);
    assert_eq!(
        postgres.sql("test0", "select t from odd where id='odd000000000007'").unwrap().trim(),
        "on postgres"
    );
    drop(server);

    moved(&data, &["--to", data.to_str().unwrap()]);
    let server = sqlite().serve(&data).unwrap();
    assert_same(&before, &answers(&server));
    assert!(server.log().contains("SQLite"), "{}", server.log());
    drop(server);
    // Web nodes would be several on one directory.
    let web = Program { data: Some(url.clone()), role: "web", ..sqlite() };
    let (code, log) = web.serve_to_end(&data, std::time::Duration::from_secs(60)).unwrap();
    assert!(code.is_some_and(|code| code != 0) && log.contains("for one process alone"), "{log}");
    // The server that was left cannot be written to, and says where to go.
    let (code, log) = Program { data: Some(url), ..sqlite() }
        .serve_to_end(&dir.path().join("other"), std::time::Duration::from_secs(60))
        .unwrap();
    assert!(code.is_some_and(|code| code != 0) && log.contains("has moved to"), "{log}");
    let oracle = testkit::oracle::program().unwrap();
    oracle.upsert_superuser(&data, SUPERUSER.0, SUPERUSER.1).unwrap();
    let server = oracle.serve(&data).unwrap();
    let reference = answers(&server);
    for (one, other) in before.iter().zip(&reference).filter(|(one, _)| one.contains("/records")) {
        if one.starts_with("/api/collections/_superusers") || one.contains("sort=@rowid") {
            continue;
        }
        // The reference picks fields in a random order.
        let body =
            |text: &str| serde_json::from_str::<serde_json::Value>(text.split_once(' ').unwrap().1).unwrap();
        let split = |text: &str| body(text.split_once('\n').unwrap().1);
        assert_eq!(split(one), split(other), "{one}");
    }
}

/// A mover whose lines are read as they come.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    said: Vec<String>,
}

impl Running {
    fn start(dir: &Path, words: &[&str]) -> Running {
        let mut child = mover(dir, words).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines, said: Vec::new() }
    }

    /// Reads until a line begins with the words; false at the end.
    fn until(&mut self, words: &str) -> bool {
        while let Some(Ok(line)) = self.lines.next() {
            let found = line.starts_with(words);
            self.said.push(line);
            if found {
                return true;
            }
        }
        false
    }

    fn end(mut self) -> String {
        self.until("\0");
        let status = self.child.wait().unwrap();
        let said = self.said.join("\n");
        assert!(status.success(), "{said}");
        said
    }
}

#[test]
fn what_cannot_be_moved_is_named_first() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let postgres = Postgres::start(Options::default()).unwrap();
    let url = postgres.database().unwrap();
    let server = sqlite().start(&data).unwrap();
    fill(&server);
    judge::apply(
        "setup w\nas superuser\nPOST /api/collections/odd/records {\"id\":\"odd00000000nul0\",\"t\":\"a\\u0000b\"}\n",
        &server,
    );
    for words in [&["--to", &url, "--dry-run"][..], &["--to", &url]] {
        let text = refused(&data, words);
        assert!(text.contains("odd/odd00000000nul0/t") && text.contains("U+0000"), "{text}");
    }
    // Nothing happened: the server goes on.
    judge::apply("setup w\nas superuser\nDELETE /api/collections/odd/records/odd00000000nul0\n", &server);
    let text = moved(&data, &["--to", &url, "--dry-run"]);
    assert!(text.contains("posts: 6 rows"), "{text}");
    let mut running = Running::start(&data, &["--to", &url]);
    assert!(running.until("Switched"));
    let said = running.end();
    assert!(said.contains("equal on both sides"), "{said}");
    judge::apply(
        "setup w\nas superuser\nPOST /api/collections/odd/records {\"id\":\"odd000000000009\",\"t\":\"there\"}\n",
        &server,
    );
    assert_eq!(
        postgres.sql("test0", "select t from odd where id='odd000000000009'").unwrap().trim(),
        "there"
    );
    // To a database with data nothing is moved.
    let other = dir.path().join("other");
    drop(sqlite().start(&other).unwrap());
    let text = refused(&other, &["--to", &url]);
    assert!(text.contains("there is data already"), "{text}");
}

const WRITTEN: &str = r#"setup written
as superuser
POST /api/collections {"name":"written","type":"base","listRule":"","viewRule":"","createRule":"","updateRule":"","deleteRule":"","fields":[{"name":"n","type":"number"},{"name":"t","type":"text"}],"indexes":["CREATE INDEX idx_written_n ON written (n)"]}
PATCH /api/settings {"batch":{"enabled":true,"maxRequests":50}}
"#;

/// All ids of the collection, by pages.
fn ids(server: &Server) -> std::collections::BTreeSet<String> {
    let mut out = std::collections::BTreeSet::new();
    for page in 1.. {
        let target =
            format!("/api/collections/written/records?perPage=500&skipTotal=1&fields=id&page={page}");
        let items =
            server.client().send(&Request::get(&target)).unwrap().json()["items"].as_array().unwrap().clone();
        if items.is_empty() {
            break;
        }
        out.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
    }
    out
}

fn listening(server: &Server) -> testkit::sse::Stream {
    let stream = testkit::sse::Stream::open(server.port()).unwrap();
    let subscribe = serde_json::json!({"clientId": stream.id, "subscriptions": ["cities/*"]});
    let answer = server.client().send(&Request::json("POST", "/api/realtime", &subscribe)).unwrap();
    assert_eq!(answer.status, 204);
    stream
}

#[test]
fn clients_go_on_while_the_data_moves_and_moves_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let postgres = Postgres::start(Options::default()).unwrap();
    let url = postgres.database().unwrap();
    let mut server = sqlite().start(&data).unwrap();
    fill(&server);
    judge::apply(WRITTEN, &server);
    let stream = listening(&server);
    let before = answers(&server);

    let clients = clients::Clients::start(server.port(), 0..4);
    clients.wait_for(50);
    let said = moved(&data, &["--to", &url]);
    clients.wait_for(50);
    let there = clients.end();
    assert_eq!(ids(&server), there, "{said}");
    let in_postgres = postgres.sql("test0", "select count(*) from written").unwrap();
    assert_eq!(in_postgres.trim(), there.len().to_string());
    assert_same(&before, &answers(&server));
    // The mover wrote beside the server, so streams began anew; they hear of what is written now.
    assert!(stream.wait_closed(std::time::Duration::from_secs(60)));
    let stream = listening(&server);
    judge::apply(
        "setup w\nas superuser\nPATCH /api/collections/cities/records/city00000000001 {\"pop\":7}\nPATCH /api/collections/cities/records/city00000000001 {\"pop\":1200000}\n",
        &server,
    );
    let heard =
        stream.wait_for(std::time::Duration::from_secs(60), |event| event.data.contains("\"pop\":1200000"));
    assert!(heard.is_some(), "no event after the move");
    drop(stream);

    let clients = clients::Clients::start(server.port(), 4..8);
    clients.wait_for(50);
    let said = moved(&data, &["--to", data.to_str().unwrap()]);
    clients.wait_for(50);
    let mut all = clients.end();
    all.extend(there);
    assert_eq!(ids(&server), all, "{said}");
    assert_same(&before, &answers(&server));
    server.restart().unwrap();
    assert_eq!(ids(&server), all);
    assert!(server.log().contains("SQLite"), "{}", server.log());
    assert_same(&before, &answers(&server));
}

#[test]
fn files_go_to_a_bucket_and_back_while_they_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let weed = testkit::seaweed::Seaweed::start(dir.path().join("weed"), &["files"]).unwrap();
    let settings = weed.settings("files");
    let server = sqlite().start(&data).unwrap();
    fill(&server);
    let before = answers(&server);
    let without_settings = |answers: Vec<String>| -> Vec<String> {
        answers.into_iter().filter(|answer| !answer.starts_with("/api/settings")).collect()
    };
    let place = format!(
        "s3://files?endpoint={}&region={}&path-style=true",
        settings["endpoint"].as_str().unwrap(),
        settings["region"].as_str().unwrap()
    );
    let relocate = |place: &str| {
        let out = mover(&data, &["--files", place])
            .env("AWS_ACCESS_KEY_ID", settings["accessKey"].as_str().unwrap())
            .env("AWS_SECRET_ACCESS_KEY", settings["secret"].as_str().unwrap())
            .output()
            .unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{text}");
        text
    };
    let said = relocate(&place);
    assert!(said.contains("Moved 2 files"), "{said}");
    std::fs::rename(data.join("storage"), data.join("aside")).unwrap();
    assert_same(&without_settings(before.clone()), &without_settings(answers(&server)));
    let said = relocate("local");
    assert!(said.contains("2 of them written now"), "{said}");
    drop(weed);
    assert_same(&without_settings(before), &without_settings(answers(&server)));
}
