//! Several `pando web` on one PostgreSQL: whatever one is told, the others know.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::server::{SUPERUSER, Server};
use testkit::{Answer, Request, fault, tools};

use crate::candidate::Candidate;

/// A candidate whose servers are nodes.
fn candidate() -> Candidate {
    let mut candidate = Candidate::new(Engine::Postgres);
    candidate.program = candidate.program.role("web");
    candidate
}

#[test]
fn start_at_once_on_an_empty_database() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let spawn = |n: usize| {
        Server::spawn(candidate.program.clone(), dir.path().join(n.to_string()), tools::free_port()).unwrap()
    };
    let mut nodes: Vec<Server> = (0..4).map(spawn).collect();
    for node in &mut nodes {
        node.wait_ready().unwrap();
    }
    candidate.program.upsert_superuser(dir.path(), SUPERUSER.0, SUPERUSER.1).unwrap();
    let shown: Vec<_> = nodes
        .iter()
        .map(|node| {
            let token = node.superuser_token().unwrap();
            let path = "/api/collections?sort=id&skipTotal=1&fields=id,name,fields";
            node.client().send(&Request::get(path).token(&token)).unwrap().json()
        })
        .collect();
    assert!(shown.iter().all(|one| *one == shown[0] && one["items"].as_array().unwrap().len() > 4));
    for node in &mut nodes {
        assert!(std::fs::read_dir(node.dir()).unwrap().next().is_none(), "a node keeps nothing");
        assert_eq!(node.terminate(Duration::from_secs(30)), Some(0));
    }
}

#[test]
fn refuse_sqlite() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let program = candidate.program.role("web");
    let (code, said) = program.serve_to_end(dir.path(), Duration::from_secs(30)).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--data postgres://") && said.contains("pando serve"), "{said}");
}

#[test]
fn refuse_uploads_that_others_could_not_see() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let node = candidate.program.start(&dir.path().join("node")).unwrap();
    assert!(node.log().contains("files.shared"), "{}", node.log());
    assert_eq!(upload(&node), 501);

    let options = configured(dir.path(), "[files]\nshared = true\n");
    let mut program = candidate.program.clone();
    program.options = options;
    let (one, other) =
        (program.serve(&dir.path().join("mounted")), program.serve(&dir.path().join("mounted")));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(upload(&one), 200);
    let token = other.superuser_token().unwrap();
    let listed = other.client().send(&Request::get("/api/collections/users/records").token(&token)).unwrap();
    let (id, name) = (listed.at("/items/0/id").unwrap(), listed.at("/items/0/avatar").unwrap());
    let answer = other.client().send(&Request::get(&format!("/api/files/users/{id}/{name}"))).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"GIF89a"[..]));
}

/// The arguments that name a configuration file with that text.
fn configured(dir: &Path, text: &str) -> Vec<String> {
    let path = dir.join("pando.toml");
    std::fs::write(&path, text).unwrap();
    vec!["--config".into(), path.to_str().unwrap().into()]
}

