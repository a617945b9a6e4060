//! Mails under faults, what lies in the queue and on disk, and codes under many hands: what the reference cannot judge,
//! because it sends once and forgets.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::smtp::{Manner, Sink};
use testkit::{Answer, Request, Server, oracle};

use crate::candidate::{Candidate, as_superuser};

const PASSWORD: &str = "secret1234";
const WAIT: Duration = Duration::from_secs(20);

fn post(server: &Server, path: &str, body: Value) -> Answer {
    server.client().send(&Request::json("POST", path, &body)).unwrap()
}

fn users(server: &Server, path: &str, body: Value) -> Answer {
    post(server, &format!("/api/collections/users/{path}"), body)
}

fn sign_up(server: &Server, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD, "passwordConfirm": PASSWORD});
    as_superuser(server, "POST", "/api/collections/users/records", &body).at("/id").unwrap()
}

fn use_smtp(server: &Server, smtp: Value) {
    let mut all = json!({"enabled": true, "host": "127.0.0.1"});
    all.as_object_mut().unwrap().extend(smtp.as_object().unwrap().clone());
    as_superuser(server, "PATCH", "/api/settings", &json!({ "smtp": all }));
}

fn change_users(server: &Server, options: Value) {
    as_superuser(server, "PATCH", "/api/collections/users", &options);
}

