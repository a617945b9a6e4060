//! What is served at `/_/`, without a browser: the first run's link, headers, and the key that turns it off.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::pando::{self, Engine};
use testkit::{Answer, Request, Server};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(30);

/// The link that a server without superusers prints.
pub fn link(server: &Server) -> String {
    let until = Instant::now() + WAIT;
    loop {
        let log = server.log();
        if let Some(link) = log.split_whitespace().find(|word| word.contains("/_/#/pbinstall/")) {
            return link.to_owned();
        }
        assert!(Instant::now() < until, "no link:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(server: &Server, path: &str, coding: &str) -> Answer {
    server.client().send(&Request::get(path).header("accept-encoding", coding)).unwrap()
}

/// A server on an empty directory.
fn fresh(variables: &[(&str, &str)], test: impl Fn(&mut Server)) {
    if pando::is_oracle() {
        return;
    }
    let (mut candidate, dir) = (Candidate::new(Engine::Sqlite), tempfile::tempdir().unwrap());
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    candidate.program.variables.extend(variables);
    test(&mut candidate.program.serve(dir.path()).unwrap());
}

#[test]
fn files_and_headers() {
    fresh(&[], |server| {
        let page = get(server, "/_/", "identity");
        assert_eq!(page.status, 200);
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let html = page.text();
        assert!(html.starts_with("<!doctype html>") && !html.contains("<script>"), "{html}");
        let from = html.find("src=\"./assets/").unwrap() + 6;
        let script = format!("/_{}", &html[from..from + html[from..].find('"').unwrap()]);

        let plain = get(server, &script, "identity");
        assert_eq!(plain.header("cache-control"), Some("public, max-age=31536000, immutable"));
        for coding in ["br", "gzip"] {
            let packed = get(server, &script, coding);
            assert_eq!(packed.header("content-encoding"), Some(coding));
            assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
            assert!(packed.body.len() < plain.body.len() / 2);
            let etag = packed.header("etag").unwrap().to_owned();
            let known =
                Request::get(&script).header("accept-encoding", coding).header("if-none-match", &etag);
            let known = server.client().send(&known).unwrap();
            assert_eq!((known.status, known.body.len()), (304, 0));
        }
        assert_eq!(get(server, "/_/assets/none-12345678.js", "br").status, 404);
        let beside = get(server, "/_", "br");
        assert_eq!((beside.status, beside.header("location")), (308, Some("_/")));
    });
}

#[test]
fn first_load_is_small() {
    fresh(&[], |server| {
        let html = get(server, "/_/", "identity").text();
        let assets = html.split('"').filter(|text| text.starts_with("./assets/"));
        let sizes = assets.map(|path| get(server, &format!("/_{}", &path[1..]), "br").body.len());
        let total: usize = sizes.sum();
        assert!(total > 0 && total < 80_000, "{total} bytes before the first page");
    });
}

#[test]
fn link_is_good_once() {
    fresh(&[], |server| {
        let link = link(server);
        let token = link.rsplit('/').next().unwrap();
        let at = "/api/collections/_superusers/records";
        let form = |email: &str| {
            let (email, password) = (email.to_owned(), "a-long-password");
            json!({"email": email, "password": password, "passwordConfirm": password})
        };
        let make =
            |email| server.client().send(&Request::json("POST", at, &form(email)).token(token)).unwrap();
        assert_eq!(make("first@example.com").status, 200);
        // Whoever installed is gone, and the token with it.
        assert_eq!(make("second@example.com").status, 403);
        let own = server.login("_superusers", "first@example.com", "a-long-password").unwrap();
        let all = server.client().send(&Request::get(at).token(&own)).unwrap().json();
        assert_eq!(all["totalItems"], 1, "{all}");
        assert_eq!(all["items"][0]["email"], Value::from("first@example.com"));
        // Another start says nothing of it; all that it says is said when it has ended.
        server.restart().unwrap();
        server.terminate(WAIT);
        let log = server.log();
        assert!(log.contains("Dashboard: ") && !log.contains("superuser"), "{log}");
    });
}

#[test]
fn turned_off() {
    fresh(&[("PANDO_DASHBOARD", "false")], |server| {
        // A browser that comes back from a provider is still told how it went.
        let page = get(server, "/_/", "identity").text();
        assert!(page.contains("oauth2-redirect-success") && !page.contains("<script"), "{page}");
        assert_eq!(get(server, "/_/assets/index.js", "br").status, 404);
        let until = Instant::now() + WAIT;
        while !server.log().contains("superuser create") {
            assert!(Instant::now() < until, "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!server.log().contains("pbinstall"));
    });
}