/// The status of the answer to a record with a file.
fn upload(node: &Server) -> u16 {
    let mut body = Vec::new();
    for (name, value) in
        [("email", "a@example.com"), ("password", "12345678"), ("passwordConfirm", "12345678")]
    {
        body.extend(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    let head = "--b\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"a.gif\"\r\n\r\n";
    body.extend([head.as_bytes(), b"GIF89a\r\n--b--\r\n"].concat());
    let request = Request::new("POST", "/api/collections/users/records");
    let request =
        request.body("multipart/form-data; boundary=b", body).token(&node.superuser_token().unwrap());
    node.client().send(&request).unwrap().status
}

#[test]
fn the_configuration_names_the_bucket() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let mut program = candidate.program.clone();
    program.options = configured(
        dir.path(),
        "[files.s3]\nendpoint = 'http://127.0.0.1:9'\nbucket = 'b'\nregion = 'r'\naccess_key = 'k'\npath_style = true\n",
    );
    program.variables = vec![("PANDO_FILES_S3_SECRET".into(), "hush".into())];
    let node = program.start(&dir.path().join("node")).unwrap();
    let token = node.superuser_token().unwrap();
    let settings = node.client().send(&Request::get("/api/settings").token(&token)).unwrap();
    assert_eq!(settings.at("/s3/enabled").unwrap(), "true");
    assert_eq!(settings.at("/s3/bucket").unwrap(), "b");
    assert!(!settings.text().contains("hush"));
    let patch = |body| {
        let request = Request::json("PATCH", "/api/settings", &body).token(&token);
        node.client().send(&request).unwrap()
    };
    // What is shown may be sent back; anything else would have no effect.
    let shown = settings.json();
    assert_eq!(patch(shown).status, 200);
    let refused = patch(json!({"s3": {"bucket": "other"}}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.at("/data/s3/code").unwrap(), "validation_fixed_by_configuration");
    let stored =
        candidate.postgres.as_ref().unwrap().sql("test0", "SELECT value->'s3' FROM _params").unwrap();
    assert!(!stored.contains("hush") && stored.contains("\"enabled\":false"), "{stored}");
}

/// Nodes on one database, and its administrator's token, which is good on all of them.
struct Nodes {
    candidate: Candidate,
    nodes: Vec<Server>,
    token: String,
    _dir: tempfile::TempDir,
}

impl Nodes {
    fn start(count: usize) -> Nodes {
        let candidate = candidate();
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = vec![candidate.program.start(dir.path()).unwrap()];
        for _ in 1..count {
            nodes.push(candidate.program.serve(dir.path()).unwrap());
        }
        let token = nodes[0].superuser_token().unwrap();
        Nodes { candidate, nodes, token, _dir: dir }
    }

    fn ask(&self, node: usize, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::json(method, path, body).token(&self.token);
        self.nodes[node].client().send(&request).unwrap()
    }

    /// The same, which must succeed.
    fn done(&self, node: usize, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.ask(node, method, path, body);
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text());
        answer
    }

    fn sql(&self, sql: &str) -> String {
        self.candidate.postgres.as_ref().unwrap().sql("test0", sql).unwrap().trim().to_owned()
    }
}

#[test]
fn change_collections_and_settings_at_once() {
    const ROUNDS: usize = 8;
    let nodes = Nodes::start(2);
    nodes.done(0, "POST", "/api/collections", &json!({"name": "posts", "type": "base"}));
    for round in 0..ROUNDS {
        let fields = nodes.ask(0, "GET", "/api/collections/posts", &json!({})).json()["fields"].clone();
        let change = |node: usize| {
            let field = format!("f{node}x{round}");
            let mut fields = fields.clone();
            fields.as_array_mut().unwrap().push(json!({"name": field, "type": "text"}));
            let rule = [
                json!({"listRule": format!("id != '{round}'")}),
                json!({"viewRule": format!("id != '{round}'")}),
            ];
            nodes.done(node, "PATCH", "/api/collections/posts", &rule[node]);
            nodes.done(
                node,
                "POST",
                "/api/collections",
                &json!({"name": format!("own{field}"), "type": "base"}),
            );
            let settings = [json!({"meta": {"appName": field}}), json!({"logs": {"maxDays": round + 1}})];
            nodes.done(node, "PATCH", "/api/settings", &settings[node]);
            nodes.ask(node, "PATCH", "/api/collections/posts", &json!({"fields": fields})).status
        };
        let statuses = std::thread::scope(|scope| {
            let change = &change;
            [0, 1].map(|node| scope.spawn(move || change(node))).map(|thread| thread.join().unwrap())
        });
        let posts = nodes.ask(1, "GET", "/api/collections/posts", &json!({})).json();
        let has = |node: usize| posts["fields"].to_string().contains(&format!("f{node}x{round}"));
        // A list that was sent takes the place of the other's, if it was sent after that was acknowledged.
        match statuses {
            [200, 200] => assert!(has(0) || has(1)),
            [200, 409] => assert!(has(0) && !has(1)),
            [409, 200] => assert!(has(1) && !has(0)),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            (&posts["listRule"], &posts["viewRule"]),
            (&json!(format!("id != '{round}'")), &json!(format!("id != '{round}'")))
        );
        let settings = nodes.ask(1, "GET", "/api/settings", &json!({})).json();
        assert_eq!(settings["meta"]["appName"], format!("f0x{round}"));
        assert_eq!(settings["logs"]["maxDays"], round + 1);
        // What is told of the collection is what the table has.
        let mut shown: Vec<&str> =
            posts["fields"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
        shown.sort_unstable();
        let columns = nodes.sql(
            "SELECT string_agg(column_name, ',' ORDER BY column_name COLLATE \"C\") FROM information_schema.columns \
             WHERE table_name='posts' AND column_name <> '_pando_seq'",
        );
        assert_eq!(columns, shown.join(","));
    }
    let names = nodes.ask(0, "GET", "/api/collections?perPage=200&fields=name", &json!({})).text();
    let all = (0..ROUNDS).flat_map(|round| [format!("ownf0x{round}"), format!("ownf1x{round}")]);
    assert!(all.into_iter().all(|name| names.contains(&name)), "{names}");
}

#[test]
fn know_of_a_change_once_it_is_acknowledged() {
    let nodes = Nodes::start(3);
    nodes.done(
        0,
        "POST",
        "/api/collections",
        &json!({"name": "notes", "type": "base", "fields": [
        {"name": "title", "type": "text"}]}),
    );
    let list = |node: usize| {
        nodes.nodes[node].client().send(&Request::get("/api/collections/notes/records")).unwrap()
    };
    for round in 0..20 {
        let (by, other) = (round % 3, (round + 1) % 3);
        nodes.done(by, "PATCH", "/api/collections/notes", &json!({"listRule": ""}));
        assert_eq!(list(other).status, 200, "round {round}");
        nodes.done(by, "PATCH", "/api/collections/notes", &json!({"listRule": null}));
        assert_eq!(list(other).status, 403, "round {round}");
        nodes.done(by, "PATCH", "/api/settings", &json!({"meta": {"appName": format!("name{round}")}}));
        assert_eq!(
            nodes.ask(other, "GET", "/api/settings", &json!({})).json()["meta"]["appName"],
            format!("name{round}")
        );
    }
    // A node that stood still meanwhile makes sure before it answers.
    fault::freeze(nodes.nodes[2].pid());
    nodes.done(0, "PATCH", "/api/collections/notes", &json!({"listRule": ""}));
    fault::thaw(nodes.nodes[2].pid());
    assert_eq!(list(2).status, 200);
}

#[test]
fn write_while_columns_come_and_go() {
    let nodes = Nodes::start(2);
    let title = json!({"name": "title", "type": "text", "id": "text1234567"});
    nodes.done(0, "POST", "/api/collections", &json!({"name": "notes", "type": "base", "fields": [title]}));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let body = json!({"title": "t", "extra": "1"});
                answers.push(nodes.ask(1, "POST", "/api/collections/notes/records", &body));
                answers.push(nodes.ask(
                    1,
                    "GET",
                    "/api/collections/notes/records?sort=extra&perPage=1",
                    &json!({}),
                ));
            }
            answers
        });
        for n in 0..12 {
            let kind = ["text", "number"][n % 2];
            let extra = json!({"name": "extra", "type": kind, "id": format!("extra{n:05}")});
            nodes.done(0, "PATCH", "/api/collections/notes", &json!({"fields": [title, extra]}));
            nodes.done(0, "PATCH", "/api/collections/notes", &json!({"fields": [title]}));
        }
        over.store(true, Ordering::Relaxed);
        for answer in writer.join().unwrap() {
            assert!([200, 400, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        }
    });
}

