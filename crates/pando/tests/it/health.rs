//! What machines ask: does it live, can it serve, what did it count. With the database gone, and on the way to the end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::pando::Engine;
use testkit::server::Server;
use testkit::{Client, Request, exposition, fault, tools};

use crate::candidate::Candidate;

const WAIT: Duration = Duration::from_secs(60);

struct Watched {
    candidate: Candidate,
    server: Server,
    watch: u16,
    _dir: tempfile::TempDir,
}

impl Watched {
    fn start(engine: Engine, variables: &[(&str, &str)]) -> Watched {
        let mut candidate = Candidate::new(engine);
        let dir = tempfile::tempdir().unwrap();
        let watch = tools::free_port();
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        candidate.program.variables.push(set("PANDO_OBSERVE_HTTP", &format!("127.0.0.1:{watch}")));
        candidate.program.variables.extend(variables.iter().map(|(name, value)| set(name, value)));
        let server = candidate.program.start(&dir.path().join("data")).unwrap();
        Watched { candidate, server, watch, _dir: dir }
    }

    fn ask(&self, path: &str) -> Option<(u16, String)> {
        let answer = Client::new(self.watch).send(&Request::get(path)).ok()?;
        Some((answer.status, answer.text().to_owned()))
    }

    fn figures(&self) -> String {
        let (status, text) = self.ask("/metrics").expect("figures");
        assert_eq!(status, 200, "{text}");
        let families = exposition::parse(&text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
        // Every one of them, and each of its labels, is listed for people.
        let documented = std::fs::read_to_string(tools::workspace().join("docs/metrics.md")).unwrap();
        for (name, family) in families {
            let line = documented.lines().find(|line| line.contains(&format!("`{name}`")));
            let line = line.unwrap_or_else(|| panic!("{name} is not documented"));
            if name.starts_with("pando_") {
                let labels = family.series.keys().flat_map(|(_, labels)| labels);
                for (label, _) in labels.filter(|(label, _)| label != "le") {
                    assert!(line.contains(&format!("`{label}`")), "{name}: {label}");
                }
            }
        }
        text
    }

    fn wait_for(&self, path: &str, status: u16) -> String {
        let until = Instant::now() + WAIT;
        loop {
            let answer = self.ask(path);
            match answer {
                Some((found, text)) if found == status => return text,
                _ => {
                    assert!(Instant::now() < until, "{path}: {answer:?}, not {status}\n{}", self.server.log())
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The value of the one line that begins so.
fn value(figures: &str, line: &str) -> f64 {
    let found = figures.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {line} in\n{figures}")).parse().unwrap()
}

fn is_shown_without_being_seen(engine: Engine) {
    let watched = Watched::start(engine, &[]);
    let client = watched.server.client();
    for path in ["/livez", "/readyz"] {
        assert_eq!(watched.ask(path).unwrap().0, 200);
        let answer = client.send(&Request::get(path)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(
        watched.ask("/readyz").unwrap().1,
        r#"{"ready":true,"checks":{"database":"ok","schema":"ok"}}"#
    );
    assert_eq!(watched.ask("/api/health").unwrap().0, 404, "the API is elsewhere");

    // To the world there are no figures, and no sign that there might be some.
    let token = watched.server.superuser_token().unwrap();
    let nothing = client.send(&Request::get("/nothing-here")).unwrap();
    for request in [Request::get("/metrics"), Request::get("/metrics").token("made-up")] {
        let answer = client.send(&request).unwrap();
        assert_eq!((answer.status, answer.text()), (nothing.status, nothing.text()));
    }
    let answer = client.send(&Request::get("/metrics").token(&token)).unwrap();
    assert_eq!(answer.status, 200);
    assert!(value(&answer.text(), "pando_http_requests_in_flight") >= 1.0);

    let route = r#"pando_http_requests_total{route="record_list",method="GET",status="2xx"}"#;
    let list = "/api/collections/_superusers/records";
    assert_eq!(client.send(&Request::get(list).token(&token)).unwrap().status, 200);
    let before = value(&watched.figures(), route);
    for _ in 0..3 {
        assert_eq!(client.send(&Request::get(list).token(&token)).unwrap().status, 200);
    }
    let figures = watched.figures();
    assert_eq!(value(&figures, route) - before, 3.0);
    assert!(value(&figures, r#"pando_http_request_duration_seconds_count{route="record_list"}"#) >= 4.0);
    for line in [
        r#"pando_store_operation_duration_seconds_count{database="data",operation="select"}"#,
        r#"pando_pool_task_duration_seconds_count{pool="password"}"#,
        "pando_collections",
    ] {
        assert!(value(&figures, line) >= 1.0, "{line}");
    }
    // It is looked at now and then.
    let until = Instant::now() + WAIT;
    while value(&watched.figures(), "pando_event_loop_lag_seconds_count") < 1.0 {
        assert!(Instant::now() < until, "the event loop's lag is not looked at");
        std::thread::sleep(Duration::from_millis(50));
    }
    for line in [r#"pando_jobs_due{kind="mail"}"#, "pando_jobs_dead", "pando_realtime_clients"] {
        assert!(value(&figures, line) >= 0.0);
    }
    assert!(value(&figures, "process_resident_memory_bytes") > 1e6);
    assert!(value(&figures, "process_start_time_seconds") > 1.6e9);
}

#[test]
fn on_sqlite() {
    is_shown_without_being_seen(Engine::Sqlite);
}

#[test]
fn on_postgres() {
    is_shown_without_being_seen(Engine::Postgres);
}

#[test]
fn a_database_that_is_gone_is_told_and_comes_back() {
    let mut watched = Watched::start(Engine::Postgres, &[]);
    let Some(mut postgres) = watched.candidate.postgres.take() else { return };
    postgres.kill();
    let text = watched.wait_for("/readyz", 503);
    assert!(text.contains(r#""ready":false"#) && text.contains(r#""schema":"ok""#), "{text}");
    assert!(!text.contains(r#""database":"ok""#), "{text}");
    assert!(!text.contains("127.0.0.1"), "where the database is, is nobody's business: {text}");
    assert_eq!(watched.ask("/livez").unwrap().0, 200);
    assert_eq!(watched.server.client().send(&Request::get("/livez")).unwrap().status, 200);
    assert_eq!(watched.server.client().send(&Request::get("/readyz")).unwrap().status, 503);
    // Its end is not this process's end, however often somebody asks.
    for _ in 0..50 {
        assert_eq!(watched.ask("/readyz").unwrap().0, 503);
    }
    postgres.restart().unwrap();
    watched.wait_for("/readyz", 200);

    // A frozen one says nothing at all, which is noticed as well.
    let backends =
        postgres.sql("postgres", "SELECT pid FROM pg_stat_activity WHERE application_name = 'pando'");
    let mut frozen: Vec<u32> = backends.unwrap().lines().map(|pid| pid.parse().unwrap()).collect();
    frozen.push(postgres.pid());
    for pid in &frozen {
        assert!(fault::freeze(*pid));
    }
    let text = watched.wait_for("/readyz", 503);
    assert!(text.contains(r#""database":"silent""#), "{text}");
    assert_eq!(watched.ask("/livez").unwrap().0, 200);
    for pid in &frozen {
        assert!(fault::thaw(*pid));
    }
    watched.wait_for("/readyz", 200);
}

/// A request that has begun and is not yet whole.
fn half(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let head = "POST /api/collections/_superusers/auth-with-password HTTP/1.1\r\nhost: x\r\n\
        content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn the_way_to_the_end_is_told_while_requests_finish() {
    let mut watched = Watched::start(Engine::Sqlite, &[("PANDO_DRAIN_MS", "1500")]);
    let client = watched.server.client();
    let mut open = half(&watched.server);
    while value(&watched.figures(), "pando_http_requests_in_flight") < 1.0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    fault::terminate(watched.server.pid());
    let text = watched.wait_for("/readyz", 503);
    assert_eq!(text, r#"{"ready":false,"checks":{"stopping":"failed"}}"#);
    assert_eq!(watched.ask("/livez").unwrap().0, 200);
    // For a while it still lets in those who have not heard.
    assert_eq!(client.send(&Request::get("/readyz")).unwrap().status, 503);
    assert_eq!(client.send(&Request::get("/api/health")).unwrap().status, 200);
    // Then nobody, but what has begun may end.
    let until = Instant::now() + WAIT;
    while client.send(&Request::get("/livez")).is_ok() {
        assert!(Instant::now() < until, "still listening");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(watched.ask("/readyz").unwrap().0, 503);
    open.write_all(b"}").unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(watched.server.terminate(WAIT), Some(0));
}

#[test]
fn files_of_the_site_keep_their_paths() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("pb_public");
    std::fs::create_dir(&site).unwrap();
    for (name, text) in [("livez", "a file"), ("metrics", "another"), ("index.html", "the first page")] {
        std::fs::write(site.join(name), text).unwrap();
    }
    let server = candidate.program.start(&dir.path().join("data")).unwrap();
    let client = server.client();
    let token = server.superuser_token().unwrap();
    let get = |path: &str| client.send(&Request::get(path).token(&token)).unwrap();
    assert_eq!(get("/livez").text(), "a file");
    assert_eq!(get("/metrics").text(), "another");
    // What leads nowhere is the first page, but this leads somewhere.
    assert_eq!(get("/elsewhere").text(), "the first page");
    assert!(get("/readyz").text().contains("ready"));
    assert_eq!(client.send(&Request::new("POST", "/readyz")).unwrap().status, 404);
    // Nobody's log is to be full of it.
    let until = Instant::now() + WAIT;
    let logged =
        |url: &str| get(&format!("/api/logs?filter=(data.url='{url}')")).json()["totalItems"].clone();
    while logged("/readyz") == 0 {
        assert!(Instant::now() < until, "the POST is logged");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(logged("/readyz"), 1);
}