/// Waits for so many mails in the outbox, and reads them, the oldest first.
fn outbox(dir: &Path, least: usize) -> Vec<String> {
    let until = Instant::now() + WAIT;
    loop {
        let mut paths: Vec<_> = fs::read_dir(dir.join("outbox")).into_iter().flatten().flatten().collect();
        paths.retain(|entry| entry.path().extension().is_some_and(|extension| extension == "eml"));
        paths.sort_by_key(fs::DirEntry::path);
        if paths.len() >= least {
            return paths.iter().map(|entry| fs::read_to_string(entry.path()).unwrap()).collect();
        }
        assert!(Instant::now() < until, "{} of {least} mails", paths.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The digits after `is` in a mail about a one-time password.
fn code_of(mail: &str) -> String {
    let text = mail.split("one-time code is ").nth(1).unwrap();
    text.chars().take_while(char::is_ascii_digit).collect()
}

fn start(engine: Engine) -> (tempfile::TempDir, Candidate, Server) {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    (dir, candidate, server)
}

fn waits_for_a_server(engine: Engine) {
    let (_dir, _candidate, server) = start(engine);
    sign_up(&server, "anna@example.com");
    use_smtp(&server, json!({"port": testkit::tools::free_port()}));
    assert_eq!(users(&server, "request-verification", json!({"email": "anna@example.com"})).status, 204);
    // Where a mail goes is decided when it goes.
    let sink = Sink::start();
    sink.behave(Manner::Later);
    use_smtp(&server, json!({"port": sink.port()}));
    assert!(sink.connections(1));
    sink.behave(Manner::Accept);
    let mail = sink.take("anna@example.com").expect("the mail comes in the end");
    assert!(mail.html().contains("/auth/confirm-verification/eyJ"), "{}", mail.html());
    assert!(mail.text().contains("/auth/confirm-verification/eyJ"), "{}", mail.text());
}

#[test]
fn a_mail_waits_for_a_server_sqlite() {
    waits_for_a_server(Engine::Sqlite);
}

#[test]
fn a_mail_waits_for_a_server_postgres() {
    waits_for_a_server(Engine::Postgres);
}

#[test]
fn a_refused_mail_is_not_tried_again() {
    let (_dir, _candidate, server) = start(Engine::Sqlite);
    for email in ["anna@example.com", "bert@example.com"] {
        sign_up(&server, email);
    }
    let sink = Sink::start();
    sink.behave(Manner::Refuse);
    use_smtp(&server, json!({"port": sink.port()}));
    users(&server, "request-verification", json!({"email": "anna@example.com"}));
    assert!(sink.connections(1));
    let until = Instant::now() + WAIT;
    while !server.log().contains("no such reader") {
        assert!(Instant::now() < until, "{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!server.log().contains("a job failed"), "{}", server.log());
    sink.behave(Manner::Accept);
    users(&server, "request-verification", json!({"email": "bert@example.com"}));
    assert!(sink.take("bert@example.com").is_some());
    assert!(sink.mails().is_empty());
}

#[test]
fn a_server_that_hangs_holds_nobody_up() {
    let (_dir, _candidate, mut server) = start(Engine::Sqlite);
    sign_up(&server, "anna@example.com");
    let sink = Sink::start();
    sink.behave(Manner::Hang);
    use_smtp(&server, json!({"port": sink.port()}));
    assert_eq!(users(&server, "request-password-reset", json!({"email": "anna@example.com"})).status, 204);
    assert!(sink.connections(1));
    let body = json!({"identity": "anna@example.com", "password": PASSWORD});
    assert_eq!(users(&server, "auth-with-password", body).status, 200);
    assert_eq!(server.terminate(WAIT), Some(0), "{}", server.log());
}

#[test]
fn logins_and_greetings() {
    let (_dir, _candidate, server) = start(Engine::Sqlite);
    let sink = Sink::start();
    for (method, expected) in
        [("PLAIN", "PLAIN me my pass"), ("LOGIN", "LOGIN me my pass"), ("", "PLAIN me my pass")]
    {
        let email = format!("m{}@example.com", sink.logins().len());
        sign_up(&server, &email);
        use_smtp(
            &server,
            json!({"port": sink.port(), "username": "me", "password": "my pass", "authMethod": method,
                "localName": "box.example.com"}),
        );
        users(&server, "request-verification", json!({ "email": email }));
        assert!(sink.take(&email).is_some(), "{}", server.log());
        assert_eq!(sink.logins().last().map(String::as_str), Some(expected), "{method}");
    }
    assert!(sink.greetings().iter().all(|greeting| greeting == "EHLO box.example.com"));
}

#[test]
fn links_lead_where_the_settings_say() {
    let (dir, _candidate, server) = start(Engine::Sqlite);
    sign_up(&server, "anna@example.com");
    as_superuser(&server, "PATCH", "/api/settings", &json!({"meta": {"appURL": "https://app.example.com"}}));
    let body = json!({"email": "anna@example.com"});
    let request = Request::json("POST", "/api/collections/users/request-password-reset", &body)
        .header("Host", "evil.example.net")
        .header("X-Forwarded-Host", "evil.example.net")
        .header("Origin", "https://evil.example.net")
        .header("Referer", "https://evil.example.net/");
    assert_eq!(server.client().send(&request).unwrap().status, 204);
    let mail = outbox(&dir.path().join("data"), 1).remove(0);
    assert!(mail.contains("https://app.example.com/_/#/auth/confirm-password-reset/eyJ"), "{mail}");
    assert!(!mail.contains("evil"), "{mail}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let dir = dir.path().join("data/outbox");
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o77, 0);
        let file = fs::read_dir(&dir).unwrap().next().unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o77, 0);
    }
}

/// Whoever reads the database finds nothing that opens an account, while mails wait and after.
#[test]
fn no_secret_waits_in_the_queue() {
    let (dir, _candidate, mut server) = start(Engine::Sqlite);
    sign_up(&server, "anna@example.com");
    change_users(&server, json!({"otp": {"enabled": true}}));
    let sink = Sink::start();
    sink.behave(Manner::Later);
    use_smtp(&server, json!({"port": sink.port()}));
    let login = json!({"identity": "anna@example.com", "password": PASSWORD});
    let token = users(&server, "auth-with-password", login).at("/token").unwrap();
    for path in ["request-verification", "request-password-reset", "request-otp"] {
        assert!(users(&server, path, json!({"email": "anna@example.com"})).status < 300);
    }
    let change = Request::json(
        "POST",
        "/api/collections/users/request-email-change",
        &json!({"newEmail": "new@example.com"}),
    );
    assert_eq!(server.client().send(&change.token(&token)).unwrap().status, 204);
    assert!(sink.connections(4));
    server.kill();
    let mut bytes = Vec::new();
    for name in ["data.db", "data.db-wal"] {
        bytes.extend(fs::read(dir.path().join("data").join(name)).unwrap_or_default());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("\"mail\":\"email_change\"") && holds("new@example.com"));
    // The beginning of every token.
    assert!(!holds("eyJ0") && !holds("eyJh"));
}

/// An email change that waits ends with the password that it was asked under.
#[test]
fn a_waiting_email_change_ends_with_the_password() {
    let (_dir, _candidate, server) = start(Engine::Sqlite);
    let id = sign_up(&server, "anna@example.com");
    let sink = Sink::start();
    sink.behave(Manner::Later);
    use_smtp(&server, json!({"port": sink.port()}));
    let login = json!({"identity": "anna@example.com", "password": PASSWORD});
    let token = users(&server, "auth-with-password", login).at("/token").unwrap();
    let change = Request::json(
        "POST",
        "/api/collections/users/request-email-change",
        &json!({"newEmail": "eve@example.net"}),
    );
    assert_eq!(server.client().send(&change.token(&token)).unwrap().status, 204);
    assert!(sink.connections(1));
    let path = format!("/api/collections/users/records/{id}");
    as_superuser(
        &server,
        "PATCH",
        &path,
        &json!({"password": "changed1234", "passwordConfirm": "changed1234"}),
    );
    sink.behave(Manner::Accept);
    let until = Instant::now() + WAIT;
    while !server.log().contains("a waiting email change ended") {
        assert!(Instant::now() < until, "{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(sink.mails().is_empty(), "{:?}", sink.mails());
}

fn codes_under_many_hands(engine: Engine) {
    let (dir, _candidate, server) = start(engine);
    for email in ["anna@example.com", "bert@example.com"] {
        sign_up(&server, email);
    }
    change_users(&server, json!({"otp": {"enabled": true}, "authAlert": {"enabled": false}}));
    let ask = |email: &str| users(&server, "request-otp", json!({ "email": email })).at("/otpId").unwrap();
    let at_once = |otp: &str, codes: Vec<String>| -> Vec<u16> {
        let clients: Vec<_> = codes
            .into_iter()
            .map(|code| {
                let (port, otp) = (server.port(), otp.to_owned());
                std::thread::spawn(move || {
                    let body = json!({"otpId": otp, "password": code});
                    let request = Request::json("POST", "/api/collections/users/auth-with-otp", &body);
                    testkit::Client::new(port).send(&request).unwrap().status
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    };
    // The right code five times at once is good once.
    let otp = ask("anna@example.com");
    let code = code_of(&outbox(&dir.path().join("data"), 1)[0]);
    let statuses = at_once(&otp, vec![code; 5]);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    // Guesses at once are as few as one after another, and the right code comes too late. An id that was made up for
    // nobody behaves alike.
    for email in ["bert@example.com", "nobody@example.com"] {
        let otp = ask(email);
        let statuses = at_once(&otp, (0..20).map(|n| format!("x{n}")).collect());
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 5, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 15, "{statuses:?}");
        if email.starts_with("bert") {
            let code = code_of(&outbox(&dir.path().join("data"), 2)[1]);
            assert_eq!(at_once(&otp, vec![code]), [429]);
        }
    }
}

#[test]
fn codes_under_many_hands_sqlite() {
    codes_under_many_hands(Engine::Sqlite);
}

#[test]
fn codes_under_many_hands_postgres() {
    codes_under_many_hands(Engine::Postgres);
}

/// A directory changes hands between the request for a code and its use, and between two factors.
#[test]
fn codes_factors_and_places_change_hands() {
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(Engine::Sqlite);
    let data = dir.path().join("data");
    let mut server = candidate.program.start(&data).unwrap();
    sign_up(&server, "anna@example.com");
    let two = json!({"otp": {"enabled": true}, "mfa": {"enabled": true}});
    change_users(&server, two);
    let login = json!({"identity": "anna@example.com", "password": PASSWORD});
    let mfa = users(&server, "auth-with-password", login.clone()).at("/mfaId").unwrap();
    let otp = users(&server, "request-otp", json!({"email": "anna@example.com"})).at("/otpId").unwrap();
    let code = code_of(&outbox(&data, 1)[0]);
    server.terminate(WAIT);
    let mut reference = oracle::program().unwrap().serve(&data).unwrap();
    let body = json!({"otpId": otp, "password": code, "mfaId": mfa});
    let done = users(&reference, "auth-with-otp", body);
    assert_eq!(done.status, 200, "{}", done.text());
    let token = reference.superuser_token().unwrap();
    let places = Request::get("/api/collections/_authOrigins/records?fields=fingerprint").token(&token);
    let before = reference.client().send(&places).unwrap().json();
    let mfa = users(&reference, "auth-with-password", login).at("/mfaId").unwrap();
    reference.terminate(WAIT);
    let server = candidate.program.serve(&data).unwrap();
    let otp = users(&server, "request-otp", json!({"email": "anna@example.com"})).at("/otpId").unwrap();
    let code = code_of(&outbox(&data, 2)[1]);
    let done = users(&server, "auth-with-otp", json!({"otpId": otp, "password": code, "mfaId": mfa}));
    assert_eq!(done.status, 200, "{}", done.text());
    // The place was known.
    assert_eq!(server.client().send(&places).unwrap().json()["items"], before["items"]);
}

fn cleaned(engine: Engine) {
    let (_dir, _candidate, server) = start(engine);
    let id = sign_up(&server, "anna@example.com");
    let two = json!({"otp": {"enabled": true, "duration": 10}, "mfa": {"enabled": true, "duration": 600}});
    change_users(&server, two);
    let row = |collection: &str, owner: &str, more: Value| {
        let mut body = json!({"collectionRef": owner, "recordRef": id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        as_superuser(&server, "POST", &format!("/api/collections/{collection}/records"), &body);
    };
    let left = |collection: &str| {
        let path = format!("/api/collections/{collection}/records?fields=collectionRef");
        as_superuser(&server, "GET", &path, &json!({})).json()["items"].clone()
    };
    for owner in ["_pb_users_auth_", "gone"] {
        row("_mfas", owner, json!({"method": "password"}));
        row("_otps", owner, json!({"password": PASSWORD}));
    }
    // Those of no collection go at once, those past their time when it has passed, and the rest stays.
    let until = Instant::now() + WAIT;
    while left("_otps") != json!([]) {
        assert!(Instant::now() < until, "{}", left("_otps"));
        for cron in ["__pbOTPCleanup__", "__pbMFACleanup__"] {
            as_superuser(&server, "POST", &format!("/api/crons/{cron}"), &json!({}));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(left("_mfas"), json!([{"collectionRef": "_pb_users_auth_"}]));
}

#[test]
fn what_is_past_its_time_is_cleaned_sqlite() {
    cleaned(Engine::Sqlite);
}

#[test]
fn what_is_past_its_time_is_cleaned_postgres() {
    cleaned(Engine::Postgres);
}