#[test]
fn count_guesses_of_a_code_together() {
    let nodes = Nodes::start(3);
    nodes.done(0, "PATCH", "/api/collections/users", &json!({"otp": {"enabled": true}}));
    let asked =
        nodes.done(1, "POST", "/api/collections/users/request-otp", &json!({"email": "a@example.com"}));
    let otp = asked.at("/otpId").unwrap();
    let guess = |node: usize| {
        let body = json!({"otpId": otp, "password": "00000000"});
        nodes.ask(node, "POST", "/api/collections/users/auth-with-otp", &body).status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guess = &guess;
        let all: Vec<_> = (0..24).map(|n| scope.spawn(move || guess(n % 3))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(400), count(429)), (5, 19), "{statuses:?}");
    // Mails that anybody may ask for go out once, wherever they are asked for.
    for node in 0..3 {
        let body = json!({"email": "a@example.com"});
        nodes.done(node, "POST", "/api/collections/users/request-password-reset", &body);
    }
    let mails = "SELECT count(*) FROM _pando_jobs WHERE payload LIKE '%password_reset%'";
    assert!(nodes.sql(mails).parse::<u32>().unwrap() <= 1);
    assert_eq!(nodes.sql("SELECT count(*) FROM _pando_otp_requests WHERE id LIKE 'mail%'"), "1");
}

#[test]
fn count_requests_together() {
    const MOST: usize = 40;
    let nodes = Nodes::start(3);
    let rule = json!({"label": "/api/health", "audience": "", "duration": 3600, "maxRequests": MOST});
    nodes.done(0, "PATCH", "/api/settings", &json!({"rateLimits": {"enabled": true, "rules": [rule]}}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let nodes = &nodes;
        let ask = move |n: usize| {
            let client = nodes.nodes[n % 3].client();
            (0..30).map(|_| client.send(&Request::get("/api/health")).unwrap().status).collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..6).map(|n| scope.spawn(move || ask(n))).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    // Never more than may be; and less only by parts that a node took and could not use up.
    let (passed, refused) = (count(200), count(429));
    let lost = statuses.len() - passed - refused;
    assert!(passed <= MOST && passed + lost > MOST / 2, "{passed} passed, {refused} refused, {lost} lost");
    // Who was refused costs the database nothing.
    let written = || nodes.sql("SELECT xmin FROM _pando_counters WHERE key LIKE 'rate%'");
    let before = written();
    assert_eq!(nodes.nodes[0].client().send(&Request::get("/api/health")).unwrap().status, 429);
    assert_eq!(written(), before);
}

#[test]
fn leave_one_superuser() {
    let nodes = Nodes::start(2);
    let path = "/api/collections/_superusers/records";
    for round in 0..3 {
        let email = format!("second{round}@example.com");
        let body = json!({"email": email, "password": "secret1234", "passwordConfirm": "secret1234"});
        let second = nodes.done(0, "POST", path, &body).at("/id").unwrap();
        let first = nodes.sql(&format!("SELECT id FROM _superusers WHERE id <> '{second}'"));
        let token = nodes.nodes[0].login("_superusers", &email, "secret1234").unwrap();
        let delete = |node: usize, id: &str, token: &str| {
            let request = Request::new("DELETE", &format!("{path}/{id}")).token(token);
            nodes.nodes[node].client().send(&request).unwrap().status
        };
        // Each deletes the other.
        let statuses = std::thread::scope(|scope| {
            let one = scope.spawn(|| delete(0, &second, &nodes.token));
            let other = scope.spawn(|| delete(1, &first, &token));
            [one.join().unwrap(), other.join().unwrap()]
        });
        assert_eq!(nodes.sql("SELECT count(*) FROM _superusers"), "1", "{statuses:?}");
        if statuses[1] == 204 {
            return;
        }
    }
}

#[test]
fn take_over_the_jobs_of_a_killed_one() {
    let mut nodes = Nodes::start(2);
    // What a node holds that dies is due again when its lease is over.
    nodes.nodes[0].kill();
    nodes.sql(
        "INSERT INTO _pando_jobs (id, queue, payload, due, attempts, holder) VALUES \
         ('left', 'default', '{\"kind\":\"cron\",\"id\":\"__pbDBOptimize__\"}', 0, 1, 'gone')",
    );
    wait_for("the job is done", || nodes.sql("SELECT count(*) FROM _pando_jobs") == "0");
    // The dead one holds up changes for no longer than its lease, and is not counted for long.
    nodes.done(1, "POST", "/api/collections", &json!({"name": "after", "type": "base"}));
    let silent = "SELECT count(*) FROM _pando_nodes WHERE seen > now() - interval '5 s'";
    wait_for("the dead one is gone", || nodes.sql(silent) == "1");
    assert_eq!(nodes.nodes[1].terminate(Duration::from_secs(30)), Some(0));
    assert_eq!(nodes.sql(silent), "0", "who ends says so");
}

/// An address that reads calls, tells of them, and answers or does not.
fn callee(answers: bool) -> (u16, std::sync::mpsc::Receiver<()>) {
    let (sender, calls) = std::sync::mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 2048]);
            if answers {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            } else {
                held.push(stream);
            }
            let _ = sender.send(());
        }
    });
    (port, calls)
}

fn calling(dir: &Path, schedule: &str, port: u16) -> Vec<String> {
    let text = format!("[[crons]]\nid = 'call'\nschedule = '{schedule}'\nurl = 'http://127.0.0.1:{port}/'\n");
    configured(dir, &text)
}

#[test]
fn do_what_is_due_once() {
    let minute = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let (port, calls) = callee(true);
    let mut program = candidate.program.clone();
    program.options = calling(dir.path(), "* * * * *", port);
    let start = minute();
    let _nodes: Vec<Server> =
        (0..3).map(|n| program.serve(&dir.path().join(n.to_string())).unwrap()).collect();
    calls.recv_timeout(Duration::from_secs(120)).unwrap();
    let mut count = 1;
    while calls.recv_timeout(Duration::from_secs(5)).is_ok() {
        count += 1;
    }
    assert!(count <= minute() - start + 1, "{count} calls in {} minutes", minute() - start + 1);
}

#[test]
fn give_back_what_they_cannot_finish() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let (port, calls) = callee(false);
    let mut program = candidate.program.clone();
    program.options = calling(dir.path(), "0 0 1 1 *", port);
    let mut node = program.start(&dir.path().join("node")).unwrap();
    let request = Request::new("POST", "/api/crons/call").token(&node.superuser_token().unwrap());
    assert_eq!(node.client().send(&request).unwrap().status, 204);
    calls.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(node.terminate(Duration::from_secs(60)), Some(0));
    let sql = "SELECT attempts, due <= extract(epoch FROM now()) * 1000 FROM _pando_jobs";
    let left = candidate.postgres.as_ref().unwrap().sql("test0", sql).unwrap();
    assert_eq!(left.trim(), "0|t", "as if it had not been taken");
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
